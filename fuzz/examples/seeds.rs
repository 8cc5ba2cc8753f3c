//! Writes the first inputs of the fuzz targets of the border, of `commands` and of models to `corpus/`, each a small one of its
//! kind, all made by our own code or standing in our own documents: `cargo run --example seeds` in `fuzz/`, before the first
//! `cargo +nightly fuzz run`.

use std::fs;
use std::io::Result;
use std::path::Path;
use std::sync::Arc;

use dfp_core::{FitContext, Trainer};
use dfp_host::fuzzing::{config, encoded_batch, manifest, remote_batch};
use dfp_models::sequence::{Config, SequenceTrainer, SessionType, SessionsBuilder};
use dfp_plugin::arrow_array::types::Int32Type;
use dfp_plugin::arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use dfp_plugin::arrow_schema::{DataType, Field};

fn main() -> Result<()> {
    for (index, batch) in batches().iter().enumerate() {
        let bytes = encoded_batch(batch).expect("its types cross");
        assert_eq!(remote_batch(&bytes).expect("it is valid").num_rows(), batch.num_rows());
        seed("remote_batch", &format!("batch-{index}"), &bytes)?;
    }
    for (index, text) in manifests().iter().enumerate() {
        assert!(manifest(text), "{text}");
        seed("manifest", &format!("manifest-{index}"), text.as_bytes())?;
    }
    for (index, (schema, value)) in CONFIGS.iter().enumerate() {
        config(schema, value).expect("it fits");
        seed("config", &format!("config-{index}"), format!("{schema}\n{value}").as_bytes())?;
    }
    for (index, text) in PARAMETERS.iter().enumerate() {
        seed("commands", &format!("parameters-{index}"), text.as_bytes())?;
    }
    // One column of each type, then all columns of three types: count, types, rows, and bytes for buffers and counts.
    for choice in 0..10_u8 {
        let bytes: Vec<u8> = [0, choice, 8].into_iter().chain((0..120).map(|n| n % 8)).collect();
        seed("arrow_import", &format!("column-{choice}"), &bytes)?;
        let bytes: Vec<u8> = [2, choice, choice + 3, choice + 6, 8].into_iter().chain([16; 240]).collect();
        seed("arrow_import", &format!("columns-{choice}"), &bytes)?;
    }
    for kind in [SessionType::CmdsOnly, SessionType::CmdsParamsOnly, SessionType::CmdsParamsValues] {
        for (name, config) in [("default", Config::default()), ("parity", Config::parity())] {
            seed("sequence_model", &format!("{kind:?}-{name}"), &sequence_model(kind, config))?;
        }
    }
    Ok(())
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    fs::write(corpus.join(name), bytes)
}

fn sequence_model(kind: SessionType, config: Config) -> Vec<u8> {
    let mut sessions = SessionsBuilder::new(kind);
    for n in 0..12 {
        sessions.event("Set", [("Identity", Some("x")), ("Force", None)]);
        sessions.event("Get", [("Identity", Some(["x", "y"][n % 2]))]).end_session();
    }
    let column: ArrayRef = Arc::new(sessions.finish());
    let batch = RecordBatch::try_from_iter([("events", column)]).expect("one column");
    let trainer = SequenceTrainer::new(config, "events").expect("settings that work");
    trainer.fit(&batch, &FitContext::default()).and_then(|model| model.save()).expect("it is a model")
}

/// A column of every shape in memory alone, all of them together, a slice, and no rows.
fn batches() -> Vec<RecordBatch> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)]));
    let field = Arc::new(Field::new("n", DataType::Int64, true));
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None, Some("y")].into_iter().collect();
    let lists = vec![Some(vec![Some(1)]), None, Some(vec![])];
    let columns: [(&str, ArrayRef); 6] = [
        ("numbers", numbers.clone()),
        ("texts", Arc::new(StringArray::from(vec![Some("a"), None, Some("b\0c")]))),
        ("flags", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("dictionary", Arc::new(dictionary)),
        ("lists", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ("structs", Arc::new(StructArray::from(vec![(field, numbers)]))),
    ];
    let of = |columns: &[(&'static str, ArrayRef)]| {
        RecordBatch::try_from_iter(columns.iter().cloned()).expect("columns of one length")
    };
    let all = of(&columns);
    let mut batches: Vec<RecordBatch> = columns.chunks(1).map(of).collect();
    batches.extend([all.slice(1, 2), all.slice(0, 0), all]);
    batches
}

fn manifests() -> Vec<String> {
    let head = "manifest_version = 1\nid = \"a\"\nversion = \"1\"\nfile = \"liba.so\"\n";
    let digits = "0".repeat(64);
    let sealed = format!("abi = \"v0-0123456789abcdef\"\nsha256 = \"{digits}\"\nlicence = \"MIT\"\n");
    let signed = format!("signer = \"{digits}\"\nsignature = \"{digits}{digits}\"\n");
    let component =
        "\n[[components]]\nkind = \"source\"\nid = \"a\"\ntitle = \"A\"\nconfig_schema = \"{}\"\n";
    let gap = "\n[[gaps]]\ncheck = \"threads/cancel\"\nreason = \"none\"\n";
    vec![
        head.to_owned(),
        format!("{head}{sealed}{component}"),
        format!("{head}{sealed}{signed}{component}{gap}"),
    ]
}

/// Parameters of commands in each form.
const PARAMETERS: [&str; 4] = [
    r#"[{"Name": "Identity", "Value": "ann"}, {"Name": "Force", "Value": null, "More": [1]}]"#,
    r#"{"ids": ["1", 2.5e3], "dry": true, "tags": {"a": null, "\u00e9": "\""}, "n": -7}"#,
    "C:\\Windows\\Explorer.EXE",
    "null",
];

/// Schemas, each with a configuration that fits; together they have every keyword that is checked.
const CONFIGS: [(&str, &str); 4] = [
    ("{}", "{}"),
    (
        r#"{"type":"object","properties":{"a":{"type":["string","null"],"minLength":1,"maxLength":9}},"required":["a"]}"#,
        r#"{"a":"x"}"#,
    ),
    (
        r#"{"properties":{"a":{"items":{"type":"integer","minimum":0,"maximum":9},"minItems":1,"maxItems":3}}}"#,
        r#"{"a":[1,2]}"#,
    ),
    (
        r#"{"properties":{"a":{"enum":["x","y"]},"b":{"const":1},"c":{"type":"string"}},"additionalProperties":false}"#,
        r#"{"a":"y","b":1,"c":{"$secret":"name"}}"#,
    ),
];
