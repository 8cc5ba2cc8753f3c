//! The shape of the workspace: floors, dependency budgets, and where `unsafe` may live.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Ground floor first: a crate may use only crates of lower floors.
const FLOORS: &[&[&str]] = &[
    &["dfp-core", "dfp-abi"],
    &["dfp-prep", "dfp-models", "dfp-store", "dfp-plugin", "dfp-host"],
    &["dfp-sdk"],
    &["dfp-capi"],
    &["dfp-cli"],
];

/// The one exception inside a floor: the border speaks of the contracts.
const SAME_FLOOR: &[(&str, &str)] = &[("dfp-abi", "dfp-core")];

/// The most crates (themselves included) in the normal dependency tree with default features.
const BUDGETS: &[(&str, usize)] = &[("dfp-core", 40), ("dfp-sdk", 80)];

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

#[test]
fn plugins_see_the_author_crate_and_nothing_else_of_ours() {
    let plugins = metadata().workspace_packages().into_iter().filter_map(|package| {
        let inside = package.manifest_path.as_str().contains("dfp-plugins");
        inside.then(|| package.name.to_string())
    });
    let plugins: Vec<_> = plugins.collect();
    assert!(!plugins.is_empty());
    let uses = own_dependencies(&metadata());
    for plugin in plugins {
        assert_eq!(uses[&plugin], ["dfp-plugin".to_owned()].into(), "{plugin}");
    }
}

#[test]
fn no_crate_but_the_top_sees_both_models_and_host() {
    for (name, uses) in own_dependencies(&metadata()) {
        let both = uses.contains("dfp-models") && uses.contains("dfp-host");
        assert!(!both || ["dfp-sdk", "dfp-capi", "dfp-cli"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn dependency_trees_stay_inside_their_budgets() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let normal: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let kinds_normal = |dep: &&cargo_metadata::NodeDep| {
                dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            };
            (&node.id, node.deps.iter().filter(kinds_normal).map(|dep| &dep.pkg).collect())
        })
        .collect();
    for (name, budget) in BUDGETS {
        let root = metadata.packages.iter().find(|p| p.name.as_str() == *name).expect("the crate exists");
        let mut seen = BTreeSet::new();
        let mut open = vec![&root.id];
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&normal[id]);
            }
        }
        println!("{name}: {} crates of {budget}", seen.len());
        assert!(seen.len() <= *budget, "{name} needs {} crates, more than {budget}: {seen:#?}", seen.len());
    }
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
