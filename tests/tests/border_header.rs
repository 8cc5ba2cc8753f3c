//! The C header of the plugin border: generated from `dfp-abi`, checked in, and compiled as C and as C++.
//!
//! After a change of `dfp-sdk/abi/src/c.rs`, run this test once with `DFP_BLESS=1` and commit what it writes.

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
        trailer: Some(TRAILER.into()),
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

/// Compiles `source` against the headers; any warning is an error.
fn compile(compiler: &str, standard: &str, source: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(if standard.contains("++") { "test.cpp" } else { "test.c" });
    std::fs::write(&file, source).unwrap();
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(abi("include"))
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}, which the README asks for: {error}"));
    assert!(
        output.status.success(),
        "{compiler} {standard}: {}\n{source}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Every size and offset that Rust asserts, as assertions of C.
fn layout_assertions() -> Vec<String> {
    let of_type = |&(name, size, fields): &(&str, usize, &[(&str, usize)])| {
        let name = if name.starts_with("Arrow") { format!("struct {name}") } else { name.to_owned() };
        let mut lines = vec![format!("static_assert(sizeof({name}) == {size}, \"{name}\");")];
        lines.extend(fields.iter().map(|(field, offset)| {
            format!("static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");")
        }));
        lines
    };
    c::LAYOUT.iter().flat_map(of_type).collect()
}

#[test]
fn c_and_cpp_agree_about_every_offset() {
    let layout = layout_assertions();
    assert!(layout.len() > 80, "the list of offsets is nearly empty: {}", layout.len());
    let layout = layout.join("\n");
    // Included twice, which must be harmless.
    let source =
        format!("#include <assert.h>\n#include \"dfp/plugin.h\"\n#include \"dfp/plugin.h\"\n{layout}");
    for standard in ["-std=c11", "-std=c17"] {
        compile("cc", standard, &source);
    }
    compile("c++", "-std=c++17", &source);
}

#[test]
fn the_header_meets_foreign_copies_of_the_arrow_structs() {
    let arrow = std::fs::read_to_string(abi("include/dfp/arrow_c.h")).unwrap();
    let foreign = arrow.replace("DFP_ARROW_C_H", "SOMEBODY_ELSES_H");
    compile("cc", "-std=c11", &format!("{foreign}\n#include \"dfp/plugin.h\"\n"));
    compile("c++", "-std=c++17", &format!("{foreign}\n#include \"dfp/plugin.h\"\n"));
}

#[test]
fn a_slot_beyond_a_short_table_is_absent() {
    let source = r#"
        #include "dfp/plugin.h"
        #include <stdio.h>
        static int32_t yes(void *ctx) { (void)ctx; return 1; }
        int main(void) {
            dfp_host host = {0};
            host.is_cancelled = yes;
            host.struct_size = sizeof(dfp_host);
            int whole = DFP_HAS(&host, is_cancelled) && !DFP_HAS(&host, log);
            host.struct_size = offsetof(dfp_host, is_cancelled) + 7;
            int cut = !DFP_HAS(&host, is_cancelled);
            printf("%d %d", whole, cut);
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
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 1");
}
