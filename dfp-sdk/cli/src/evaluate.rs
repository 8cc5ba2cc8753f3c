//! How well scores find labelled incidents: average precision, incidents found at a budget, alerts a day.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use dfp_sdk::core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// One scored record, as `dfp infer --scores` writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Score {
    /// The source's id of the record.
    pub id: Option<String>,
    /// ISO 8601 UTC.
    pub time: String,
    /// Higher is more unusual.
    pub score: f64,
}

/// Which scenario and incident a record belongs to, as `labels.csv` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Kind of attack.
    pub scenario: String,
    /// One attack.
    pub incident: String,
}

/// Labels by record id.
pub type Labels = HashMap<String, Label>;

/// What became of one incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// Kind of attack.
    pub scenario: String,
    /// Its labelled records, whether they were scored or not.
    pub records: usize,
    /// How many of them are above the threshold.
    pub found: usize,
    /// The highest score among them; `None` if none was scored.
    pub highest: Option<f64>,
    /// Id of the record that has it.
    pub best_id: Option<String>,
}

/// How well the scores find the labelled records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Records scored.
    pub scored: usize,
    /// Days with scored records.
    pub days: usize,
    /// Average precision over records: the area under the precision-recall curve.
    pub average_precision: f64,
    /// Average precision of each scenario against the unlabelled records.
    pub by_scenario: BTreeMap<String, f64>,
    /// Records above the threshold.
    pub alerts: usize,
    /// Those of them that carry no label.
    pub false_alerts: usize,
    /// Incidents with a record among the highest scores, at 5, 20 and 50 alerts a day.
    pub found_at_budget: BTreeMap<usize, usize>,
    /// Every incident by name.
    pub incidents: BTreeMap<String, Incident>,
}

/// Reads `labels.csv`: `id,user,time,scenario,incident`.
///
/// # Errors
/// If the file cannot be read or a line has too few fields.
pub fn read_labels(path: &Path) -> Result<Labels> {
    let text = read(path)?;
    text.lines()
        .enumerate()
        .skip(1)
        .map(|(index, line)| {
            let fields: Vec<&str> = line.split(',').collect();
            let [id, .., scenario, incident] = fields[..] else {
                let place = format!("{}:{}: too few fields", path.display(), index + 1);
                return Err(Error::new(ErrorKind::BadData, place));
            };
            let label = Label { scenario: scenario.to_owned(), incident: incident.trim_end().to_owned() };
            Ok((id.to_owned(), label))
        })
        .collect()
}

/// Reads the lines of `dfp infer --scores`.
///
/// # Errors
/// If the file cannot be read or a line is no score.
pub fn read_scores(path: &Path) -> Result<Vec<Score>> {
    let text = read(path)?;
    let parse = |(index, line): (usize, &str)| {
        let place = || format!("{}:{}", path.display(), index + 1);
        serde_json::from_str(line).map_err(|e| Error::caused(ErrorKind::BadData, place(), e))
    };
    text.lines().enumerate().map(parse).collect()
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(format!("reading {}", path.display()), e))
}

/// Compares scores with labels; records with a score strictly above `threshold` are alerts.
pub fn evaluate(scores: &[Score], labels: &Labels, threshold: f64) -> Evaluation {
    let mut ranked: Vec<(&Score, Option<&Label>)> =
        scores.iter().map(|score| (score, score.id.as_ref().and_then(|id| labels.get(id)))).collect();
    ranked.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    let days: std::collections::BTreeSet<&str> = scores.iter().filter_map(|s| s.time.get(..10)).collect();

    let mut incidents: BTreeMap<String, Incident> = BTreeMap::new();
    for label in labels.values() {
        let incident = incidents.entry(label.incident.clone()).or_insert_with(|| Incident {
            scenario: label.scenario.clone(),
            records: 0,
            found: 0,
            highest: None,
            best_id: None,
        });
        incident.records += 1;
    }
    for (score, label) in &ranked {
        let Some(incident) = label.and_then(|label| incidents.get_mut(&label.incident)) else { continue };
        incident.found += usize::from(score.score > threshold);
        if incident.highest.is_none() {
            incident.highest = Some(score.score);
            incident.best_id.clone_from(&score.id);
        }
    }
    let names: std::collections::BTreeSet<&String> = incidents.values().map(|i| &i.scenario).collect();
    let by_scenario = names.into_iter().map(|name| {
        let relevant = ranked.iter().filter(|(_, label)| label.is_none_or(|label| label.scenario == *name));
        let positives = labels.values().filter(|label| label.scenario == *name).count();
        (name.clone(), average_precision(relevant.map(|(_, label)| label.is_some()), positives))
    });
    let found_at = |budget: usize| {
        let top = ranked.iter().take(budget * days.len()).filter_map(|(_, label)| *label);
        top.map(|label| &label.incident).collect::<std::collections::BTreeSet<_>>().len()
    };
    let alerts = ranked.partition_point(|(score, _)| score.score > threshold);
    Evaluation {
        scored: ranked.len(),
        days: days.len(),
        average_precision: average_precision(ranked.iter().map(|(_, label)| label.is_some()), labels.len()),
        by_scenario: by_scenario.collect(),
        alerts,
        false_alerts: ranked[..alerts].iter().filter(|(_, label)| label.is_none()).count(),
        found_at_budget: [5, 20, 50].into_iter().map(|budget| (budget, found_at(budget))).collect(),
        incidents,
    }
}

/// Mean of the precision at each of the `positives`, of which those missing from the ranking count as never found; 0
/// without any.
pub fn average_precision(ranking: impl Iterator<Item = bool>, positives: usize) -> f64 {
    let (mut hits, mut sum) = (0.0, 0.0);
    for (index, hit) in ranking.enumerate() {
        if hit {
            hits += 1.0;
            sum += hits / (index + 1) as f64;
        }
    }
    sum / positives.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(id: &str, score: f64) -> Score {
        Score { id: Some(id.to_owned()), time: "2026-03-01T00:00:00Z".to_owned(), score }
    }

    fn label(incident: &str) -> Label {
        Label {
            scenario: incident.trim_end_matches(|c: char| c.is_numeric()).to_owned(),
            incident: incident.to_owned(),
        }
    }

    #[test]
    fn average_precision_by_hand() {
        // Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
        let ap = average_precision([true, false, true, false].into_iter(), 2);
        assert!((ap - 5.0 / 6.0).abs() < 1e-12);
        assert!(average_precision([false].into_iter(), 0).abs() < 1e-12);
        // One of two was never ranked.
        assert!((average_precision([true].into_iter(), 2) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn incidents_alerts_and_scenarios_are_counted() {
        let scores = [score("a", 9.0), score("b", 8.0), score("c", 7.0), score("d", 1.0)];
        let labels: Labels = [("a", "x1"), ("d", "y1"), ("never scored", "z1")]
            .map(|(id, of)| (id.to_owned(), label(of)))
            .into();
        let result = evaluate(&scores, &labels, 7.0);
        assert_eq!((result.alerts, result.false_alerts, result.days), (2, 1, 1));
        assert_eq!(result.found_at_budget[&5], 2);
        assert!((result.by_scenario["x"] - 1.0).abs() < 1e-12);
        assert!((result.by_scenario["y"] - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(result.incidents["x1"].found, 1);
        assert_eq!(result.incidents["y1"].found, 0);
        assert_eq!((result.incidents["z1"].records, result.incidents["z1"].highest), (1, None));
    }
}
