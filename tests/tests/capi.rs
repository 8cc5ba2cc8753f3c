//! The library for programs in C: its header, and a program that links it.
//!
//! After a change of what `dfp-sdk/capi/src` exports, run this test once with `DFP_BLESS=1` and commit what it writes.

mod cpp;

use std::path::{Path, PathBuf};
use std::process::Command;

use dfp::HEADER;

const HEAD: &str = "\
/* dfp for programs in C.
 *
 * Codes, dfp_error, dfp_buf and dfp_reject are those of dfp/plugin.h. What holds for every function:
 *
 * - It returns DFP_OK or another code, and takes the place for an error last. That may be NULL; else set its struct_size and
 *   zero the next 12 bytes. No panic and no exception comes out of a function.
 * - An Arrow struct passed in moves, whether or not the call succeeds: it is released when the function returns or when the
 *   stream made of it is, and its place holds a released struct.
 * - Places for results are written to without a look at what they hold. After a failure they hold nothing: a released struct,
 *   an empty dfp_buf, NULL. What they hold after a success is the caller's to release, each on its own, in any order.
 * - Texts are UTF-8 and end with NUL, and are borrowed for the call. options, config and timeline are JSON objects; they
 *   and the observer may be NULL, which means nothing but defaults. No other pointer may.
 * - A stream that comes out reads the one that went in while it is pulled. Where it fails, its get_next returns
 *   DFP_STREAM_CODE_BASE plus a code, and its get_last_error says why.
 * - Any thread may call any function; a stream is used by one thread at a time.
 *
 * Columns may be of integers, floats, booleans, texts and bytes (also large), timestamps, dates, durations, decimals of 128
 * bits, dictionaries of texts with keys of 32 bits, and lists, structs and maps of these. Every value that comes in is checked.
 *
 * Generated from dfp-sdk/capi/src by the test capi; not to be edited. */

#ifndef DFP_H
#define DFP_H";

/// A path inside the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Files whose functions the header has, in its order.
const SOURCES: [&str; 4] = ["observer", "stream", "sessions", "model"];

/// The header as the sources have it now.
fn generated() -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::C99,
        header: Some(HEAD.into()),
        trailer: Some("#endif /* DFP_H */".into()),
        includes: vec!["dfp/plugin.h".into()],
        no_includes: true,
        cpp_compat: true,
        usize_is_size_t: true,
        line_length: 110,
        tab_width: 2,
        ..cbindgen::Config::default()
    };
    for name in ["ArrowSchema", "ArrowArray", "ArrowArrayStream"] {
        config.export.rename.insert(name.into(), format!("struct {name}"));
    }
    let sources = SOURCES.map(|file| repository(&format!("dfp-sdk/capi/src/{file}.rs")));
    let builder = sources.into_iter().fold(cbindgen::Builder::new(), cbindgen::Builder::with_src);
    let mut text = Vec::new();
    builder.with_config(config).generate().expect("cbindgen reads the sources").write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_what_the_sources_say() {
    let generated = generated();
    if std::env::var_os("DFP_BLESS").is_some() {
        std::fs::write(repository("dfp-sdk/capi/include/dfp/dfp.h"), &generated).unwrap();
        println!("wrote the header; run the test again without DFP_BLESS");
        return;
    }
    assert_eq!(
        HEADER, generated,
        "the header drifted: run this test with DFP_BLESS=1 and commit what it writes"
    );
}

/// Every function of the header, and whether the guide speaks of it.
#[test]
fn the_guide_has_every_function() {
    let guide = std::fs::read_to_string(repository("docs/c.md")).unwrap();
    let words = HEADER.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let functions: Vec<_> = words
        .filter(|word| HEADER.contains(&format!(" {word}(")) || HEADER.contains(&format!("*{word}(")))
        .filter(|word| word.starts_with("dfp_"))
        .collect();
    assert!(functions.len() > 10, "{functions:?}");
    for function in functions {
        assert!(guide.contains(&format!("`{function}`")), "docs/c.md does not mention {function}");
    }
}

/// A compiler with its language, our headers, and every warning an error.
fn compiler(name: &str, standard: &str) -> Command {
    let mut command = Command::new(name);
    command.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    for headers in ["dfp-sdk/capi/include", "dfp-sdk/abi/include"] {
        command.arg("-I").arg(repository(headers));
    }
    command
}

fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

#[test]
fn the_header_compiles_as_c_and_as_cpp() {
    let dir = tempfile::tempdir().unwrap();
    let languages = [("cc", "-std=c11", "c"), ("cc", "-std=c99", "c"), ("c++", "-std=c++17", "cpp")];
    let here = if cpp::available() { &languages[..] } else { &languages[..2] };
    for (name, standard, extension) in here {
        let file = dir.path().join(format!("test.{extension}"));
        // Alone, twice, and beside the header of plugins; its functions can be named.
        let source = "#include \"dfp/dfp.h\"\n#include \"dfp/dfp.h\"\n#include \"dfp/plugin.h\"\n\
                      int32_t use(dfp_sequence_model *model, dfp_error *error);\n\
                      int32_t use(dfp_sequence_model *model, dfp_error *error) {\n\
                      dfp_buf bytes; return dfp_sequence_model_save(model, &bytes, error); }\n";
        std::fs::write(&file, source).unwrap();
        let mut command = compiler(name, standard);
        command.arg("-fsyntax-only").arg(&file);
        succeed(command);
    }
}

/// Where cargo puts the libraries of what tests depend on.
fn libraries() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let dir = executable.parent().unwrap();
    for library in ["libdfp.so", "libdfp.a"] {
        assert!(dir.join(library).is_file(), "{library} is missing in {}", dir.display());
    }
    dir.to_owned()
}

/// Runs the example; below what `DFP_C_RUNNER` names, if it names something.
fn run(program: &Path, page: &Path) -> String {
    let runner = std::env::var("DFP_C_RUNNER").unwrap_or_default();
    let mut words =
        runner.split_whitespace().map(std::ffi::OsStr::new).chain([program.as_os_str(), page.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    succeed(command)
}

fn example(arguments: impl FnOnce(&mut Command, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let (program, page) = (dir.path().join("sessions"), dir.path().join("sessions.html"));
    let mut command = compiler("cc", "-std=c11");
    command.arg(repository("examples/c/sessions.c")).arg("-o").arg(&program);
    arguments(&mut command, &libraries());
    succeed(command);

    let printed = run(&program, &page);
    let lines: Vec<_> = printed.lines().collect();
    // A delete where a read was always: learned with it, by both ways.
    assert_eq!(lines.len(), 2, "{printed}");
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0].starts_with("40 sessions, score ") && lines[0].contains("delete"), "{printed}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("</html>") && page.contains("delete") && page.contains("40 sessions"));
}

#[test]
fn a_program_in_c_links_the_shared_library() {
    example(|command, libraries| {
        command.arg("-L").arg(libraries).arg("-ldfp");
        command.arg(format!("-Wl,-rpath,{}", libraries.display()));
    });
}

#[test]
fn a_program_in_c_links_the_static_library() {
    example(|command, libraries| {
        command.arg(libraries.join("libdfp.a")).args(["-lpthread", "-ldl", "-lm"]);
    });
}

/// The shared library offers its functions, and nothing else of what it is made of.
#[test]
fn the_shared_library_exports_the_functions_of_the_header() {
    let mut command = Command::new("nm");
    command.args(["-D", "--defined-only", "--format=posix"]).arg(libraries().join("libdfp.so"));
    let symbols = succeed(command);
    let symbols: Vec<_> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(symbols.len() > 10, "{symbols:?}");
    for symbol in symbols {
        assert!(HEADER.contains(&format!("{symbol}(")), "{symbol} is exported, but not in the header");
    }
}
