//! A component that is compiled into the program instead of loaded.

use std::fmt;
use std::sync::Arc;

use dfp_core::{Host, Result, Sink, Source, Stage, Trainer};

use crate::c::{DFP_KIND_MODEL, DFP_KIND_SINK, DFP_KIND_SOURCE, DFP_KIND_STAGE};

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Kind {
    /// Reads records and emits them as batches.
    Source = DFP_KIND_SOURCE,
    /// Turns batches into other batches.
    Stage = DFP_KIND_STAGE,
    /// Takes batches out of the run.
    Sink = DFP_KIND_SINK,
    /// Learns from batches and scores others.
    Model = DFP_KIND_MODEL,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Source, Self::Stage, Self::Sink, Self::Model];

    /// The word for it in manifests and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stage => "stage",
            Self::Sink => "sink",
            Self::Model => "model",
        }
    }

    /// The kind of a number of the border; `None` for one that nobody knows.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes an instance from the configuration, a JSON object as text.
pub type Make<T> = fn(&str, Arc<dyn Host>) -> Result<Box<T>>;

/// How an instance is made, and of what kind it is.
#[derive(Debug, Clone, Copy)]
pub enum Create {
    /// Makes a source.
    Source(Make<dyn Source>),
    /// Makes a stage.
    Stage(Make<dyn Stage>),
    /// Makes a sink.
    Sink(Make<dyn Sink>),
    /// Makes what fits models of one kind.
    Model(Make<dyn Trainer>),
}

/// What a program needs to know about a component it links: the same facts a loaded plugin states in its tables.
///
/// `dfp_plugin::linked_source` and its kin make one of every plugin component; `dfp_host::Plugins::link` takes it.
#[derive(Debug, Clone, Copy)]
pub struct LinkedComponent {
    /// The name users select it by.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// JSON Schema of the configuration object.
    pub config_schema: &'static str,
    /// The shipped profile in TOML; empty if there is none.
    pub profile: &'static str,
    /// `DFP_CONCURRENT`, `DFP_DETERMINISTIC`, `DFP_KEEPS_ROWS`.
    pub flags: u64,
    /// Makes an instance.
    pub create: Create,
}

impl LinkedComponent {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        match self.create {
            Create::Source(_) => Kind::Source,
            Create::Stage(_) => Kind::Stage,
            Create::Sink(_) => Kind::Sink,
            Create::Model(_) => Kind::Model,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_from_their_numbers() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind as u32), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(5), None);
    }
}
