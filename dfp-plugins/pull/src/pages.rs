//! Logs that are asked for by time, window by window and page by page.

use std::collections::HashSet;

use dfp_plugin::serde_json::value::RawValue;
use dfp_plugin::{Error, ErrorKind, Result};
use jiff::Timestamp;

use crate::config::Plan;
use crate::http::{Answer, Client, Failure, local_now};
use crate::recent;
use crate::sign::stamp;
use crate::state::{State, Windows};
use crate::stream::Asker;

/// Counter of records and objects that came again, as they do where passes overlap. They are not counted as read twice.
pub const REPEATED: &str = "pull_repeated";

/// Pages of one window: more are no log, but a server that never ends.
const MOST_PAGES: usize = 100_000;

/// A clock found to be so many seconds ahead is worth another look at what is new.
const SKEW_WORTH_ASKING: i64 = 30;

/// What stands on a page: a record, or where records are.
pub(crate) struct Entry {
    /// When it happened, in seconds of the epoch; the window's end where it does not say.
    pub(crate) second: i64,
    /// Tells it from all others.
    pub(crate) key: u64,
    pub(crate) text: Box<RawValue>,
}

pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Where the next page is.
    pub(crate) next: Option<String>,
}

/// The stretch of time asked for; both ends are part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A log that is asked for by time.
pub(crate) trait Paged {
    /// How many seconds back the vendor answers at all.
    const REACH: i64;
    /// Whether entries lead to records instead of being records.
    const LEADS: bool = false;

    /// Fetches the first page of a span, or the one that `link` leads to.
    fn page(
        &mut self,
        client: &mut Client,
        stream: &str,
        span: Span,
        link: Option<&str>,
    ) -> Result<Page, Failure>;

    /// Fetches the records that an entry leads to, with the name of the place; `None` if they are gone.
    fn content(&mut self, _: &mut Client, _: &Entry) -> Result<Option<(String, Vec<u8>)>> {
        Ok(None)
    }
}

/// One pass over one stream.
pub(crate) struct Walk<'a, P> {
    pub(crate) paged: &'a mut P,
    pub(crate) asker: &'a mut Asker,
    pub(crate) state: &'a mut State<Windows>,
    pub(crate) stream: &'a str,
    pub(crate) plan: &'a Plan,
}

impl<P: Paged> Walk<'_, P> {
    /// Asks for everything up to the present.
    pub(crate) fn pass(&mut self) -> Result<()> {
        loop {
            let skew = self.asker.client.skew();
            if !self.open() {
                return Ok(());
            }
            // The present may turn out to be later than was thought before the server's clock was known.
            let last = self.window()?;
            if last && self.asker.client.skew() - skew <= SKEW_WORTH_ASKING {
                return Ok(());
            }
        }
    }

    fn windows(&mut self) -> &mut Windows {
        let start = self.plan.start;
        self.state.stream(self.stream, || Windows::new(start))
    }

    /// Opens a window, if one is not open already; false if there is nothing to ask for.
    fn open(&mut self) -> bool {
        let (earliest, latest) = (self.asker.client.earliest_now(), self.asker.client.latest_now());
        let (window, until) = (self.plan.window, latest - self.plan.lag);
        // A minute less, so that the answer is not refused for being a second late.
        let lost = self.windows().skip_to(latest - P::REACH + 60);
        if lost > 0 {
            let days = P::REACH / 86_400;
            let what =
                format!("{}: {lost} s lie further back than the {days} days that are kept", self.stream);
            self.asker.client.warn(&what);
        }
        self.windows().open(window, until, earliest).is_some()
    }

    /// Reads the open window page by page; true if it was the pass's last.
    fn window(&mut self) -> Result<bool> {
        let mut links = HashSet::new();
        // A link of an earlier run may have expired.
        let mut old_link = self.link().is_some();
        for number in 1.. {
            let page = match self.page() {
                Err(Failure { status: Some(400 | 404 | 410), error, .. }) if old_link => {
                    let what = format!("the page to resume at is gone, its window is read again: {error}");
                    self.asker.client.warn(&what);
                    self.windows().rewind();
                    old_link = false;
                    continue;
                }
                page => page?,
            };
            old_link = false;
            let new_link =
                page.next.as_ref().is_none_or(|next| links.insert(recent::key(&[next.as_bytes()])));
            if !new_link || number > MOST_PAGES {
                let what = "leads to a page already read, or the pages have no end: the server is at fault";
                return Err(Error::new(ErrorKind::BadData, format!("{}: {what}", self.origin(number))));
            }
            if P::LEADS {
                self.follow(&page.entries)?;
            }
            let origin = self.origin(number);
            let fresh = if P::LEADS { None } else { self.fresh(page.entries)? };
            let last = self.turn(page.next);
            match fresh {
                Some(body) => self.asker.deliver(origin, body, self.state)?,
                None => self.asker.advance(self.state)?,
            }
            if let Some(last) = last {
                return Ok(last);
            }
        }
        Ok(true)
    }

    fn link(&mut self) -> Option<String> {
        self.windows().open.as_ref().and_then(|open| open.link.clone())
    }

    fn span(&mut self) -> Span {
        let windows = self.windows();
        Span { from: windows.cursor, to: windows.open.as_ref().map_or(windows.cursor, |open| open.to) }
    }

    /// What `_origin` calls a page: the stream, the span, the page's number.
    fn origin(&mut self, number: usize) -> String {
        const FORMAT: &str = "%Y%m%dT%H%M%SZ";
        let span = self.span();
        format!("{}:{}-{}:{number}", self.stream, stamp(span.from, FORMAT), stamp(span.to, FORMAT))
    }

    fn page(&mut self) -> Result<Page, Failure> {
        let (span, link) = (self.span(), self.link());
        let asked = local_now();
        let page = self.paged.page(&mut self.asker.client, self.stream, span, link.as_deref())?;
        // Only now it is known what the server's clock said.
        let asked = asked + self.asker.client.skew().min(0);
        if let Some(open) = &mut self.windows().open {
            open.asked = open.asked.min(asked);
        }
        Ok(page)
    }

    /// The records not delivered before, as a JSON array; `None` if there are none.
    fn fresh(&mut self, entries: Vec<Entry>) -> Result<Option<Vec<u8>>> {
        let most = self.plan.recent_ids;
        let (mut body, mut repeated) = (Vec::new(), 0);
        for entry in entries {
            if self.windows().recent.insert(entry.second, entry.key, most)? {
                body.extend_from_slice(if body.is_empty() { b"[" } else { b",\n" });
                body.extend_from_slice(entry.text.get().as_bytes());
            } else {
                repeated += 1;
            }
        }
        if repeated > 0 {
            self.asker.client.host.count(REPEATED, repeated);
        }
        if body.is_empty() {
            return Ok(None);
        }
        body.push(b']');
        Ok(Some(body))
    }

    /// Delivers what the entries lead to, as far as it was not delivered before.
    fn follow(&mut self, entries: &[Entry]) -> Result<()> {
        let most = self.plan.recent_ids;
        for entry in entries {
            if self.windows().recent.contains(entry.second, entry.key) {
                self.asker.client.host.count(REPEATED, 1);
                continue;
            }
            let content = self.paged.content(&mut self.asker.client, entry)?;
            self.windows().recent.insert(entry.second, entry.key, most)?;
            match content {
                Some((origin, body)) => self.asker.deliver(origin, body, self.state)?,
                None => self.asker.advance(self.state)?,
            }
        }
        Ok(())
    }

    /// Turns to the next page, or closes the window; then, whether it was the pass's last.
    fn turn(&mut self, next: Option<String>) -> Option<bool> {
        let overlap = self.plan.overlap;
        let windows = self.windows();
        if let (Some(open), Some(next)) = (&mut windows.open, next) {
            open.link = Some(next);
            return None;
        }
        Some(windows.close(overlap))
    }
}

/// The second of an RFC 3339 time.
pub(crate) fn second(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    // Down also before 1970.
    Some(time.as_millisecond().div_euclid(1000))
}

/// The answer's body as text; bytes that are none are replaced.
pub(crate) fn text(answer: &Answer) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&answer.body)
}
