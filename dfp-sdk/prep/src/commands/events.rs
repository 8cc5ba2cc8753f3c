//! Events as Arrow columns, out of raw columns.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, ListArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields};

use super::json::{Found, Shape};
use super::rules::{EventKind, EventRules, Parameters};
use crate::Result;
use crate::input::Input;

/// The events of a raw batch's rows.
pub(super) struct Events {
    /// As [`EventKind`] says; null for a row without command.
    pub(super) array: ArrayRef,
    /// Rows whose parameters could not be read, and why; their events have none.
    pub(super) unreadable: Vec<(usize, String)>,
}

impl EventKind {
    /// The Arrow type of events of this kind.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Commands => DataType::Utf8,
            Self::Parameters => DataType::Struct(fields(DataType::List(item()))),
            Self::Values => DataType::Struct(fields(DataType::Map(entries(), true))),
        }
    }
}

impl EventRules {
    /// The events of the rows; raw columns that the batch lacks are missing in every row.
    pub(super) fn events(&self, batch: &RecordBatch) -> Result<Events> {
        let input = |name: &str| Input::of(batch.column_by_name(name).map(AsRef::as_ref));
        let names = texts(input(&self.name), batch.num_rows());
        let Some(parameters) = self.parameters.as_ref().filter(|_| self.kind != EventKind::Commands) else {
            return Ok(Events { array: Arc::new(names), unreadable: Vec::new() });
        };
        let mut found = Found::default();
        let mut out = Columns::new(batch.num_rows());
        let mut unreadable = Vec::new();
        let mut scratch = String::new();
        let (plain, paths) = parameters.inputs();
        let plain: Vec<_> = plain.iter().map(|name| input(name)).collect();
        let paths: Vec<_> = paths.iter().map(|name| input(name)).collect();
        for row in 0..batch.num_rows() {
            match parameters.shape() {
                Some(shape) => {
                    let text = plain[0].text(row, &mut scratch).unwrap_or_default();
                    if let Err(why) = found.read(text, shape) {
                        unreadable.push((row, why));
                    }
                }
                None => set(&plain, &paths, row, &mut scratch, &mut found),
            }
            out.add(&found, self.kind);
        }
        Ok(Events { array: out.finish(names, self.kind)?, unreadable })
    }
}

impl Parameters {
    /// How the text of the column reads; `None` for a set of columns.
    fn shape(&self) -> Option<Shape<'_>> {
        match self {
            Self::Pairs { name, value, .. } => Some(Shape::Pairs { name, value }),
            Self::Object { .. } => Some(Shape::Object),
            Self::Set { .. } => None,
        }
    }

    /// The raw columns taken as they are, and those of paths.
    pub(super) fn inputs(&self) -> (&[String], &[String]) {
        match self {
            Self::Pairs { input, .. } | Self::Object { input } => (std::slice::from_ref(input), &[]),
            Self::Set { inputs, paths } => (inputs, paths),
        }
    }
}

/// The values of some columns as a set.
fn set(plain: &[Input<'_>], paths: &[Input<'_>], row: usize, scratch: &mut String, found: &mut Found) {
    found.clear();
    for input in plain {
        found.add(input.text(row, scratch).unwrap_or_default());
    }
    for input in paths {
        let path = input.text(row, scratch).unwrap_or_default();
        found.add(&path.to_lowercase().replace('\\', "/"));
    }
    found.sort();
}

/// A column as text, whatever its type.
pub(super) fn texts(input: Input<'_>, rows: usize) -> StringArray {
    if let Input::Text(texts) = input {
        return texts.clone();
    }
    let mut scratch = String::new();
    let mut out = StringBuilder::new();
    for row in 0..rows {
        out.append_option(input.text(row, &mut scratch));
    }
    out.finish()
}

/// The parameters of all rows while they are collected.
struct Columns {
    names: StringBuilder,
    values: StringBuilder,
    offsets: Vec<i32>,
}

impl Columns {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { names: StringBuilder::new(), values: StringBuilder::new(), offsets }
    }

    fn add(&mut self, found: &Found, kind: EventKind) {
        let mut end = self.offsets[self.offsets.len() - 1];
        for (name, value) in found.iter() {
            self.names.append_value(name);
            if kind == EventKind::Values {
                self.values.append_option(value);
            }
            end += 1;
        }
        self.offsets.push(end);
    }

    fn finish(mut self, commands: StringArray, kind: EventKind) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(self.offsets.into());
        let names: ArrayRef = Arc::new(self.names.finish());
        let params: ArrayRef = match kind {
            EventKind::Values => {
                let values: ArrayRef = Arc::new(self.values.finish());
                let pairs = StructArray::try_new(pair(), vec![names, values], None)?;
                Arc::new(MapArray::try_new(entries(), offsets, pairs, None, true)?)
            }
            EventKind::Parameters | EventKind::Commands => {
                Arc::new(ListArray::try_new(item(), offsets, names, None)?)
            }
        };
        let there: Option<NullBuffer> = arrow_array::Array::nulls(&commands).cloned();
        let fields = fields(params_type(kind));
        Ok(Arc::new(StructArray::try_new(fields, vec![Arc::new(commands), params], there)?))
    }
}

fn params_type(kind: EventKind) -> DataType {
    match kind {
        EventKind::Values => DataType::Map(entries(), true),
        EventKind::Parameters | EventKind::Commands => DataType::List(item()),
    }
}

fn fields(params: DataType) -> Fields {
    vec![Field::new("name", DataType::Utf8, true), Field::new("params", params, true)].into()
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Utf8, true))
}

fn pair() -> Fields {
    vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)].into()
}

fn entries() -> FieldRef {
    Arc::new(Field::new("entries", DataType::Struct(pair()), false))
}
