//! Components behind the C border: the tables of functions, one kind a file, and the macro that exports a library's tables.

mod bound;
mod instance;
mod macros;
mod model;
mod sink;
mod source;
mod stage;

pub use macros::c_text;
pub use model::model_ops;
pub use sink::sink_ops;
pub use source::source_ops;
pub use stage::stage_ops;
