//! Opening a plugin library: what is checked before any of its code runs, and before any of its tables is believed.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use dfp_abi::c::{
    DFP_VERSION, dfp_component, dfp_host, dfp_instance_ops, dfp_model_ops, dfp_plugin, dfp_sink_ops,
    dfp_source_ops, dfp_stage_ops,
};
use dfp_abi::{FINGERPRINT, Kind, foreign_text, slot};

use crate::error::{Error, Result};
use crate::files::{CheckedFile, Digest, Identity, checked_file};
use crate::instance::locked;
use crate::table::HOST;

/// The versions of the entry symbol that exist or may come to exist, ours first.
const ENTRY: &[u8] = b"dfp_plugin_entry_v0\0";
const OTHER_ENTRIES: [(&str, &[u8]); 2] = [("1", b"dfp_plugin_entry_v1\0"), ("2", b"dfp_plugin_entry_v2\0")];

/// Most components a library may offer; a larger number is a damaged table.
const MAX_COMPONENTS: u64 = 1024;

type Entry = unsafe extern "C" fn(*const dfp_host) -> *const dfp_plugin;

/// A loaded plugin library. It stays loaded until the process ends: its constants are used without copying, and unloading
/// code with threads or thread-local destructors is not safe on any system.
#[derive(Debug)]
pub struct Plugin {
    /// Where it was loaded from, without symbolic links.
    pub path: PathBuf,
    /// Unique name.
    pub id: String,
    /// The plugin's own version.
    pub version: String,
    /// Who made it.
    pub vendor: String,
    /// SPDX expression.
    pub licence: String,
    /// The version of dfp it was built with.
    pub sdk_version: String,
    components: Vec<LoadedComponent>,
    /// What was loaded, if that was looked at.
    digest: Option<Digest>,
}

/// A component that a library offers. Whoever has one may rely on its table: the loader has looked at it.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedComponent {
    /// What it is.
    pub kind: Kind,
    /// The name users select it by.
    pub id: String,
    /// One line for people; may be empty.
    pub title: String,
    /// JSON Schema of its configuration.
    pub config_schema: String,
    /// The shipped profile, TOML; empty if there is none.
    pub profile: String,
    /// `DFP_CONCURRENT`, `DFP_DETERMINISTIC`, `DFP_KEEPS_ROWS`.
    pub flags: u64,
    ops: *const dfp_instance_ops,
}

// SAFETY: the table is constant and lives for ever.
unsafe impl Send for LoadedComponent {}
// SAFETY: as above.
unsafe impl Sync for LoadedComponent {}

impl LoadedComponent {
    /// The table of its kind, which has all the functions that its kind must have.
    pub(crate) fn ops(&self) -> *const dfp_instance_ops {
        self.ops
    }
}

impl Plugin {
    /// Loads a library, or finds that it already is loaded.
    ///
    /// Its code runs as soon as this is called: no check here protects from a library that means harm, only from one that
    /// somebody else could have put there.
    ///
    /// # Errors
    /// If `path` is not absolute or leads to no regular file, if anybody but its owner and the administrator could change
    /// it, and if it is no plugin for this version of dfp.
    pub fn load(path: &Path) -> Result<&'static Self> {
        Self::load_file(checked_file(path)?, None)
    }

    /// Loads a file whose digest has been checked, if one is given, from the descriptor it was computed through.
    pub(crate) fn load_file(file: CheckedFile, digest: Option<Digest>) -> Result<&'static Self> {
        static LOADED: OnceLock<Mutex<HashMap<Identity, &'static Plugin>>> = OnceLock::new();

        let key = file.identity();
        let known = locked(LOADED.get_or_init(Mutex::default)).get(&key).copied();
        if let Some(plugin) = known {
            return plugin.is_loaded_as(digest);
        }
        // No lock is held while the plugin's code runs. Should two threads load one file at once, the system gives both the
        // same library, and the first to come here decides.
        let plugin = open(file, digest)?;
        let first = *locked(LOADED.get_or_init(Mutex::default))
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new(plugin)));
        first.is_loaded_as(digest)
    }

    /// Whether what was loaded is what a caller now wants: the file may have changed since.
    fn is_loaded_as(&'static self, digest: Option<Digest>) -> Result<&'static Self> {
        let untrusted = |what: &str| Err(Error::Untrusted { path: self.path.clone(), what: what.to_owned() });
        match (digest, self.digest) {
            (None, _) => Ok(self),
            (Some(wanted), Some(loaded)) if wanted == loaded => Ok(self),
            (Some(_), Some(_)) => {
                untrusted("it was changed since this program loaded it; start a new process")
            }
            (Some(_), None) => untrusted(
                "this program loaded it before without looking at its hash; start a new process with the policy",
            ),
        }
    }

    /// What it offers, but for kinds that this host does not know.
    pub fn components(&self) -> &[LoadedComponent] {
        &self.components
    }

    /// The component of that kind and id.
    pub fn component(&self, kind: Kind, id: &str) -> Option<&LoadedComponent> {
        self.components.iter().find(|component| component.kind == kind && component.id == id)
    }
}

/// Opens a library as the system's loader does; it stays open for ever.
#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    pub(super) use libloading::os::unix::Library as Handle;

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const RTLD_NODELETE: i32 = 0x1000;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const RTLD_NODELETE: i32 = 0x80;

    /// # Safety
    /// Runs the library's constructors.
    pub(super) unsafe fn open(path: &Path, checked: Option<File>) -> Result<Handle, libloading::Error> {
        let name = checked.as_ref().map_or_else(|| path.to_owned(), |file| name_of(file, path));
        // SAFETY: the caller's promise.
        let handle = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }?;
        // The loader knows the library by this name from now on: the descriptor must never come to mean another file.
        std::mem::forget(checked);
        Ok(handle)
    }

    /// A name for the very file that was looked at, whatever lies at its path by now.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn name_of(file: &File, _path: &Path) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// Other systems load by path only. What keeps the file the same until then are the rights of its directories.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn name_of(_file: &File, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// As above. Nothing of this was run on Windows yet.
#[cfg(windows)]
mod system {
    use std::fs::File;
    use std::path::Path;

    use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32};

    pub(super) use libloading::os::windows::Library as Handle;

    /// # Safety
    /// Runs the library's initialisers.
    pub(super) unsafe fn open(path: &Path, checked: Option<File>) -> Result<Handle, libloading::Error> {
        let places = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
        // SAFETY: the caller's promise.
        let handle = unsafe { Handle::load_with_flags(path, places) }?;
        handle.pin()?;
        // Open for reading, the file cannot be replaced while it is loaded.
        drop(checked);
        Ok(handle)
    }
}

fn open(file: CheckedFile, digest: Option<Digest>) -> Result<Plugin> {
    let path = file.path;
    // Without a digest to protect, the library goes by its own name: debuggers and its own `$ORIGIN` know it by that.
    let checked = digest.is_some().then_some(file.file);
    // SAFETY: this runs the library's constructors: that is what loading a plugin means, and why the file was checked.
    let handle = unsafe { system::open(&path, checked) }.map_err(|error| {
        // The system's own words are the cause; the error itself only says which function failed.
        let what = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Error::Open { path: path.clone(), what }
    })?;
    // SAFETY: the name of this symbol promises this type.
    let Ok(entry) = (unsafe { handle.get::<Entry>(ENTRY) }) else {
        let found = OTHER_ENTRIES.into_iter().find(|(_, symbol)| {
            // SAFETY: the address is only looked at, never used.
            unsafe { handle.get::<*const c_char>(*symbol) }.is_ok()
        });
        return Err(match found {
            Some((version, _)) => Error::OtherVersion { path, version },
            None => Error::NoEntry { path },
        });
    };
    let entry = *entry;
    // Never closed: see `Plugin`.
    std::mem::forget(handle);
    // SAFETY: the contract of the entry symbol; our table lives for ever.
    let table = unsafe { entry(&raw const HOST) };
    if table.is_null() {
        return Err(Error::Refused { path });
    }
    // SAFETY: the contract of the entry symbol: a table that lives for ever.
    let plugin = unsafe { read_plugin(table, path) }?;
    Ok(Plugin { digest, ..plugin })
}

/// # Safety
/// `table` leads to a plugin table that lives for ever, if its fingerprint is ours; else to the part of one that never
/// changes.
unsafe fn read_plugin(table: *const dfp_plugin, path: PathBuf) -> Result<Plugin> {
    let damaged = |what: String| Error::Damaged { path: path.clone(), what };
    // SAFETY: the caller's promise. These two fields are there in every version.
    let (size, fingerprint) =
        unsafe { ((&raw const (*table).struct_size).read(), (&raw const (*table).fingerprint).read()) };
    let text = |text: Option<*const c_char>, name: &str| {
        // SAFETY: the caller's promise: texts are NULL or closed by NUL.
        text.and_then(|text| unsafe { foreign_text(text) })
            .ok_or_else(|| damaged(format!("it has no {name}")))
    };
    let reaches = std::mem::offset_of!(dfp_plugin, sdk_version) + size_of::<*const c_char>() <= size as usize;
    // SAFETY: the table is long enough, and this field keeps its place in all versions.
    let sdk_version = reaches.then(|| unsafe { (&raw const (*table).sdk_version).read() });
    let sdk_version = text(sdk_version, "SDK version")?;
    if fingerprint != FINGERPRINT {
        return Err(Error::Fingerprint { path, plugin: sdk_version, host: DFP_VERSION });
    }
    if (size as usize) < size_of::<dfp_plugin>() {
        return Err(damaged(format!("its table has {size} bytes")));
    }
    // SAFETY: the fingerprint says that this is our table, and it is long enough.
    let table = unsafe { &*table };
    if table.component_count > MAX_COMPONENTS || (table.component_count > 0 && table.components.is_null()) {
        return Err(damaged(format!("its list of {} components is missing", table.component_count)));
    }
    let mut components: Vec<LoadedComponent> = Vec::new();
    for index in 0..table.component_count as usize {
        // SAFETY: the list has component_count pointers to components, which live for ever.
        let component = unsafe { table.components.add(index).read() };
        // SAFETY: as above.
        if let Some(component) = unsafe { read_component(component) }.map_err(damaged)? {
            let (kind, id) = (component.kind, &component.id);
            if components.iter().any(|other| other.kind == kind && other.id == *id) {
                return Err(damaged(format!("it has two {kind}s {id:?}")));
            }
            components.push(component);
        }
    }
    Ok(Plugin {
        id: text(Some(table.id), "id")?,
        version: text(Some(table.version), "version")?,
        vendor: text(Some(table.vendor), "vendor")?,
        licence: text(Some(table.licence), "licence")?,
        sdk_version,
        components,
        path,
        digest: None,
    })
}

/// A component, if it is of a kind that this host knows; others are passed over.
///
/// # Safety
/// `component` is NULL or a component table that lives for ever.
pub(crate) unsafe fn read_component(
    component: *const dfp_component,
) -> Result<Option<LoadedComponent>, String> {
    // SAFETY: the caller's promise; the size is there in every table.
    let size = if component.is_null() { 0 } else { unsafe { (&raw const (*component).struct_size).read() } };
    if (size as usize) < size_of::<dfp_component>() {
        return Err(format!("the table of a component has {size} bytes"));
    }
    // SAFETY: not NULL, and long enough.
    let component = unsafe { &*component };
    let Some(kind) = Kind::from_code(component.kind) else { return Ok(None) };
    // SAFETY: the caller's promise: texts are NULL or closed by NUL.
    let text = |text| unsafe { foreign_text(text) };
    let id = text(component.id).ok_or("a component has no id")?;
    // SAFETY: NULL, or the table that the kind promises.
    if component.ops.is_null() || !unsafe { is_complete(kind, component.ops) } {
        return Err(format!("{kind} {id:?} lacks a function that every {kind} has"));
    }
    Ok(Some(LoadedComponent {
        kind,
        title: text(component.title).unwrap_or_default(),
        config_schema: text(component.config_schema).ok_or_else(|| format!("{kind} {id:?} has no schema"))?,
        profile: text(component.profile).unwrap_or_default(),
        id,
        flags: component.flags,
        ops: component.ops.cast(),
    }))
}

/// Whether a table has every function that its kind must have.
///
/// # Safety
/// `ops` leads to a table of that kind, readable up to its own size.
unsafe fn is_complete(kind: Kind, ops: *const c_void) -> bool {
    macro_rules! has {
        ($type:ty: $($slot:ident),+) => {
            // SAFETY: the caller's promise.
            unsafe { $(slot!(ops.cast(), $type, $slot).is_some())&&+ }
        };
    }
    match kind {
        Kind::Source => has!(dfp_source_ops: create, destroy, schema, open),
        Kind::Stage => has!(dfp_stage_ops: create, destroy, bind, push, pull, finish),
        Kind::Sink => has!(dfp_sink_ops: create, destroy, bind, write, flush, close),
        Kind::Model => {
            has!(dfp_model_ops: create, destroy, fit, load, model_schema, score_schema, score, save, model_destroy)
        }
    }
}
