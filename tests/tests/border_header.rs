//! The C header of the plugin border: generated from `dfp-abi`, checked in, and compiled as C and as C++.
//!
//! After a change of `dfp-sdk/abi/src/c.rs`, run this test once with `DFP_BLESS=1` and commit what it writes.

mod cpp;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dfp_abi::{FINGERPRINT, FINGERPRINT_LINE, HEADER, c, fingerprint};

fn abi(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dfp-sdk/abi").join(path)
}

const HEAD: &str = "\
/* The border between dfp and its plugins.
 *
 * A plugin is a shared library that exports one function, dfp_plugin_entry_v0, which answers with a constant table. Tables
 * begin with their size and only grow at the end: read a slot of a foreign table through DFP_HAS. Handing over an Arrow
 * struct moves it, whether or not the call succeeds. All text is UTF-8.
 *
 * Generated from dfp-sdk/abi/src/c.rs by the test border_header; not to be edited. */

#ifndef DFP_PLUGIN_H
#define DFP_PLUGIN_H";

/// Follows the includes; the fingerprint is added once the rest is known.
const AFTER_INCLUDES: &str = "
/* Whether a table has a slot and the slot is filled. */
#define DFP_HAS(table, slot) \\
  ((size_t)((const char *)&(table)->slot - (const char *)(table)) + sizeof((table)->slot) <= \\
       (size_t)(table)->struct_size && \\
   (table)->slot != NULL)

#ifdef _WIN32
#define DFP_EXPORT __declspec(dllexport)
#else
#define DFP_EXPORT __attribute__((visibility(\"default\")))
#endif

/* Which header this is. Until the border is frozen, host and plugin must agree on it. */";

/// Around the list of sizes and offsets.
const LAYOUT_HEAD: &str = "
/* Sizes and offsets with 64-bit pointers. If one of these fails, the compiler was told to pack structs. */
#if UINTPTR_MAX == UINT64_MAX
#if defined(__cplusplus) && __cplusplus >= 201103L
#define DFP_LAYOUT(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define DFP_LAYOUT(condition) _Static_assert(condition, #condition)
#endif
#endif
#ifdef DFP_LAYOUT
";
const LAYOUT_FOOT: &str = "#undef DFP_LAYOUT
#endif
";

const TRAILER: &str = "
#ifdef __cplusplus
extern \"C\" {
#endif

/* What a plugin exports. host lives until the process ends; so does the answer. NULL refuses the host. */
DFP_EXPORT const dfp_plugin *dfp_plugin_entry_v0(const dfp_host *host);

#ifdef __cplusplus
}
#endif

#endif /* DFP_PLUGIN_H */";

/// The header as the sources have it now.
fn generated() -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::C99,
        header: Some(HEAD.into()),
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        includes: vec!["dfp/arrow_c.h".into()],
        no_includes: true,
        after_includes: Some(format!(
            "{AFTER_INCLUDES}\n{FINGERPRINT_LINE}UINT64_C(0x0)\n\n#define DFP_VERSION \"{}\"",
            c::DFP_VERSION
        )),
        trailer: Some(format!("{LAYOUT_HEAD}{}{LAYOUT_FOOT}{TRAILER}", layout_assertions())),
        usize_is_size_t: true,
        line_length: 110,
        tab_width: 2,
        ..cbindgen::Config::default()
    };
    for (name, ..) in c::LAYOUT {
        // Arrow's own header has Arrow's structs; ours would not be written unless asked for, as no function uses them.
        if name.starts_with("Arrow") {
            config.export.rename.insert((*name).into(), format!("struct {name}"));
        } else {
            config.export.include.push((*name).into());
        }
    }
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(abi("src/c.rs"))
        .generate()
        .expect("cbindgen reads c.rs")
        .write(&mut text);
    let text = String::from_utf8(text).unwrap();
    let line = format!("{FINGERPRINT_LINE}UINT64_C(0x{:016x})\n", fingerprint(text.as_bytes()));
    text.replace(&format!("{FINGERPRINT_LINE}UINT64_C(0x0)\n"), &line)
}

#[test]
fn the_header_is_what_the_sources_say() {
    let generated = generated();
    if std::env::var_os("DFP_BLESS").is_some() {
        std::fs::write(abi("include/dfp/plugin.h"), &generated).unwrap();
        println!("wrote the header; run the test again without DFP_BLESS");
        return;
    }
    assert_eq!(
        HEADER, generated,
        "the header drifted: run this test with DFP_BLESS=1 and commit what it writes"
    );
    assert!(HEADER.contains(&format!("UINT64_C(0x{FINGERPRINT:016x})")));
}

/// Sizes and offsets as Rust asserts them, in the words of C.
fn layout_assertions() -> String {
    let mut text = String::new();
    for (name, size, fields) in c::LAYOUT {
        let name = if name.starts_with("Arrow") { format!("struct {name}") } else { (*name).to_owned() };
        writeln!(text, "DFP_LAYOUT(sizeof({name}) == {size});").unwrap();
        for (field, offset) in *fields {
            writeln!(text, "DFP_LAYOUT(offsetof({name}, {field}) == {offset});").unwrap();
        }
    }
    text
}

/// Compiles `source` against the headers; any warning is an error.
fn compile(compiler: &str, standard: &str, source: &str) {
    if let Err(problem) = compiles(compiler, standard, &abi("include"), source) {
        panic!("{compiler} {standard}: {problem}\n{source}");
    }
}

/// What the compiler says against `source`, with the headers in `include`.
fn compiles(compiler: &str, standard: &str, include: &Path, source: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(if standard.contains("++") { "test.cpp" } else { "test.c" });
    std::fs::write(&file, source).unwrap();
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}, which the README asks for: {error}"));
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Whether `header` compiles, included twice, as the languages of a plugin.
fn compiles_everywhere(header: &str) -> Vec<bool> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("dfp")).unwrap();
    std::fs::copy(abi("include/dfp/arrow_c.h"), dir.path().join("dfp/arrow_c.h")).unwrap();
    std::fs::write(dir.path().join("dfp/plugin.h"), header).unwrap();
    let source = "#include \"dfp/plugin.h\"\n#include \"dfp/plugin.h\"\n";
    let languages = [("cc", "-std=c11"), ("cc", "-std=c17"), ("c++", "-std=c++17")];
    let here = if cpp::available() { &languages[..] } else { &languages[..2] };
    here.iter().map(|(compiler, standard)| compiles(compiler, standard, dir.path(), source).is_ok()).collect()
}

#[test]
fn c_and_cpp_hold_the_structs_to_their_layout() {
    assert!(layout_assertions().lines().count() > 80, "the list of offsets is nearly empty");
    assert!(compiles_everywhere(HEADER).into_iter().all(|compiles| compiles));
    // The assertions are alive: a wrong number, or a field too many, fails everywhere.
    for (from, to) in [
        ("sizeof(dfp_buf) == 32", "sizeof(dfp_buf) == 40"),
        ("offsetof(dfp_host, count) == 112", "offsetof(dfp_host, count) == 104"),
        ("  uint32_t message_len;", "  uint64_t message_len;"),
    ] {
        assert!(HEADER.contains(from), "{from}");
        let broken = compiles_everywhere(&HEADER.replace(from, to));
        assert!(broken.iter().all(|compiles| !compiles), "{from} -> {to}: {broken:?}");
    }
}

#[test]
fn older_languages_take_the_header_without_the_assertions() {
    compile("cc", "-std=c99", "#include \"dfp/plugin.h\"\n");
}

/// Every struct that crosses, as text: for people, and for languages without our header.
fn layout_text() -> String {
    let mut text = String::from(
        "# The structs of dfp/plugin.h with 64-bit pointers: name and size, then field and offset, in bytes.\n\
         # Written by the test border_header from dfp-sdk/abi/src/c.rs; not to be edited.\n",
    );
    for (name, size, fields) in c::LAYOUT {
        writeln!(text, "\n{name} {size}").unwrap();
        for (field, offset) in *fields {
            writeln!(text, "  {field} {offset}").unwrap();
        }
    }
    text
}

#[test]
fn the_layout_is_what_the_document_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/abi/layout-v0.txt");
    if std::env::var_os("DFP_BLESS").is_some() {
        std::fs::write(&path, layout_text()).unwrap();
        return;
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        layout_text(),
        "the layout drifted: run this test with DFP_BLESS=1 and commit what it writes"
    );
}

#[test]
fn the_header_meets_foreign_copies_of_the_arrow_structs() {
    let arrow = std::fs::read_to_string(abi("include/dfp/arrow_c.h")).unwrap();
    let foreign = arrow.replace("DFP_ARROW_C_H", "SOMEBODY_ELSES_H");
    compile("cc", "-std=c11", &format!("{foreign}\n#include \"dfp/plugin.h\"\n"));
    if cpp::available() {
        compile("c++", "-std=c++17", &format!("{foreign}\n#include \"dfp/plugin.h\"\n"));
    }
}

#[test]
fn a_slot_is_seen_where_the_table_reaches_and_only_there() {
    let source = r#"
        #include "dfp/plugin.h"
        #include <stdio.h>
        static int32_t yes(void *ctx) { (void)ctx; return 1; }
        /* A newer host: the same table with one slot more. */
        typedef struct { dfp_host known; int32_t (*newer)(void *ctx); } newer_host;
        int main(void) {
            dfp_host host = {0};
            host.is_cancelled = yes;
            host.struct_size = sizeof(dfp_host);
            int whole = DFP_HAS(&host, is_cancelled) && !DFP_HAS(&host, log);
            host.struct_size = offsetof(dfp_host, is_cancelled) + 7;
            int cut = !DFP_HAS(&host, is_cancelled);
            newer_host newer = {0};
            newer.known.is_cancelled = yes;
            newer.known.struct_size = sizeof(newer_host);
            const dfp_host *seen = &newer.known;
            int longer = DFP_HAS(seen, is_cancelled) && !DFP_HAS(seen, count);
            printf("%d %d %d", whole, cut, longer);
            return 0;
        }"#;
    let dir = tempfile::tempdir().unwrap();
    let (file, program) = (dir.path().join("test.c"), dir.path().join("test"));
    std::fs::write(&file, source).unwrap();
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(abi("include"))
        .args([&file, Path::new("-o"), &program])
        .status();
    assert!(status.expect("cc, which the README asks for").success());
    let output = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 1 1");
}

/// Functions of the tables, by the name of the table.
fn functions() -> Vec<(&'static str, &'static str)> {
    let shared = ["create", "destroy", "request_cancel", "introspect"];
    let is_function = |field: &&str| {
        HEADER.contains(&format!("(*{field})("))
            || shared.contains(field) && HEADER.contains(&format!("  dfp_{field} {field};"))
    };
    let tables = c::LAYOUT.iter().filter(|(name, ..)| *name == "dfp_host" || name.ends_with("_ops"));
    tables
        .flat_map(|(name, _, fields)| fields.iter().map(|(field, _)| (*name, *field)))
        .filter(|(_, field)| is_function(field))
        .collect()
}

#[test]
fn the_reference_has_every_function_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/abi/reference.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let functions = functions();
    assert!(functions.len() > 30, "{functions:?}");
    for (table, function) in &functions {
        assert!(rows.contains(function), "{table}.{function} is not in the reference");
    }
    for row in rows {
        let known = functions.iter().any(|(_, function)| *function == row)
            || row == "dfp_plugin_entry_v0"
            || c::LAYOUT.iter().any(|(name, ..)| *name == row);
        assert!(known, "the reference has {row}, the header has not");
    }
}
