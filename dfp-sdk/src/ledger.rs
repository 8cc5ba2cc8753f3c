//! What an inference over a source that reads no files publishes: each period whole, and each line of its results once.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_core::{Error, ErrorKind, Host, Result, Sink};
use dfp_store::Store;
use serde::{Deserialize, Serialize};

use crate::finding::{FindingReader, json_line};
use crate::infer::Group;
use crate::run::Run;
use crate::stream::Reader;

/// Findings as JSON lines, until their period is published.
pub(crate) struct FindingLines {
    reader: FindingReader,
    pub(crate) lines: Vec<u8>,
    pub(crate) findings: u64,
}

impl FindingLines {
    pub(crate) fn new(reader: FindingReader) -> Self {
        Self { reader, lines: Vec::new(), findings: 0 }
    }
}

impl Sink for FindingLines {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for finding in self.reader.read(batch)? {
            json_line(&mut self.lines, &finding).map_err(|e| Error::io("writing a finding as JSON", e))?;
            self.findings += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Publishes the periods of a source that reads no files: history, position, and the lines that go to files.
pub(crate) struct Ledger<'r> {
    run: &'r Run,
    store: &'r Store,
    reader: String,
}

impl<'r> Ledger<'r> {
    /// Gives the files what a run that was killed owes them still.
    pub(crate) fn open(run: &'r Run, store: &'r Store) -> Result<Self> {
        let ledger = Self { run, store, reader: run.reader(Reader::Infer) };
        // Also those of a reader that goes by another name now, since the account changed.
        for (reader, pending) in store.snapshot()?.pending(ledger.source())? {
            let owed = serde_json::from_slice::<Vec<Owed>>(&pending).map_err(|e| {
                Error::caused(ErrorKind::BadData, "reading what an earlier run still had to write", e)
            })?;
            ledger.deliver(&reader, &owed)?;
        }
        ledger.files().try_for_each(touch)?;
        Ok(ledger)
    }

    fn source(&self) -> &str {
        &self.run.profile.name
    }

    /// Where the lines go: findings, rejects.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let config = &self.run.config;
        std::iter::once(config.infer.findings.as_path()).chain(config.rejects.as_deref())
    }

    /// Where to go on.
    pub(crate) fn resume(&self) -> Result<Option<Vec<u8>>> {
        if self.run.choice.from_start {
            return Ok(None);
        }
        let snapshot = self.store.snapshot()?;
        let own = snapshot.position(self.source(), &self.reader)?;
        let trained = || snapshot.position(self.source(), &self.run.reader(Reader::Train));
        Ok(own.map_or_else(trained, |own| Ok(Some(own)))?)
    }

    /// Publishes a period, and then adds its lines to the files.
    pub(crate) fn publish(
        &self,
        groups: &[Group],
        position: Option<&[u8]>,
        lines: [Vec<u8>; 2],
        host: &dyn Host,
    ) -> Result<()> {
        let owed = self.files().zip(lines).map(|(file, lines)| Owed::new(file, lines));
        let owed: Vec<Owed> = owed.filter_map(Result::transpose).collect::<Result<_>>()?;
        if groups.is_empty() && position.is_none() && owed.is_empty() {
            return Ok(());
        }
        let mut publication = self.store.publication()?;
        self.run.extend_histories(&mut publication, groups, host)?;
        if let Some(position) = position {
            publication.set_position(self.source(), &self.reader, position)?;
        }
        if owed.is_empty() {
            return Ok(publication.commit()?);
        }
        let pending = serde_json::to_vec(&owed)
            .map_err(|e| Error::caused(ErrorKind::Internal, "writing findings as JSON", e))?;
        publication.set_pending(self.source(), &self.reader, Some(&pending))?;
        publication.commit()?;
        self.deliver(&self.reader, &owed)
    }

    /// Writes what is owed, and notes that it was.
    fn deliver(&self, reader: &str, owed: &[Owed]) -> Result<()> {
        owed.iter().try_for_each(Owed::deliver)?;
        let mut publication = self.store.publication()?;
        publication.set_pending(self.source(), reader, None)?;
        Ok(publication.commit()?)
    }
}

/// Lines that a period adds to a file. They are published with the period and only then written, so that whoever comes
/// after a crash knows what the file should hold, and writes what is missing.
#[derive(Debug, Serialize, Deserialize)]
struct Owed {
    file: PathBuf,
    /// Length of the file before.
    offset: u64,
    lines: String,
}

impl Owed {
    /// What is owed to `file`; `None` if there are no lines.
    fn new(file: &Path, lines: Vec<u8>) -> Result<Option<Self>> {
        if lines.is_empty() {
            return Ok(None);
        }
        let lines = String::from_utf8(lines)
            .map_err(|e| Error::caused(ErrorKind::Internal, "writing JSON, which is UTF-8", e))?;
        let file = absolute(file)?;
        let offset = match file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::io(format!("looking at {}", file.display()), error)),
        };
        Ok(Some(Self { file, offset, lines }))
    }

    /// Adds the lines to the file, as far as they are not there, and makes them durable. In a file that was changed or
    /// taken away meanwhile, all of them go to its end.
    fn deliver(&self) -> Result<()> {
        self.write().map_err(|e| Error::io(format!("adding lines to {}", self.file.display()), e))
    }

    fn write(&self) -> std::io::Result<()> {
        let lines = self.lines.as_bytes();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.file)?;
        let mut there = Vec::new();
        if file.metadata()?.len() >= self.offset {
            file.seek(SeekFrom::Start(self.offset))?;
            (&file).take(lines.len() as u64).read_to_end(&mut there)?;
        }
        let missing = match lines.strip_prefix(there.as_slice()) {
            Some(rest) if file.metadata()?.len() >= self.offset => rest,
            _ => {
                file.seek(SeekFrom::End(0))?;
                lines
            }
        };
        file.write_all(missing)?;
        file.sync_all()
    }
}

/// Makes sure that a file that lines are added to is there and can be written, before any work is done for it.
fn touch(path: &Path) -> Result<()> {
    let path = absolute(path)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|e| Error::io(format!("creating {}", parent.display()), e))?;
    }
    let failed = |e| Error::io(format!("opening {}", path.display()), e);
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    // The name itself has to be durable too.
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// The path as the store keeps it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let failed = |e| Error::io(format!("finding {}", path.display()), e);
    let path = std::path::absolute(path).map_err(failed)?;
    if path.to_str().is_none() {
        let what = format!("the file name {} is not valid UTF-8", path.display());
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_once_wherever_an_earlier_try_broke_off() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("findings.jsonl");
        for before in ["", "old\n"] {
            for written in 0..=8 {
                std::fs::write(&file, before).unwrap();
                let owed = Owed::new(&file, b"one\ntwo\n".to_vec()).unwrap().unwrap();
                std::fs::write(&file, [before, &"one\ntwo\n"[..written]].concat()).unwrap();
                owed.deliver().unwrap();
                owed.deliver().unwrap();
                assert_eq!(
                    std::fs::read_to_string(&file).unwrap(),
                    format!("{before}one\ntwo\n"),
                    "{written}"
                );
            }
        }
        assert!(Owed::new(&file, Vec::new()).unwrap().is_none());
    }

    #[test]
    fn a_file_that_was_changed_or_taken_away_gets_the_lines_at_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("findings.jsonl");
        std::fs::write(&file, "old\n").unwrap();
        let owed = Owed::new(&file, b"one\n".to_vec()).unwrap().unwrap();
        for (meanwhile, expected) in [("", "one\n"), ("o\n", "o\none\n"), ("old\nmy\n", "old\nmy\none\n")] {
            std::fs::write(&file, meanwhile).unwrap();
            owed.deliver().unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        }
        std::fs::remove_file(&file).unwrap();
        owed.deliver().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
    }
}
