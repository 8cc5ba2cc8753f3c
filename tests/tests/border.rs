//! The plugin border as a whole: sources in Rust and C, loaded from shared libraries, good ones and bad ones.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::{Array, RecordBatch, StringArray};
use dfp_core::{CancelToken, ErrorKind, Level, RECORDS_READ, Reject, Result, Source};
use dfp_host::{Kind, LocalHost, Plugin, Plugins, Secrets};
use dfp_test_plugin::Lines;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// The library that cargo built beside this test.
fn rust_library() -> PathBuf {
    let name = format!("{}dfp_test_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

fn compile_c(output: &Path, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let result = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared", "-I"])
        .arg(root.join("../dfp-sdk/abi/include"))
        .args(arguments)
        .arg(root.join("fixtures/plugin-c/words.c"))
        .arg("-o")
        .arg(output)
        .output()
        .expect("cc, which the README asks for");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}

/// The plugin in C, one of its variants.
fn c_library(dir: &TempDir, variant: &str) -> PathBuf {
    let path = dir.path().join(format!("libwords_{}.so", variant.to_lowercase()));
    compile_c(&path, &[&format!("-DVARIANT={variant}")]);
    path
}

fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn inputs(paths: &[&str]) -> String {
    serde_json::json!({ "inputs": paths }).to_string()
}

fn misdeed(what: &str, paths: &[&str]) -> String {
    serde_json::json!({ "inputs": paths, "misdeed": what }).to_string()
}

fn read_all(source: &mut dyn Source) -> Result<Vec<RecordBatch>> {
    source.open(None)?.collect()
}

fn loaded(library: &Path, config: &str, host: &Arc<LocalHost>) -> Result<Box<dyn Source>> {
    Plugins::new().source(library.to_str().unwrap(), config, host.clone())
}

/// Every way to have the Rust source: linked, and loaded.
fn both_ways() -> [(Plugins, String); 2] {
    [
        (Plugins::new().link(dfp_plugin::linked_source::<Lines>()), "lines".to_owned()),
        (Plugins::new(), rust_library().to_str().unwrap().to_owned()),
    ]
}

#[test]
fn a_source_does_the_same_linked_and_loaded() {
    let dir = tempdir();
    let plain = file(&dir, "plain.txt", "one\nbad \u{e4}\n\nthree \0 four\n".as_bytes());
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"bad\nfive\n").unwrap();
    let packed = file(&dir, "packed", &gzip.finish().unwrap());

    let outcomes = both_ways().map(|(plugins, name)| {
        let seen = Arc::new(Mutex::new((Vec::<Reject>::new(), Vec::<String>::new())));
        let (rejects, lines) = (seen.clone(), seen.clone());
        let host = LocalHost::new()
            .on_reject(move |reject| rejects.lock().unwrap().0.push(reject.clone()))
            .on_log(Level::Info, move |_, target, text| {
                lines.lock().unwrap().1.push(format!("{target}: {text}"));
            });
        let host = Arc::new(host);
        let found = plugins.find(Kind::Source, &name).unwrap();
        let about = (found.id().to_owned(), found.title().to_owned(), found.profile().to_owned());
        let mut source = found.create_source(&inputs(&[&plain, &packed]), host.clone()).unwrap();
        let before = source.position();
        let batches = read_all(&mut *source).unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let resumed: Vec<_> =
            source.open(source.position().as_deref()).unwrap().map(Result::unwrap).collect();
        assert_eq!(host.counter(RECORDS_READ), 6 + 2);
        let counts = host.counts((rows + resumed.iter().map(RecordBatch::num_rows).sum::<usize>()) as u64);
        assert!(counts.balanced(), "{counts:?}");
        let seen = seen.lock().unwrap();
        (about, source.schema(), before, batches, resumed, counts, seen.0.clone(), seen.1.clone())
    });
    assert_eq!(outcomes[0], outcomes[1]);
    let (_, _, before, batches, resumed, _, rejects, log) = &outcomes[1];
    assert_eq!((before, batches.len(), resumed.len(), rejects.len(), log.len()), (&None, 2, 1, 3, 3));
    assert_eq!(rejects[0].excerpt.as_deref(), Some("bad \u{e4}"));
}

#[test]
fn input_errors_keep_their_meaning_across_the_border() {
    let dir = tempdir();
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"one\ntwo\n").unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = file(&dir, "cut.gz", &gzip[..gzip.len() - 4]);
    let missing = dir.path().join("missing").to_str().unwrap().to_owned();
    for (plugins, name) in both_ways() {
        let fail = |path: &str| {
            let mut source = plugins.source(&name, &inputs(&[path]), Arc::new(LocalHost::new())).unwrap();
            read_all(&mut *source).unwrap_err()
        };
        // Only the kind `UnexpectedEof` of the reader makes the source say this.
        assert!(fail(&cut).to_string().ends_with("cut short"), "{}", fail(&cut));
        assert_eq!(fail(&missing).kind(), ErrorKind::NotFound);
        assert!(fail(&missing).to_string().contains(&missing));
        assert_eq!(fail(dir.path().to_str().unwrap()).kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn panics_stay_inside_and_poison_one_instance_only() {
    let dir = tempdir();
    let input = file(&dir, "a", b"one\n");
    let library = rust_library();
    let host = Arc::new(LocalHost::new());

    let error = loaded(&library, &misdeed("panic-in-create", &[]), &host).err().expect("it panics");
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.to_string().contains("told to panic in create"), "{error}");

    let mut other = loaded(&library, &inputs(&[&input]), &host).unwrap();
    let mut source = loaded(&library, &misdeed("panic-in-open", &[]), &host).unwrap();
    assert_eq!(source.open(None).err().expect("it panics").kind(), ErrorKind::Panic);
    assert_eq!(source.open(None).err().expect("poisoned").kind(), ErrorKind::Poisoned);
    assert_eq!(source.position(), None);
    drop(source);

    let mut source = loaded(&library, &misdeed("panic-in-next", &[&input, &input]), &host).unwrap();
    let mut stream = source.open(None).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().num_rows(), 1);
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.to_string().contains("told to panic in next"), "{error}");
    assert!(stream.next().is_none());

    drop(loaded(&library, &misdeed("panic-in-drop", &[]), &host).unwrap());
    assert_eq!(read_all(&mut *other).unwrap().len(), 1);
}

#[test]
fn nul_in_an_error_or_a_name_harms_nobody() {
    let dir = tempdir();
    let input = file(&dir, "a", b"one\n");
    let host = Arc::new(LocalHost::new());
    let mut source = loaded(&rust_library(), &misdeed("fail-with-nul", &[&input]), &host).unwrap();
    let error = read_all(&mut *source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().ends_with("line \" \""), "{error:?}");

    let error = loaded(&rust_library(), &misdeed("nul-in-schema", &[]), &host).err().expect("no C name");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
}

#[test]
fn a_host_that_panics_does_not_take_the_plugin_with_it() {
    let dir = tempdir();
    let input = file(&dir, "a", b"bad\none\n");
    let host = Arc::new(LocalHost::new().on_reject(|_| panic!("the host's own fault")));
    let mut source = loaded(&rust_library(), &inputs(&[&input]), &host).unwrap();
    assert_eq!(read_all(&mut *source).unwrap()[0].num_rows(), 1);
    assert!(host.counts(1).balanced());
}

#[test]
fn a_plugin_exports_one_symbol_and_nothing_else() {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(rust_library()).output();
    let output = output.expect("nm, which comes with cc").stdout;
    let symbols: Vec<_> = std::str::from_utf8(&output)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .collect();
    assert_eq!(symbols, ["dfp_plugin_entry_v0"]);
}

#[test]
fn wrong_configurations_never_reach_the_source() {
    for (plugins, name) in both_ways() {
        for config in ["", "[]", "{\"inputs\": [1]}", "{\"colour\": 1}", "{\"misdeed\": \"unheard-of\"}"] {
            let error = plugins.source(&name, config, Arc::new(LocalHost::new())).err().expect(config);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{config}: {error}");
        }
    }
}

#[test]
fn secrets_are_fetched_by_name_and_errors_do_not_tell_them() {
    let config = r#"{"token": {"$secret": "door"}}"#;
    for (plugins, name) in both_ways() {
        let create = |host: LocalHost| plugins.source(&name, config, Arc::new(host));
        let secrets = |value: &[u8]| LocalHost::new().secrets(Secrets::of([("door", value)]));
        create(secrets(b"open\0sesame")).unwrap();
        let refused = |host| create(host).err().unwrap();
        let wrong = refused(secrets(b"hunter2"));
        assert_eq!(wrong.kind(), ErrorKind::Permission);
        assert!(!format!("{wrong:?}").contains("hunter2"));
        assert_eq!(
            refused(LocalHost::new().secrets(Secrets::of([("gate", "x")]))).kind(),
            ErrorKind::NotFound
        );
        assert_eq!(refused(LocalHost::new()).kind(), ErrorKind::NotFound);
    }
}

#[test]
fn waiting_ends_within_a_second_of_a_cancel() {
    let cancel_host = |_: &dfp_host::Canceller, token: &CancelToken| token.cancel();
    let cancel_source = |canceller: &dfp_host::Canceller, _: &CancelToken| canceller.cancel();
    for cancel in [cancel_host as fn(&dfp_host::Canceller, &CancelToken), cancel_source] {
        let token = CancelToken::default();
        let host = Arc::new(LocalHost::new().cancelled_by(token.clone()));
        let found = Plugins::new().find(Kind::Source, rust_library().to_str().unwrap()).unwrap();
        let mut source = found.load_source(&misdeed("wait", &[]), host).unwrap();
        let canceller = source.canceller();
        let mut stream = source.open(None).unwrap();
        let waiting = std::thread::spawn(move || stream.next().unwrap().unwrap_err().kind());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        let start = Instant::now();
        cancel(&canceller, &token);
        assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_plugin_in_c_works_and_everything_is_released_once_in_any_order() {
    let dir = tempdir();
    let library = c_library(&dir, "GOOD");
    let host = Arc::new(LocalHost::new());
    let mut source = loaded(&library, "{}", &host).unwrap();
    assert_eq!(source.position(), Some(vec![7]));
    let mut stream = source.open(None).unwrap();
    drop(source);
    assert_eq!(host.counter("destroyed"), 1);
    let batch = stream.next().unwrap().unwrap();
    assert!(stream.next().is_none());
    drop(stream);
    assert_eq!(host.counter("streams_released"), 1);

    let words = batch.column(0).clone();
    drop(batch);
    assert_eq!(host.counter("batches_released"), 0);
    std::thread::spawn(move || {
        let words = words.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(words.iter().flatten().collect::<Vec<_>>(), ["a", "bc", "de"]);
    })
    .join()
    .unwrap();
    assert_eq!(host.counter("batches_released"), 1);
    // Every retain was given back: nobody else holds the host now.
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn instances_leave_nothing_behind() {
    let host = Arc::new(LocalHost::new());
    for _ in 0..1000 {
        let mut source = loaded(&rust_library(), &inputs(&[]), &host).unwrap();
        assert!(read_all(&mut *source).unwrap().is_empty());
    }
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn damaged_streams_are_refused() {
    let dir = tempdir();
    let host = Arc::new(LocalHost::new());
    let run = |variant: &str| {
        let mut source = loaded(&c_library(&dir, variant), "{}", &host).unwrap();
        read_all(&mut *source).unwrap_err()
    };
    let offsets = run("FALLING_OFFSETS");
    assert_eq!(offsets.kind(), ErrorKind::BadData);
    assert!(offsets.to_string().contains("offsets"), "{offsets}");
    let silent = run("SILENT_FAILURE");
    assert_eq!(silent.kind(), ErrorKind::Io);
    assert!(silent.to_string().contains("does not say why"), "{silent}");
    assert_eq!(run("OTHER_SCHEMA").kind(), ErrorKind::SchemaMismatch);
    let own = run("OPEN_FAILS");
    assert_eq!(own.kind(), ErrorKind::Internal);
    assert!(own.to_string().contains("own trouble (code 4711)"), "{own}");
    assert_eq!(host.counter("batches_released"), 1, "a refused batch is released all the same");
    assert_eq!(host.counter("destroyed"), 4);
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_short_table_lacks_its_last_slot_and_works() {
    let dir = tempdir();
    let mut source = loaded(&c_library(&dir, "SHORT_OPS"), "{}", &Arc::new(LocalHost::new())).unwrap();
    assert_eq!(source.position(), None);
    assert_eq!(read_all(&mut *source).unwrap()[0].num_rows(), 3);
}

/// Why `path` is not loaded.
fn refusal(path: &Path) -> (ErrorKind, String) {
    let error = Plugin::load(path).expect_err("refused");
    (error.kind(), error.to_string())
}

#[test]
fn libraries_that_are_no_plugin_for_us_are_refused_with_the_reason() {
    let dir = tempdir();
    let (kind, text) = refusal(&c_library(&dir, "OTHER_FINGERPRINT"));
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("0.0.9") && text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    assert_eq!(refusal(&c_library(&dir, "REFUSES")).0, ErrorKind::Unsupported);
    assert!(refusal(&c_library(&dir, "MISSING_OPS")).1.contains("\"words\" lacks a function"));

    let v1 = dir.path().join("v1.so");
    compile_c(&v1, &["-DENTRY=dfp_plugin_entry_v1"]);
    assert!(refusal(&v1).1.contains("version 1 of the plugin border, this program for version 0"));
    let nameless = dir.path().join("nameless.so");
    compile_c(&nameless, &["-DENTRY=hello"]);
    assert!(refusal(&nameless).1.contains("does not export dfp_plugin_entry_v0"));
    let unresolved = dir.path().join("unresolved.so");
    compile_c(&unresolved, &["-Dcalloc=nowhere_to_be_found", "-Wno-implicit-function-declaration"]);
    let text = refusal(&unresolved).1;
    assert!(text.contains("nowhere_to_be_found"), "{text}");

    let text_file = PathBuf::from(file(&dir, "text.so", b"no library"));
    assert_eq!(refusal(&text_file).0, ErrorKind::BadData);
    let mut foreign = std::fs::read(c_library(&dir, "GOOD")).unwrap();
    foreign[18] = 0xF3; // e_machine: RISC-V
    foreign[19] = 0;
    assert_eq!(refusal(Path::new(&file(&dir, "foreign.so", &foreign))).0, ErrorKind::BadData);

    assert_eq!(refusal(dir.path()).0, ErrorKind::InvalidArgument);
    assert_eq!(refusal(&dir.path().join("missing.so")).0, ErrorKind::NotFound);
    assert!(refusal(Path::new("libdfp_test_plugin.so")).1.contains("not absolute"));
}

#[test]
fn files_that_others_could_change_are_refused() {
    let dir = tempdir();
    let library = c_library(&dir, "GOOD");
    for (mode, refused) in [(0o666, true), (0o775, true), (0o777, true), (0o644, false)] {
        std::fs::set_permissions(&library, Permissions::from_mode(mode)).unwrap();
        assert_eq!(Plugin::load(&library).is_err(), refused, "{mode:o}");
    }
    let parent = dir.path().join("open");
    std::fs::create_dir(&parent).unwrap();
    let inside = parent.join("lib.so");
    std::fs::copy(&library, &inside).unwrap();
    for (mode, refused) in [(0o777, true), (0o1777, false), (0o775, true), (0o755, false)] {
        std::fs::set_permissions(&parent, Permissions::from_mode(mode)).unwrap();
        match Plugin::load(&inside) {
            Ok(_) => assert!(!refused, "{mode:o}"),
            Err(error) => {
                assert!(refused, "{mode:o}");
                assert_eq!(error.kind(), ErrorKind::Permission);
                assert!(error.to_string().contains(parent.to_str().unwrap()), "{error}");
            }
        }
    }
}

#[test]
fn one_file_is_one_plugin_whatever_it_is_called() {
    let dir = tempdir();
    let library = c_library(&dir, "GOOD");
    let (link, hard) = (dir.path().join("link.so"), dir.path().join("hard.so"));
    std::os::unix::fs::symlink(&library, &link).unwrap();
    std::fs::hard_link(&library, &hard).unwrap();
    let first = Plugin::load(&library).unwrap();
    assert!(std::ptr::eq(first, Plugin::load(&link).unwrap()));
    assert!(std::ptr::eq(first, Plugin::load(&hard).unwrap()));
    assert_eq!((first.id.as_str(), first.version.as_str()), ("dfp.test.words", "1.0"));
}

const MANIFEST: &str = r#"
manifest_version = 1
id = "dfp.test.words"
version = "1.0"
file = "libwords_good.so"

[[components]]
kind = "source"
id = "words"
title = "Three words"
"#;

#[test]
fn names_are_found_in_the_directories_in_their_order() {
    let (first, second) = (tempdir(), tempdir());
    let plugins = Plugins::new().search(first.path()).search(second.path());

    let text = plugins.find(Kind::Source, "words").unwrap_err().to_string();
    for place in ["words.dfp-plugin.toml", "libwords.so", "libdfp_words.so"] {
        for dir in [&first, &second] {
            assert!(text.contains(dir.path().join(place).to_str().unwrap()), "{text}");
        }
    }
    c_library(&second, "GOOD");
    file(&second, "words.dfp-plugin.toml", MANIFEST.as_bytes());
    let found = plugins.find(Kind::Source, "words").unwrap();
    assert_eq!((found.id(), found.title()), ("words", "Three words"));
    assert!(found.plugin().unwrap().path.ends_with("libwords_good.so"));

    // A bad match ends the search: falling through would hide it.
    file(&first, "libwords.so", b"no library");
    assert_eq!(plugins.find(Kind::Source, "words").unwrap_err().kind(), ErrorKind::BadData);
    std::fs::remove_file(first.path().join("libwords.so")).unwrap();

    // A library without a manifest, by either of its names.
    std::fs::copy(second.path().join("libwords_good.so"), first.path().join("libdfp_words.so")).unwrap();
    assert!(plugins.find(Kind::Source, "words").unwrap().plugin().unwrap().path.starts_with(first.path()));

    for name in ["", "wor ds", "../words", "words\0", "libdfp_words.so/"] {
        assert_eq!(
            plugins.find(Kind::Source, name).unwrap_err().kind(),
            ErrorKind::InvalidArgument,
            "{name:?}"
        );
    }
    let path = second.path().join("words.dfp-plugin.toml#words");
    assert_eq!(plugins.find(Kind::Source, path.to_str().unwrap()).unwrap().id(), "words");
    let path = second.path().join("libwords_good.so#others");
    assert_eq!(plugins.find(Kind::Source, path.to_str().unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn manifests_are_held_to_what_they_say() {
    let dir = tempdir();
    c_library(&dir, "GOOD");
    let plugins = Plugins::new().search(dir.path());
    let error = |from: &str, to: &str| {
        file(&dir, "words.dfp-plugin.toml", MANIFEST.replace(from, to).as_bytes());
        plugins.find(Kind::Source, "words").err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(error("", ""), "");
    for (from, to, expected) in [
        (
            "version = \"1.0\"",
            "version = \"1.0\"
sha256 = \"00\"",
            "64 lower-case hexadecimal digits",
        ),
        ("version = \"1.0\"", "version = \"2.0\"", "2.0"),
        ("test.words", "other", "dfp.other"),
        ("manifest_version = 1", "manifest_version = 2", "version 2"),
        ("\"libwords_good.so\"", "\"../libwords_good.so\"", "file name"),
        ("\"libwords_good.so\"", "\"missing.so\"", "missing.so"),
        ("id = \"words\"", "id = \"sentences\"", "sentences"),
        ("[[components]]", "[[other]]", "other"),
        ("manifest_version = 1", "colour = 1", "colour"),
    ] {
        let text = error(from, to);
        assert!(text.contains(expected), "{from} -> {to}: {text:?}");
    }
}

#[test]
fn listing_reads_manifests_and_opens_nothing() {
    let dir = tempdir();
    // Neither is a library: opening one would fail.
    file(&dir, "libwords_good.so", b"");
    let bare = file(&dir, "libdfp_azure_ad.so", b"");
    file(&dir, "words.dfp-plugin.toml", MANIFEST.as_bytes());
    file(&dir, "broken.dfp-plugin.toml", b"=");
    let plugins =
        Plugins::new().link(dfp_plugin::linked_source::<Lines>()).search(dir.path()).search("/nowhere");
    let listed = plugins.list();
    let names: Vec<_> = listed.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, ["lines", "azure-ad", "broken", "words"]);
    assert_eq!(listed[1].library.as_deref(), Some(Path::new(&bare)));
    assert!(listed[2].problem.is_some());
    assert!(listed[3].to_string().starts_with("words 1.0 ("), "{}", listed[3]);
    assert!(listed[3].to_string().ends_with(") - Three words"), "{}", listed[3]);
}
