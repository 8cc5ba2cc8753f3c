//! What learns, and what was learned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{CancelToken, Error, ErrorKind, Result};

/// Column of scored batches: how unusual the row is (float64, never null; higher is more unusual).
pub const SCORE: &str = "score";

/// What a fit may use besides the data.
#[derive(Debug, Clone)]
pub struct FitContext {
    /// Threads to use, at least one. The result is the same for any number.
    pub threads: usize,
    /// Ends the fit early, with [`ErrorKind::Cancelled`].
    pub cancel: CancelToken,
    /// A model of all entities together, as [`Model::save`] wrote it, to back off to where an entity's own data is thin.
    pub population: Option<Arc<[u8]>>,
}

impl Default for FitContext {
    fn default() -> Self {
        Self { threads: 1, cancel: CancelToken::default(), population: None }
    }
}

/// Fits models of one kind. Parameters were checked when the trainer was made, so a fit fails on data only.
pub trait Trainer: Send + Sync {
    /// Learns from rows of one entity, oldest first; for a population model, of many, one entity after another.
    ///
    /// # Errors
    /// If there are no rows, a column is missing, or the fit was cancelled.
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> Result<Arc<dyn Model>>;

    /// Learns one model per entity; answers are in the order of `groups`. One entity's failure, a panic included, is
    /// its own answer and nobody else's.
    ///
    /// The provided method is [`fit_each`]. A trainer for an accelerator overrides it.
    fn fit_many(&self, groups: &[RecordBatch], context: &FitContext) -> Vec<Result<Arc<dyn Model>>> {
        fit_each(self, groups, context)
    }

    /// Reads a model that [`Model::save`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::BadData`] if the bytes are damaged, [`ErrorKind::Unsupported`] if they come from a newer version.
    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn Model>>;
}

/// What was learned about one entity. Immutable; any number of threads may score at once.
pub trait Model: Send + Sync {
    /// The columns [`score`](Self::score) needs; more may be present.
    fn schema(&self) -> SchemaRef;

    /// Scores rows: as many out as in, in the same order. The column [`SCORE`] comes first; what explains it follows.
    ///
    /// # Errors
    /// If a column is missing or of another type.
    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch>;

    /// The model as bytes that any version from this one on can [`load`](Trainer::load). Never an executable format.
    ///
    /// # Errors
    /// If the model cannot be written.
    fn save(&self) -> Result<Vec<u8>>;
}

/// One model for each group: [`Trainer::fit`] with one thread each, on `context.threads` threads.
pub fn fit_each<T: Trainer + ?Sized>(
    trainer: &T,
    groups: &[RecordBatch],
    context: &FitContext,
) -> Vec<Result<Arc<dyn Model>>> {
    let single = FitContext { threads: 1, ..context.clone() };
    guarded_map(groups.len(), context.threads, |index| trainer.fit(&groups[index], &single))
}

/// As [`parallel_map`], for what can fail: a panic is an error of its own place, with [`ErrorKind::Panic`].
pub fn guarded_map<T: Send>(
    n: usize,
    threads: usize,
    f: impl Fn(usize) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    parallel_map(n, threads, |index| {
        catch_unwind(AssertUnwindSafe(|| f(index)))
            .unwrap_or_else(|panic| Err(Error::new(ErrorKind::Panic, panic_text(&*panic))))
    })
}

/// `f(0)..f(n)` on up to `threads` threads, answers in order.
pub fn parallel_map<T: Send>(n: usize, threads: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || n <= 1 {
        return (0..n).map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let answers: Vec<Mutex<Option<T>>> = (0..n).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(n) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = answers.get(index) else { break };
                    let answer = f(index);
                    *slot.lock().expect("a slot has one writer") = Some(answer);
                }
            });
        }
    });
    let filled = answers.into_iter().map(|slot| slot.into_inner().expect("a slot has one writer"));
    filled.map(|answer| answer.expect("every index was taken")).collect()
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_map_keeps_order() {
        for threads in [1, 2, 7] {
            assert_eq!(parallel_map(100, threads, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(parallel_map(0, 4, |i| i).is_empty());
    }
}
