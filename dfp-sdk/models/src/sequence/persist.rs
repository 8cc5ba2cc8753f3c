//! Models of sequences as bytes: safetensors of the counts, the metadata key `dfp` holding settings as JSON.
//!
//! Names are `<name>.text` (U8, all of them one after another) and `<name>.ends` (U64, where each one ends), for `commands`,
//! `parameters` and `values`, in the order of their texts. Counts are rows of three U64, ascending: two positions in these,
//! and the count in units of 2^-20; `transitions` of command and next command, the number of commands standing for start and
//! end; `command_parameters`; `parameter_values`. `crowded` (U64) are the parameters with too many values to keep.

use std::collections::BTreeSet;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::counts::{BOUNDARY, Counts};
use super::vocabulary::Vocabulary;
use super::{Config, SequenceModel, SessionType};
use crate::envelope::{Envelope, damaged, pack};
use crate::{Error, Result};

/// What this model is called in its metadata, and the newest format this version writes and reads.
const ENVELOPE: Envelope = Envelope { kind: "sequence", format: 1 };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    kind: String,
    format: u64,
    column: String,
    session_type: SessionType,
    config: Config,
}

/// Two positions, and a count in units of 2^-20.
type Row = [u64; 3];

impl SequenceModel {
    /// The model as safetensors: the same sessions and settings give the same bytes, whatever order or parts they were counted
    /// in.
    ///
    /// # Errors
    /// [`Error::Save`] if the settings cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let counts = self.counts();
        let metadata = Metadata {
            kind: ENVELOPE.kind.into(),
            format: ENVELOPE.format,
            column: self.column.clone(),
            session_type: counts.kind,
            config: self.config.clone(),
        };
        let metadata = serde_json::to_string(&metadata).map_err(|e| Error::Save(e.to_string()))?;
        let mut tensors = Vec::new();
        let boundary = counts.commands.len() as u64;
        let position = |number: u32| if number == BOUNDARY { boundary } else { u64::from(number) };
        let row = |(first, second, units)| [position(first), position(second), units];
        put_names(&mut tensors, "commands", counts.commands.names());
        let mut transitions: Vec<Row> = counts.transitions.units().map(row).collect();
        transitions.sort_unstable();
        put_rows(&mut tensors, "transitions", &transitions);
        if counts.kind != SessionType::CmdsOnly {
            put_names(&mut tensors, "parameters", counts.parameters.names());
            let rows: Vec<Row> = counts.command_parameters.sorted().into_iter().map(row).collect();
            put_rows(&mut tensors, "command_parameters", &rows);
        }
        if counts.kind == SessionType::CmdsParamsValues {
            put_values(&mut tensors, counts);
        }
        pack(metadata, &tensors)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Safe on any bytes: memory taken is in proportion to them.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such a model, [`Error::TooNew`] if a newer version wrote them.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let (tensors, metadata) = ENVELOPE.open(bytes)?;
        let metadata: Metadata = serde_json::from_str(&metadata).map_err(|e| damaged(&e))?;
        metadata.config.validate().map_err(|e| damaged(&e))?;
        let mut counts = Counts::new(metadata.session_type, metadata.config.max_values);
        counts.commands = names(&tensors, "commands")?;
        let commands = counts.commands.len();
        for [from, to, units] in rows(&tensors, "transitions", [commands + 1, commands + 1])? {
            let number = |position: u64| if position == commands as u64 { BOUNDARY } else { position as u32 };
            counts.transitions.add(number(from), number(to), units);
        }
        if counts.kind != SessionType::CmdsOnly {
            counts.parameters = names(&tensors, "parameters")?;
            let parameters = counts.parameters.len();
            for [command, parameter, units] in rows(&tensors, "command_parameters", [commands, parameters])? {
                counts.command_parameters.add(command as u32, parameter as u32, units);
            }
            counts.values.resize_with(parameters, Default::default);
        }
        if counts.kind == SessionType::CmdsParamsValues {
            take_values(&tensors, &mut counts)?;
        }
        Ok(Self::new(metadata.config, metadata.column, &counts))
    }
}

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn put_names<'a>(tensors: &mut Tensors, name: &str, names: impl Iterator<Item = &'a str>) {
    let (mut text, mut ends) = (String::new(), Vec::new());
    for name in names {
        text.push_str(name);
        ends.extend((text.len() as u64).to_le_bytes());
    }
    tensors.push((format!("{name}.text"), Dtype::U8, vec![text.len()], text.into_bytes()));
    tensors.push((format!("{name}.ends"), Dtype::U64, vec![ends.len() / 8], ends));
}

fn put_rows(tensors: &mut Tensors, name: &str, rows: &[Row]) {
    let bytes = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    tensors.push((name.to_owned(), Dtype::U64, vec![rows.len(), 3], bytes));
}

fn put_values(tensors: &mut Tensors, counts: &Counts) {
    let distinct: BTreeSet<&str> =
        counts.values.iter().flat_map(|values| values.counts.keys().map(|value| &**value)).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut crowded = Vec::new();
    for (parameter, values) in counts.values.iter().enumerate() {
        let position = |value: &str| distinct.binary_search(&value).expect("all are there") as u64;
        rows.extend(values.counts.iter().map(|(value, units)| [parameter as u64, position(value), *units]));
        if values.crowded {
            crowded.extend((parameter as u64).to_le_bytes());
        }
    }
    rows.sort_unstable();
    put_names(tensors, "values", distinct.into_iter());
    put_rows(tensors, "parameter_values", &rows);
    tensors.push(("crowded".to_owned(), Dtype::U64, vec![crowded.len() / 8], crowded));
}

fn take_values(tensors: &SafeTensors<'_>, counts: &mut Counts) -> Result<()> {
    let values = names(tensors, "values")?;
    let parameters = counts.parameters.len();
    for [parameter] in numbers::<1>(tensors, "crowded")? {
        let values = usize::try_from(parameter).ok().and_then(|parameter| counts.values.get_mut(parameter));
        values.ok_or_else(|| damaged(&"`crowded` has a parameter that there is not"))?.crowded = true;
    }
    for [parameter, value, units] in rows(tensors, "parameter_values", [parameters, values.len()])? {
        let of = &mut counts.values[parameter as usize];
        if of.crowded {
            return Err(damaged(&"a crowded parameter has values"));
        }
        of.counts.insert(values.name(value as u32).into(), units);
    }
    Ok(())
}

/// The numbers of a tensor of rows of `N`, or of single ones.
fn numbers<const N: usize>(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<[u64; N]>> {
    let tensor = tensors.tensor(name).map_err(|e| damaged(&format!("tensor `{name}`: {e}")))?;
    let (dtype, shape) = (tensor.dtype(), tensor.shape());
    let fits = if N == 1 { shape.len() == 1 } else { shape.len() == 2 && shape[1] == N };
    if dtype != Dtype::U64 || !fits {
        return Err(damaged(&format!("tensor `{name}` is {dtype:?} {shape:?}, not rows of {N} U64")));
    }
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes each"));
    let row = |bytes: &[u8]| std::array::from_fn(|at| number(&bytes[8 * at..8 * (at + 1)]));
    Ok(tensor.data().chunks_exact(8 * N).map(row).collect())
}

/// Counts, ascending and without repeats, whose positions are below `limits`.
fn rows(tensors: &SafeTensors<'_>, name: &str, limits: [usize; 2]) -> Result<Vec<Row>> {
    let rows = numbers::<3>(tensors, name)?;
    let inside =
        |[first, second, units]: &Row| *first < limits[0] as u64 && *second < limits[1] as u64 && *units > 0;
    let ascending = rows.windows(2).all(|pair| pair[0][..2] < pair[1][..2]);
    if !ascending || !rows.iter().all(inside) {
        return Err(damaged(&format!("the rows of `{name}` are out of order or out of bounds")));
    }
    Ok(rows)
}

fn names(tensors: &SafeTensors<'_>, name: &str) -> Result<Vocabulary> {
    let wrong = |why: &str| damaged(&format!("the names of `{name}` {why}"));
    let text =
        tensors.tensor(&format!("{name}.text")).map_err(|e| damaged(&format!("`{name}.text`: {e}")))?;
    let text = match text.dtype() {
        Dtype::U8 => std::str::from_utf8(text.data()).map_err(|_| wrong("are no UTF-8"))?,
        _ => return Err(wrong("are no bytes")),
    };
    let mut vocabulary = Vocabulary::default();
    let (mut start, mut previous) = (0, None);
    for [end] in numbers::<1>(tensors, &format!("{name}.ends"))? {
        let end = usize::try_from(end).map_err(|_| wrong("end beyond their text"))?;
        let name = text.get(start..end).ok_or_else(|| wrong("end beyond their text"))?;
        if previous.is_some_and(|previous| previous >= name) {
            return Err(wrong("are out of order"));
        }
        vocabulary.learn(name);
        (start, previous) = (end, Some(name));
    }
    if start == text.len() { Ok(vocabulary) } else { Err(wrong("end before their text")) }
}
