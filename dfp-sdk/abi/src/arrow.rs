//! Arrow's C structs, and batch streams going out through them.
//!
//! arrow-rs exports streams too, but ends the process when an error text holds a NUL or a reader panics. Here both become
//! an error of the stream, which then is over.

use std::ffi::{CString, c_char, c_int, c_void};

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::SchemaRef;
use arrow_schema::ffi::FFI_ArrowSchema;
use dfp_core::{BatchStream, Error, ErrorKind, Result};

use crate::boundary::{c_string, caught, dropped};
use crate::c::DFP_STREAM_CODE_BASE;
use crate::export::export_batch;

/// `struct ArrowSchema` of the C Data Interface: a plain view, which frees nothing when dropped.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowSchema {
    pub(crate) format: *const c_char,
    pub(crate) name: *const c_char,
    pub(crate) metadata: *const c_char,
    pub(crate) flags: i64,
    pub(crate) n_children: i64,
    pub(crate) children: *mut *mut ArrowSchema,
    pub(crate) dictionary: *mut ArrowSchema,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    pub(crate) private_data: *mut c_void,
}

/// `struct ArrowArray` of the C Data Interface: a plain view, which frees nothing when dropped.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArray {
    pub(crate) length: i64,
    pub(crate) null_count: i64,
    pub(crate) offset: i64,
    pub(crate) n_buffers: i64,
    pub(crate) n_children: i64,
    pub(crate) buffers: *mut *const c_void,
    pub(crate) children: *mut *mut ArrowArray,
    pub(crate) dictionary: *mut ArrowArray,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub(crate) private_data: *mut c_void,
}

/// `struct ArrowArrayStream` of the C Stream Interface. Released when dropped.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArrayStream {
    pub(crate) get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    pub(crate) get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    pub(crate) get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    pub(crate) private_data: *mut c_void,
}

// SAFETY: the C Stream Interface lets any thread use a stream, one at a time.
unsafe impl Send for ArrowArrayStream {}

const _: () = {
    assert!(size_of::<ArrowSchema>() == size_of::<FFI_ArrowSchema>());
    assert!(size_of::<ArrowArray>() == size_of::<FFI_ArrowArray>());
};

impl Default for ArrowArrayStream {
    /// A released stream, to be filled by the other side.
    fn default() -> Self {
        Self {
            get_schema: None,
            get_next: None,
            get_last_error: None,
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }
}

impl ArrowArrayStream {
    /// Whether there is nothing to release.
    pub fn is_released(&self) -> bool {
        self.release.is_none()
    }
}

impl Drop for ArrowArrayStream {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a stream that has a release callback is alive, and nothing can use it after this.
            unsafe { release(self) };
        }
    }
}

/// `schema` as a C struct, freed when dropped.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] if Arrow has no C notation for a type or name: one that holds a NUL, say.
pub fn export_schema(schema: &SchemaRef) -> Result<FFI_ArrowSchema> {
    FFI_ArrowSchema::try_from(schema.as_ref()).map_err(|error| {
        Error::caused(ErrorKind::SchemaMismatch, "writing the schema for the C border", error)
    })
}

/// Takes what a caller hands over in `array`, and leaves a released struct there. `None` for NULL.
///
/// # Safety
/// `array` is NULL or leads to a struct that was filled by the rules of the C Data Interface, or is released.
pub unsafe fn take_array(array: *mut ArrowArray) -> Option<FFI_ArrowArray> {
    // SAFETY: the caller's promise; both types have the layout of the C struct.
    (!array.is_null()).then(|| unsafe { FFI_ArrowArray::from_raw(array.cast()) })
}

/// Takes what a caller hands over in `stream`, and leaves a released struct there. `None` for NULL.
///
/// # Safety
/// `stream` is NULL or leads to a struct that was filled by the rules of the C Stream Interface, or is released.
pub unsafe fn take_stream(stream: *mut ArrowArrayStream) -> Option<ArrowArrayStream> {
    // SAFETY: the caller's promise.
    unsafe { stream.as_mut() }.map(std::mem::take)
}

/// `stream` as a C struct. The other side may use it on any thread, longer than whatever made the stream.
pub fn export_stream(stream: Box<dyn BatchStream>) -> ArrowArrayStream {
    let exported = Exported { schema: stream.schema(), state: State::Running(stream), last_error: None };
    ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(Box::new(exported)).cast(),
    }
}

/// What [`ArrowArrayStream::private_data`] leads to.
struct Exported {
    schema: SchemaRef,
    state: State,
    last_error: Option<CString>,
}

enum State {
    Running(Box<dyn BatchStream>),
    Ended,
    /// With the code of the error that ended it.
    Failed(c_int),
}

impl Exported {
    /// The next batch as a C struct, a released one at the end. The stream itself is dropped as soon as it is over.
    fn next(&mut self) -> Result<FFI_ArrowArray, c_int> {
        let next = match &mut self.state {
            State::Running(stream) => caught(|| match stream.next().transpose()? {
                Some(batch) => export_batch(batch, &self.schema).map(Some),
                None => Ok(None),
            }),
            State::Ended => Ok(None),
            State::Failed(code) => return Err(*code),
        };
        match next {
            Ok(Some(array)) => Ok(array),
            Ok(None) => {
                dropped(std::mem::replace(&mut self.state, State::Ended));
                Ok(FFI_ArrowArray::empty())
            }
            Err(error) => {
                let code = self.fail(&error);
                dropped(std::mem::replace(&mut self.state, State::Failed(code)));
                Err(code)
            }
        }
    }

    fn fail(&mut self, error: &Error) -> c_int {
        self.last_error = Some(c_string(&error.to_string()));
        DFP_STREAM_CODE_BASE + error.kind().code()
    }
}

/// # Safety
/// `stream` came from [`export_stream`], is not yet released, and is used by this call alone.
unsafe fn exported<'a>(stream: *mut ArrowArrayStream) -> &'a mut Exported {
    // SAFETY: the caller's promise.
    unsafe { &mut *(*stream).private_data.cast::<Exported>() }
}

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the C Stream Interface hands callbacks their own live stream.
    let exported = unsafe { exported(stream) };
    match caught(|| export_schema(&exported.schema)) {
        Ok(schema) => {
            // SAFETY: the interface promises a place for one struct, whose old content is not read.
            unsafe { out.cast::<FFI_ArrowSchema>().write(schema) };
            0
        }
        Err(error) => exported.fail(&error),
    }
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: as in `get_schema`.
    match unsafe { exported(stream) }.next() {
        Ok(array) => {
            // SAFETY: as in `get_schema`.
            unsafe { out.cast::<FFI_ArrowArray>().write(array) };
            0
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn get_last_error(stream: *mut ArrowArrayStream) -> *const c_char {
    // SAFETY: as in `get_schema`.
    unsafe { exported(stream) }.last_error.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

unsafe extern "C" fn release(stream: *mut ArrowArrayStream) {
    // SAFETY: as in `get_schema`; a released stream has no callbacks left, so this box is taken back once.
    unsafe {
        let private = std::mem::replace(&mut (*stream).private_data, std::ptr::null_mut());
        (*stream).release = None;
        if !private.is_null() {
            dropped(Box::from_raw(private.cast::<Exported>()));
        }
    }
}
