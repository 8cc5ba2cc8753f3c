//! Any bytes through the Azure AD source: no panic, no hang, and every record read is a row or a reject.
//!
//! The first byte chooses how the rest comes: its low bits the size of the reader's steps, its highest bit whether the
//! input breaks off at the end. Limits are small, so that short inputs reach them.
#![no_main]

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use dfp_azure_ad::AzureAd;
use dfp_records::Config;
use dfp_plugin::{Host, Level, RECORDS_READ, Reject, Result, Source, Component};
use libfuzzer_sys::fuzz_target;

struct Bytes {
    bytes: Arc<[u8]>,
    at: usize,
    step: usize,
    breaks_off: bool,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.step).min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        if n == 0 && self.breaks_off { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(n) }
    }
}

struct FuzzHost {
    control: u8,
    bytes: Arc<[u8]>,
    read: AtomicU64,
    rejected: AtomicU64,
}

impl Host for FuzzHost {
    fn log_enabled(&self, _level: Level) -> bool {
        false
    }
    fn log(&self, _level: Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, _uri: &str) -> Result<Box<dyn Read + Send>> {
        let step = usize::from(self.control & 0x7F).max(1) * 3;
        Ok(Box::new(Bytes { bytes: self.bytes.clone(), at: 0, step, breaks_off: self.control & 0x80 != 0 }))
    }
    fn reject(&self, _reject: Reject) {
        self.rejected.fetch_add(1, Relaxed);
    }
    fn count(&self, counter: &str, n: u64) {
        if counter == RECORDS_READ {
            self.read.fetch_add(n, Relaxed);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&control, bytes)) = data.split_first() else { return };
    let host = Arc::new(FuzzHost {
        control,
        bytes: bytes.into(),
        read: AtomicU64::new(0),
        rejected: AtomicU64::new(0),
    });
    let config = Config {
        inputs: vec!["fuzz".to_owned()],
        batch_rows: 3,
        max_record_bytes: 512,
        max_depth: 8,
        ..Config::default()
    };
    let mut source = AzureAd::create(config, host.clone()).expect("the configuration is right");
    let batches = source.open(None).expect("a source opens once");
    let rows: u64 = batches.map(|batch| batch.expect("nothing here fails").num_rows() as u64).sum();
    assert_eq!(host.read.load(Relaxed), rows + host.rejected.load(Relaxed));
});
