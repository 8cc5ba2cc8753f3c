//! Any bytes as a batch from a plugin's process. What is believed can be looked at in full, and sent on.
#![no_main]

use dfp_host::fuzzing::{encoded_batch, remote_batch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = remote_batch(bytes) {
        assert!(!format!("{batch:?}").is_empty());
        let again = remote_batch(&encoded_batch(&batch).expect("its types cross")).expect("it is valid");
        assert_eq!(again.num_rows(), batch.num_rows());
    }
});
