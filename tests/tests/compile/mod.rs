//! Compiles plugins of other languages.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A path inside the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the repository").join(path)
}

/// Compiles `source`, a path inside the repository, to a shared library; any warning is an error.
pub(crate) fn shared_library(source: &str, output: &Path, arguments: &[&str]) {
    let is_cpp = Path::new(source).extension().is_some_and(|extension| extension == "cpp");
    let (compiler, standard) = if is_cpp { ("c++", "-std=c++17") } else { ("cc", "-std=c11") };
    let result = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC", "-shared", "-I"])
        .arg(repository("dfp-sdk/abi/include"))
        .args(arguments)
        .arg(repository(source))
        .arg("-o")
        .arg(output)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}, which the README asks for: {error}"));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}
