//! Any bytes as a batch from a plugin's process. What is believed can be looked at in full, and sent on.
//!
//! Arrow's decoder panics over some of what it does not expect; that is caught and refused, and so it is no finding here.
#![no_main]

use std::sync::Once;

use dfp_host::fuzzing::{encoded_batch, remote_batch};
use libfuzzer_sys::fuzz_target;

/// In place of libFuzzer's hook, which ends the process before a panic can be caught; one that is not caught still does.
fn let_panics_be_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if panic.location().is_none_or(|location| !location.file().contains("/arrow-")) {
                eprintln!("{panic}");
            }
        }));
    });
}

fuzz_target!(|bytes: &[u8]| {
    let_panics_be_caught();
    if let Ok(batch) = remote_batch(bytes) {
        assert!(!format!("{batch:?}").is_empty());
        let again = remote_batch(&encoded_batch(&batch).expect("its types cross")).expect("it is valid");
        assert_eq!(again.num_rows(), batch.num_rows());
    }
});
