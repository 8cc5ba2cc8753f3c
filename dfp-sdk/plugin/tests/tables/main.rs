//! The tables that `export_plugin!` makes, called the way C calls them: through pointers, with whatever it may pass.
// SAFETY of every call here: the structs are local ones, and the instances come from the tables themselves.
#![allow(clippy::undocumented_unsafe_blocks)]

mod common;
mod models;
mod sinks;
mod stages;

use common::{Engine, HOST, Made, call, components, ops, plugin, text};
use dfp_abi::c::{
    DFP_CONCURRENT, DFP_DETERMINISTIC, DFP_INVALID_ARGUMENT, DFP_INVALID_CONFIG, DFP_PANIC, dfp_instance_ops,
};
use dfp_plugin::Kind;

/// A right configuration of the test plugin's component of `kind`.
fn config(kind: Kind) -> &'static str {
    match kind {
        Kind::Source | Kind::Stage => "{}",
        Kind::Sink => r#"{"path": ""}"#,
        Kind::Model => r#"{"column": "x"}"#,
    }
}

#[test]
fn the_tables_state_what_the_components_say() {
    assert_eq!(text(plugin().id), "dfp.test");
    let facts: Vec<_> =
        components().iter().map(|component| (component.kind, text(component.id), component.flags)).collect();
    assert_eq!(
        facts,
        [
            (1, "lines", 0),
            (2, "rows", DFP_DETERMINISTIC),
            (3, "append", 0),
            (4, "means", DFP_DETERMINISTIC | DFP_CONCURRENT),
        ]
    );
    for component in components() {
        assert_eq!(component.profile.is_null(), component.kind != Kind::Source as u32);
    }
}

#[test]
fn every_kind_introspects() {
    let engine = Engine::default();
    let about = Kind::ALL.map(|kind| Made::new(kind, config(kind), &engine).introspect());
    assert_eq!(about, ["{}", r#"{"held":0,"ready":0}"#, r#"{"waiting_bytes":0}"#, r#"{"fits":0}"#]);
    assert_eq!(engine.retained.into_inner(), 0);
}

#[test]
fn create_fails_cleanly_whatever_it_is_passed() {
    let engine = Engine::default();
    for kind in Kind::ALL {
        let create = ops::<dfp_instance_ops>(kind).create.unwrap();
        let broken = config(kind).replacen('{', r#"{"misdeed": "panic-in-create", "#, 1).replace(", }", "}");
        for (config, expected) in [
            (broken.as_str(), DFP_PANIC),
            ("{\"colour\": 1}", DFP_INVALID_CONFIG),
            ("\u{0}", DFP_INVALID_CONFIG),
            ("", DFP_INVALID_CONFIG),
        ] {
            let mut out = std::ptr::dangling_mut();
            let (code, message) = call(|error| unsafe {
                let (data, len) = (config.as_ptr().cast(), config.len());
                create(&raw const HOST, engine.ctx(), data, len, &raw mut out, error)
            });
            assert_eq!(code, expected, "{kind} {config}: {message}");
            assert!(out.is_null() && !message.is_empty());
        }
        // No place for the answer: the instance goes at once, and nobody keeps the host.
        let right = config(kind);
        let (code, _) = call(|error| unsafe {
            let (data, len) = (right.as_ptr().cast(), right.len());
            create(&raw const HOST, engine.ctx(), data, len, std::ptr::null_mut(), error)
        });
        assert_eq!(code, DFP_INVALID_ARGUMENT);
        assert_eq!(engine.retained.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}

#[test]
fn null_instances_and_panicking_destructors_harm_nobody() {
    let engine = Engine::default();
    for kind in Kind::ALL {
        let ops = ops::<dfp_instance_ops>(kind);
        unsafe {
            ops.destroy.unwrap()(std::ptr::null_mut());
            ops.request_cancel.unwrap()(std::ptr::null_mut());
            let (code, _) = call(|error| {
                let mut out = dfp_abi::c::dfp_buf::default();
                ops.introspect.unwrap()(std::ptr::null_mut(), &raw mut out, error)
            });
            assert_eq!(code, DFP_INVALID_ARGUMENT);
        }
        let broken = config(kind).replacen('{', r#"{"misdeed": "panic-in-drop", "#, 1).replace(", }", "}");
        drop(Made::new(kind, &broken, &engine));
    }
    assert_eq!(engine.retained.into_inner(), 0);
}
