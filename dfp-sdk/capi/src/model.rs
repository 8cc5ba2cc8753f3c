//! Models of sequences: learned once, used for ever.

use std::ffi::c_char;
use std::sync::Arc;

use dfp_abi::c::{dfp_buf, dfp_error};
use dfp_abi::{ArrowArrayStream, bytes, dropped, export_stream};
use dfp_sdk::core::{BatchStream, Error, ErrorKind, FitContext, Model, Result};
use dfp_sdk::models::sequence::{Counts, SequenceModel, SequenceTrainer};
use dfp_sdk::sessions::ScoreSessions;

use crate::entry::{Incoming, Out, entry, is_null, required, text};
use crate::options;
use crate::stream::Staged;

/// A model of sequences. It never changes: any number of threads may use it at once, until one of them frees it.
pub struct dfp_sequence_model(Arc<SequenceModel>);

impl dfp_sequence_model {
    fn handle(model: SequenceModel) -> *mut Self {
        Box::into_raw(Box::new(Self(Arc::new(model))))
    }

    /// # Safety
    /// `model` is NULL, or came from [`handle`](Self::handle) and is not freed before the call returns.
    unsafe fn of<'a>(model: *const Self) -> Result<&'a Arc<SequenceModel>> {
        // SAFETY: the caller's promise.
        unsafe { model.as_ref() }.map(|model| &model.0).ok_or_else(|| is_null("model"))
    }
}

/// Learns a model from sessions, batch by batch; column and config are those of dfp_score_sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_fit(
    sessions: *mut ArrowArrayStream,
    column: *const c_char,
    config: *const c_char,
    out: *mut *mut dfp_sequence_model,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: the header demands streams and models that are NULL or filled by their rules, texts that end
    // with NUL, and places that may be written to.
    let fit = || {
        // SAFETY: as above.
        let sessions = unsafe { Incoming::take(sessions, "sessions") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, std::ptr::null_mut(), "out") }?;
        // SAFETY: as above.
        let (column, config) = unsafe { (required(column, "column")?, text(config, "config")?) };
        let trainer = SequenceTrainer::new(options::config(config)?, column)?;
        // SAFETY: as above.
        match count(&trainer, None, unsafe { sessions.open() }?)? {
            Some(counts) if counts.sessions() > 0.0 => {
                out.fill(dfp_sequence_model::handle(trainer.model(&counts)));
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::BadData, "learning sessions: there are none")),
        }
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, fit) }
}

/// Makes a model of what another one learned and of more sessions: the same as if all had been there from the start. The other
/// stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_update(
    model: *const dfp_sequence_model,
    sessions: *mut ArrowArrayStream,
    out: *mut *mut dfp_sequence_model,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_sequence_model_fit`.
    let update = || {
        // SAFETY: as above.
        let sessions = unsafe { Incoming::take(sessions, "sessions") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, std::ptr::null_mut(), "out") }?;
        // SAFETY: as above.
        let model = unsafe { dfp_sequence_model::of(model) }?;
        let trainer = SequenceTrainer::new(model.config().clone(), model.column())?;
        // SAFETY: as above.
        let sessions = unsafe { sessions.open() }?;
        let counts = count(&trainer, Some(model.counts().clone()), sessions)?;
        let counts = counts.expect("there were some to begin with");
        out.fill(dfp_sequence_model::handle(trainer.model(&counts)));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, update) }
}

/// `counts`, and those of all sessions.
fn count(
    trainer: &SequenceTrainer,
    mut counts: Option<Counts>,
    sessions: impl BatchStream,
) -> Result<Option<Counts>> {
    for batch in sessions {
        let more = trainer.count(&batch?, &FitContext::default())?;
        match &mut counts {
            Some(counts) => counts.merge(&more)?,
            None => counts = Some(more),
        }
    }
    Ok(counts)
}

/// Scores sessions, seen before or not, as they are pulled from out: their own columns, and those of the scores behind them. The
/// stream keeps what it needs of the model, which may be freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_score(
    model: *const dfp_sequence_model,
    sessions: *mut ArrowArrayStream,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_sequence_model_fit`.
    let score = || {
        // SAFETY: as above.
        let sessions = unsafe { Incoming::take(sessions, "sessions") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") }?;
        // SAFETY: as above.
        let model = unsafe { dfp_sequence_model::of(model) }?;
        // SAFETY: as above.
        let sessions = Box::new(unsafe { sessions.open() }?);
        let scored = Staged::new(sessions, ScoreSessions::new(model.clone()))?;
        out.fill(export_stream(Box::new(scored)));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, score) }
}

/// The model as bytes that dfp_sequence_model_load reads, in this and every later version: safetensors, nothing executable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_save(
    model: *const dfp_sequence_model,
    out: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_sequence_model_fit`.
    let save = || {
        // SAFETY: as above.
        let out = unsafe { Out::new(out, dfp_buf::default(), "out") }?;
        // SAFETY: as above.
        out.fill(dfp_buf::from_vec(unsafe { dfp_sequence_model::of(model) }?.save()?));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, save) }
}

/// Reads a model that dfp_sequence_model_save or dfp wrote. Safe on any bytes; they are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_load(
    data: *const u8,
    len: usize,
    out: *mut *mut dfp_sequence_model,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_sequence_model_fit`, and data with as many bytes as is said.
    let load = || {
        // SAFETY: as above.
        let out = unsafe { Out::new(out, std::ptr::null_mut(), "out") }?;
        // SAFETY: as above.
        let data = unsafe { bytes(data, len) }.ok_or_else(|| is_null("data"))?;
        out.fill(dfp_sequence_model::handle(SequenceModel::load(data)?));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, load) }
}

/// Frees a model, which no other call may be using any more. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sequence_model_free(model: *mut dfp_sequence_model) {
    if !model.is_null() {
        // SAFETY: the header demands a model of this library's that is freed once.
        dropped(unsafe { Box::from_raw(model) });
    }
}
