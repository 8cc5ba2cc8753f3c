//! Data, threads, cancelling, and what a component claims of itself.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use dfp_abi::Kind;
use dfp_abi::c::{DFP_CONCURRENT, DFP_DETERMINISTIC, DFP_KEEPS_ROWS};
use dfp_core::{CancelToken, Error, ErrorKind, FitContext};

use super::samples::{Sample, odd, of, plain, schemas};
use super::subject::{Calls, Subject};
use super::{Answer, Book, CheckOptions, kept, silent, within};
use crate::PLUGIN_VIOLATIONS;
use crate::remote::Component;

/// How long a call may go on after a cancel.
const PROMPT: Duration = Duration::from_secs(1);
/// When the cancel comes.
const BEFORE_CANCEL: Duration = Duration::from_millis(50);
/// When the kit gives up waiting.
const PATIENCE: Duration = Duration::from_secs(3);
/// Threads that score at once.
const THREADS: usize = 4;
/// Failures that no data may bring about.
const FAULTS: [ErrorKind; 3] = [ErrorKind::Panic, ErrorKind::Poisoned, ErrorKind::Internal];

/// What is given to the component: nothing to a source.
#[derive(Clone)]
struct Input {
    batches: Vec<RecordBatch>,
    /// Whether the kit made it.
    own: bool,
}

pub(super) fn checks(book: &mut Book, subject: &Subject, options: &CheckOptions) {
    let (own, given) = (subject.clone(), options.input.clone());
    let found = within(options.limit, move || find_input(&own, &given).map_err(text));
    let input = match found.unwrap_or_else(|| Err("none was worked off in time".to_owned())) {
        Ok(input) => input,
        Err(why) => {
            let text = format!(
                "none of the kit's batches is to its liking ({why}); name a configuration that reads them, or use the \
                 library with batches of your own"
            );
            book.note("data/input", Err(text));
            return;
        }
    };
    let mut check = |name, check: fn(&Subject, &Input) -> Answer| {
        let (subject, input) = (subject.clone(), input.clone());
        book.check(name, move || check(&subject, &input));
    };
    check("threads/cancel", cancel);
    check("data/run", run);
    check("data/odd-batches", odd_batches);
    check("data/release", release);
    check("data/resume", resume);
    check("threads/hop", hop);
    let claims = |flag| subject.component.flags & flag != 0;
    let mut claim = |name, flag, kept: fn(&Subject, &Input) -> Answer| {
        check(name, if claims(flag) { kept } else { |_, _| silent("not claimed") });
    };
    claim("claims/deterministic", DFP_DETERMINISTIC, deterministic);
    claim("claims/keeps-rows", DFP_KEEPS_ROWS, keeps_rows);
    claim("claims/concurrent", DFP_CONCURRENT, concurrent);
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` wants")]
fn text(error: Error) -> String {
    error.to_string()
}

/// Batches that the component takes.
fn find_input(subject: &Subject, given: &[RecordBatch]) -> Result<Input, Error> {
    if subject.component.kind == Kind::Source || !given.is_empty() {
        return Ok(Input { batches: given.to_vec(), own: false });
    }
    let mut last = Error::new(ErrorKind::Internal, "there is no schema");
    for schema in schemas(&subject.config) {
        let batch = plain(&schema);
        match subject.run(Arc::new(subject.host()), std::slice::from_ref(&batch), Calls::Here) {
            Ok(_) => return Ok(Input { batches: vec![batch], own: true }),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One whole run, with the books of the host balanced and no rule broken on the way.
fn run(subject: &Subject, input: &Input) -> Answer {
    let host = Arc::new(subject.host());
    let output = subject.run(host.clone(), &input.batches, Calls::Here).map_err(text)?;
    let rows: usize = output.iter().map(RecordBatch::num_rows).sum();
    match host.counter(PLUGIN_VIOLATIONS) {
        0 => {}
        n => return Err(format!("{n} times it did not release what it was handed")),
    }
    if subject.component.kind == Kind::Source {
        let counts = host.counts(rows as u64);
        if !counts.balanced() {
            let rejected = counts.rejected_total();
            return Err(format!("it counted {} records, gave {rows} and rejected {rejected}", counts.read));
        }
    }
    kept(format!("{} batches of {rows} rows, all valid", output.len()))
}

fn odd_batches(subject: &Subject, input: &Input) -> Answer {
    let Some(first) = input.batches.first() else { return silent("a source is given nothing") };
    let samples = if input.own { odd(&first.schema()) } else { of(first) };
    let mut refused = Vec::new();
    for Sample { name, batch, plain } in samples {
        // What is odd comes after what is not: a model has to learn from something.
        if let Err(error) = subject.run(Arc::new(subject.host()), &[first.clone(), batch], Calls::Here) {
            if plain || FAULTS.contains(&error.kind()) {
                return Err(format!("{name}: {error}"));
            }
            refused.push(name);
        }
    }
    kept(if refused.is_empty() { "all taken".to_owned() } else { format!("refused: {}", refused.join(", ")) })
}

/// What a component gave outlives it, on any thread, in any order.
fn release(subject: &Subject, input: &Input) -> Answer {
    if subject.component.kind == Kind::Sink {
        return silent("a sink gives nothing");
    }
    let host = Arc::new(subject.host());
    let mut output = subject.run(host.clone(), &input.batches, Calls::Here).map_err(text)?;
    // The instance is gone. Every value is looked at before and after, from another thread.
    let texts = |output: &[RecordBatch]| output.iter().map(|batch| format!("{batch:?}")).collect::<Vec<_>>();
    let before = texts(&output);
    let n = output.len();
    let same = thread::spawn(move || {
        let same = texts(&output) == before;
        while let Some(last) = output.pop() {
            drop(last);
        }
        same
    });
    if !same.join().map_err(|_| "reading what it gave panics".to_owned())? {
        return Err("what it gave changes after it is destroyed".to_owned());
    }
    if Arc::strong_count(&host) != 1 {
        return Err("once everything is released, the host's context is still retained".to_owned());
    }
    kept(format!("{n} batches, after destroy, on another thread, last first"))
}

/// A source that says where it stands can go on from there.
fn resume(subject: &Subject, _: &Input) -> Answer {
    let made = subject.make(Arc::new(subject.host())).map_err(text)?;
    let Component::Source(mut source) = made.component else { return silent("only sources resume") };
    let mut stream = source.open(None).map_err(text)?;
    stream.next().transpose().map_err(text)?;
    let Some(position) = source.position() else { return silent("it has no position") };
    let rest: usize = rows(&mut stream)?;
    drop(stream);
    let again = subject.make(Arc::new(subject.host())).map_err(text)?;
    let Component::Source(mut source) = again.component else { return silent("only sources resume") };
    let resumed = rows(&mut source.open(Some(&position)).map_err(text)?)?;
    if resumed == rest {
        return kept(format!("{rest} rows after the first batch, here and there"));
    }
    Err(format!("{rest} rows follow the first batch, but {resumed} follow its position"))
}

fn rows(stream: &mut Box<dyn dfp_core::BatchStream>) -> Result<usize, String> {
    let batches = stream.take(super::subject::MAX_BATCHES);
    batches.map(|batch| batch.map(|batch| batch.num_rows()).map_err(text)).sum()
}

fn hop(subject: &Subject, input: &Input) -> Answer {
    let here = subject.run(Arc::new(subject.host()), &input.batches, Calls::Here).map_err(text)?;
    let hopped = subject.run(Arc::new(subject.host()), &input.batches, Calls::Hop).map_err(text)?;
    let rows = |output: &[RecordBatch]| output.iter().map(RecordBatch::num_rows).sum::<usize>();
    if rows(&here) != rows(&hopped) {
        return Err(format!("it gives {} rows on one thread and {} on many", rows(&here), rows(&hopped)));
    }
    kept("each call on a thread of its own")
}

fn cancel(subject: &Subject, input: &Input) -> Answer {
    let token = CancelToken::default();
    let host = Arc::new(subject.host().cancelled_by(token.clone()));
    let made = subject.make(host).map_err(text)?;
    let (sender, ended) = channel();
    let (batches, context) =
        (input.batches.clone(), FitContext { cancel: token.clone(), ..FitContext::default() });
    let component = made.component;
    thread::spawn(move || {
        let outcome = work(component, &batches, &context);
        // Nobody listens any more if it took too long.
        let _ = sender.send(outcome);
    });
    match ended.recv_timeout(BEFORE_CANCEL) {
        Ok(outcome) => {
            return outcome.map_err(text).and_then(|()| kept("it never blocks: it ended before the cancel"));
        }
        Err(RecvTimeoutError::Disconnected) => return Err("working panics".to_owned()),
        Err(RecvTimeoutError::Timeout) => {}
    }
    let start = Instant::now();
    token.cancel();
    (made.cancel)();
    let outcome = ended.recv_timeout(PATIENCE);
    let took = start.elapsed();
    match outcome {
        Err(_) => Err(format!("{PATIENCE:?} after the cancel it still has not stopped")),
        Ok(_) if took > PROMPT => Err(format!("it stopped only {took:.1?} after the cancel")),
        Ok(Err(error)) if error.kind() != ErrorKind::Cancelled => {
            Err(format!("cancelled, it answers with another error: {error}"))
        }
        Ok(_) => kept(format!("stopped after {took:.1?}")),
    }
}

/// Works until it is cancelled, or done.
fn work(component: Component, batches: &[RecordBatch], context: &FitContext) -> Result<(), Error> {
    match component {
        Component::Source(mut source) => source.open(None)?.try_for_each(|batch| batch.map(drop)),
        Component::Stage(mut stage) => {
            let Some(first) = batches.first() else { return Ok(()) };
            stage.bind(first.schema())?;
            stage.push(first.clone())?;
            while stage.pull()?.is_some() {}
            stage.finish()
        }
        Component::Sink(mut sink) => {
            let Some(first) = batches.first() else { return Ok(()) };
            sink.bind(first.schema())?;
            sink.write(first)?;
            sink.close()
        }
        Component::Model(trainer) => match batches.first() {
            Some(first) => trainer.fit(first, context).map(drop),
            None => Ok(()),
        },
    }
}

fn deterministic(subject: &Subject, input: &Input) -> Answer {
    let one = subject.run(Arc::new(subject.host()), &input.batches, Calls::Here).map_err(text)?;
    for calls in [Calls::Here, Calls::Hop] {
        if subject.run(Arc::new(subject.host()), &input.batches, calls).map_err(text)? != one {
            return Err("equal configuration and input, but another output".to_owned());
        }
    }
    kept("three runs, one output")
}

fn keeps_rows(subject: &Subject, input: &Input) -> Answer {
    if subject.component.kind != Kind::Stage {
        return silent("only stages can keep rows");
    }
    let Some(first) = input.batches.first() else { return silent("it is given nothing") };
    for Sample { name, batch, .. } in of(first) {
        let output =
            subject.run(Arc::new(subject.host()), std::slice::from_ref(&batch), Calls::Here).map_err(text)?;
        let rows: usize = output.iter().map(RecordBatch::num_rows).sum();
        if rows != batch.num_rows() {
            return Err(format!("{name}: {} rows in, {rows} out", batch.num_rows()));
        }
        // Columns that go through unchanged show the order.
        if let [only] = output.as_slice()
            && let Some(field) = moved(only, &batch)
        {
            return Err(format!("{name}: the rows of column {field:?} come in another order"));
        }
    }
    kept("as many rows out as in, in their order")
}

/// The first column that has the same values as before in another order.
fn moved(output: &RecordBatch, input: &RecordBatch) -> Option<String> {
    let schema = input.schema();
    let mut fields = schema.fields().iter().zip(input.columns());
    fields.find_map(|(field, before)| {
        let after =
            output.column_by_name(field.name()).filter(|after| after.data_type() == before.data_type())?;
        let lines = |column: &arrow_array::ArrayRef| -> Vec<String> {
            (0..column.len()).map(|row| format!("{:?}", column.slice(row, 1))).collect()
        };
        let (mut before, mut after) = (lines(before), lines(after));
        let same_order = before == after;
        before.sort();
        after.sort();
        (!same_order && before == after).then(|| field.name().clone())
    })
}

/// A fitted model is scored by several threads at once. Instances of other kinds are never called at the same time through the
/// contracts.
fn concurrent(subject: &Subject, input: &Input) -> Answer {
    let made = subject.make(Arc::new(subject.host())).map_err(text)?;
    let Component::Model(trainer) = made.component else {
        return silent("only models are called at the same time");
    };
    let Some(first) = input.batches.first() else { return silent("it is given nothing") };
    let model = trainer.fit(first, &FitContext::default()).map_err(text)?;
    let alone = model.score(first).map_err(text)?;
    let scores: Vec<_> = thread::scope(|scope| {
        let scoring: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| (0..16).map(|_| model.score(first)).collect::<Result<Vec<_>, Error>>()))
            .collect();
        scoring.into_iter().map(|thread| thread.join().map_err(|_| "scoring panics".to_owned())).collect()
    });
    for scores in scores {
        if scores?.map_err(text)?.iter().any(|scores| *scores != alone) {
            return Err("several threads at once get other scores than one alone".to_owned());
        }
    }
    kept(format!("{THREADS} threads, the same scores"))
}
