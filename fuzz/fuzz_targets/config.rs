//! Any schema and any configuration: it fits or is refused, never a panic; and an empty schema admits every object.
#![no_main]

use dfp_host::fuzzing::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Two texts in one: the first line is the schema.
    let (schema, value) = text.split_once('\n').unwrap_or((text, "{}"));
    let fits = config(schema, value).is_ok();
    assert!(!fits || config("{}", value).is_ok(), "a schema admits what is no object");
    assert!(config("false", value).is_err(), "nothing fits `false`");
});
