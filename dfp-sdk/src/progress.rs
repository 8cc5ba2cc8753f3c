//! Being told how far a run is.

/// Told how far a run is. Bars, log lines, nothing: the program decides.
pub trait Progress: Send {
    /// A step begins; `total` in `unit`s, if known.
    fn begin(&mut self, step: &str, total: Option<u64>, unit: &str);
    /// `n` more units are done.
    fn advance(&mut self, n: u64);
    /// The step ended well.
    fn end(&mut self);
    /// Something worth saying that is no error.
    fn warn(&mut self, text: &str);
    /// Something that is as it should be.
    fn note(&mut self, _text: &str) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _step: &str, _total: Option<u64>, _unit: &str) {}
    fn advance(&mut self, _n: u64) {}
    fn end(&mut self) {}
    fn warn(&mut self, _text: &str) {}
}
