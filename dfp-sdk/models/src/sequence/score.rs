//! Scored columns of batches.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, UInt32Builder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use arrow_select::take::take;
use dfp_core::SCORE;

use super::explain::{Rarest, Reason, Span};
use super::{RarestWindow, SequenceModel, Sessions};
use crate::Result;

/// Scores of the sessions of one batch.
pub(super) struct Judged<'a> {
    model: &'a SequenceModel,
    sessions: Sessions<'a>,
    scores: Vec<f64>,
    /// By length, then by session.
    rarest: Vec<Vec<Option<RarestWindow>>>,
    likelihoods: Vec<f64>,
    logarithms: Vec<f64>,
    means: Vec<f64>,
    abstained: Vec<bool>,
    reasons: Reasons,
}

impl<'a> Judged<'a> {
    pub(super) fn of(model: &'a SequenceModel, sessions: Sessions<'a>) -> Result<Self> {
        let (n, windows) = (sessions.len(), model.config.windows.len());
        let mut all = Self {
            model,
            sessions,
            scores: Vec::with_capacity(n),
            rarest: vec![Vec::with_capacity(n); windows],
            likelihoods: Vec::with_capacity(n),
            logarithms: Vec::with_capacity(n),
            means: Vec::with_capacity(n),
            abstained: Vec::with_capacity(n),
            reasons: Reasons::new(),
        };
        let (config, abstains) = (&model.config, model.abstains());
        let mut rarest = Rarest::new(config.reasons);
        model.each(&sessions, |session, observed, chain| {
            let (tokens, events) = (config.tokens, chain.events());
            for (rarest, length) in all.rarest.iter_mut().zip(&config.windows) {
                rarest.push(chain.rarest(*length, tokens));
            }
            let whole = chain.whole(tokens, tokens);
            all.likelihoods.push(whole.value());
            all.logarithms.push(whole.ln());
            all.means.push(whole.root(events));
            let items = events + usize::from(tokens);
            let scored = match all.rarest[0][session] {
                Some(window) => Some((window.start..window.start + config.windows[0], window.likelihood)),
                None => config.short_sessions.then_some((0..items, whole)),
            };
            let scored = scored.filter(|_| !abstains);
            all.abstained.push(scored.is_none());
            rarest.reasons.clear();
            all.scores.push(scored.map_or(0.0, |(items, likelihood)| {
                let mean = if config.geometric_mean { items.len() } else { 1 };
                let span = Span { session, items, tokens };
                model.parameters().explain(&sessions, observed, &span, &mut rarest);
                // The logarithm of a probability; never -0.
                0.0_f64.max(-likelihood.ln() / mean as f64)
            }));
            all.reasons.push(&rarest.reasons);
        })?;
        Ok(all)
    }

    /// The columns, `score` first.
    pub(super) fn into_batch(self) -> Result<RecordBatch> {
        let mut columns: Vec<(String, ArrayRef, bool)> = Vec::new();
        let mut column = |name: &str, column: ArrayRef, nullable: bool| {
            columns.push((name.to_owned(), column, nullable));
        };
        column(SCORE, Arc::new(Float64Array::from(self.scores)), false);
        for (rarest, length) in self.rarest.iter().zip(&self.model.config.windows) {
            let mean = if self.model.config.geometric_mean { *length } else { 1 };
            let name = format!("rarest_window{length}");
            let likelihoods = rarest.iter().map(|window| Some(window.as_ref()?.likelihood.root(mean)));
            let starts = rarest.iter().map(|window| Some(window.as_ref()?.start as u32));
            let events = windows(&self.sessions, rarest)?;
            column(&format!("{name}_likelihood"), Arc::new(likelihoods.collect::<Float64Array>()), true);
            column(&name, Arc::new(events), false);
            column(&format!("{name}_start"), Arc::new(starts.collect::<UInt32Array>()), true);
        }
        column("likelihood", Arc::new(Float64Array::from(self.likelihoods)), false);
        column("log_likelihood", Arc::new(Float64Array::from(self.logarithms)), false);
        column("geomean_likelihood", Arc::new(Float64Array::from(self.means)), false);
        column("abstained", Arc::new(BooleanArray::from(self.abstained)), false);
        column("reasons", Arc::new(self.reasons.finish()?), false);
        let batch = RecordBatch::try_from_iter_with_nullable(columns);
        batch.map_err(|e| crate::Error::TooLarge(e.to_string()))
    }
}

/// The events of one window each.
fn windows(sessions: &Sessions<'_>, rarest: &[Option<RarestWindow>]) -> Result<ListArray> {
    let (events, field) = sessions.array();
    let mut indices: Vec<u32> = Vec::new();
    let mut ends = Vec::with_capacity(rarest.len() + 1);
    ends.push(0);
    for (session, window) in rarest.iter().enumerate() {
        if let Some(window) = window {
            let first = (sessions.events(session).start + window.start) as u32;
            indices.extend(first..first + window.events as u32);
        }
        ends.push(indices.len());
    }
    let lengths = ends.windows(2).map(|pair| pair[1] - pair[0]);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let events = take(events, &UInt32Array::from(indices), None);
    let list = events.and_then(|events| ListArray::try_new(field, offsets, events, None));
    list.map_err(|e| crate::Error::TooLarge(e.to_string()))
}

/// The column of reasons.
struct Reasons {
    lengths: Vec<usize>,
    events: UInt32Builder,
    /// Kind, from, to, parameter, value.
    texts: [StringBuilder; 5],
    probabilities: Float64Builder,
    /// A text did not fit into its column any more.
    full: bool,
}

impl Reasons {
    fn new() -> Self {
        Self {
            lengths: Vec::new(),
            events: UInt32Builder::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            probabilities: Float64Builder::new(),
            full: false,
        }
    }

    fn fields() -> Fields {
        let text = |name| Field::new(name, DataType::Utf8, true);
        Fields::from(vec![
            Field::new("event", DataType::UInt32, false),
            Field::new("kind", DataType::Utf8, false),
            text("from"),
            text("to"),
            text("parameter"),
            text("value"),
            Field::new("probability", DataType::Float64, false),
        ])
    }

    fn push(&mut self, reasons: &[Reason<'_>]) {
        self.lengths.push(reasons.len());
        for reason in reasons {
            let kind = Some(reason.kind.as_str());
            let texts = [kind, reason.from, reason.to, reason.parameter, reason.value];
            let length = |text: Option<&str>| text.map_or(0, str::len);
            let mut columns = self.texts.iter().zip(texts);
            self.full |=
                columns.any(|(column, text)| column.values_slice().len() + length(text) > i32::MAX as usize);
            if self.full {
                return;
            }
            for (column, text) in self.texts.iter_mut().zip(texts) {
                column.append_option(text);
            }
            self.events.append_value(reason.event as u32);
            self.probabilities.append_value(reason.probability);
        }
    }

    fn finish(mut self) -> Result<ListArray> {
        if self.full {
            return Err(crate::Error::TooLarge("reasons with more than 2 GiB of text".to_owned()));
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.events.finish())];
        columns.extend(self.texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
        columns.push(Arc::new(self.probabilities.finish()));
        let field = Field::new_list_field(DataType::Struct(Self::fields()), false);
        let reasons = StructArray::try_new(Self::fields(), columns, None);
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let list = reasons.and_then(|all| ListArray::try_new(Arc::new(field), offsets, Arc::new(all), None));
        list.map_err(|e| crate::Error::TooLarge(e.to_string()))
    }
}
