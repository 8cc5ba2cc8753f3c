//! Rarity: counts what an entity does, and says how unusual a record is by how seldom such days come.
//!
//! A second opinion beside the autoencoder, cheap and easy to explain. Per entity it holds the days of every value, the
//! largest counts of its days and hours, and its active hours. The background comes from a population model of all
//! entities together: how often new values turn up, how many others use a value, how far counts stray, and what scores
//! normal days reach. Everything is measured out of sample: each training row is judged after the days before it alone.
//!
//! The score is -log10 of the share of normal entity-days that hold a record this unusual: at 2, one day in a hundred.

mod combine;
mod config;
mod counts;
mod hours;
mod persist;
mod table;
mod tail;
#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal there.
pub(crate) mod tests;
mod values;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dfp_core::{CancelToken, EVENT_TIME, FitContext, Model, SCORE, Trainer};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use combine::{Combination, Combined};
pub use config::{Config, Group};
pub(crate) use table::days_of;
use table::{Column, Feature, Kind, Table};
pub(crate) use tail::Tail;
use values::Past;

const MINUTE: i64 = 60_000_000_000;
/// Most days to get to know an entity in, before what it does counts for the population.
const WARM_UP: i64 = 14;

/// Fits rarity models of named features.
#[derive(Debug, Clone)]
pub struct RarityTrainer {
    config: Config,
    features: Vec<String>,
}

impl RarityTrainer {
    /// A trainer for these feature columns. Text and booleans are values, numbers are counts.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting cannot work, [`Error::NothingToLearn`] if no feature is named.
    pub fn new(config: Config, features: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, features: crate::named(features)? })
    }

    /// Fits a model to rows of one entity, or of many if the batch has the column `_entity`. Without a population, the
    /// rows are their own.
    ///
    /// # Errors
    /// If there are no rows, a column is missing or of a wrong type, the population does not fit, or the fit is
    /// cancelled.
    pub fn fit_rarity(
        &self,
        data: &RecordBatch,
        population: Option<&Rarity>,
        context: &FitContext,
    ) -> Result<Rarity> {
        if data.num_rows() == 0 {
            return Err(Error::NothingToLearn("there are no rows"));
        }
        let features = table::features(&data.schema(), &self.features, &self.config)?;
        let table = Table::of(data, &features, &self.config)?;
        let background = match population {
            Some(population) if population.features == features => population.background.clone(),
            Some(_) => return Err(Error::Damaged("the population model has other features".to_owned())),
            None => Arc::new(Background::fit(&features, &self.config, &table, context)?),
        };
        // A batch of several entities makes a model of nobody in particular.
        let entity = match &table.entities[..] {
            [rows] => table.columns.iter().map(|column| History::of(column, &table, rows)).collect(),
            _ => features.iter().map(|feature| History::none(feature.kind)).collect(),
        };
        Ok(Rarity { config: self.config.clone(), features, background, entity })
    }
}

impl Trainer for RarityTrainer {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> dfp_core::Result<Arc<dyn Model>> {
        let population = context.population.as_deref().map(Rarity::load).transpose()?;
        Ok(Arc::new(self.fit_rarity(data, population.as_ref(), context)?))
    }

    fn load(&self, bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
        Ok(Arc::new(Rarity::load(bytes)?))
    }
}

/// What is normal for all entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Background {
    features: Vec<Population>,
    combination: Combination,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Population {
    Value(values::Population),
    Count(counts::Population),
    Hour(hours::Population),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum History {
    Value(values::History),
    Count(Box<counts::History>),
    Hour(hours::History),
}

impl Population {
    fn fit(
        column: &Column,
        table: &Table,
        past: Past<'_>,
        trust: f64,
        cancel: &CancelToken,
    ) -> Result<(Self, Vec<f64>)> {
        Ok(match column {
            Column::Values(values) => {
                let (population, surprises) = values::Population::fit(values, past, trust, cancel)?;
                (Self::Value(population), surprises)
            }
            Column::Counts(counts) => {
                let (population, surprises) = counts::Population::fit(counts, &table.hours, past);
                (Self::Count(population), surprises)
            }
            Column::Hours => {
                let (population, surprises) = hours::Population::fit(past.days, &table.hours, past.entities);
                (Self::Hour(population), surprises)
            }
        })
    }

    fn is_valid(&self, kind: Kind) -> bool {
        match (self, kind) {
            (Self::Value(population), Kind::Value) => population.is_valid(),
            (Self::Count(population), Kind::Count) => population.is_valid(),
            (Self::Hour(population), Kind::Hour) => population.is_valid(),
            _ => false,
        }
    }
}

impl History {
    fn of(column: &Column, table: &Table, rows: &[usize]) -> Self {
        match column {
            Column::Values(values) => Self::Value(values::History::of(values, &table.days, rows)),
            Column::Counts(counts) => {
                Self::Count(Box::new(counts::History::of(counts, &table.days, &table.hours, rows)))
            }
            Column::Hours => Self::Hour(hours::History::of(&table.days, &table.hours, rows)),
        }
    }

    /// Of an entity that nothing is known of.
    fn none(kind: Kind) -> Self {
        match kind {
            Kind::Value => Self::Value(values::History::default()),
            Kind::Count => Self::Count(Box::default()),
            Kind::Hour => Self::Hour(hours::History::default()),
        }
    }

    fn is_valid(&self, kind: Kind) -> bool {
        match (self, kind) {
            (Self::Value(_), Kind::Value) => true,
            (Self::Count(history), Kind::Count) => history.is_valid(),
            (Self::Hour(history), Kind::Hour) => history.is_valid(),
            _ => false,
        }
    }
}

impl Background {
    fn fit(features: &[Feature], config: &Config, table: &Table, context: &FitContext) -> Result<Self> {
        let (first_day, last_day) = table.span();
        let past = Past {
            days: &table.days,
            entities: &table.entities,
            first_day,
            warm_up: WARM_UP.min((last_day - first_day) / 4),
            stale: i64::from(config.stale_days),
            bursts: false,
        };
        let fitted = dfp_core::parallel_map(features.len(), context.threads, |feature| {
            context.cancel.check("fitting a rarity model").map_err(|_| Error::Cancelled)?;
            let past = Past { bursts: config.bursts.contains(&features[feature].name), ..past };
            Population::fit(&table.columns[feature], table, past, config.trust_days, &context.cancel)
        });
        let fitted: Vec<(Population, Vec<f64>)> = fitted.into_iter().collect::<Result<_>>()?;
        let (populations, mut surprises): (Vec<_>, Vec<_>) = fitted.into_iter().unzip();
        take_parts_off_pairs(&mut surprises, features, config);
        // The first half of the days is there to get to know the entities.
        let since = first_day + (last_day - first_day + 1) / 2;
        let combination = Combination::fit(features, config, table, &surprises, since);
        Ok(Self { features: populations, combination })
    }
}

/// A combination counts as far as it is more surprising than either part.
fn take_parts_off_pairs(surprises: &mut [Vec<f64>], features: &[Feature], config: &Config) {
    let index = |name: &String| features.iter().position(|feature| feature.name == *name);
    for (pair, [a, b]) in &config.pairs {
        let (Some(pair), Some(a), Some(b)) = (index(pair), index(a), index(b)) else { continue };
        for row in 0..surprises[pair].len() {
            let part = surprises[a][row].max(surprises[b][row]);
            surprises[pair][row] = (surprises[pair][row] - part).max(0.0);
        }
    }
}

/// A fitted rarity model.
#[derive(Debug, Clone)]
pub struct Rarity {
    config: Config,
    features: Vec<Feature>,
    background: Arc<Background>,
    entity: Vec<History>,
}

impl Rarity {
    /// The settings it was fitted with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of the features, in the order they were named.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(|feature| feature.name.as_str())
    }

    /// Scores and shares of rows, and per feature what is usual for the entity.
    pub(crate) fn judge(&self, batch: &RecordBatch) -> Result<(Judged, Vec<ArrayRef>)> {
        let table = Table::of(batch, &self.features, &self.config)?;
        let expected = self.expected(&table);
        let Combined { scores, shares } = self.combine(&table);
        Ok((Judged { scores, shares, times: table.times }, expected))
    }

    fn combine(&self, table: &Table) -> Combined {
        let ages = ages(table);
        let columns = self.entity.iter().zip(&self.background.features).zip(&table.columns);
        let mut surprises: Vec<Vec<f64>> = columns
            .map(|((history, population), column)| match (history, population, column) {
                (History::Value(own), Population::Value(all), Column::Values(values)) => {
                    own.surprises(all, values, &table.days, &ages, self.config.trust_days)
                }
                (History::Count(own), Population::Count(all), Column::Counts(counts)) => {
                    own.surprises(all, counts, &table.hours)
                }
                (History::Hour(own), Population::Hour(all), Column::Hours) => {
                    own.surprises(all, &table.hours)
                }
                _ => unreachable!("kinds were compared when the model was made"),
            })
            .collect();
        take_parts_off_pairs(&mut surprises, &self.features, &self.config);
        self.background.combination.score(&surprises)
    }

    /// Per feature, what is usual for the entity: the value, or the largest number, or the hour, of most days.
    fn expected(&self, table: &Table) -> Vec<ArrayRef> {
        let rows = table.times.len();
        let text = |text: Option<String>| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        let expected = self.entity.iter().zip(&self.features).map(|(history, feature)| match history {
            History::Value(own) => text(own.usual().map(str::to_owned)),
            History::Count(own) => Arc::new(Float64Array::from(vec![own.usual(); rows])) as ArrayRef,
            History::Hour(own) => {
                let hours = table.hours.iter().map(|hour| own.usual(*hour));
                if feature.is_text() {
                    let texts = hours.map(|hour| hour.map(|hour| format!("{hour:02}")));
                    Arc::new(texts.collect::<StringArray>()) as ArrayRef
                } else {
                    let numbers = hours.map(|hour| hour.map(|hour| hour as f64));
                    Arc::new(numbers.collect::<Float64Array>())
                }
            }
        });
        expected.collect()
    }
}

/// Scores of rows, oldest first.
pub(crate) struct Judged {
    /// Per row, -log10 of the share of normal entity-days that hold a row this unusual.
    pub(crate) scores: Vec<f64>,
    /// Per feature, in the model's order, and row: the feature's share in the score.
    pub(crate) shares: Vec<Vec<f64>>,
    times: Vec<i64>,
}

impl Judged {
    /// Scales down rows that tell nothing new.
    pub(crate) fn damp_repeats(&mut self, config: &Config) {
        let window = i64::from(config.repeat_minutes).saturating_mul(MINUTE);
        combine::damp_repeats(&mut self.scores, &mut self.shares, &self.times, window, |score| {
            config.damped(score)
        });
    }
}

/// Per row, the most days that any of its values was seen on before: so long the entity is known at least.
fn ages(table: &Table) -> Vec<u32> {
    let mut ages = vec![0; table.times.len()];
    for column in &table.columns {
        let Column::Values(values) = column else { continue };
        for (age, days) in ages.iter_mut().zip(values.days_seen.iter().flatten()) {
            *age = (*age).max(*days);
        }
    }
    ages
}

impl Model for Rarity {
    fn schema(&self) -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let features = self.features.iter().map(|f| Field::new(&f.name, f.dtype.clone(), true));
        let time = Field::new(EVENT_TIME, time, false);
        Arc::new(Schema::new(std::iter::once(time).chain(features).collect::<Vec<_>>()))
    }

    /// Columns: `score`, and per feature `<feature>_pred`, what is usual for the entity, and `<feature>_surprise`, its
    /// share in the score.
    fn score(&self, batch: &RecordBatch) -> dfp_core::Result<RecordBatch> {
        let (mut judged, expected) = self.judge(batch)?;
        judged.damp_repeats(&self.config);
        let mut columns: Vec<(String, ArrayRef, bool)> =
            vec![(SCORE.to_owned(), Arc::new(Float64Array::from(judged.scores)), false)];
        for ((feature, expected), shares) in self.features.iter().zip(expected).zip(judged.shares) {
            columns.push((format!("{}_pred", feature.name), expected, true));
            columns.push((format!("{}_surprise", feature.name), shares_column(&shares), true));
        }
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    fn save(&self) -> dfp_core::Result<Vec<u8>> {
        Ok(self.to_bytes()?)
    }
}

pub(crate) fn shares_column(shares: &[f64]) -> ArrayRef {
    Arc::new(shares.iter().map(|share| Some(*share as f32)).collect::<Float32Array>())
}
