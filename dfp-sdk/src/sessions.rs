//! Sessions from end to end: what most programs call.

use arrow_array::RecordBatch;
use dfp_core::Result;

use crate::timeline::{Timeline, TimelineOptions};

/// Scored sessions on a line of time: read what is shown with [`Timeline::points`], write the page with
/// [`Timeline::write_html`]. Neither the batch nor the options change.
///
/// # Errors
/// As [`Timeline::new`].
pub fn visualise_scored_sessions(batch: &RecordBatch, options: &TimelineOptions) -> Result<Timeline> {
    Timeline::new([batch], options)
}
