//! Which columns a timeline shows, if its user does not say.

use arrow_schema::{DataType, Schema};
use dfp_core::{Error, ErrorKind, Result};
use dfp_prep::sessionize::NUMBER_EVENTS;
use serde::Deserialize;

use super::TimelineOptions;
use crate::sessions::WHY;

/// What is said of a timeline; the rest follows from the columns of the scored sessions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimelineChoice {
    /// [`TimelineOptions::time_column`]. Default: the first timestamp column `<time>_min`.
    pub time_column: Option<String>,
    /// [`TimelineOptions::score_column`]. Default: the first `rarest_window<L>_likelihood`.
    pub score_column: Option<String>,
    /// [`TimelineOptions::window_column`]. Default: the score column's name without `_likelihood`.
    pub window_column: Option<String>,
    /// [`TimelineOptions::upper_bound`].
    pub upper_bound: Option<f64>,
    /// [`TimelineOptions::source_columns`]. Default: the columns before the time, which say whose session it is,
    /// `number_events`, `model` and [`WHY`].
    pub source_columns: Option<Vec<String>>,
    /// [`TimelineOptions::title`].
    pub title: Option<String>,
}

impl TimelineChoice {
    /// The options for scored sessions of these columns.
    ///
    /// # Errors
    /// [`ErrorKind::SchemaMismatch`] if a column is not named and none looks like it.
    pub fn of(self, scored: &Schema) -> Result<TimelineOptions> {
        let find = |what: &str, named: Option<String>, is: fn(&str, &DataType) -> bool| {
            let mut fields = scored.fields().iter().filter(|field| is(field.name(), field.data_type()));
            named.or_else(|| fields.next().map(|field| field.name().clone())).ok_or_else(|| {
                let what = format!("no column looks like the {what}: name it, or score the sessions first");
                Error::new(ErrorKind::SchemaMismatch, what)
            })
        };
        let time = find("time of a timeline", self.time_column, |name, of| {
            name.ends_with("_min") && matches!(of, DataType::Timestamp(..))
        })?;
        let score = find("likelihood of a timeline", self.score_column, |name, of| {
            name.starts_with("rarest_window") && name.ends_with("_likelihood") && of.is_floating()
        })?;
        let window = self.window_column.or_else(|| score.strip_suffix("_likelihood").map(str::to_owned));
        let window = window.ok_or_else(|| {
            let what =
                format!("the score column `{score}` does not tell the column of windows: name that, too");
            Error::new(ErrorKind::InvalidArgument, what)
        })?;
        let mut options = TimelineOptions::new(time, score, window);
        options.upper_bound = self.upper_bound;
        options.source_columns =
            self.source_columns.unwrap_or_else(|| source_columns(scored, &options.time_column));
        if let Some(title) = self.title {
            options.title = title;
        }
        Ok(options)
    }
}

/// Whose session it is stands before the time.
fn source_columns(scored: &Schema, time: &str) -> Vec<String> {
    let names = scored.fields().iter().map(|field| field.name().as_str());
    let more = [NUMBER_EVENTS, "model", WHY].into_iter().filter(|name| scored.index_of(name).is_ok());
    names.take_while(|name| *name != time).chain(more).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, TimeUnit};

    use super::*;

    #[test]
    fn columns_are_found_by_the_names_that_scored_sessions_have() {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let names = ["user", "host_min", "t_min", "t_max", "number_events", "rarest_window2_likelihood", WHY];
        let types = [
            &DataType::Utf8,
            &DataType::Utf8,
            &time,
            &time,
            &DataType::UInt32,
            &DataType::Float64,
            &DataType::Utf8,
        ];
        let fields = names.into_iter().zip(types).map(|(name, of)| Field::new(name, of.clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let found = TimelineChoice::default().of(&schema).unwrap();
        let mut expected = TimelineOptions::new("t_min", "rarest_window2_likelihood", "rarest_window2");
        expected.source_columns = ["user", "host_min", NUMBER_EVENTS, WHY].map(str::to_owned).to_vec();
        assert_eq!(found, expected);

        let named = TimelineChoice { score_column: Some("score".into()), ..TimelineChoice::default() };
        assert_eq!(named.of(&schema).unwrap_err().kind(), ErrorKind::InvalidArgument, "of which window?");
        let why = TimelineChoice::default().of(&Schema::empty()).unwrap_err();
        assert!(why.to_string().contains("time of a timeline"), "{why}");
    }
}
