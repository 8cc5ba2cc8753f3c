//! A queue of a device and the arrays its work uses.

use crate::device::{Device, Launch, Memory, Queue, Result};
use crate::group::{Plain, bytes_of, bytes_of_mut};

/// Bytes brought over at a time: enough for the bus to be busy, few beside what a device holds.
const PIECE: usize = 32 << 20;

/// Arrays on a device, by their addresses, and the queue that works on them.
pub(crate) struct Arrays<'d> {
    device: &'d dyn Device,
    queue: Box<dyn Queue>,
    memories: Vec<Memory>,
}

impl<'d> Arrays<'d> {
    pub(crate) fn new(device: &'d dyn Device) -> Result<Self> {
        Ok(Self { device, queue: device.queue()?, memories: Vec::new() })
    }

    /// An array of undefined content; its address, which even an empty one has.
    pub(crate) fn room<T: Plain>(&mut self, count: usize) -> Result<u64> {
        let memory = self.device.allocate(count.max(1) * size_of::<T>())?;
        let address = memory.address();
        self.memories.push(memory);
        Ok(address)
    }

    /// An array of zeros.
    pub(crate) fn zeros<T: Plain>(&mut self, count: usize) -> Result<u64> {
        let address = self.room::<T>(count)?;
        let memory = self.memories.last().expect("just pushed");
        self.queue.clear(memory, 0, count * size_of::<T>())?;
        Ok(address)
    }

    /// An array of these values.
    pub(crate) fn put<T: Plain>(&mut self, values: &[T]) -> Result<u64> {
        let address = self.room::<T>(values.len())?;
        let memory = self.memories.last().expect("just pushed");
        self.queue.upload(memory, 0, bytes_of(values))?;
        Ok(address)
    }

    /// An array of `count` values, brought over piece by piece: each of `parts` is asked to append its values to a list, and starts
    /// at 16 bytes.
    pub(crate) fn put_parts<T: Plain, P>(
        &mut self,
        count: usize,
        parts: impl Iterator<Item = P>,
        append: impl Fn(P, &mut Vec<T>),
    ) -> Result<u64> {
        let address = self.room::<T>(count)?;
        let memory = self.memories.last().expect("just pushed");
        let (mut piece, mut start) = (Vec::new(), 0);
        let mut bring = |piece: &mut Vec<T>| {
            let sent = self.queue.upload(memory, start, bytes_of(piece));
            start += size_of_val(&piece[..]);
            piece.clear();
            sent
        };
        for part in parts {
            append(part, &mut piece);
            piece.resize(piece.len().next_multiple_of(4), T::default());
            if size_of_val(&piece[..]) > PIECE {
                bring(&mut piece)?;
            }
        }
        bring(&mut piece)?;
        Ok(address)
    }

    /// Values of the array at an address, from the one of this number on.
    pub(crate) fn read<T: Plain>(&mut self, address: u64, first: usize, count: usize) -> Result<Vec<T>> {
        let mut values = vec![T::default(); count];
        let memory =
            self.memories.iter().find(|memory| memory.address() == address).expect("an array of these");
        self.queue.download(memory, first * size_of::<T>(), bytes_of_mut(&mut values))?;
        Ok(values)
    }

    /// Runs launches as often as said, and waits.
    pub(crate) fn run(&mut self, launches: &[Launch], times: u32) -> Result<()> {
        self.queue.run(launches, times)?;
        self.queue.finish()
    }

    /// As [`run`](Self::run); answers with the seconds it took on the device.
    pub(crate) fn time(&mut self, launches: &[Launch], times: u32) -> Result<f64> {
        self.queue.mark()?;
        self.queue.run(launches, times)?;
        self.queue.mark()?;
        self.queue.seconds_between_marks()
    }
}

impl Drop for Arrays<'_> {
    /// Memory must outlive the work that uses it.
    fn drop(&mut self) {
        // What failed was said where it was asked for; here only the end of the work matters.
        let _ = self.queue.finish();
    }
}
