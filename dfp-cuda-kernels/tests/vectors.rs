//! The reference's vectors of training runs, on the kernels, in every precision. Folders as in `dfp-tests`: `DFP_VECTORS`, else
//! `tests/vectors` and, when present, `../shared/vectors`.
mod support;

#[path = "../../tests/tests/vectors/autoencoder.rs"]
#[allow(dead_code)] // The rest of what it checks is the CPU's alone.
mod autoencoder;
#[path = "../../tests/tests/vectors/small.rs"]
#[allow(dead_code)]
mod small;
#[path = "../../tests/tests/vectors/values.rs"]
#[allow(dead_code)]
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use dfp_cuda_kernels::{CudaBackend, Precision};
use dfp_models::autoencoder::backend::Backend;
use serde_json::Value;

/// How far from the reference's numbers, absolutely plus relatively, a precision may end after some steps (`ae`), and after whole
/// runs with early stopping (`fit`): there bf16's roundings decide when to stop, and it goes ways of its own. Of Adam's first
/// steps, which are all of one size, they turn some small ones around.
const TOLERANCES: [(Precision, f64, Option<f64>); 4] = [
    (Precision::Fp32, 1e-5, Some(1e-5)),
    (Precision::Bf16x3, 1e-4, Some(1e-4)),
    (Precision::Bf16, 0.05, None),
    (Precision::Wgmma, 0.05, None),
];

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is inside the repository");
    let folders = match std::env::var_os("DFP_VECTORS") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec![root.join("tests/vectors"), root.join("../shared/vectors")],
    };
    let of_folder = |folder: PathBuf| std::fs::read_dir(folder.join("dfp")).into_iter().flatten();
    let mut files: Vec<_> =
        folders.into_iter().flat_map(of_folder).map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn training_runs_end_where_the_reference_says() {
    let Some(device) = support::device() else { return };
    let (mut runs, mut failures) = (0, Vec::new());
    for file in files() {
        let vector: Value = match std::fs::read(&file).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(vector)) => vector,
            // Of other kinds.
            _ => continue,
        };
        if vector["kind"] != "ae" && vector["kind"] != "fit" {
            continue;
        }
        for (precision, of_steps, of_runs) in TOLERANCES {
            let Some(tolerance) = (if vector["kind"] == "ae" { Some(of_steps) } else { of_runs }) else {
                continue;
            };
            let backend = CudaBackend::new(vec![device.clone()], precision);
            let run = AssertUnwindSafe(|| autoencoder::train_on(&backend, &vector, tolerance));
            match catch_unwind(run) {
                Ok(cases) => runs += cases,
                Err(panic) => {
                    let why = dfp_core::panic_text(&*panic);
                    failures.push(format!("{} in {precision:?}: {why}", file.display()));
                }
            }
            assert_eq!(backend.counts().on_cpu, 0, "{:?}", backend.take_failures());
        }
    }
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n"));
    assert!(runs > 0, "no vector was found");
    println!("{runs} training runs");
}
