//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Error;

/// A file under a temporary name until [`Whole::commit`].
pub(super) struct Whole {
    writer: BufWriter<File>,
    path: PathBuf,
    temporary: PathBuf,
    bytes: u64,
    committed: bool,
}

impl Whole {
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(name);
        let temporary = directory.join(format!(".{name}.partial"));
        let file =
            File::create(&temporary).map_err(|source| Error::Create { path: temporary.clone(), source })?;
        let writer = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { writer, path, temporary, bytes: 0, committed: false })
    }

    /// Adds a line.
    pub(super) fn line(&mut self, text: &[u8]) -> Result<(), Error> {
        self.bytes += text.len() as u64 + 1;
        let written = self.writer.write_all(text).and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(|source| self.failed(source))
    }

    /// Gives the file its name; answers its size.
    pub(super) fn commit(mut self) -> Result<u64, Error> {
        self.writer.flush().map_err(|source| self.failed(source))?;
        fs::rename(&self.temporary, &self.path)
            .map_err(|source| Error::Publish { path: self.path.clone(), source })?;
        self.committed = true;
        Ok(self.bytes)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.committed {
            // Best effort: the error that led here is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut given_up = Whole::create(directory.path(), "a.json").unwrap();
        given_up.line(b"{}").unwrap();
        drop(given_up);
        assert_eq!(names().count(), 0);
        let mut kept = Whole::create(directory.path(), "a.json").unwrap();
        kept.line(b"{}").unwrap();
        assert_eq!(kept.commit().unwrap(), 3);
        assert_eq!(names().collect::<Vec<_>>(), ["a.json"]);
    }
}
