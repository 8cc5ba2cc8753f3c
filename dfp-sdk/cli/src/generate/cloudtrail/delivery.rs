//! The bucket: which file a record lies in, and how files are named and packed.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::Error;
use super::super::calendar::{MINUTE, Ticks, day_of};
use super::super::dice::{scatter, token};
use super::super::output::Files;
use super::super::run::Event;
use super::CloudTrail;
use super::work::REGIONS;

/// One record in so many is delivered twice.
const TWICE: u64 = 300;
/// In one file of so many, records are out of order.
const DISORDERED: u64 = 3;

/// A file to be.
struct Parcel<'e> {
    folder: String,
    name: String,
    records: Vec<&'e Event>,
}

/// Writes the day's files.
pub(super) fn deliver(log: &CloudTrail, due: &[Event], files: &mut Files) -> Result<(), Error> {
    let parcels: Vec<Parcel<'_>> =
        sort(due).into_iter().map(|((shelf, at), records)| parcel(log, shelf, at, records)).collect();
    for some in parcels.chunks(64 * files.threads) {
        for (parcel, bytes) in some.iter().zip(pack(some, files.threads)) {
            files.blob(&parcel.folder, &parcel.name, &bytes, parcel.records.len())?;
        }
    }
    Ok(())
}

/// The records by place and minute of delivery. A few lie in the next delivery of their place as well.
fn sort(due: &[Event]) -> BTreeMap<(usize, Ticks), Vec<&Event>> {
    let mut piles: BTreeMap<(usize, Ticks), Vec<&Event>> = BTreeMap::new();
    for event in due {
        piles.entry((event.shelf, event.delivered)).or_default().push(event);
    }
    for event in due.iter().filter(|event| scatter(event.id.0 as u64).is_multiple_of(TWICE)) {
        let next = (event.shelf, event.delivered + 1)..=(event.shelf, Ticks::MAX);
        if let Some((_, pile)) = piles.range_mut(next).next() {
            pile.push(event);
        }
    }
    piles
}

fn parcel<'e>(log: &CloudTrail, shelf: usize, at: Ticks, mut records: Vec<&'e Event>) -> Parcel<'e> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mark = scatter(scatter(shelf as u64 ^ log.world.seed << 16) ^ (at / MINUTE) as u64);
    let disordered = mark.is_multiple_of(DISORDERED);
    let order = |event: &&Event| if disordered { scatter(event.id.0 as u64) as i64 } else { event.at };
    records.sort_by_key(|event| (order(event), event.id.0));
    let account = &log.estate.accounts[shelf / REGIONS.len()];
    let region = REGIONS[shelf % REGIONS.len()].name;
    let date = log.world.calendar.date(day_of(at));
    let time = log.world.calendar.seconds(at);
    let stamp = format!("{}T{}{}Z", date.strftime("%Y%m%d"), &time[11..13], &time[14..16]);
    Parcel {
        folder: format!("AWSLogs/{account}/CloudTrail/{region}/{}", date.strftime("%Y/%m/%d")),
        name: format!("{account}_CloudTrail_{region}_{stamp}_{}.json.gz", token(LETTERS, 16, mark)),
        records,
    }
}

/// The files' bytes, in order.
fn pack(parcels: &[Parcel<'_>], threads: usize) -> Vec<Vec<u8>> {
    let share = parcels.len().div_ceil(threads).max(1);
    let pack = |some: &[Parcel<'_>]| some.iter().map(|parcel| squeeze(&parcel.records)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let workers: Vec<_> = parcels.chunks(share).map(|some| scope.spawn(move || pack(some))).collect();
        let packed = workers.into_iter().map(thread::ScopedJoinHandle::join);
        packed.flat_map(|packed| packed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn squeeze(records: &[&Event]) -> Vec<u8> {
    let texts: Vec<&[u8]> = records.iter().map(|event| event.json.as_slice()).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(4));
    let written = [b"{\"Records\":[".as_slice(), &texts.join(&b','), b"]}"]
        .iter()
        .try_for_each(|part| encoder.write_all(part));
    written.and_then(|()| encoder.finish()).expect("memory takes every write")
}
