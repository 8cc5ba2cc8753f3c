//! The shape of the workspace: floors, dependency budgets, and where `unsafe` may live.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Ground floor first: a crate may use only crates of lower floors.
const FLOORS: &[&[&str]] = &[
    &["dfp-core", "dfp-abi"],
    &["dfp-prep", "dfp-models", "dfp-store", "dfp-plugin", "dfp-host"],
    &["dfp-cuda-kernels"],
    &["dfp-sdk"],
    &["dfp-capi"],
    &["dfp-cli"],
];

/// The one exception inside a floor: the border speaks of the contracts.
const SAME_FLOOR: &[(&str, &str)] = &[("dfp-abi", "dfp-core")];

/// The most crates (themselves included) in the normal dependency tree with default features.
const BUDGETS: &[(&str, usize)] = &[("dfp-core", 40), ("dfp-sdk", 80), ("dfp-capi", 70)];

/// The only crates with unsafe code; all others say `#![forbid(unsafe_code)]`.
const UNSAFE: &[&str] = &["dfp-abi", "dfp-plugin", "dfp-host", "dfp-capi", "dfp-cuda-kernels"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .other_options(["--offline".to_owned(), "--filter-platform=x86_64-unknown-linux-gnu".to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

/// Names of our crates and the names of our crates each one uses outside its tests.
fn own_dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let own: BTreeSet<_> = metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let uses = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        normal.map(|d| d.name.clone()).filter(|name| own.contains(name)).collect()
    };
    metadata.workspace_packages().into_iter().map(|p| (p.name.to_string(), uses(p))).collect()
}

#[test]
fn crates_use_only_lower_floors() {
    let floor_of = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let mut checked = 0;
    for (name, uses) in own_dependencies(&metadata()) {
        let Some(floor) = floor_of(&name) else { continue };
        for used in uses {
            let below = floor_of(&used).is_some_and(|other| other < floor);
            let allowed = SAME_FLOOR.contains(&(name.as_str(), used.as_str()));
            assert!(below || allowed, "{name} (floor {floor}) must not use {used}");
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} edges seen: the workspace was not read");
}

/// Plugins may share crates of their own, which hold to the same rule.
#[test]
fn plugins_see_the_author_crate_and_nothing_else_of_ours() {
    let metadata = metadata();
    let plugins = metadata.workspace_packages().into_iter().filter_map(|package| {
        let inside = package.manifest_path.as_str().contains("dfp-plugins");
        inside.then(|| package.name.to_string())
    });
    let plugins: Vec<_> = plugins.collect();
    assert!(!plugins.is_empty());
    let uses = own_dependencies(&metadata);
    for plugin in &plugins {
        for used in &uses[plugin] {
            assert!(used == "dfp-plugin" || plugins.contains(used), "{plugin} must not use {used}");
        }
    }
}

#[test]
fn no_crate_but_the_top_sees_both_models_and_host() {
    for (name, uses) in own_dependencies(&metadata()) {
        let both = uses.contains("dfp-models") && uses.contains("dfp-host");
        assert!(!both || ["dfp-sdk", "dfp-capi", "dfp-cli"].contains(&name.as_str()), "{name}");
    }
}

/// What `cargo tree` lists for a crate alone: the whole workspace's metadata would add features that only our tests use.
fn normal_tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args([
            "tree",
            "--offline",
            "--edges=normal",
            "--prefix=none",
            "--target=x86_64-unknown-linux-gnu",
            "--package",
        ])
        .arg(package)
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    text.lines().filter(|line| !line.is_empty()).map(name).collect()
}

#[test]
fn dependency_trees_stay_inside_their_budgets() {
    for (package, budget) in BUDGETS {
        let tree = normal_tree(package);
        println!("{package}: {} crates of {budget}", tree.len());
        assert!(tree.len() > 10, "{package}: the tree was not read");
        assert!(
            tree.len() <= *budget,
            "{package} needs {} crates, more than {budget}: {tree:#?}",
            tree.len()
        );
    }
}

#[test]
fn the_c_library_holds_what_its_functions_need() {
    let tree = normal_tree("dfp-capi");
    let has = |name: &str| tree.iter().any(|package| package.split(' ').next() == Some(name));
    assert!(has("dfp-models") && !has("dfp-host") && !has("dfp-store"), "{tree:#?}");
}

#[test]
fn unsafe_code_lives_only_where_the_plan_puts_it() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            // Tests, benches and build scripts are not shipped.
            let shipped = target.is_lib() || target.is_bin() || target.is_cdylib();
            if !shipped || UNSAFE.contains(&package.name.as_str()) {
                continue;
            }
            let root = std::fs::read_to_string(&target.src_path).expect("a readable crate root");
            let plugin = package.manifest_path.as_str().contains("dfp-plugins");
            // A plugin's exported symbol is an unsafe attribute that the author's macro writes.
            let wanted = if plugin { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
            let has = root.contains(wanted) || root.contains("#![forbid(unsafe_code)]");
            assert!(has, "{} does not say {wanted}", target.src_path);
        }
    }
}
