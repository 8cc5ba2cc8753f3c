//! Opening a plugin library: what is checked before any of its code runs, and before any of its tables is believed.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use dfp_abi::c::{
    DFP_VERSION, dfp_component, dfp_host, dfp_instance_ops, dfp_model_ops, dfp_plugin, dfp_sink_ops,
    dfp_source_ops, dfp_stage_ops,
};
use dfp_abi::{FINGERPRINT, Kind, foreign_text, slot};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};

use crate::error::{Error, Result};
use crate::table::HOST;

/// The versions of the entry symbol that exist or may come to exist, ours first.
const ENTRY: &[u8] = b"dfp_plugin_entry_v0\0";
const OTHER_ENTRIES: [(&str, &[u8]); 2] = [("1", b"dfp_plugin_entry_v1\0"), ("2", b"dfp_plugin_entry_v2\0")];

#[cfg(any(target_os = "linux", target_os = "android"))]
const RTLD_NODELETE: i32 = 0x1000;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RTLD_NODELETE: i32 = 0x80;

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
        static LOADED: OnceLock<Mutex<HashMap<(u64, u64), &'static Plugin>>> = OnceLock::new();

        let (path, metadata) = checked_file(path)?;
        let key = (metadata.dev(), metadata.ino());
        let loaded = || LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded().get(&key).copied();
        if let Some(plugin) = known {
            return Ok(plugin);
        }
        // No lock is held while the plugin's code runs. Should two threads load one file at once, the system gives both the
        // same library, and the first to come here decides.
        let plugin = open(path)?;
        Ok(loaded().entry(key).or_insert_with(|| Box::leak(Box::new(plugin))))
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

/// The file behind `path`, if nobody but us and the administrator can change it.
pub(crate) fn checked_file(path: &Path) -> Result<(PathBuf, Metadata)> {
    if !path.is_absolute() {
        return Err(Error::Relative { path: path.to_owned() });
    }
    let doing = |source| Error::Inspect { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(doing)?;
    let metadata = path.metadata().map_err(doing)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path });
    }
    for part in path.ancestors() {
        let metadata = part.metadata().map_err(doing)?;
        if let Some(why) = changeable_by_others(&metadata) {
            return Err(Error::Exposed { part: part.to_owned(), path, why });
        }
    }
    Ok((path, metadata))
}

/// Why others could change a file or what lies in a directory. Directories with the sticky bit, as `/tmp` has it, protect
/// what lies in them.
fn changeable_by_others(metadata: &Metadata) -> Option<String> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    if owner != 0 && owner != effective_user() {
        return Some(format!("it belongs to user {owner}"));
    }
    let sticky = metadata.is_dir() && mode & STICKY != 0;
    (mode & WRITABLE_BY_OTHERS != 0 && !sticky)
        .then(|| format!("its mode is {:03o}; remove the write permission of group and others", mode & 0o777))
}

fn effective_user() -> u32 {
    unsafe extern "C" {
        safe fn geteuid() -> u32;
    }
    geteuid()
}

fn open(path: PathBuf) -> Result<Plugin> {
    // SAFETY: this runs the library's constructors: that is what loading a plugin means, and why the file was checked.
    let handle =
        unsafe { Handle::open(Some(&path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }.map_err(|error| {
            // The system's own words are the cause; the error itself only says which function failed.
            let what =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
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
    unsafe { read_plugin(table, path) }
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
