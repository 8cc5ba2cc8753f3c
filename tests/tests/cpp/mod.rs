//! C++ is tested where there is a compiler: the README asks for one of C only.

use std::process::Command;

/// Whether C++ can be compiled here. Where `DFP_REQUIRE_CPP` is set, as on CI, it must be.
pub(crate) fn available() -> bool {
    let found = Command::new("c++").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("DFP_REQUIRE_CPP").is_none(), "c++ is not installed");
    if !found {
        println!("c++ is not installed: nothing of C++ is tested here");
    }
    found
}
