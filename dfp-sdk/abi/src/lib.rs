//! The C border between dfp hosts and plugins: the structs of `dfp/plugin.h`, the ways batches, errors and bytes cross it,
//! and the boundary that no panic passes.
//!
//! Plugin authors use `dfp-plugin`, programs use `dfp-host`; both are built on this crate. The rules of the border are the
//! comments of [`c`], which the header repeats. In short: tables are constant and live for ever; errors are inline text and
//! own nothing; handing over an Arrow struct moves it, whether or not the call succeeds; what comes from a plugin
//! is validated before it is believed, and so a plugin may believe the values its host passes.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow_array::{ArrayRef, Int64Array, RecordBatch};
//! use dfp_abi::{ImportedStream, export_stream};
//! use dfp_core::MemoryStream;
//!
//! let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
//! let batch = RecordBatch::try_from_iter([("n", column)])?;
//! let stream = export_stream(Box::new(MemoryStream::new(batch.schema(), vec![batch.clone()])));
//!
//! // SAFETY: the struct was filled a line above.
//! let mut stream = unsafe { ImportedStream::new(stream, &batch.schema()) }?;
//! assert_eq!(stream.next().unwrap()?, batch);
//! assert!(stream.next().is_none());
//! # Ok::<(), dfp_core::Error>(())
//! ```

mod arrow;
mod boundary;
mod buf;
pub mod c;
mod export;
mod fingerprint;
mod import;
mod linked;
mod take;

pub use arrow::{
    ArrowArray, ArrowArrayStream, ArrowSchema, export_schema, export_stream, take_array, take_stream,
};
pub use arrow_data::ffi::FFI_ArrowArray;
pub use arrow_schema::ffi::FFI_ArrowSchema;
pub use boundary::{answer, bytes, caught, dropped, foreign_text, report, text_lossy};
pub use export::export_batch;
pub use fingerprint::{FINGERPRINT, FINGERPRINT_LINE, HEADER, fingerprint};
pub use import::{
    ImportedStream, borrowed_schema, import_batch, import_schema, import_valid_batch, schema_crosses,
};
pub use linked::{Create, Kind, LinkedComponent, Make};

/// A slot of a table from the other side: `None` if the table is too short to have it, or has it empty.
///
/// Expands to unsafe code: `$table` must lead to a table that is readable up to its own `struct_size`.
#[macro_export]
macro_rules! slot {
    ($table:expr, $type:ty, $slot:ident) => {{
        let table: *const $type = $table;
        let end = ::core::mem::offset_of!($type, $slot) + ::core::mem::size_of::<*const ()>();
        if ((&raw const (*table).struct_size).read() as usize) < end {
            None
        } else {
            (&raw const (*table).$slot).read()
        }
    }};
}

#[cfg(test)]
// SAFETY of the calls below: every struct is a local one, as long as it says.
#[allow(clippy::undocumented_unsafe_blocks)]
mod tests {
    use std::ffi::c_void;
    use std::mem::offset_of;

    use crate::c::dfp_sink_ops;

    unsafe extern "C" fn destroy(_: *mut c_void) {}

    /// A table of a coming version: today's, and something behind it.
    #[repr(C)]
    struct Newer {
        known: dfp_sink_ops,
        close_slowly: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    }

    fn table(struct_size: usize) -> Newer {
        let known = dfp_sink_ops {
            struct_size: struct_size as u32,
            reserved: 0,
            create: None,
            destroy: Some(destroy),
            request_cancel: None,
            introspect: None,
            bind: None,
            write: None,
            flush: None,
            close: None,
        };
        Newer { known, close_slowly: Some(destroy) }
    }

    #[test]
    fn a_slot_is_there_if_the_table_reaches_beyond_it() {
        let end = offset_of!(dfp_sink_ops, destroy) + size_of::<usize>();
        for (size, there) in
            [(0, false), (4, false), (end - 1, false), (end, true), (size_of::<dfp_sink_ops>(), true)]
        {
            let table = table(size);
            assert_eq!(unsafe { slot!(&raw const table.known, dfp_sink_ops, destroy) }.is_some(), there);
        }
        let newer = table(size_of::<Newer>());
        assert!(newer.close_slowly.is_some());
        assert!(unsafe { slot!(&raw const newer.known, dfp_sink_ops, destroy) }.is_some());
        assert!(unsafe { slot!(&raw const newer.known, dfp_sink_ops, close) }.is_none());
    }
}
