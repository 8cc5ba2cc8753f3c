//! From Arrow columns to numbers a network takes (spec section 11): feature kinds, fill values, scalers, categories.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};

use super::config::{Config, MAX_CATS};
use super::scaler::Scaler;
use crate::{Error, Result};

/// What a feature of no predictable category (or an unknown one) is called.
pub const OTHER: &str = "_other";
/// Scaled numbers are cut off here: beyond, values are equally absurd and 32-bit losses would overflow.
const FARTHEST: f64 = 1e9;

type Map<K, V> = HashMap<K, V, RandomState>;

/// What was learned about one feature's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A number.
    Numeric {
        /// Stands in for missing and non-finite numbers: the mean of the others.
        fill: f64,
        /// Fitted on the finite numbers.
        scaler: Scaler,
    },
    /// True or false; null counts as false.
    Binary {},
    /// One of the known values, or `_other`.
    Categorical {
        /// By falling count, ties by first appearance; a value's code is its position. The last code, `_other`, has no
        /// entry.
        categories: Vec<String>,
    },
}

/// One feature of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// How its values become numbers.
    pub encoding: Encoding,
}

impl Feature {
    /// Number of codes with `_other`; 0 if not categorical.
    pub fn codes(&self) -> usize {
        match &self.encoding {
            Encoding::Categorical { categories } => categories.len() + 1,
            _ => 0,
        }
    }

    fn rank(&self) -> usize {
        match self.encoding {
            Encoding::Numeric { .. } => 0,
            Encoding::Binary {} => 1,
            Encoding::Categorical { .. } => 2,
        }
    }
}

/// Width of the embedding of a feature with this many codes (`_other` included).
pub fn embedding_width(codes: usize) -> usize {
    let width = (1.6 * (codes as f64).powf(0.56)).round_ties_even() as usize;
    width.min(600)
}

/// The features of a model in model order: numeric, binary, categorical, each in table order.
#[derive(Debug, Clone)]
pub struct Features {
    list: Vec<Feature>,
    /// Code of every category, per categorical feature.
    codes: Vec<Map<String, u32>>,
}

/// Rows as the network takes them. `values` holds numeric then binary columns, `codes` the categorical ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// Number of rows.
    pub rows: usize,
    /// Per numeric and binary feature, a value per row.
    pub values: Vec<Vec<f32>>,
    /// Per categorical feature, a code per row.
    pub codes: Vec<Vec<u32>>,
}

impl Features {
    /// Learns the features called `names` from the columns of `batch`; the order is the batch's.
    ///
    /// # Errors
    /// If a column is missing or of a type that is no feature, or nothing is named.
    pub fn fit(batch: &RecordBatch, names: &[String], config: &Config) -> Result<Self> {
        if let Some(name) = names.iter().find(|name| batch.column_by_name(name).is_none()) {
            return Err(Error::MissingColumn { column: name.clone() });
        }
        let schema = batch.schema();
        let mut list = Vec::new();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if names.contains(field.name()) {
                list.push(fit_feature(field.name(), column, config, list.len() as u32)?);
            }
        }
        list.sort_by_key(Feature::rank);
        Self::new(list)
    }

    /// The features of a saved model, or of one built by hand.
    ///
    /// # Errors
    /// If there are none, a name or category comes twice, the order is not the model order, or a number is not finite.
    pub fn new(list: Vec<Feature>) -> Result<Self> {
        let damaged = |what: String| Err(Error::Damaged(what));
        if list.is_empty() {
            return Err(Error::NothingToLearn("no feature is named"));
        }
        if !list.is_sorted_by_key(Feature::rank) {
            return damaged("features are not in the order numeric, binary, categorical".into());
        }
        let mut names = std::collections::HashSet::new();
        let mut codes = Vec::new();
        for feature in &list {
            let name = &feature.name;
            if !names.insert(name) {
                return damaged(format!("feature `{name}` comes twice"));
            }
            match &feature.encoding {
                Encoding::Numeric { fill, scaler } if !fill.is_finite() || !scaler.is_valid() => {
                    return damaged(format!("feature `{name}` has an impossible scaler"));
                }
                Encoding::Categorical { categories } => {
                    let positions = categories.iter().cloned().zip(0_u32..);
                    let map: Map<String, u32> = positions.collect();
                    if map.len() != categories.len() || map.len() > MAX_CATS {
                        return damaged(format!("feature `{name}` has repeated or too many categories"));
                    }
                    codes.push(map);
                }
                _ => {}
            }
        }
        Ok(Self { list, codes })
    }

    /// The features in model order.
    pub fn list(&self) -> &[Feature] {
        &self.list
    }

    /// The columns scoring needs.
    pub fn schema(&self) -> SchemaRef {
        let field = |feature: &Feature| {
            let data_type = match feature.encoding {
                Encoding::Numeric { .. } => DataType::Float64,
                Encoding::Binary {} => DataType::Boolean,
                Encoding::Categorical { .. } => DataType::Utf8,
            };
            Field::new(&feature.name, data_type, true)
        };
        Arc::new(Schema::new(self.list.iter().map(field).collect::<Vec<_>>()))
    }

    /// Turns rows into the network's numbers. Missing and non-finite numbers take the fill value, null booleans are
    /// false, null and unknown texts are `_other`.
    ///
    /// # Errors
    /// If a column is missing or of another kind than learned.
    pub fn prepare(&self, batch: &RecordBatch) -> Result<Prepared> {
        let mut prepared = Prepared { rows: batch.num_rows(), ..Prepared::default() };
        for feature in &self.list {
            let name = &feature.name;
            let Some(column) = batch.column_by_name(name) else {
                return Err(Error::MissingColumn { column: name.clone() });
            };
            match &feature.encoding {
                Encoding::Numeric { fill, scaler } => {
                    let numbers = numbers(name, column)?;
                    prepared.values.push(numbers.iter().map(|x| scale(*x, *fill, scaler)).collect());
                }
                Encoding::Binary {} => {
                    let bits = booleans(name, column)?;
                    prepared.values.push(bits.iter().map(|bit| f32::from(bit == Some(true))).collect());
                }
                Encoding::Categorical { categories } => {
                    let known = &self.codes[prepared.codes.len()];
                    let other = categories.len() as u32;
                    let code = |text: &str| known.get(text).copied().unwrap_or(other);
                    prepared.codes.push(texts(name, column, code, other)?);
                }
            }
        }
        Ok(prepared)
    }

    /// Predictions of feature `index` in the units of its column: numbers for numeric features, text for the others.
    pub fn decode(&self, index: usize, predicted: impl Iterator<Item = f32>) -> ArrayRef {
        match &self.list[index].encoding {
            Encoding::Numeric { scaler, .. } => {
                Arc::new(predicted.map(|y| scaler.inverse(f64::from(y))).collect::<Float64Array>())
            }
            Encoding::Binary {} => {
                let text = |y| if y > 0.5 { "true" } else { "false" };
                Arc::new(StringArray::from_iter_values(predicted.map(text)))
            }
            Encoding::Categorical { categories } => {
                let text = |code: f32| categories.get(code as usize).map_or(OTHER, String::as_str);
                Arc::new(StringArray::from_iter_values(predicted.map(text)))
            }
        }
    }
}

fn scale(x: f64, fill: f64, scaler: &Scaler) -> f32 {
    let x = if x.is_finite() { x } else { fill };
    scaler.transform(x).clamp(-FARTHEST, FARTHEST) as f32
}

fn fit_feature(name: &str, column: &ArrayRef, config: &Config, index: u32) -> Result<Feature> {
    let encoding = if column.data_type().is_numeric() {
        let finite: Vec<f64> = numbers(name, column)?.into_iter().filter(|x| x.is_finite()).collect();
        let fill = mean_without_overflow(&finite);
        Encoding::Numeric { fill, scaler: Scaler::fit(config.scaler.of(name), &finite, config.seed, index) }
    } else if column.data_type() == &DataType::Boolean {
        Encoding::Binary {}
    } else {
        Encoding::Categorical { categories: categories(name, column, config)? }
    };
    Ok(Feature { name: name.to_owned(), encoding })
}

fn mean_without_overflow(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean.is_finite() { mean } else { 0.0 }
}

/// The values seen at least `min_cats` times, by falling count, ties by first appearance.
fn categories(name: &str, column: &ArrayRef, config: &Config) -> Result<Vec<String>> {
    let mut ids: Map<String, u32> = Map::default();
    let id_of = |text: &str| {
        if let Some(id) = ids.get(text) {
            return *id;
        }
        let id = ids.len() as u32;
        ids.insert(text.to_owned(), id);
        id
    };
    let rows = texts(name, column, id_of, u32::MAX)?;
    let mut counts = vec![(0_usize, usize::MAX); ids.len()];
    for (row, id) in rows.iter().enumerate() {
        if let Some((count, first)) = counts.get_mut(*id as usize) {
            *count += 1;
            *first = row.min(*first);
        }
    }
    let mut kept: Vec<(String, (usize, usize))> =
        ids.into_iter().map(|(text, id)| (text, counts[id as usize])).collect();
    kept.retain(|(_, (count, _))| *count >= config.min_cats);
    kept.sort_unstable_by_key(|(_, (count, first))| (std::cmp::Reverse(*count), *first));
    kept.truncate(config.max_cats);
    Ok(kept.into_iter().map(|(text, _)| text).collect())
}

/// A column as numbers; null is not a number.
fn numbers(name: &str, column: &ArrayRef) -> Result<Vec<f64>> {
    fn of<T: ArrowPrimitiveType>(column: &ArrayRef, number: impl Fn(T::Native) -> f64) -> Vec<f64> {
        column.as_primitive::<T>().iter().map(|x| x.map_or(f64::NAN, &number)).collect()
    }
    Ok(match column.data_type() {
        DataType::Int8 => of::<Int8Type>(column, f64::from),
        DataType::Int16 => of::<Int16Type>(column, f64::from),
        DataType::Int32 => of::<Int32Type>(column, f64::from),
        DataType::Int64 => of::<Int64Type>(column, |x| x as f64),
        DataType::UInt8 => of::<UInt8Type>(column, f64::from),
        DataType::UInt16 => of::<UInt16Type>(column, f64::from),
        DataType::UInt32 => of::<UInt32Type>(column, f64::from),
        DataType::UInt64 => of::<UInt64Type>(column, |x| x as f64),
        DataType::Float16 => of::<Float16Type>(column, f64::from),
        DataType::Float32 => of::<Float32Type>(column, f64::from),
        DataType::Float64 => of::<Float64Type>(column, |x| x),
        DataType::Null => vec![f64::NAN; column.len()],
        _ => return Err(wrong_type(name, column, "an integer or a float")),
    })
}

fn booleans(name: &str, column: &ArrayRef) -> Result<BooleanArray> {
    match column.data_type() {
        DataType::Boolean => Ok(column.as_boolean().clone()),
        DataType::Null => Ok(BooleanArray::from(vec![None; column.len()])),
        _ => Err(wrong_type(name, column, "a boolean")),
    }
}

/// A column's texts, each as `code` says, `missing` for nulls. A dictionary's values are asked for once each.
fn texts(name: &str, column: &ArrayRef, mut code: impl FnMut(&str) -> u32, missing: u32) -> Result<Vec<u32>> {
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().map(|x| x.map_or(missing, &mut code)).collect(),
        DataType::LargeUtf8 => {
            column.as_string::<i64>().iter().map(|x| x.map_or(missing, &mut code)).collect()
        }
        DataType::Utf8View => column.as_string_view().iter().map(|x| x.map_or(missing, &mut code)).collect(),
        DataType::Null => vec![missing; column.len()],
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            let values = texts(name, dictionary.values(), code, missing)?;
            if values.is_empty() {
                return Ok(vec![missing; column.len()]);
            }
            let keys = dictionary.normalized_keys();
            let text = |(row, key): (usize, &usize)| if column.is_null(row) { missing } else { values[*key] };
            keys.iter().enumerate().map(text).collect()
        }
        _ => return Err(wrong_type(name, column, "a text, boolean or number")),
    })
}

fn wrong_type(name: &str, column: &ArrayRef, needed: &'static str) -> Error {
    Error::ColumnType { column: name.to_owned(), found: column.data_type().to_string(), needed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::scaler::ScalerKind;
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int64Array};

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn fit(batch: &RecordBatch) -> Features {
        let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        Features::fit(batch, &names, &Config::default()).unwrap()
    }

    #[test]
    fn widths_of_embeddings() {
        // 1.6 * 4^0.56 = 3.478; 1.6 * 20^0.56 = 8.566; 600 at most.
        assert_eq!([embedding_width(4), embedding_width(20), embedding_width(10_000_000)], [3, 9, 600]);
    }

    #[test]
    fn model_order_is_numeric_binary_categorical() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let bit: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let table = batch(vec![("t2", text.clone()), ("b", bit), ("t1", text), ("n", number)]);
        let names: Vec<_> = fit(&table).list().iter().map(|f| f.name.clone()).collect();
        assert_eq!(names, ["n", "b", "t2", "t1"]);
    }

    #[test]
    fn missing_and_infinite_numbers_take_the_mean_of_the_others() {
        let values = [Some(1.0), None, Some(f64::INFINITY), Some(3.0), Some(f64::NAN)];
        let table = batch(vec![("n", Arc::new(Float64Array::from(values.to_vec())))]);
        let prepared = fit(&table).prepare(&table).unwrap();
        assert_eq!(prepared.values, [[-1.0, 0.0, 0.0, 1.0, 0.0]]);
    }

    #[test]
    fn a_column_of_nothing_is_usable() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
        let table = batch(vec![("n", numbers), ("t", texts)]);
        let features = fit(&table);
        let prepared = features.prepare(&table).unwrap();
        assert_eq!((&prepared.values[0], &prepared.codes[0]), (&vec![0.0, 0.0], &vec![0, 0]));
        assert_eq!(features.list()[1].codes(), 1);
        let predicted = features.decode(1, [0.0].into_iter());
        assert_eq!(predicted.as_string::<i32>().value(0), OTHER);
    }

    #[test]
    fn huge_numbers_are_cut_off() {
        let table = batch(vec![("n", Arc::new(Float64Array::from(vec![7.0, 7.0])))]);
        let features = fit(&table);
        let absurd = batch(vec![("n", Arc::new(Float64Array::from(vec![1e300, -1e300])))]);
        assert_eq!(features.prepare(&absurd).unwrap().values, [[1e9, -1e9]]);
    }

    #[test]
    fn categories_by_count_then_appearance_the_same_from_a_dictionary() {
        let words = ["b", "a", "c", "a", "d", "c"];
        let plain: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
        let dictionary: ArrayRef = Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>());
        for column in [plain, dictionary] {
            let table = batch(vec![("t", column)]);
            let features = fit(&table);
            let Encoding::Categorical { categories } = &features.list()[0].encoding else { panic!() };
            assert_eq!(categories, &["a", "c", "b", "d"]);
            assert_eq!(features.prepare(&table).unwrap().codes, [[2, 0, 1, 0, 3, 1]]);
        }
        let config = Config { min_cats: 2, max_cats: 1, ..Config::default() };
        let table = batch(vec![("t", Arc::new(StringArray::from(words.to_vec())))]);
        let features = Features::fit(&table, &["t".to_owned()], &config).unwrap();
        assert_eq!(features.prepare(&table).unwrap().codes, [[1, 0, 1, 0, 1, 1]]);
    }

    #[test]
    fn a_value_called_other_is_an_ordinary_category() {
        let words = vec![Some("_other"), None, Some("_other"), Some("x")];
        let table = batch(vec![("t", Arc::new(StringArray::from(words)))]);
        assert_eq!(fit(&table).prepare(&table).unwrap().codes, [[0, 2, 0, 1]]);
    }

    #[test]
    fn unusable_columns_are_named() {
        let table = batch(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
        let missing = Features::fit(&table, &["gone".to_owned()], &Config::default()).unwrap_err();
        assert!(missing.to_string().contains("`gone`"));
        let text = batch(vec![("n", Arc::new(StringArray::from(vec!["1"])))]);
        let wrong = fit(&table).prepare(&text).unwrap_err();
        assert!(wrong.to_string().contains("`n` is Utf8"), "{wrong}");
        assert!(Features::fit(&table, &[], &Config::default()).is_err());
    }

    #[test]
    fn scalers_by_feature() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let table = batch(vec![("a", numbers.clone()), ("b", numbers)]);
        let config: Config = serde_json::from_str(r#"{"scaler": {"a": "none"}}"#).unwrap();
        let features = Features::fit(&table, &["a".to_owned(), "b".to_owned()], &config).unwrap();
        let kind = |i: usize| match &features.list()[i].encoding {
            Encoding::Numeric { scaler, .. } => scaler.kind(),
            _ => panic!(),
        };
        assert_eq!((kind(0), kind(1)), (ScalerKind::None, ScalerKind::GaussRank));
    }
}
