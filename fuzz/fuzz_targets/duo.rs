//! Any bytes through the source: see `dfp_records_testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dfp_records_testing::fuzz::<dfp_duo::Authentications>(data));
