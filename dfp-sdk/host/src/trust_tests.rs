//! Policies against libraries, manifests and directories that somebody tampered with. The libraries are compiled here, with
//! `cc`: each test has its own, since a process loads a file once.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use dfp_core::ErrorKind;
use tempfile::TempDir;

use crate::files::checked_file;
use crate::{Audit, Error, Kind, Plugin, Plugins, Policy, SecretKey, seal};

/// A sink that does nothing, in a plugin called `ID`.
const SOURCE: &str = r#"
#include <stddef.h>
#include "dfp/plugin.h"
static int32_t create(const dfp_host *host, void *ctx, const char *config, size_t len, void **out, dfp_error *error) {
  (void)host; (void)ctx; (void)config; (void)len; (void)error;
  static int instance;
  *out = &instance;
  return 0;
}
static void destroy(void *instance) { (void)instance; }
static int32_t bind(void *instance, const struct ArrowSchema *input, dfp_error *error) {
  (void)instance; (void)input; (void)error;
  return 0;
}
static int32_t write(void *instance, struct ArrowArray *batch, dfp_error *error) {
  (void)instance; (void)error;
  batch->release(batch);
  return 0;
}
static int32_t end(void *instance, dfp_error *error) { (void)instance; (void)error; return 0; }
static const dfp_sink_ops OPS = {sizeof(dfp_sink_ops), 0, create, destroy, NULL, NULL, bind, write, end, end};
static const dfp_component SINK = {sizeof(dfp_component), DFP_KIND_SINK, "void", "Nowhere", "{}", NULL, 0, &OPS};
static const dfp_component *const COMPONENTS[] = {&SINK};
static const dfp_plugin PLUGIN = {sizeof(dfp_plugin), DFP_ABI_MINOR, DFP_ABI_FINGERPRINT, ID, "1.0", "Test", "MIT",
                                  DFP_VERSION, 0, COMPONENTS, 1};
__attribute__((visibility("default"))) const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *host) {
  (void)host;
  return &PLUGIN;
}
"#;

/// A directory with one library.
struct Place {
    dir: TempDir,
    library: PathBuf,
}

fn compile(library: &Path, id: &str) {
    let source = library.with_extension("c");
    std::fs::write(&source, SOURCE).unwrap();
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/include"))
        .arg(format!("-DID=\"{id}\""))
        .arg(source)
        .arg("-o")
        .arg(library)
        .output()
        .expect("cc, which the README asks for");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().canonicalize().unwrap().join("libdfp_void.so");
    compile(&library, "dfp.test.void");
    Place { dir, library }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32]).unwrap()
}

fn signed_by(keys: &[&SecretKey]) -> Policy {
    Policy::Signed { keys: keys.iter().map(|key| key.public()).collect() }
}

impl Place {
    /// Seals a copy of the library as another process would: sealing loads a library, and loading binds this process to it.
    fn sealed(&self, key: Option<&SecretKey>) -> PathBuf {
        let copy = self.dir.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        let library = copy.join(self.library.file_name().unwrap());
        std::fs::copy(&self.library, &library).unwrap();
        let manifest = seal(&library, None, key).unwrap();
        let there = self.dir.path().join(manifest.file_name().unwrap());
        std::fs::rename(manifest, &there).unwrap();
        there
    }

    fn find(&self, policy: Policy) -> Result<PathBuf, Error> {
        let plugins = Plugins::new().search(self.dir.path()).policy(policy);
        plugins.find(Kind::Sink, "void").map(|found| found.plugin().unwrap().path.clone())
    }

    fn refusal(&self, policy: Policy) -> String {
        let error = self.find(policy).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
        error.to_string()
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_sealed_library_passes_every_policy_and_is_the_file_that_was_hashed() {
    let place = place();
    let manifest = place.sealed(Some(&key(1)));
    assert!(manifest.ends_with("void.dfp-plugin.toml"));
    for policy in [signed_by(&[&key(2), &key(1)]), Policy::Hash, Policy::ExplicitOnly] {
        assert_eq!(place.find(policy.clone()).unwrap(), place.library);
        // By path: the manifest beside it is found by the library's name.
        let plugins = Plugins::new().policy(policy);
        let found = plugins.find(Kind::Sink, place.library.to_str().unwrap()).unwrap();
        assert_eq!((found.id(), found.title()), ("void", "Nowhere"));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(place.library.to_str().unwrap()));
}

#[test]
fn without_a_manifest_or_its_hash_only_the_first_policy_is_content() {
    let place = place();
    for policy in [Policy::Hash, signed_by(&[&key(1)])] {
        let text = place.refusal(policy);
        assert!(text.contains("libdfp_void.so") && text.contains("dfp plugin seal"), "{text}");
        // Where else was looked is part of the answer.
        assert!(text.contains("void.dfp-plugin.toml (") && text.contains("libvoid.so ("), "{text}");
    }
    let manifest = place.sealed(None);
    let text = std::fs::read_to_string(&manifest).unwrap();
    let without: String = text.split_inclusive('\n').filter(|line| !line.starts_with("sha256")).collect();
    std::fs::write(&manifest, without).unwrap();
    assert!(place.refusal(Policy::Hash).contains("states its sha256"));
    assert!(place.refusal(signed_by(&[&key(1)])).contains("not signed"));
    place.find(Policy::ExplicitOnly).unwrap();
    // It is loaded now, unhashed: the same process cannot claim later that it looked.
    std::fs::write(&manifest, text).unwrap();
    assert!(place.refusal(Policy::Hash).contains("without looking at its hash"));
}

#[test]
fn a_library_that_was_tampered_with_is_not_loaded_under_any_policy() {
    let place = place();
    place.sealed(Some(&key(1)));
    let mut bytes = std::fs::read(&place.library).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&place.library, bytes).unwrap();
    for policy in [Policy::ExplicitOnly, Policy::Hash, signed_by(&[&key(1)])] {
        assert!(place.refusal(policy).contains("not the library that was sealed"));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains(place.library.to_str().unwrap()), "it must not have run");
}

#[test]
fn a_library_changed_in_place_after_it_was_loaded_is_noticed() {
    let place = place();
    let manifest = place.sealed(None);
    place.find(Policy::Hash).unwrap();
    let old = checked_file(&place.library).unwrap().digest().unwrap().to_string();
    // More at its end: what is mapped stays whole. (Cutting it, as writing it anew does, would take the mapped pages away.)
    let mut file = std::fs::OpenOptions::new().append(true).open(&place.library).unwrap();
    file.write_all(&[0]).unwrap();
    let new = checked_file(&place.library).unwrap().digest().unwrap().to_string();
    edit(&manifest, &old, &new);
    assert!(place.refusal(Policy::Hash).contains("changed since this program loaded it"));
}

#[test]
fn a_manifest_that_was_tampered_with_or_signed_by_others_is_refused() {
    let place = place();
    let manifest = place.sealed(Some(&key(1)));
    assert!(place.refusal(signed_by(&[&key(2)])).contains("not one of yours"));
    assert!(place.refusal(signed_by(&[])).contains("not one of yours"));

    edit(&manifest, "Nowhere", "Somewhere");
    assert!(place.refusal(signed_by(&[&key(1)])).contains("changed since it was signed"));
    edit(&manifest, "Somewhere", "Nowhere");

    // Somebody else's name over the same signature.
    let (mine, theirs) = (key(1).public().to_string(), key(2).public().to_string());
    edit(&manifest, &mine, &theirs);
    assert!(place.refusal(signed_by(&[&key(1), &key(2)])).contains("signature is wrong"));
    edit(&manifest, &theirs, &mine);
    place.find(signed_by(&[&key(1)])).unwrap();
}

#[test]
fn a_damaged_manifest_is_an_error_and_not_as_good_as_none() {
    let place = place();
    let manifest = place.sealed(None);
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let library = place.library.to_str().unwrap();
    let find = |policy| Plugins::new().policy(policy).find(Kind::Sink, library);
    for damaged in [whole.replace("[[components]]", "[[components]"), whole.clone() + "colour = 1\n"] {
        std::fs::write(&manifest, &damaged).unwrap();
        let error = find(Policy::Hash).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains("void.dfp-plugin.toml"), "{error}");
    }
    // What is no file is not waited for, and what is about another library is nobody's business.
    std::fs::write(&manifest, &whole).unwrap();
    std::fs::write(manifest.with_file_name("a.dfp-plugin.toml"), "file = \"other.so\"\n= =").unwrap();
    let fifo = manifest.with_file_name("b.dfp-plugin.toml");
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    assert_eq!(find(Policy::Hash).unwrap().id(), "void");
}

#[test]
fn a_manifest_for_another_header_is_refused_before_the_library_is_opened() {
    let place = place();
    let manifest = place.sealed(None);
    std::fs::write(&place.library, "no library").unwrap();
    edit(&manifest, "abi = \"v0-", "abi = \"v0-f");
    let error = place.find(Policy::Hash).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("build it anew"), "{error}");
}

#[test]
fn what_is_loaded_is_what_was_hashed_even_if_it_is_replaced_in_between() {
    let place = place();
    let opened = checked_file(&place.library).unwrap();
    let digest = opened.digest().unwrap();
    let other = place.dir.path().join("other.so");
    compile(&other, "dfp.test.evil");
    std::fs::rename(&other, &place.library).unwrap();
    let plugin = Plugin::load_file(opened, Some(digest)).unwrap();
    assert_eq!(plugin.id, "dfp.test.void");

    // The descriptor stays open: its number never names another library.
    for n in 0..3 {
        let library = place.dir.path().join(format!("{n}.so"));
        compile(&library, &format!("dfp.test.n{n}"));
        let opened = checked_file(&library).unwrap();
        let digest = opened.digest().unwrap();
        assert_eq!(Plugin::load_file(opened, Some(digest)).unwrap().id, format!("dfp.test.n{n}"));
    }
}

#[test]
fn links_are_followed_and_what_they_lead_to_is_held_to_the_same_rules() {
    let place = place();
    let manifest = place.sealed(None);
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().canonicalize().unwrap().join("real.so");
    std::fs::rename(&place.library, &target).unwrap();
    symlink(&target, &place.library).unwrap();
    for mode in [0o666, 0o775] {
        std::fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
        assert!(place.refusal(Policy::Hash).contains("others could change"));
    }
    std::fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.find(Policy::Hash).unwrap(), target);

    for (path, mode) in [(&manifest, 0o646), (&place.dir.path().to_owned(), 0o777)] {
        let before = std::fs::metadata(path).unwrap().permissions();
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert!(place.refusal(Policy::ExplicitOnly).contains("others could change"));
        std::fs::set_permissions(path, before).unwrap();
    }
}

#[test]
fn paths_that_depend_on_the_working_directory_are_refused() {
    let place = place();
    let file = Path::new("plugins/libdfp_void.so");
    for policy in [Policy::ExplicitOnly, Policy::Hash, signed_by(&[])] {
        let plugins = Plugins::new().policy(policy);
        let error = plugins.find(Kind::Sink, file.to_str().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Relative { .. }), "{error}");
    }
    // A directory to search may be relative no more than a path.
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(place.dir.path().strip_prefix("/").unwrap());
    let error = Plugins::new().search(relative).find(Kind::Sink, "void").unwrap_err();
    assert!(error.to_string().contains("not absolute"), "{error}");
}

#[test]
fn every_decision_is_audited() {
    let place = place();
    let manifest = place.sealed(Some(&key(1)));
    let seen = Arc::new(Mutex::new(Vec::<Audit>::new()));
    let log = seen.clone();
    let plugins = Plugins::new()
        .search(place.dir.path())
        .policy(signed_by(&[&key(1)]))
        .audit(move |audit| log.lock().unwrap().push(audit.clone()));
    plugins.find(Kind::Sink, "absent").unwrap_err();
    plugins.find(Kind::Sink, "void").unwrap();
    edit(&manifest, "1.0", "2.0");
    plugins.find(Kind::Sink, "void").unwrap_err();

    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2, "nothing was decided about what is absent");
    let good = &seen[0];
    assert_eq!(good.path, place.library);
    assert_eq!(good.digest, Some(checked_file(&place.library).unwrap().digest().unwrap().to_string()));
    assert_eq!(good.signer, Some(key(1).public()));
    assert_eq!(good.plugin, Some(("dfp.test.void".to_owned(), "1.0".to_owned())));
    assert!(good.abi.as_deref().unwrap().starts_with("v0-"));
    assert_eq!(good.refused, None);
    assert!(seen[1].refused.as_deref().unwrap().contains("changed since"));
    assert_eq!((&seen[1].signer, &seen[1].digest), (&None, &None));
    assert_eq!(seen[1].plugin.as_ref().unwrap().1, "2.0");
}

#[test]
fn sealing_again_keeps_declared_gaps_and_leaves_no_other_file() {
    let place = place();
    let manifest = seal(&place.library, Some("named"), None).unwrap();
    assert!(manifest.ends_with("named.dfp-plugin.toml"));
    let gap = "\n[[gaps]]\ncheck = \"threads/cancel\"\nreason = \"it never blocks\"\n";
    let text = std::fs::read_to_string(&manifest).unwrap() + gap;
    std::fs::write(&manifest, text).unwrap();
    seal(&place.library, Some("named"), Some(&key(1))).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("it never blocks") && text.contains(&key(1).public().to_string()), "{text}");
    let mut names: Vec<_> = std::fs::read_dir(place.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["libdfp_void.c", "libdfp_void.so", "named.dfp-plugin.toml"]);

    std::fs::write(&manifest, "=").unwrap();
    assert!(seal(&place.library, Some("named"), None).is_err(), "it is not overwritten");
    assert!(seal(&place.library, Some("../x"), None).is_err());
    assert!(seal(Path::new("relative.so"), None, None).is_err());
}
