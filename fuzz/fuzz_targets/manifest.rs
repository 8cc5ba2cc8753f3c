//! Any text as a plugin's manifest: read or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    dfp_host::fuzzing::manifest(text);
});
