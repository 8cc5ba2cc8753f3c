//! Digital fingerprinting for security products: learn what each user, account and machine normally does from the logs
//! you already have, and be told, with reasons, when something is not normal.
//!
//! This crate is the whole SDK under one name. A program that trains and scores needs [`PipelineConfig`] and [`Run`]; one
//! that brings its own data path picks the parts:
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | the contracts: `Source`, `Stage`, `Sink`, `Trainer`, `Model` |
//! | [`prep`] | profiles, column rules, history windows |
//! | [`models`] | autoencoder, rarity, the detector that combines them |
//! | [`store`] | histories and model versions on disk |
//! | [`host`] | plugins: found, checked, loaded, or linked |
//! | [`sessions`] | sessions learned, scored and shown |
//! | [`timeline`] | scored sessions as one HTML page |
#![forbid(unsafe_code)]

#[cfg(feature = "runs")]
mod config;
#[cfg(feature = "runs")]
mod device;
#[cfg(feature = "runs")]
mod finding;
#[cfg(feature = "runs")]
mod infer;
#[cfg(feature = "runs")]
mod input;
#[cfg(feature = "runs")]
mod ledger;
mod progress;
#[cfg(feature = "runs")]
mod run;
#[cfg(feature = "sessions")]
pub mod sessions;
#[cfg(feature = "runs")]
mod stream;
#[cfg(feature = "sessions")]
pub mod timeline;
#[cfg(feature = "runs")]
mod train;

#[cfg(feature = "runs")]
pub use config::{
    InferConfig, Known, PipelineConfig, PluginsConfig, ProfileConfig, SecretsConfig, SourceConfig,
    StoreConfig, TrainConfig, TrainUsers, Unreadable,
};
#[cfg(feature = "runs")]
pub use device::{CudaDevice, DEVICE_FAILURES, DeviceChoice, Devices, Precision, devices};
pub use dfp_core as core;
#[cfg(feature = "plugins")]
pub use dfp_host as host;
#[cfg(feature = "models")]
pub use dfp_models as models;
pub use dfp_prep as prep;
#[cfg(feature = "store")]
pub use dfp_store as store;
#[cfg(feature = "runs")]
pub use finding::{
    AtomicFile, FeatureText, Finding, FindingReader, FindingsSink, MODEL, Reason, ScoresSink, iso,
};
#[cfg(feature = "runs")]
pub use infer::{InferReport, MODEL_MISMATCH, NO_MODEL, NOT_SCORED};
#[cfg(feature = "runs")]
pub use input::expand;
pub use progress::{Progress, Silent};
#[cfg(feature = "runs")]
pub use run::{Choice, Run, StepTime};
#[cfg(feature = "sessions")]
pub use timeline::{Timeline, TimelineOptions};
#[cfg(feature = "runs")]
pub use train::{NOT_STORED, TrainReport};

/// What most programs import.
pub mod prelude {
    #[cfg(feature = "runs")]
    pub use crate::{Choice, Finding, PipelineConfig, Run};
    pub use crate::{Progress, Silent};
    pub use dfp_core::{
        BatchStream, CancelToken, Error, ErrorKind, Host, Model, Result, Sink, Source, Stage, Trainer,
    };
    #[cfg(feature = "plugins")]
    pub use dfp_host::{LocalHost, Plugins};
    pub use dfp_prep::Profile;
}
