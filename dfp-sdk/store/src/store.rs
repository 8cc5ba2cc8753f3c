//! Opening a store.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageError, TableError,
};

use crate::error::{Doing, Error, Result, guarded};
use crate::publication::Publication;
use crate::snapshot::Snapshot;
use crate::tables::{FORMAT, META, META_FORMAT};

/// The database's file in the store's directory.
pub const FILE: &str = "dfp.redb";

/// Memory that the database may keep pages in: 64 MiB.
const CACHE_BYTES: usize = 64 << 20;

/// Histories and models of any number of sources in one file.
///
/// Share one `Store` between all threads: any number of [`Snapshot`]s may be read while one [`Publication`] is
/// written. One process at a time may have a store open for writing; any number may have it open read-only meanwhile,
/// and each new snapshot of theirs sees the writer's last publication.
pub struct Store {
    database: Handle,
    directory: PathBuf,
}

enum Handle {
    Writable(Database),
    ReadOnly(ReadOnlyDatabase),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `directory` for reading and writing; makes both if they are not there, readable by their
    /// owner only.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it open for writing, [`Error::NewerFormat`], [`Error::Damaged`], or
    /// [`Error::Io`] if the system refuses (permission, disk full).
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        make_directory(directory)
            .map_err(Error::io(format!("making the store's directory {}", directory.display())))?;
        let file = directory.join(FILE);
        make_file(&file).map_err(Error::io(format!("opening the store {}", file.display())))?;
        guarded("opening it", || {
            let database = builder().create(&file).map_err(|error| refused(directory, error))?;
            Self::prepare(directory, database)
        })
    }

    /// As [`open`](Self::open), but makes nothing: for a run that only makes sense after a training.
    ///
    /// # Errors
    /// [`Error::NoStore`] if there is none, else as [`open`](Self::open).
    pub fn open_existing(directory: impl AsRef<Path>) -> Result<Self> {
        require_file(directory.as_ref())?;
        Self::open(directory)
    }

    /// Opens the store in `directory` for reading, beside any process that writes it. If the last one that did has died,
    /// its unfinished publication is cleared away first.
    ///
    /// # Errors
    /// [`Error::NoStore`] if there is none, [`Error::NeedsRepair`] if something is to be cleared away but the file may not
    /// be written, else as [`open`](Self::open).
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        let file = directory.join(FILE);
        require_file(directory)?;
        guarded("opening it", || {
            let database = read_database(&file).map_err(|error| refused(directory, error))?;
            let transaction = database.begin_read().doing("reading the store's format")?;
            check_format(directory, format(&transaction)?)?
                .ok_or_else(|| Error::NoStore { directory: directory.to_owned() })?;
            Ok(Self { database: Handle::ReadOnly(database), directory: directory.to_owned() })
        })
    }

    /// Checks the format of an opened database, and writes it into a new one.
    pub(crate) fn prepare(directory: &Path, database: Database) -> Result<Self> {
        let transaction = database.begin_read().doing("reading the store's format")?;
        let format = check_format(directory, format(&transaction)?)?;
        drop(transaction);
        let store = Self { database: Handle::Writable(database), directory: directory.to_owned() };
        if format.is_none() {
            store.publication()?.commit()?;
        }
        Ok(store)
    }

    /// Starts a publication: everything done through it becomes visible, and durable, all at once, when it is
    /// committed. Waits for another publication of this process to end; so one thread must not hold two.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Database`] if the file cannot be written.
    pub fn publication(&self) -> Result<Publication> {
        let Handle::Writable(database) = &self.database else {
            return Err(Error::ReadOnly { directory: self.directory.clone() });
        };
        guarded("starting a publication", || Publication::start(database))
    }

    /// The state after the last committed publication. It stays as it is however many publications follow, and the
    /// space of what they replace is not reused while it lives: take a new one when news is wanted.
    ///
    /// # Errors
    /// [`Error::Database`] if the file cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        guarded("taking a snapshot", || {
            let transaction = match &self.database {
                Handle::Writable(database) => database.begin_read(),
                Handle::ReadOnly(database) => database.begin_read(),
            };
            Ok(Snapshot::new(transaction.doing("taking a snapshot")?))
        })
    }
}

/// Refuses a directory without the store's file, or with one that its maker left empty.
fn require_file(directory: &Path) -> Result<()> {
    let missing = match fs::metadata(directory.join(FILE)) {
        Ok(file) => file.len() == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if missing { Err(Error::NoStore { directory: directory.to_owned() }) } else { Ok(()) }
}

/// One writer, and readers in any number of processes beside it.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Opens the database for reading, after a repair if it needs one.
fn read_database(file: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
    let builder = builder();
    match builder.open_read_only(file) {
        Err(DatabaseError::RepairAborted) => match builder.open(file) {
            // Whoever has it open for writing by now has repaired it.
            Ok(_) | Err(DatabaseError::DatabaseAlreadyOpen) => builder.open_read_only(file),
            Err(DatabaseError::Storage(StorageError::Io(source)))
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Err(DatabaseError::RepairAborted)
            }
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

/// The format in the database; `None` if nothing was ever committed to it.
fn format(transaction: &ReadTransaction) -> Result<Option<u32>> {
    const DOING: &str = "reading the store's format";
    match transaction.open_table(META) {
        Ok(meta) => Ok(meta.get(META_FORMAT).doing(DOING)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error).doing(DOING),
    }
}

fn check_format(directory: &Path, format: Option<u32>) -> Result<Option<u32>> {
    match format {
        Some(found) if found > FORMAT => {
            Err(Error::NewerFormat { directory: directory.to_owned(), found, known: FORMAT })
        }
        format => Ok(format),
    }
}

fn refused(directory: &Path, error: DatabaseError) -> Error {
    let doing = format!("opening the store in {}", directory.display());
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::Locked { directory: directory.to_owned() },
        DatabaseError::RepairAborted => Error::NeedsRepair { directory: directory.to_owned() },
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            Error::Io { doing, source }
        }
        DatabaseError::Storage(StorageError::Io(source)) => {
            Error::damaged(format!("the file in {}", directory.display()), &source)
        }
        DatabaseError::Storage(StorageError::Corrupted(why)) => {
            Error::damaged(format!("the store in {}", directory.display()), &why)
        }
        error => Error::Database { doing, source: Box::new(error.into()) },
    }
}

#[cfg(unix)]
fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(unix)]
fn make_file(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map(drop)
}

#[cfg(not(unix))]
fn make_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn make_file(file: &Path) -> io::Result<()> {
    fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use arrow_array::{RecordBatch, TimestampNanosecondArray, UInt64Array};
    use dfp_core::ErrorKind;
    use redb::StorageBackend;

    use super::*;
    use crate::ModelDetails;

    /// A disk in memory that is full after so many bytes, and a power cut: what was written stays.
    #[derive(Debug, Clone, Default)]
    struct Disk {
        content: Arc<Mutex<Vec<u8>>>,
        /// Writes that still succeed.
        writes: Arc<AtomicU64>,
    }

    impl Disk {
        fn with_writes(content: Vec<u8>, writes: u64) -> Self {
            Self { content: Arc::new(Mutex::new(content)), writes: Arc::new(AtomicU64::new(writes)) }
        }

        fn spend(&self) -> io::Result<()> {
            let spent =
                self.writes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            spent.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
        }

        fn store(&self) -> Result<Store> {
            let directory = Path::new("memory");
            let database = Builder::new().create_with_backend(self.clone());
            Store::prepare(directory, database.map_err(|error| refused(directory, error))?)
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.content.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let content = self.content.lock().unwrap();
            let wanted = content.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.spend()?;
            self.content.lock().unwrap().resize(length as usize, 0);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.spend()?;
            self.content.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    fn publish(store: &Store, number: i64) -> Result<()> {
        let mut publication = store.publication()?;
        let times = TimestampNanosecondArray::from(vec![number]);
        let rows = RecordBatch::try_from_iter([("_time", Arc::new(times) as _)]).unwrap();
        for entity in 0..20 {
            let entity = entity.to_string();
            publication.append_history("s", &entity, &rows, &UInt64Array::from(vec![0]))?;
            publication.put_model(&entity, &vec![number as u8; 9000], &ModelDetails::default())?;
        }
        publication.log_run(&number.into())?;
        publication.commit()
    }

    /// How many publications are there, having checked that they are there whole.
    fn check(store: &Store) -> usize {
        let snapshot = store.snapshot().unwrap();
        let number = snapshot.runs(9).unwrap().len();
        for entity in 0..20 {
            let entity = entity.to_string();
            let rows = snapshot.history("s", &entity, ..).unwrap().unwrap();
            assert_eq!(rows.num_rows(), number);
            assert_eq!(snapshot.model_bytes(&entity, None).unwrap().unwrap(), vec![number as u8; 9000]);
        }
        number
    }

    #[test]
    fn a_full_disk_leaves_the_last_good_state() {
        let disk = Disk::with_writes(Vec::new(), u64::MAX);
        let store = disk.store().unwrap();
        publish(&store, 1).unwrap();
        drop(store);
        let before = disk.content.lock().unwrap().clone();

        let mut failures = 0;
        for writes in 0.. {
            // The write that fails, and every one after it, closing included.
            let disk = Disk::with_writes(before.clone(), writes);
            let outcome = disk.store().and_then(|store| publish(&store, 2));
            let after = disk.content.lock().unwrap().clone();
            let found = check(&Disk::with_writes(after, u64::MAX).store().unwrap());
            let Err(error) = outcome else {
                assert_eq!(found, 2);
                break;
            };
            failures += 1;
            assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
            assert!(found == 1 || found == 2, "after {writes} writes: {found}");
        }
        assert!(failures > 10, "only {failures} ways to fail");
    }
}
