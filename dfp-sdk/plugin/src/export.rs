//! A [`SourcePlugin`] behind the C border: its table of functions, and the macro that exports a library's tables.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dfp_abi::c::{dfp_buf, dfp_error, dfp_host, dfp_source_ops};
use dfp_abi::{ArrowArrayStream, ArrowSchema, FFI_ArrowSchema, answer, bytes, caught, dropped};
use dfp_abi::{export_schema, export_stream};
use dfp_core::{Error, ErrorKind, Result};

use crate::SourcePlugin;
use crate::host::{ForeignHost, HostHandle};

/// What an instance pointer leads to.
struct Instance<P> {
    host: HostHandle,
    /// Set by the first panic: the source may be half changed since.
    poisoned: AtomicBool,
    /// The host calls one function at a time, `request_cancel` excepted, which stays away from this field.
    source: UnsafeCell<P>,
}

/// The functions of `P`, for the macro.
#[doc(hidden)]
pub const fn source_ops<P: SourcePlugin>() -> dfp_source_ops {
    dfp_source_ops {
        struct_size: size_of::<dfp_source_ops>() as u32,
        reserved: 0,
        create: Some(create::<P>),
        destroy: Some(destroy::<P>),
        request_cancel: Some(request_cancel::<P>),
        introspect: None,
        schema: Some(schema::<P>),
        open: Some(open::<P>),
        position: Some(position::<P>),
    }
}

unsafe extern "C" fn create<P: SourcePlugin>(
    host: *const dfp_host,
    ctx: *mut c_void,
    config: *const c_char,
    config_len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    let made = caught(|| {
        // SAFETY: the border's contract for `create`.
        let (config, host) = unsafe { (bytes(config.cast(), config_len), ForeignHost::new(host, ctx)?) };
        let config = config
            .and_then(|config| std::str::from_utf8(config).ok())
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "the configuration is not UTF-8 text"))?;
        let host = HostHandle(Arc::new(host));
        let source = crate::create::<P>(config, Arc::new(host.clone()))?;
        Ok(Instance { host, poisoned: AtomicBool::new(false), source: UnsafeCell::new(source) })
    });
    let (instance, result) = match made {
        Ok(instance) => (Box::into_raw(Box::new(instance)).cast(), Ok(())),
        Err(failure) => (std::ptr::null_mut(), Err(failure)),
    };
    // SAFETY: the border's contract: `out` has room for a pointer, `error` is NULL or an error struct.
    unsafe {
        out.write(instance);
        answer(result, error)
    }
}

unsafe extern "C" fn destroy<P: SourcePlugin>(instance: *mut c_void) {
    if !instance.is_null() {
        // SAFETY: made by `create`, and the host calls nothing after this.
        dropped(unsafe { Box::from_raw(instance.cast::<Instance<P>>()) });
    }
}

unsafe extern "C" fn request_cancel<P: SourcePlugin>(instance: *mut c_void) {
    // SAFETY: NULL or made by `create` and not yet destroyed.
    if let Some(instance) = unsafe { instance.cast::<Instance<P>>().as_ref() } {
        instance.host.0.cancel();
    }
}

/// Calls `f` with the source. A panic poisons this instance and no other.
///
/// # Safety
/// `instance` is NULL or alive, no other call than `request_cancel` uses it, and `error` is NULL or an error struct.
unsafe fn enter<P: SourcePlugin>(
    instance: *mut c_void,
    error: *mut dfp_error,
    f: impl FnOnce(&mut P) -> Result<()>,
) -> i32 {
    // SAFETY: the caller's promise.
    let result = match unsafe { instance.cast::<Instance<P>>().as_ref() } {
        None => Err(Error::new(ErrorKind::InvalidArgument, "the instance is NULL")),
        Some(instance) if instance.poisoned.load(Ordering::Relaxed) => Err(Error::new(
            ErrorKind::Poisoned,
            format!("source {} panicked earlier and can only be destroyed", P::ID),
        )),
        Some(instance) => {
            // SAFETY: the caller's promise: this is the only call that touches the source.
            let result = caught(|| f(unsafe { &mut *instance.source.get() }));
            if result.as_ref().is_err_and(|failure| failure.kind() == ErrorKind::Panic) {
                instance.poisoned.store(true, Ordering::Relaxed);
            }
            result
        }
    };
    // SAFETY: the caller's promise.
    unsafe { answer(result, error) }
}

unsafe extern "C" fn schema<P: SourcePlugin>(
    instance: *mut c_void,
    out: *mut ArrowSchema,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        enter::<P>(instance, error, |source| {
            out.cast::<FFI_ArrowSchema>().write(export_schema(&source.schema())?);
            Ok(())
        })
    }
}

unsafe extern "C" fn open<P: SourcePlugin>(
    instance: *mut c_void,
    resume: *const u8,
    resume_len: usize,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        enter::<P>(instance, error, |source| {
            out.write(export_stream(source.open(bytes(resume, resume_len))?));
            Ok(())
        })
    }
}

unsafe extern "C" fn position<P: SourcePlugin>(
    instance: *mut c_void,
    out: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        enter::<P>(instance, error, |source| {
            out.write(source.position().map_or_else(dfp_buf::default, dfp_buf::from_vec));
            Ok(())
        })
    }
}

/// `text` closed by NUL, for the macro's constants. Fails to compile if `N` is not one more than its length, or if it has
/// a NUL inside.
#[doc(hidden)]
pub const fn c_text<const N: usize>(text: &str) -> [u8; N] {
    let from = text.as_bytes();
    assert!(from.len() + 1 == N);
    let mut to = [0; N];
    let mut i = 0;
    while i < from.len() {
        assert!(from[i] != 0, "a plugin's texts must not contain NUL");
        to[i] = from[i];
        i += 1;
    }
    to
}

/// A constant text as C wants it.
#[doc(hidden)]
#[macro_export]
macro_rules! __c_text {
    ($text:expr) => {{
        static TEXT: [u8; $text.len() + 1] = $crate::__export::c_text($text);
        (&raw const TEXT).cast::<::core::ffi::c_char>()
    }};
}

/// Exports the tables of a plugin library: the one symbol that hosts look for.
///
/// Call it once, in the crate that becomes the shared library (`crate-type = ["cdylib"]`):
///
/// ```
/// # use std::sync::Arc;
/// # use dfp_plugin::arrow_schema::{Schema, SchemaRef};
/// # use dfp_plugin::{BatchStream, Host, MemoryStream, Result, Source, SourcePlugin};
/// # struct Greetings;
/// # impl SourcePlugin for Greetings {
/// #     const ID: &'static str = "greetings";
/// #     const TITLE: &'static str = "";
/// #     const CONFIG_SCHEMA: &'static str = "{}";
/// #     const PROFILE: &'static str = "";
/// #     type Config = dfp_plugin::serde_json::Value;
/// #     fn create(_config: Self::Config, _host: Arc<dyn Host>) -> Result<Self> {
/// #         Ok(Self)
/// #     }
/// # }
/// # impl Source for Greetings {
/// #     fn schema(&self) -> SchemaRef {
/// #         SchemaRef::new(Schema::empty())
/// #     }
/// #     fn open(&mut self, _resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
/// #         Ok(Box::new(MemoryStream::new(self.schema(), vec![])))
/// #     }
/// # }
/// dfp_plugin::export_plugin! {
///     id: "com.example.greetings",
///     vendor: "Example",
///     version: "1.0.0",
///     licence: "Apache-2.0",
///     sources: [Greetings],
/// }
/// # fn main() {}
/// ```
///
/// The symbol has the same name in every plugin. A program can therefore link at most one crate that calls this macro; a
/// source that programs also link belongs in a library crate of its own, next to a thin one that only exports it.
#[macro_export]
macro_rules! export_plugin {
    (
        id: $id:expr,
        vendor: $vendor:expr,
        version: $version:expr,
        licence: $licence:expr,
        sources: [$($source:ty),+ $(,)?] $(,)?
    ) => {
        #[cfg(not(panic = "unwind"))]
        compile_error!("a dfp plugin must be built with panic = \"unwind\": a panic would end the host");

        const _: () = {
            use $crate::__export::{
                DFP_ABI_MINOR, DFP_KIND_SOURCE, DFP_VERSION, FINGERPRINT, dfp_component, dfp_host, dfp_plugin,
                dfp_source_ops, source_ops,
            };

            static COMPONENTS: &[&dfp_component] = &[$({
                static OPS: dfp_source_ops = source_ops::<$source>();
                static COMPONENT: dfp_component = dfp_component {
                    struct_size: ::core::mem::size_of::<dfp_component>() as u32,
                    kind: DFP_KIND_SOURCE,
                    id: $crate::__c_text!(<$source as $crate::SourcePlugin>::ID),
                    title: $crate::__c_text!(<$source as $crate::SourcePlugin>::TITLE),
                    config_schema: $crate::__c_text!(<$source as $crate::SourcePlugin>::CONFIG_SCHEMA),
                    profile: if <$source as $crate::SourcePlugin>::PROFILE.is_empty() {
                        ::core::ptr::null()
                    } else {
                        $crate::__c_text!(<$source as $crate::SourcePlugin>::PROFILE)
                    },
                    flags: 0,
                    ops: (&raw const OPS).cast(),
                };
                &COMPONENT
            }),+];

            static PLUGIN: dfp_plugin = dfp_plugin {
                struct_size: ::core::mem::size_of::<dfp_plugin>() as u32,
                abi_minor: DFP_ABI_MINOR,
                fingerprint: FINGERPRINT,
                id: $crate::__c_text!($id),
                version: $crate::__c_text!($version),
                vendor: $crate::__c_text!($vendor),
                licence: $crate::__c_text!($licence),
                sdk_version: $crate::__c_text!(DFP_VERSION),
                flags: 0,
                components: COMPONENTS.as_ptr().cast(),
                component_count: COMPONENTS.len() as u64,
            };

            #[unsafe(no_mangle)]
            pub extern "C" fn dfp_plugin_entry_v0(_host: *const dfp_host) -> *const dfp_plugin {
                &raw const PLUGIN
            }
        };
    };
}
