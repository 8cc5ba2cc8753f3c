//! The macro that exports a library's tables, and what it is made of.

/// `text` closed by NUL, for the macro's constants. Fails to compile if `N` is not one more than its length, or if it has
/// a NUL inside.
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

/// A constant table of one component.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($component:ty, $kind:ident, $ops_type:ident, $ops:ident) => {{
        static OPS: $crate::__export::$ops_type = $crate::__export::$ops::<$component>();
        static COMPONENT: $crate::__export::dfp_component = $crate::__export::dfp_component {
            struct_size: ::core::mem::size_of::<$crate::__export::dfp_component>() as u32,
            kind: $crate::Kind::$kind as u32,
            id: $crate::__c_text!(<$component as $crate::Component>::ID),
            title: $crate::__c_text!(<$component as $crate::Component>::TITLE),
            config_schema: $crate::__c_text!(<$component as $crate::Component>::CONFIG_SCHEMA),
            profile: if <$component as $crate::Component>::PROFILE.is_empty() {
                ::core::ptr::null()
            } else {
                $crate::__c_text!(<$component as $crate::Component>::PROFILE)
            },
            flags: $crate::__export::flags::<$component>($crate::Kind::$kind),
            ops: (&raw const OPS).cast(),
        };
        &COMPONENT
    }};
}

/// Exports the tables of a plugin library: the one symbol that hosts look for.
///
/// Call it once, in the crate that becomes the shared library (`crate-type = ["cdylib"]`). What the library offers is listed
/// by kind, `sources`, `stages`, `sinks` and `models`, in this order; a list that would be empty is left out:
///
/// ```
/// # use std::sync::Arc;
/// # use dfp_plugin::arrow_array::RecordBatch;
/// # use dfp_plugin::arrow_schema::{Schema, SchemaRef};
/// # use dfp_plugin::{BatchStream, Component, Host, MemoryStream, Result, Sink, Source};
/// # struct Greetings;
/// # impl Component for Greetings {
/// #     const ID: &'static str = "greetings";
/// #     const TITLE: &'static str = "";
/// #     const CONFIG_SCHEMA: &'static str = "{}";
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
/// # struct Void;
/// # impl Component for Void {
/// #     const ID: &'static str = "void";
/// #     const TITLE: &'static str = "";
/// #     const CONFIG_SCHEMA: &'static str = "{}";
/// #     type Config = dfp_plugin::serde_json::Value;
/// #     fn create(_config: Self::Config, _host: Arc<dyn Host>) -> Result<Self> {
/// #         Ok(Self)
/// #     }
/// # }
/// # impl Sink for Void {
/// #     fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
/// #         Ok(())
/// #     }
/// #     fn write(&mut self, _batch: &RecordBatch) -> Result<()> {
/// #         Ok(())
/// #     }
/// #     fn flush(&mut self) -> Result<()> {
/// #         Ok(())
/// #     }
/// #     fn close(&mut self) -> Result<()> {
/// #         Ok(())
/// #     }
/// # }
/// dfp_plugin::export_plugin! {
///     id: "com.example.greetings",
///     vendor: "Example",
///     version: "1.0.0",
///     licence: "Apache-2.0",
///     sources: [Greetings],
///     sinks: [Void],
/// }
/// # fn main() {}
/// ```
///
/// The symbol has the same name in every plugin. A program can therefore link at most one crate that calls this macro; a
/// component that programs also link belongs in a library crate of its own, next to a thin one that only exports it.
#[macro_export]
macro_rules! export_plugin {
    (
        id: $id:expr,
        vendor: $vendor:expr,
        version: $version:expr,
        licence: $licence:expr
        $(, sources: [$($source:ty),* $(,)?])?
        $(, stages: [$($stage:ty),* $(,)?])?
        $(, sinks: [$($sink:ty),* $(,)?])?
        $(, models: [$($model:ty),* $(,)?])?
        $(,)?
    ) => {
        #[cfg(not(panic = "unwind"))]
        compile_error!("a dfp plugin must be built with panic = \"unwind\": a panic would end the host");

        const _: () = {
            use $crate::__export::{
                DFP_ABI_MINOR, DFP_VERSION, FINGERPRINT, dfp_component, dfp_host, dfp_plugin,
            };

            static COMPONENTS: &[&dfp_component] = &[
                $($($crate::__component!($source, Source, dfp_source_ops, source_ops),)*)?
                $($($crate::__component!($stage, Stage, dfp_stage_ops, stage_ops),)*)?
                $($($crate::__component!($sink, Sink, dfp_sink_ops, sink_ops),)*)?
                $($($crate::__component!($model, Model, dfp_model_ops, model_ops),)*)?
            ];

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
