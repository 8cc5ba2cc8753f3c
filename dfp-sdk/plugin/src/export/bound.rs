//! A stage or sink together with what it was bound to, which C functions need and Rust traits leave to the caller.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::{ArrowSchema, FFI_ArrowArray, borrowed_schema, import_valid_batch};
use dfp_core::{Error, ErrorKind, Host, Result};

use crate::Component;

/// A stage or sink, and where it stands.
pub(super) struct Bound<T> {
    component: T,
    schemas: Option<Schemas>,
    /// Finished or closed.
    ended: bool,
}

/// What `bind` settled.
pub(super) struct Schemas {
    /// Of what is pushed or written.
    input: SchemaRef,
    /// Of what is pulled; a sink's is empty.
    pub(super) output: SchemaRef,
}

fn out_of_order(what: &str) -> Error {
    Error::new(ErrorKind::InvalidState, what)
}

impl<T> Bound<T> {
    /// Binds the component, once, and answers with the schema of its output.
    ///
    /// # Safety
    /// `input` is as [`borrowed_schema`] wants it.
    pub(super) unsafe fn bind(
        &mut self,
        input: *const ArrowSchema,
        bind: impl FnOnce(&mut T, SchemaRef) -> Result<SchemaRef>,
    ) -> Result<SchemaRef> {
        if self.schemas.is_some() {
            return Err(out_of_order("bind was called before"));
        }
        // SAFETY: the caller's promise.
        let input = unsafe { borrowed_schema(input) }?;
        let output = bind(&mut self.component, input.clone())?;
        self.schemas = Some(Schemas { input, output: output.clone() });
        Ok(output)
    }

    /// The component after `bind`.
    pub(super) fn bound(&mut self) -> Result<(&mut T, &Schemas)> {
        match &self.schemas {
            Some(schemas) => Ok((&mut self.component, schemas)),
            None => Err(out_of_order("bind was not called yet")),
        }
    }

    /// The component between `bind` and the end.
    pub(super) fn open(&mut self) -> Result<(&mut T, &Schemas)> {
        if self.ended {
            return Err(out_of_order("it was finished or closed before"));
        }
        self.bound()
    }

    /// Hands a batch to `take`.
    ///
    /// # Safety
    /// `array` is as [`import_valid_batch`] wants it.
    pub(super) unsafe fn take(
        &mut self,
        array: Option<FFI_ArrowArray>,
        take: impl FnOnce(&mut T, RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let (component, schemas) = self.open()?;
        let array = array.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the batch is NULL"))?;
        // SAFETY: the caller's promise.
        take(component, unsafe { import_valid_batch(array, &schemas.input) }?)
    }

    /// Nothing is taken from here on.
    pub(super) fn end(&mut self, end: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        end(self.open()?.0)?;
        self.ended = true;
        Ok(())
    }
}

impl<T: Component> Component for Bound<T> {
    const ID: &'static str = T::ID;
    const TITLE: &'static str = T::TITLE;
    const CONFIG_SCHEMA: &'static str = T::CONFIG_SCHEMA;
    type Config = T::Config;

    fn create(config: T::Config, host: Arc<dyn Host>) -> Result<Self> {
        Ok(Self { component: T::create(config, host)?, schemas: None, ended: false })
    }

    fn introspect(&self) -> Option<serde_json::Value> {
        self.component.introspect()
    }
}
