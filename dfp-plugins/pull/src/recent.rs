//! The ids of records lately delivered, so that what is read again is recognised.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dfp_plugin::{Error, ErrorKind, Result};
use ring::digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 64 bits of an id's SHA-256: nobody finds a second id with the same ones on purpose, and a million meet by chance once in
/// ten million runs.
pub(crate) fn key(parts: &[&[u8]]) -> u64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finish().as_ref()[..8]);
    u64::from_le_bytes(first)
}

/// Ids by the second of their record. Only so many are kept: the oldest seconds go first, and are not asked for again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    seconds: BTreeMap<i64, BTreeSet<u64>>,
    count: usize,
    /// Everything up to this second was forgotten for want of room.
    forgotten: Option<i64>,
}

impl Recent {
    /// Notes a record; false if it was noted before.
    ///
    /// # Errors
    /// If a single second has more records than may be remembered.
    pub(crate) fn insert(&mut self, second: i64, key: u64, most: usize) -> Result<bool> {
        if !self.seconds.entry(second).or_default().insert(key) {
            return Ok(false);
        }
        self.count += 1;
        while self.count > most {
            if self.seconds.len() == 1 {
                let what = format!("more than {most} records of one second: raise schedule.recent_ids");
                return Err(Error::new(ErrorKind::ResourceExhausted, what));
            }
            let Some((oldest, ids)) = self.seconds.pop_first() else { break };
            self.count -= ids.len();
            self.forgotten = self.forgotten.max(Some(oldest));
        }
        Ok(true)
    }

    /// Whether a record was noted.
    pub(crate) fn contains(&self, second: i64, key: u64) -> bool {
        self.seconds.get(&second).is_some_and(|ids| ids.contains(&key))
    }

    /// Forgets what lies before `second`, which will not be asked for again.
    pub(crate) fn retain_from(&mut self, second: i64) {
        self.seconds = self.seconds.split_off(&second);
        self.count = self.seconds.values().map(BTreeSet::len).sum();
        self.forgotten = self.forgotten.filter(|&forgotten| forgotten >= second);
    }

    /// The first second that may be asked for again without repeating records.
    pub(crate) fn known_from(&self) -> Option<i64> {
        self.forgotten.map(|second| second + 1)
    }
}

/// As written: seconds, and the ids of each as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<i64>,
    ids: BTreeMap<i64, String>,
}

impl Serialize for Recent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |ids: &BTreeSet<u64>| {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            STANDARD_NO_PAD.encode(bytes)
        };
        let ids = self.seconds.iter().map(|(second, ids)| (*second, text(ids))).collect();
        Written { forgotten: self.forgotten, ids }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let mut recent = Self { forgotten: written.forgotten, ..Self::default() };
        for (second, text) in written.ids {
            let bytes = STANDARD_NO_PAD.decode(text).map_err(D::Error::custom)?;
            let (ids, rest) = bytes.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(D::Error::custom("an id is cut short"));
            }
            let ids: BTreeSet<u64> = ids.iter().map(|id| u64::from_le_bytes(*id)).collect();
            recent.count += ids.len();
            recent.seconds.insert(second, ids);
        }
        Ok(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_recognised_until_there_is_no_room() {
        let mut recent = Recent::default();
        for (second, id) in [(10, 1), (10, 2), (11, 1), (12, 7)] {
            assert!(recent.insert(second, id, 4).unwrap());
            assert!(!recent.insert(second, id, 4).unwrap());
        }
        assert_eq!(recent.known_from(), None);
        assert!(recent.insert(13, 1, 4).unwrap());
        assert_eq!(recent.known_from(), Some(11));
        let text = serde_json::to_string(&recent).unwrap();
        assert_eq!(serde_json::from_str::<Recent>(&text).unwrap(), recent);
        recent.retain_from(13);
        assert!(recent.contains(13, 1) && !recent.contains(12, 7));
        assert_eq!(recent.known_from(), None);
    }

    #[test]
    fn one_second_without_end_is_an_error() {
        let mut recent = Recent::default();
        recent.insert(1, 1, 2).unwrap();
        recent.insert(1, 2, 2).unwrap();
        assert_eq!(recent.insert(1, 3, 2).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    }

    #[test]
    fn damaged_tokens_are_refused() {
        for bad in [r#"{"ids":{"1":"AA"}}"#, r#"{"ids":{"1":"?"}}"#, r#"{"ids":{"x":""}}"#, "{}"] {
            assert!(serde_json::from_str::<Recent>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }
}
