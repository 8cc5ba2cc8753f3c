//! The runner: pull from a source, through stages, into sinks.

use std::sync::mpsc::sync_channel;

use crate::{CancelToken, Result, Sink, Source, Stage};
use arrow_array::RecordBatch;

/// Batches waiting between the source's thread and the stages: the source decodes while the stages compute, and no more
/// than this is ever in memory.
const BATCHES_IN_FLIGHT: usize = 2;

/// A source, the stages its batches pass, and the sinks they end in.
///
/// The source runs on a thread of its own. Whatever fails first ends the run and is returned; sinks are then dropped
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
        let stream = self.source.open(None)?;
        let mut rows = 0;
        std::thread::scope(|scope| {
            let (send, receive) = sync_channel(BATCHES_IN_FLIGHT);
            scope.spawn(move || {
                for batch in stream {
                    // A closed channel means that the other side failed and will say why.
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
