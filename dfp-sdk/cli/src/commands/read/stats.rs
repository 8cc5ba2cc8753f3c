//! `dfp read --stats`: what is in a log.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use dfp_sdk::core::{Counts, EVENT_TIME, ORIGIN, RECORD_ID, Result, Sink};
use dfp_sdk::iso;
use dfp_sdk::prep::EntityColumn;
use serde::Serialize;

use super::distinct::{Count, Distinct};
use super::lock;
use crate::commands::{counters_line, counts_line};
use crate::output::json;

/// Inputs that only origins name, beyond which all others are counted as one.
const MOST_UNLISTED: usize = 10_000;
/// Lines that the table has for inputs.
const INPUT_LINES: usize = 30;

/// Records by input.
pub(super) struct Inputs {
    counts: Vec<InputCounts>,
    index: HashMap<String, usize>,
    listed: usize,
}

/// What became of one input's records.
#[derive(Debug, Clone, Serialize)]
struct InputCounts {
    input: String,
    used: u64,
    rejected: u64,
}

impl Inputs {
    pub(super) fn new(files: &[String]) -> Self {
        let mut inputs = Self { counts: Vec::new(), index: HashMap::new(), listed: files.len() };
        for file in files {
            inputs.add(file);
        }
        inputs
    }

    fn add(&mut self, input: &str) -> usize {
        self.index.insert(input.to_owned(), self.counts.len());
        self.counts.push(InputCounts { input: input.to_owned(), used: 0, rejected: 0 });
        self.counts.len() - 1
    }

    /// The input of a record: its origin less line and column, which are numbers behind colons.
    fn of(&mut self, origin: &str) -> &mut InputCounts {
        let mut name = origin;
        let mut found = self.index.get(name).copied();
        while let (None, Some((shorter, position))) = (found, name.rsplit_once(':')) {
            if position.is_empty() || !position.bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            name = shorter;
            found = self.index.get(name).copied();
        }
        let full = self.counts.len() >= self.listed + MOST_UNLISTED;
        let index = found.unwrap_or_else(|| {
            let name = if full { "(others)" } else { name };
            self.index.get(name).copied().unwrap_or_else(|| self.add(name))
        });
        &mut self.counts[index]
    }

    pub(super) fn rejected(&mut self, origin: &str) {
        self.of(origin).rejected += 1;
    }
}

/// Looks at every record that is used.
pub(super) struct Stats {
    started: Instant,
    entity: Option<EntityColumn>,
    inputs: Arc<Mutex<Inputs>>,
    rows: u64,
    times: Option<(i64, i64)>,
    ids: Identities,
    entities: Option<Identities>,
    columns: Vec<Column>,
}

#[derive(Default)]
struct Identities {
    distinct: Distinct,
    without: u64,
}

struct Column {
    name: String,
    type_name: String,
    nulls: u64,
    /// `None` for a type whose values are not compared.
    distinct: Option<Distinct>,
}

impl Stats {
    pub(super) fn new(entity: Option<EntityColumn>, inputs: Arc<Mutex<Inputs>>) -> Self {
        Self {
            started: Instant::now(),
            entity,
            inputs,
            rows: 0,
            times: None,
            ids: Identities::default(),
            entities: None,
            columns: Vec::new(),
        }
    }

    pub(super) fn report(&self, counts: &Counts, counters: BTreeMap<String, u64>) -> Report {
        let seconds = self.started.elapsed().as_secs_f64();
        let identities = |of: &Identities| IdentityReport { count: of.distinct.count(), without: of.without };
        let column = |column: &Column| ColumnReport {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            nulls: column.nulls,
            null_share: if self.rows == 0 { 0.0 } else { column.nulls as f64 / self.rows as f64 },
            count: column.distinct.as_ref().map(Distinct::count),
        };
        Report {
            counts: counts.clone(),
            counters,
            seconds,
            records_per_second: counts.read as f64 / seconds.max(1e-9),
            first_time: self.times.map(|(first, _)| iso(first)),
            last_time: self.times.map(|(_, last)| iso(last)),
            ids: identities(&self.ids),
            entities: self.entities.as_ref().map(identities),
            inputs: lock(&self.inputs).counts.clone(),
            columns: self.columns.iter().map(column).collect(),
        }
    }
}

impl Sink for Stats {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        let own = |name: &str| ![RECORD_ID, ORIGIN, EVENT_TIME].contains(&name);
        let columns = schema.fields().iter().filter(|field| own(field.name())).map(|field| Column {
            name: field.name().clone(),
            type_name: field.data_type().to_string(),
            nulls: 0,
            distinct: json::holds(field.data_type()).then(Distinct::default),
        });
        self.columns = columns.collect();
        let known = self.entity.as_ref().and_then(|entity| entity.of(&RecordBatch::new_empty(schema)));
        self.entities = known.map(|_| Identities::default());
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if let Some(origins) = batch.column_by_name(ORIGIN).and_then(|column| column.as_string_opt::<i32>()) {
            let mut inputs = lock(&self.inputs);
            origins.iter().flatten().for_each(|origin| inputs.of(origin).used += 1);
        }
        let times = batch.column_by_name(EVENT_TIME);
        let times = times.and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        for time in times.into_iter().flatten().flatten() {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        let mut scratch = Vec::new();
        if let Some(ids) = batch.column_by_name(RECORD_ID) {
            self.ids.without += add(&mut self.ids.distinct, ids.as_ref(), &mut scratch);
        }
        if let (Some(entity), Some(entities)) = (&self.entity, &mut self.entities)
            && let Some(names) = entity.of(batch)
        {
            entities.without += add(&mut entities.distinct, &names, &mut scratch);
        }
        for column in &mut self.columns {
            let Some(values) = batch.column_by_name(&column.name) else { continue };
            match &mut column.distinct {
                Some(distinct) => column.nulls += add(distinct, values.as_ref(), &mut scratch),
                None => column.nulls += values.logical_null_count() as u64,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Notes the values of a column; answers with how many rows have none.
fn add(distinct: &mut Distinct, values: &dyn Array, scratch: &mut Vec<u8>) -> u64 {
    if let Some(texts) = values.as_string_opt::<i32>() {
        texts.iter().flatten().for_each(|text| distinct.add(text.as_bytes()));
        return texts.null_count() as u64;
    }
    let mut nulls = 0;
    for row in 0..values.len() {
        scratch.clear();
        if json::write_value(values, row, scratch) {
            distinct.add(scratch);
        } else {
            nulls += 1;
        }
    }
    nulls
}

/// What `--stats` says; `--json` gives it as it is.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    counts: Counts,
    counters: BTreeMap<String, u64>,
    seconds: f64,
    records_per_second: f64,
    first_time: Option<String>,
    last_time: Option<String>,
    ids: IdentityReport,
    entities: Option<IdentityReport>,
    inputs: Vec<InputCounts>,
    columns: Vec<ColumnReport>,
}

#[derive(Debug, Serialize)]
struct IdentityReport {
    #[serde(flatten)]
    count: Count,
    without: u64,
}

#[derive(Debug, Serialize)]
struct ColumnReport {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    /// Records without a value, or with one that is not a number.
    nulls: u64,
    null_share: f64,
    #[serde(flatten)]
    count: Option<Count>,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.approximate { "about " } else { "" };
        f.pad(&format!("{about}{}", self.distinct))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", counts_line(&self.counts))?;
        if let Some(line) = counters_line(&self.counters) {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{:.1} s, {:.0} records/s", self.seconds, self.records_per_second)?;
        if let (Some(first), Some(last)) = (&self.first_time, &self.last_time) {
            writeln!(f, "from {first} to {last}")?;
        }
        writeln!(f, "{} ids, {} records without", self.ids.count, self.ids.without)?;
        if let Some(entities) = &self.entities {
            writeln!(f, "{} entities, {} records without", entities.count, entities.without)?;
        }
        self.write_inputs(f)?;
        self.write_columns(f)
    }
}

impl Report {
    fn write_inputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.inputs[..self.inputs.len().min(INPUT_LINES)];
        let width = shown.iter().map(|input| input.input.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "\n{:width$} {:>12} {:>12}", "input", "used", "rejected")?;
        for InputCounts { input, used, rejected } in shown {
            writeln!(f, "{input:width$} {used:>12} {rejected:>12}")?;
        }
        match self.inputs.len() - shown.len() {
            0 => Ok(()),
            more => writeln!(f, "and {more} more (--json lists them)"),
        }
    }

    fn write_columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).max(6);
        writeln!(f, "\n{:width$} {:>8} {:>16}  type", "column", "null", "different")?;
        for ColumnReport { name, type_name, null_share, count, .. } in &self.columns {
            let count = count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            writeln!(f, "{name:width$} {:>6.1} % {count:>16}  {type_name}", null_share * 100.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray};
    use serde_json::{Value, json};

    use super::*;

    fn counts(inputs: &Inputs) -> Vec<(&str, u64, u64)> {
        inputs.counts.iter().map(|counts| (counts.input.as_str(), counts.used, counts.rejected)).collect()
    }

    #[test]
    fn records_belong_to_the_input_their_origin_names() {
        let mut inputs = Inputs::new(&["a".to_owned(), "a:1".to_owned(), "empty".to_owned()]);
        for origin in ["a:1:2", "a:7:1", "a:1:7:1", "a:1", "topic/3:99", "b:c"] {
            inputs.of(origin).used += 1;
        }
        inputs.rejected("a:3:1");
        inputs.rejected("a");
        let expected = [("a", 1, 2), ("a:1", 3, 0), ("empty", 0, 0), ("topic/3", 1, 0), ("b:c", 1, 0)];
        assert_eq!(counts(&inputs), expected);
    }

    #[test]
    fn unlisted_inputs_are_bounded() {
        let mut inputs = Inputs::new(&[]);
        for n in 0..2 * MOST_UNLISTED {
            inputs.of(&format!("object-{n}x:1")).used += 1;
        }
        assert_eq!(inputs.counts.len(), MOST_UNLISTED + 1);
        assert_eq!(inputs.of("object-0x:2").used, 1);
        assert_eq!(inputs.of("(others)").used, MOST_UNLISTED as u64);
    }

    #[test]
    fn a_log_is_summed_up() {
        let text = |texts: [Option<&str>; 3]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let times =
            TimestampNanosecondArray::from(vec![5_000_000_000, 0, 7_000_000_000]).with_timezone("UTC");
        let numbers = Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]);
        let columns: [(&str, ArrayRef); 6] = [
            (RECORD_ID, text([Some("1"), Some("1"), None])),
            (ORIGIN, text([Some("a:1:1"), Some("a:2:1"), Some("b:1:1")])),
            (EVENT_TIME, Arc::new(times)),
            ("user", text([Some("Ann"), Some("ann "), Some("unknown")])),
            ("app", text([None, None, Some("Mail")])),
            ("n", Arc::new(numbers)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap();
        let profile = "name = \"t\"\nfeatures = [\"app\"]\nentity = { inputs = [\"id\", \"user\"] }\n\
                       [[load]]\nname = \"app\"\nrule = \"column\"";
        let entity = dfp_sdk::prep::Profile::from_toml(profile).unwrap().entity;
        let inputs = Arc::new(Mutex::new(Inputs::new(&["a".to_owned(), "b".to_owned()])));
        let mut stats = Stats::new(Some(entity), inputs);
        stats.bind(batch.schema()).unwrap();
        stats.write(&batch).unwrap();
        stats.write(&batch).unwrap();
        let counts = Counts { read: 6, used: 6, rejected: BTreeMap::new() };
        let report = stats.report(&counts, [("files".to_owned(), 2)].into());
        let mut value: Value = serde_json::to_value(&report).unwrap();
        assert!(value["records_per_second"].as_f64().unwrap() > 0.0);
        for changing in ["seconds", "records_per_second"] {
            value.as_object_mut().unwrap().remove(changing);
        }
        let column = |name: &str, kind: &str, nulls: u32, distinct: u32| {
            let share = f64::from(nulls) / 6.0;
            json!({"name": name, "type": kind, "nulls": nulls, "null_share": share, "distinct": distinct,
                   "approximate": false})
        };
        let expected = json!({
            "read": 6, "used": 6, "rejected": {}, "counters": {"files": 2},
            "first_time": "1970-01-01T00:00:00Z", "last_time": "1970-01-01T00:00:07Z",
            "ids": {"distinct": 1, "approximate": false, "without": 2},
            "entities": {"distinct": 1, "approximate": false, "without": 2},
            "inputs": [{"input": "a", "used": 4, "rejected": 0}, {"input": "b", "used": 2, "rejected": 0}],
            "columns": [column("user", "Utf8", 0, 3), column("app", "Utf8", 4, 1), column("n", "Float64", 4, 1)],
        });
        assert_eq!(value, expected);
        let text = report.to_string();
        for line in ["read 6 = used 6", "also counted: files 2", "1 entities, 2 records without", "66.7 %"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
