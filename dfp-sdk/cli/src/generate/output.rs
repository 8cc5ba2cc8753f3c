//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Error;

/// A file under a temporary name until [`Whole::commit`].
pub(super) struct Whole {
    writer: BufWriter<File>,
    path: PathBuf,
    temporary: PathBuf,
    committed: bool,
}

impl Whole {
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(name);
        let temporary = directory.join(format!(".{name}.partial"));
        let file =
            File::create(&temporary).map_err(|source| Error::Create { path: temporary.clone(), source })?;
        let writer = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { writer, path, temporary, committed: false })
    }

    /// Adds a line.
    pub(super) fn line(&mut self, text: &[u8]) -> Result<(), Error> {
        self.bytes(text)?;
        self.bytes(b"\n")
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all(bytes).map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    /// Gives the file its name; answers it.
    pub(super) fn commit(mut self) -> Result<PathBuf, Error> {
        self.writer.flush().map_err(|source| Error::Write { path: self.path.clone(), source })?;
        fs::rename(&self.temporary, &self.path)
            .map_err(|source| Error::Publish { path: self.path.clone(), source })?;
        self.committed = true;
        Ok(self.path.clone())
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

/// The files of records under a directory, counted.
pub(super) struct Files {
    directory: PathBuf,
    /// The folder that was written to last.
    folder: PathBuf,
    /// How many threads may prepare them.
    pub(super) threads: usize,
    /// How many.
    pub(super) count: usize,
    /// Records in them.
    pub(super) records: u64,
    /// Bytes in them.
    pub(super) bytes: u64,
}

impl Files {
    pub(super) fn new(directory: PathBuf, threads: usize) -> Self {
        Self { directory, folder: PathBuf::new(), threads, count: 0, records: 0, bytes: 0 }
    }

    /// Writes a file of one record a line.
    pub(super) fn lines<'l>(
        &mut self,
        name: &str,
        lines: impl IntoIterator<Item = &'l [u8]>,
    ) -> Result<(), Error> {
        let mut file = Whole::create(&self.directory, name)?;
        for line in lines {
            file.line(line)?;
            self.records += 1;
            self.bytes += line.len() as u64 + 1;
        }
        file.commit()?;
        self.count += 1;
        Ok(())
    }

    /// Writes a file of `records` records below the directory, whose folders are made.
    pub(super) fn blob(
        &mut self,
        folder: &str,
        name: &str,
        bytes: &[u8],
        records: usize,
    ) -> Result<(), Error> {
        let folder = self.directory.join(folder);
        if self.folder != folder {
            fs::create_dir_all(&folder)
                .map_err(|source| Error::Directory { path: folder.clone(), source })?;
            self.folder.clone_from(&folder);
        }
        let (path, temporary) = (folder.join(name), folder.join(format!(".{name}.partial")));
        if let Err(source) = fs::write(&temporary, bytes) {
            // Best effort: the error that led here is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(Error::Write { path, source });
        }
        fs::rename(&temporary, &path).map_err(|source| Error::Publish { path, source })?;
        self.count += 1;
        self.records += records as u64;
        self.bytes += bytes.len() as u64;
        Ok(())
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
        let path = kept.commit().unwrap();
        assert_eq!(names().collect::<Vec<_>>(), ["a.json"]);
        assert_eq!(fs::read(path).unwrap(), b"{}\n");
    }

    #[test]
    fn files_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::new(directory.path().to_owned(), 1);
        files.lines("a.json", [b"{}".as_slice(), b"[]"]).unwrap();
        files.blob("deep/er", "b.json", b"[{}]", 1).unwrap();
        assert_eq!((files.count, files.records, files.bytes), (2, 3, 10));
        assert_eq!(fs::read(directory.path().join("deep/er/b.json")).unwrap(), b"[{}]");
    }
}
