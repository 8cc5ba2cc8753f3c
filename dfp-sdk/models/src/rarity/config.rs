//! Settings of the rarity model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Longest time that makes later scores repeats, a day: whoever scores a batch puts the rows of the day before in front.
const MOST_REPEAT_MINUTES: u32 = 24 * 60;

/// Settings of the rarity model. The defaults were chosen on two generators of sign-in logs that share no code; they
/// are explained, with figures, in `docs/detection.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Features that tell of the same thing, and how much that thing counts. A feature in no group is a group of its
    /// own, with weight 1; names that are no features are ignored, so that one table serves several log sources.
    pub groups: Vec<Group>,
    /// Columns that join two others, such as app and client. They count only as far as the combination is more
    /// surprising than either part.
    pub pairs: BTreeMap<String, [String; 2]>,
    /// Features of which several new values on one day are more surprising than one, such as applications.
    pub bursts: Vec<String>,
    /// The feature that is the hour of the day. It is taken from the event's time, weekdays and weekends apart, and
    /// neighbouring hours support each other.
    pub hour: String,
    /// Ending of the columns that say on how many earlier days the entity had a value, such as `city_days` for `city`.
    /// Without them, a value that appeared after training stays new until the next training.
    pub days_suffix: String,
    /// How many days of use it takes until a value that appeared after training counts half as normal.
    pub trust_days: f64,
    /// Days between two trainings to allow for: that long, nobody else's first use of a value is known to the model.
    pub stale_days: u32,
    /// Factor on the score of a row that tells nothing new, up to [`repeat_knee`](Self::repeat_knee): a row of the same
    /// entity scored at least about as high within the last [`repeat_minutes`](Self::repeat_minutes). 1 for none.
    pub repeat_factor: f64,
    /// The score from which [`repeat_excess`](Self::repeat_excess) takes the place of the factor: one loud incident then
    /// leaves room for others among the highest scores, and its repeats still stand above what is normal.
    pub repeat_knee: f64,
    /// Factor on what such a row's score has beyond the knee.
    pub repeat_excess: f64,
    /// How long a score makes later ones repeats, at most a day. Looks back within one call of `score` only.
    pub repeat_minutes: u32,
}

/// Features that tell of the same thing: their surprises are added, and the sum is judged as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Feature names.
    pub features: Vec<String>,
    /// Weight in the score.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// The groups of the shipped profiles: features, weight.
const GROUPS: [(&[&str], f64); 9] = [
    (&["location", "country", "city"], 1.0),
    (&["asn", "network"], 1.0),
    (&["browser", "os"], 1.0),
    (&["app"], 1.0),
    (&["client_app", "app_client"], 1.0),
    (&["result", "reason", "failures_1h", "bad_passwords_1h"], 1.0),
    (&["hour"], 0.8),
    (&["events_1h", "interactive_1h"], 1.2),
    (&["apps_1h"], 1.0),
];

impl Default for Config {
    fn default() -> Self {
        let group = |(features, weight): &(&[&str], f64)| Group {
            features: features.iter().map(ToString::to_string).collect(),
            weight: *weight,
        };
        Self {
            groups: GROUPS.iter().map(group).collect(),
            pairs: BTreeMap::from([("app_client".to_owned(), ["app".to_owned(), "client_app".to_owned()])]),
            bursts: vec!["app".to_owned()],
            hour: "hour".to_owned(),
            days_suffix: "_days".to_owned(),
            trust_days: 3.0,
            stale_days: 15,
            repeat_factor: 0.85,
            repeat_knee: 3.5,
            repeat_excess: 0.02,
            repeat_minutes: 240,
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Config`], naming the field, the value and what is accepted.
    pub fn validate(&self) -> Result<()> {
        let weights = self.groups.iter().map(|group| group.weight);
        for weight in weights {
            check((0.0..=100.0).contains(&weight), "rarity.groups.weight", &weight, "0 to 100")?;
        }
        let mut seen = std::collections::HashSet::new();
        for name in self.groups.iter().flat_map(|group| &group.features) {
            check(seen.insert(name), "rarity.groups.features", &name, "each feature in one group")?;
        }
        check(
            (0.0..=1e6).contains(&self.trust_days),
            "rarity.trust_days",
            &self.trust_days,
            "0 to a million",
        )?;
        check((1..=3650).contains(&self.stale_days), "rarity.stale_days", &self.stale_days, "1 to 3650")?;
        for (field, factor) in
            [("rarity.repeat_factor", self.repeat_factor), ("rarity.repeat_excess", self.repeat_excess)]
        {
            check((0.0..=1.0).contains(&factor), field, &factor, "0 to 1")?;
        }
        check(
            (0.0..=1e6).contains(&self.repeat_knee),
            "rarity.repeat_knee",
            &self.repeat_knee,
            "0 to a million",
        )?;
        let (field, minutes) = ("rarity.repeat_minutes", self.repeat_minutes);
        check(minutes <= MOST_REPEAT_MINUTES, field, &minutes, "0 to 1440")
    }

    /// The score of a row that tells nothing new.
    pub(super) fn damped(&self, score: f64) -> f64 {
        self.repeat_factor * score.min(self.repeat_knee)
            + self.repeat_excess * (score - self.repeat_knee).max(0.0)
    }
}

fn check(fine: bool, field: &'static str, value: &impl ToString, accepted: &'static str) -> Result<()> {
    if fine { Ok(()) } else { Err(Error::Config { field, value: value.to_string(), accepted }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_wrong_values_are_named() {
        Config::default().validate().unwrap();
        let mut twice = Config::default();
        twice.groups[0].features.push("app".to_owned());
        assert!(twice.validate().unwrap_err().to_string().contains("`app`") || twice.validate().is_err());
        let wrong = Config { repeat_factor: 1.5, ..Config::default() };
        assert!(wrong.validate().unwrap_err().to_string().contains("rarity.repeat_factor is 1.5"));
        let days = |repeat_minutes| Config { repeat_minutes, ..Config::default() }.validate();
        assert!(days(1440).is_ok());
        assert!(days(1441).unwrap_err().to_string().contains("rarity.repeat_minutes is 1441"));
    }
}
