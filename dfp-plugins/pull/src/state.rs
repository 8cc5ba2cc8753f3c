//! Where a pull stands: what a resume token holds.

use std::collections::BTreeMap;

use dfp_plugin::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::recent::Recent;

const VERSION: u32 = 1;
/// No token is longer.
const MOST_BYTES: usize = 64 << 20;

/// The streams of a source, by name, each with how far it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State<W>(pub(crate) BTreeMap<String, W>);

impl<W> Default for State<W> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<W> State<W> {
    /// The stream of that name, made if it is new.
    pub(crate) fn stream(&mut self, name: &str, make: impl FnOnce() -> W) -> &mut W {
        self.0.entry(name.to_owned()).or_insert_with(make)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token<S> {
    v: u32,
    source: String,
    scope: String,
    state: S,
}

/// What every version of a token has.
#[derive(Deserialize)]
struct Head {
    v: u32,
}

/// A token that leads back to `state`; `scope` names the account it is about.
pub(crate) fn write(source: &str, scope: &str, state: &impl Serialize) -> Vec<u8> {
    let token = Token { v: VERSION, source: source.to_owned(), scope: scope.to_owned(), state };
    serde_json::to_vec(&token).expect("maps of numbers and texts are JSON")
}

/// The state a token leads to.
pub(crate) fn read<S: DeserializeOwned>(source: &str, scope: &str, token: &[u8]) -> Result<S> {
    let refused = |why: &str| {
        let advice = "start without it; records pulled before will come again";
        Error::new(ErrorKind::InvalidArgument, format!("{source}: resuming: {why}; {advice}"))
    };
    if token.len() > MOST_BYTES {
        return Err(refused("the token is too long"));
    }
    let head: Head = serde_json::from_slice(token).map_err(|_| refused("this is no token of a pull"))?;
    if head.v != VERSION {
        return Err(refused(&format!("the token has version {}, not {VERSION}", head.v)));
    }
    let token: Token<S> =
        serde_json::from_slice(token).map_err(|error| refused(&format!("the token is damaged: {error}")))?;
    if token.source != source || token.scope != scope {
        let what = format!("the token is of {} for {}, not for {scope}", token.source, token.scope);
        return Err(refused(&what));
    }
    Ok(token.state)
}

/// How far a stream that is asked for by time has come. All times are whole seconds.
///
/// A pass walks from `cursor` to the present in windows. Everything before `settled` is done with: it was asked for when it
/// was older than the overlap, so nothing more is expected there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    pub(crate) settled: i64,
    pub(crate) cursor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Open>,
    pub(crate) recent: Recent,
}

/// The window being read: up to when, and the page that comes next.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    pub(crate) to: i64,
    /// When it was first asked for, by the slower clock.
    pub(crate) asked: i64,
    /// The last window of the pass.
    pub(crate) last: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

impl Windows {
    pub(crate) fn new(start: i64) -> Self {
        Self { settled: start, cursor: start, open: None, recent: Recent::default() }
    }

    /// Opens the next window of at most `length`, not beyond `until`; `None` if there is nothing to ask for.
    pub(crate) fn open(&mut self, length: i64, until: i64, now: i64) -> Option<&mut Open> {
        if self.open.is_none() {
            self.cursor = self.cursor.max(self.recent.known_from().unwrap_or(i64::MIN));
            if self.cursor >= until {
                return None;
            }
            let to = self.cursor.saturating_add(length).min(until);
            self.open = Some(Open { to, asked: now, last: to == until, link: None });
        }
        self.open.as_mut()
    }

    /// Starts again at the window's first page.
    pub(crate) fn rewind(&mut self) {
        self.cursor = self.cursor.max(self.recent.known_from().unwrap_or(i64::MIN));
        if let Some(open) = &mut self.open {
            open.link = None;
        }
    }

    /// Closes the window: what was older than `overlap` when it was asked for is not expected any more. True at the end of a
    /// pass.
    pub(crate) fn close(&mut self, overlap: i64) -> bool {
        let Some(open) = self.open.take() else { return true };
        self.settled = self.settled.max(open.to.min(open.asked - overlap));
        self.recent.retain_from(self.settled);
        self.cursor = if open.last { self.settled } else { open.to };
        open.last
    }

    /// Gives up what lies before `reach`, which the vendor keeps no more. The seconds lost.
    pub(crate) fn skip_to(&mut self, reach: i64) -> i64 {
        let lost = (reach - self.cursor).max(0);
        if lost > 0 {
            self.cursor = reach;
            self.settled = reach;
            self.open = None;
            self.recent.retain_from(reach);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_walks_to_the_present_and_the_next_one_looks_back() {
        let mut windows = Windows::new(0);
        let mut seen = Vec::new();
        // It is 250; records may come 30 late.
        while let Some(open) = windows.open(100, 250, 250) {
            let to = open.to;
            seen.push((windows.cursor, to));
            if windows.close(30) {
                break;
            }
        }
        assert_eq!(seen, [(0, 100), (100, 200), (200, 250)]);
        assert_eq!((windows.settled, windows.cursor), (220, 220));
        assert_eq!(windows.open(100, 300, 300).unwrap().to, 300);
        assert!(windows.close(30));
        assert!(windows.open(100, 270, 300).is_none());
    }

    #[test]
    fn an_overlap_longer_than_a_window_does_not_stand_still() {
        let mut windows = Windows::new(0);
        for pass in 0..3 {
            let now = 1000 + pass;
            let mut ends = Vec::new();
            while let Some(open) = windows.open(10, now, now) {
                ends.push(open.to);
                if windows.close(500) {
                    break;
                }
            }
            assert_eq!(ends.last(), Some(&now));
            assert_eq!(windows.settled, now - 500);
        }
    }

    #[test]
    fn what_the_vendor_keeps_no_more_is_given_up_once() {
        let mut windows = Windows::new(0);
        windows.recent.insert(90, 1, 10).unwrap();
        windows.open(10, 100, 100);
        assert_eq!(windows.skip_to(40), 40);
        assert_eq!((windows.cursor, windows.settled, windows.open.is_none()), (40, 40, true));
        assert_eq!(windows.skip_to(40), 0);
        assert!(windows.recent.contains(90, 1));
    }

    #[test]
    fn tokens_lead_back_to_their_own_account_only() {
        let mut state: State<Windows> = State::default();
        state.stream("a", || Windows::new(5)).open(10, 100, 100).unwrap().link = Some("x".to_owned());
        let token = write("s", "tenant", &state);
        let back: State<Windows> = read("s", "tenant", &token).unwrap();
        assert_eq!(write("s", "tenant", &back), token);
        for (source, scope, token) in [
            ("s", "other", token.clone()),
            ("t", "tenant", token.clone()),
            ("s", "tenant", token[..token.len() - 2].to_vec()),
            ("s", "tenant", String::from_utf8(token).unwrap().replace("\"v\":1", "\"v\":2").into_bytes()),
            ("s", "tenant", b"\xFF".to_vec()),
        ] {
            let error = read::<State<Windows>>(source, scope, &token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
