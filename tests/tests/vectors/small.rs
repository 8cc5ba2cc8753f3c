//! Vectors of single functions: scalers, swap noise, embedding widths.

use dfp_models::autoencoder::features::embedding_width;
use dfp_models::autoencoder::scaler::{Scaler, ScalerKind};
use dfp_models::autoencoder::swap;
use serde_json::Value;

use crate::values::{assert_close, flat, index, list};

/// Scalers and their inverses are 64-bit.
const EXACT: f64 = 1e-9;
/// The reference cuts the ends off in 64 bits of 1 - 1e-7, where a last bit is worth more.
const RANK: f64 = 1e-8;

pub(crate) fn embedding(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    for case in cases {
        assert_eq!(embedding_width(index(&case[0])), index(&case[1]), "{case}");
    }
    cases.len()
}

pub(crate) fn scalers(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    for (i, case) in cases.iter().enumerate() {
        let fit = flat(&case["fit"]);
        for (name, kind, tolerance) in [
            ("standard", ScalerKind::Standard, EXACT),
            ("modified", ScalerKind::Modified, EXACT),
            ("gauss_rank", ScalerKind::GaussRank, RANK),
        ] {
            let (scaler, expected) = (Scaler::fit(kind, &fit, 0, 0), &case[name]);
            let what = format!("case {i} {name}");
            check_scaler(&what, &scaler, expected);
            let map =
                |values: &[f64], f: &dyn Fn(f64) -> f64| values.iter().map(|x| f(*x)).collect::<Vec<_>>();
            let probe = flat(&case["probe"]);
            let scaled = map(&probe, &|x| scaler.transform(x));
            assert_close(&format!("{what} transform"), &scaled, &flat(&expected["transform"]), tolerance);
            let back = expected.get("inverse_probe").map_or(probe, flat);
            let back = map(&back, &|y| scaler.inverse(y));
            assert_close(&format!("{what} inverse"), &back, &flat(&expected["inverse"]), tolerance);
            if let Some(of_fit) = expected.get("transform_of_fit") {
                let scaled = map(&fit, &|x| scaler.transform(x));
                assert_close(&format!("{what} of its own values"), &scaled, &flat(of_fit), tolerance);
            }
        }
    }
    3 * cases.len()
}

/// Compares the parameters that the vector names.
pub(crate) fn check_scaler(what: &str, scaler: &Scaler, expected: &Value) {
    let found: Vec<(&str, Vec<f64>)> = match scaler {
        Scaler::Standard { mean, std } => vec![("mean", vec![*mean]), ("std", vec![*std])],
        Scaler::Modified { median, mad, mean_ad } => {
            vec![("median", vec![*median]), ("mad", vec![*mad]), ("meanad", vec![*mean_ad])]
        }
        Scaler::GaussRank { quantiles } => vec![("quantiles", quantiles.clone())],
        Scaler::None {} => vec![],
    };
    for (name, values) in found {
        assert_close(&format!("{what} {name}"), &values, &flat(&expected[name]), EXACT);
    }
}

pub(crate) fn swap(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    for (i, case) in cases.iter().enumerate() {
        let (rows, likelihood) = (index(&case["rows"]), case["likelihood"].as_f64().expect("a share"));
        let draws = swap::swap_rows(rows, likelihood);
        assert_eq!(draws, index(&case["swap_rows"]), "case {i}: draws a column");
        let before = columns(&case["before"], rows);
        let after = columns(&case["after"], rows);
        assert_eq!(before.len(), list(&case["column_order"]).len(), "case {i}: columns");
        for (c, (before, after)) in before.iter().zip(&after).enumerate() {
            let drawn = |k: usize| (index(&case["source_rows"][k][c]), index(&case["dest_rows"][k][c]));
            let mut noisy = before.clone();
            swap::swap(|row| before[row], &mut noisy, (0..draws).map(drawn));
            assert_eq!(&noisy, after, "case {i} column {c}");
        }
    }
    cases.len()
}

/// Columns of `{numeric: rows, binary: rows, codes: columns}`, in that order.
fn columns(value: &Value, rows: usize) -> Vec<Vec<f64>> {
    let mut columns = Vec::new();
    for part in ["numeric", "binary"] {
        let width = list(&value[part][0]).len();
        columns
            .extend((0..width).map(|c| (0..rows).map(|row| value[part][row][c].as_f64().unwrap()).collect()));
    }
    columns.extend(list(&value["codes"]).iter().map(flat));
    columns
}
