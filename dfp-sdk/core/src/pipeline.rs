//! The runner: pull from a source, through stages, into sinks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;

use crate::{BatchStream, CancelToken, Error, ErrorKind, Result, Sink, Source, Stage, panic_text};
use arrow_array::RecordBatch;

/// Batches waiting between the source's thread and the stages: the source decodes while the stages compute, and no more
/// than this is ever in memory.
const BATCHES_IN_FLIGHT: usize = 2;

/// A source, the stages its batches pass, and the sinks they end in.
///
/// The source runs on a thread of its own. Whatever fails first ends the run and is returned; sinks are then left
/// without [`Sink::close`], so that a half-written result is not taken for a whole one.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow_array::{ArrayRef, Int64Array, RecordBatch};
/// # use arrow_schema::SchemaRef;
/// use dfp_core::{BatchStream, CancelToken, MemoryStream, Pipeline, Result, Sink, Source};
///
/// struct Numbers(RecordBatch);
/// impl Source for Numbers {
///     fn schema(&self) -> SchemaRef {
///         self.0.schema()
///     }
///     fn open(&mut self, _resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
///         Ok(Box::new(MemoryStream::new(self.schema(), vec![self.0.clone(); 3])))
///     }
/// }
///
/// #[derive(Default)]
/// struct CountRows(usize);
/// impl Sink for CountRows {
///     fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
///         Ok(())
///     }
///     fn write(&mut self, batch: &RecordBatch) -> Result<()> {
///         self.0 += batch.num_rows();
///         Ok(())
///     }
///     fn flush(&mut self) -> Result<()> {
///         Ok(())
///     }
///     fn close(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
/// let mut source = Numbers(RecordBatch::try_from_iter([("n", column)])?);
/// let mut rows = CountRows::default();
/// let used = Pipeline::new(&mut source).sink(&mut rows).run(&CancelToken::default())?;
/// assert_eq!((used, rows.0), (6, 6));
/// # Ok::<(), dfp_core::Error>(())
/// ```
pub struct Pipeline<'a> {
    source: &'a mut dyn Source,
    stages: Vec<&'a mut dyn Stage>,
    sinks: Vec<&'a mut dyn Sink>,
}

impl<'a> Pipeline<'a> {
    /// A pipeline that reads from `source`.
    pub fn new(source: &'a mut dyn Source) -> Self {
        Self { source, stages: Vec::new(), sinks: Vec::new() }
    }

    /// Adds a stage after those already there.
    #[must_use]
    pub fn stage(mut self, stage: &'a mut dyn Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// Adds a sink; every sink sees every batch.
    #[must_use]
    pub fn sink(mut self, sink: &'a mut dyn Sink) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Runs to the end of the source and closes the sinks. Answers with the number of rows that reached them.
    ///
    /// # Errors
    /// The first failure of any component, or [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn run(mut self, cancel: &CancelToken) -> Result<u64> {
        self.bind()?;
        let mut stream = self.source.open(None)?;
        let mut rows = 0;
        std::thread::scope(|scope| {
            let (send, receive) = sync_channel(BATCHES_IN_FLIGHT);
            scope.spawn(move || {
                // A closed channel means that the other side failed and will say why.
                while let Some(batch) = next(&mut *stream) {
                    if send.send(batch).is_err() {
                        break;
                    }
                }
            });
            for batch in receive {
                cancel.check("running a pipeline")?;
                let batch = batch?;
                if batch.num_rows() > 0 {
                    rows += pass(&mut self.stages, &mut self.sinks, batch)?;
                }
            }
            cancel.check("running a pipeline")
        })?;
        for index in 0..self.stages.len() {
            self.stages[index].finish()?;
            while let Some(batch) = self.stages[index].pull()? {
                rows += pass(&mut self.stages[index + 1..], &mut self.sinks, batch)?;
            }
        }
        for sink in &mut self.sinks {
            sink.close()?;
        }
        Ok(rows)
    }

    fn bind(&mut self) -> Result<()> {
        let mut schema = self.source.schema();
        for stage in &mut self.stages {
            schema = stage.bind(schema)?;
        }
        for sink in &mut self.sinks {
            sink.bind(schema.clone())?;
        }
        Ok(())
    }
}

/// The next batch; a panic becomes an error, since it would otherwise end the program from another thread.
fn next(stream: &mut dyn BatchStream) -> Option<Result<RecordBatch>> {
    catch_unwind(AssertUnwindSafe(|| stream.next())).unwrap_or_else(|panic| {
        Some(Err(Error::new(ErrorKind::Panic, format!("source {}", panic_text(&*panic)))))
    })
}

/// Sends a batch through the stages into the sinks; answers with the rows written.
fn pass(stages: &mut [&mut dyn Stage], sinks: &mut [&mut dyn Sink], batch: RecordBatch) -> Result<u64> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        for sink in sinks.iter_mut() {
            sink.write(&batch)?;
        }
        return Ok(batch.num_rows() as u64);
    };
    stage.push(batch)?;
    let mut rows = 0;
    while let Some(out) = stage.pull()? {
        rows += pass(rest, sinks, out)?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::SchemaRef;

    use super::*;

    fn batch(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    type End = fn() -> Option<Result<RecordBatch>>;

    /// Gives `good` batches and then does what `end` does.
    struct Fake {
        good: i64,
        end: End,
    }

    struct FakeStream(i64, i64, End);

    impl Source for Fake {
        fn schema(&self) -> SchemaRef {
            batch([]).schema()
        }

        fn open(&mut self, _resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
            Ok(Box::new(FakeStream(0, self.good, self.end)))
        }
    }

    impl Iterator for FakeStream {
        type Item = Result<RecordBatch>;

        fn next(&mut self) -> Option<Self::Item> {
            self.0 += 1;
            if self.0 <= self.1 { Some(Ok(batch([self.0, -self.0]))) } else { (self.2)() }
        }
    }

    impl BatchStream for FakeStream {
        fn schema(&self) -> SchemaRef {
            batch([]).schema()
        }
    }

    /// Holds one batch back, and gives each row as a batch of its own.
    #[derive(Default)]
    struct Delay {
        held: Option<RecordBatch>,
        ready: VecDeque<RecordBatch>,
    }

    impl Delay {
        fn release(&mut self, next: Option<RecordBatch>) {
            if let Some(batch) = std::mem::replace(&mut self.held, next) {
                self.ready.extend((0..batch.num_rows()).map(|row| batch.slice(row, 1)));
            }
        }
    }

    impl Stage for Delay {
        fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
            Ok(input)
        }

        fn push(&mut self, batch: RecordBatch) -> Result<()> {
            self.release(Some(batch));
            Ok(())
        }

        fn pull(&mut self) -> Result<Option<RecordBatch>> {
            Ok(self.ready.pop_front())
        }

        fn finish(&mut self) -> Result<()> {
            self.release(None);
            Ok(())
        }
    }

    #[derive(Default)]
    struct Numbers {
        seen: Vec<i64>,
        closed: bool,
    }

    impl Sink for Numbers {
        fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
            Ok(())
        }

        fn write(&mut self, batch: &RecordBatch) -> Result<()> {
            self.seen.extend(batch.column(0).as_primitive::<Int64Type>().values());
            Ok(())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }

        fn close(&mut self) -> Result<()> {
            self.closed = true;
            Ok(())
        }
    }

    #[test]
    fn every_row_passes_every_stage_into_every_sink_in_order() {
        let mut source = Fake { good: 3, end: || None };
        let (mut first, mut second) = (Delay::default(), Delay::default());
        let (mut a, mut b) = (Numbers::default(), Numbers::default());
        let rows = Pipeline::new(&mut source)
            .stage(&mut first)
            .stage(&mut second)
            .sink(&mut a)
            .sink(&mut b)
            .run(&CancelToken::default());
        assert_eq!(rows.unwrap(), 6);
        assert_eq!(a.seen, [1, -1, 2, -2, 3, -3]);
        assert_eq!(a.seen, b.seen);
        assert!(a.closed && b.closed);
    }

    #[test]
    fn errors_and_panics_of_the_source_end_the_run_and_close_nothing() {
        let ends: [(End, ErrorKind); 2] = [
            (|| Some(Err(Error::new(ErrorKind::BadData, "torn"))), ErrorKind::BadData),
            (|| panic!("boom"), ErrorKind::Panic),
        ];
        for (end, kind) in ends {
            let mut sink = Numbers::default();
            let error =
                Pipeline::new(&mut Fake { good: 1, end }).sink(&mut sink).run(&CancelToken::default());
            assert_eq!(error.unwrap_err().kind(), kind);
            assert!(!sink.closed);
        }
    }

    #[test]
    fn an_endless_source_stops_when_cancelled() {
        let cancel = CancelToken::default();
        let mut source = Fake { good: i64::MAX, end: || None };
        let mut sink = Numbers::default();
        let later = cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            later.cancel();
        });
        let error = Pipeline::new(&mut source).sink(&mut sink).run(&cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
