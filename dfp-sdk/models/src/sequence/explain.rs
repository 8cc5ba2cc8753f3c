//! Which factors made a window rare.

use std::fmt;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, StringArray};

use super::Sessions;
use super::counts::BOUNDARY;
use super::parameters::{Observed, Param, Parameters};
use crate::{Error, Result};

/// What a factor of a likelihood speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// The session started with the command `to`.
    Start,
    /// The command `to` came after `from`; `from` is none where a window begins inside a session: the command alone counts
    /// there.
    Transition,
    /// The session ended after `from`.
    End,
    /// The command `to` had `parameter`.
    Parameter,
    /// The command `to` did not have `parameter`, as most events of it do.
    MissingParameter,
    /// `parameter` of the command `to` had this value, or none.
    Value,
}

impl ReasonKind {
    const ALL: [Self; 6] =
        [Self::Start, Self::Transition, Self::End, Self::Parameter, Self::MissingParameter, Self::Value];

    /// Its name in the column of reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Transition => "transition",
            Self::End => "end",
            Self::Parameter => "parameter",
            Self::MissingParameter => "missing-parameter",
            Self::Value => "value",
        }
    }
}

/// The reasons of scored sessions, a column of [`Model::score`](dfp_core::Model::score), as sentences: one text a row, none where
/// there is no reason.
///
/// # Errors
/// [`Error::Mismatch`] if the column is of another type.
pub fn reason_texts(column: &dyn Array) -> Result<Vec<Option<String>>> {
    let mismatch = || Error::Mismatch(format!("reasons of type {}", column.data_type()));
    let lists = column.as_list_opt::<i32>().ok_or_else(mismatch)?;
    let reasons = lists.values().as_struct_opt().ok_or_else(mismatch)?;
    let column = |name: &str| reasons.column_by_name(name).ok_or_else(mismatch);
    let text = |name: &str| column(name)?.as_string_opt::<i32>().ok_or_else(mismatch);
    let (kinds, from, to) = (text("kind")?, text("from")?, text("to")?);
    let (parameters, values) = (text("parameter")?, text("value")?);
    let events = column("event")?.as_primitive_opt::<UInt32Type>().ok_or_else(mismatch)?;
    let probabilities = column("probability")?.as_primitive_opt::<Float64Type>().ok_or_else(mismatch)?;
    let sentence = |row: usize| {
        let some = |texts: &'_ StringArray| texts.is_valid(row).then(|| texts.value(row).to_owned());
        let (from, to, parameter, value) = (some(from), some(to), some(parameters), some(values));
        let reason = Reason {
            event: events.value(row) as usize,
            kind: ReasonKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == kinds.value(row))
                .ok_or_else(mismatch)?,
            from: from.as_deref(),
            to: to.as_deref(),
            parameter: parameter.as_deref(),
            value: value.as_deref(),
            probability: probabilities.value(row),
        };
        Ok(reason.to_string())
    };
    let of_row = |row: usize| {
        let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
        let sentences = range.map(sentence).collect::<Result<Vec<_>>>()?;
        Ok((lists.is_valid(row) && !sentences.is_empty()).then(|| sentences.join("; ")))
    };
    (0..lists.len()).map(of_row).collect()
}

/// A factor of a window's likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason<'a> {
    /// The event, from 0 at the start of the session.
    pub event: usize,
    /// What the factor speaks of.
    pub kind: ReasonKind,
    /// The command before.
    pub from: Option<&'a str>,
    /// The command.
    pub to: Option<&'a str>,
    /// The parameter.
    pub parameter: Option<&'a str>,
    /// Its value.
    pub value: Option<&'a str>,
    /// The factor.
    pub probability: f64,
}

impl fmt::Display for Reason<'_> {
    /// A sentence for analysts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, parameter, value, probability, .. } = self;
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        let parameter = parameter.unwrap_or_default();
        match self.kind {
            ReasonKind::Start => write!(f, "the session starts with {to}")?,
            ReasonKind::Transition if self.from.is_none() => write!(f, "{to} is used")?,
            ReasonKind::Transition => write!(f, "{to} follows {from}")?,
            ReasonKind::End => write!(f, "the session ends after {from}")?,
            ReasonKind::Parameter => write!(f, "{to} has the parameter {parameter}")?,
            ReasonKind::MissingParameter => write!(f, "{to} lacks the parameter {parameter}")?,
            ReasonKind::Value => match value {
                Some(value) => write!(f, "the parameter {parameter} of {to} is {value}")?,
                None => write!(f, "the parameter {parameter} of {to} has no value")?,
            },
        }
        write!(f, " (probability {probability:.2e})")
    }
}

impl Reason<'_> {
    /// A factor of an event that is not named yet.
    fn new(kind: ReasonKind, probability: f64) -> Self {
        Self { event: 0, kind, from: None, to: None, parameter: None, value: None, probability }
    }
}

/// The least likely of the reasons offered, likeliest last; of equal ones, those offered first.
pub(super) struct Rarest<'a> {
    most: usize,
    pub(super) reasons: Vec<Reason<'a>>,
}

impl<'a> Rarest<'a> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, reasons: Vec::with_capacity(most.min(16)) }
    }

    fn offer(&mut self, reason: Reason<'a>) {
        let place = self.reasons.partition_point(|known| known.probability <= reason.probability);
        if place < self.most {
            self.reasons.truncate(self.most - 1);
            self.reasons.insert(place, reason);
        }
    }
}

/// Where a window lies: items of a session, its end being the item after the last event.
pub(super) struct Span {
    pub(super) session: usize,
    pub(super) items: Range<usize>,
    /// Whether the start of the session counts.
    pub(super) tokens: bool,
}

impl<'a> Parameters<'a> {
    /// Offers all factors of a window of an observed session.
    pub(super) fn explain(
        self,
        sessions: &Sessions<'a>,
        observed: &Observed,
        span: &Span,
        rarest: &mut Rarest<'a>,
    ) {
        if rarest.most == 0 {
            return;
        }
        let events = sessions.events(span.session);
        for item in span.items.clone() {
            let before = (item > span.items.start).then(|| item - 1);
            let row = before.map(|before| observed.commands[before]);
            let from = before.map(|before| sessions.name(events.start + before));
            let Some(&command) = observed.commands.get(item) else {
                let probability = match row {
                    Some(row) => self.probabilities.transition(row, BOUNDARY),
                    None => self.probabilities.prior(BOUNDARY),
                };
                let reason = Reason::new(ReasonKind::End, probability);
                rarest.offer(Reason { event: item - 1, from, ..reason });
                continue;
            };
            let (kind, probability) = match row {
                Some(row) => (ReasonKind::Transition, self.probabilities.transition(row, command)),
                None if span.tokens && item == 0 => {
                    (ReasonKind::Start, self.probabilities.transition(BOUNDARY, command))
                }
                None => (ReasonKind::Transition, self.probabilities.prior(command)),
            };
            let to = Some(sessions.name(events.start + item));
            rarest.offer(Reason { event: item, from, to, ..Reason::new(kind, probability) });
            self.explain_params(sessions, command, observed.params(item), &mut |reason| {
                rarest.offer(Reason { event: item, to, ..reason });
            });
        }
    }

    /// Offers the factors of an event's parameters, those missing from it included.
    fn explain_params(
        self,
        sessions: &Sessions<'a>,
        command: u32,
        params: &[Param],
        offer: &mut impl FnMut(Reason<'a>),
    ) {
        if !self.count(params) {
            return;
        }
        let mut unseen = None;
        for param in params {
            let parameter = Some(sessions.param_name(param.place));
            let Some(seen) = param.seen else {
                unseen = parameter;
                continue;
            };
            let reason = Reason::new(ReasonKind::Parameter, self.probabilities.presence(command, seen));
            offer(Reason { parameter, ..reason });
            if let Some(probability) = param.value {
                let value = sessions.value(param.place);
                offer(Reason { parameter, value, ..Reason::new(ReasonKind::Value, probability) });
            }
        }
        if unseen.is_some() && self.config.unseen_parameters {
            let reason = Reason::new(ReasonKind::Parameter, self.probabilities.presence(command, 0.0));
            offer(Reason { parameter: unseen, ..reason });
        }
        let absent = |number: &&u32| params.binary_search_by_key(*number, |param| param.number).is_err();
        let usual = self.probabilities.command(command).usual.iter();
        for number in usual.filter(absent).take(self.config.reasons) {
            let seen = self.probabilities.seen(command, *number).unwrap_or(0.0);
            let parameter = Some(self.probabilities.counts.parameters.name(*number));
            let reason = Reason::new(ReasonKind::MissingParameter, self.probabilities.absence(command, seen));
            offer(Reason { parameter, ..reason });
        }
    }
}
