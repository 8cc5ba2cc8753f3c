//! Host memory that the device reads by itself, so that copies to it wait for nothing.

use std::ffi::c_void;
use std::slice;

use cust::sys::{self, CUdeviceptr, CUevent_st, CUstream};

use super::failure::Answer;
use super::handle::Handle;
use crate::device::Result;

/// Bytes of one half: enough for copies at full speed, little beside what a machine with such a device has.
pub(super) const HALF: usize = 4 << 20;

/// `CU_EVENT_DISABLE_TIMING`
const DISABLE_TIMING: u32 = 2;

/// Two halves: one is filled while the other is on its way.
pub(super) struct Staging {
    halves: [Half; 2],
    filling: usize,
}

struct Half {
    memory: Handle<c_void>,
    used: usize,
    /// Follows the half's last copy in the stream.
    sent: Handle<CUevent_st>,
}

impl Staging {
    /// In the current context.
    pub(super) fn new() -> Result<Self> {
        Ok(Self { halves: [Half::new()?, Half::new()?], filling: 0 })
    }

    /// Copies `bytes` to the device at `to`, in the order of the stream.
    pub(super) fn upload(&mut self, mut to: CUdeviceptr, mut bytes: &[u8], stream: CUstream) -> Result<()> {
        while !bytes.is_empty() {
            if self.halves[self.filling].used == HALF {
                self.turn(stream)?;
            }
            let half = &mut self.halves[self.filling];
            let (piece, rest) = bytes.split_at(bytes.len().min(HALF - half.used));
            half.send(to, piece, stream)?;
            to += piece.len() as CUdeviceptr;
            bytes = rest;
        }
        Ok(())
    }

    /// Goes on with the other half, once it has arrived.
    fn turn(&mut self, stream: CUstream) -> Result<()> {
        // SAFETY: the half's event and the stream live.
        unsafe { sys::cuEventRecord(self.halves[self.filling].sent.raw(), stream) }.or_failed()?;
        self.filling = 1 - self.filling;
        let half = &mut self.halves[self.filling];
        // SAFETY: the same; an event that was never recorded counts as past.
        unsafe { sys::cuEventSynchronize(half.sent.raw()) }.or_failed()?;
        half.used = 0;
        Ok(())
    }
}

impl Half {
    fn new() -> Result<Self> {
        let memory = Handle::new(sys::cuMemFreeHost, |address| {
            // SAFETY: the driver writes one address.
            unsafe { sys::cuMemHostAlloc(address, HALF, 0) }
        })?;
        let sent = Handle::new(sys::cuEventDestroy_v2, |event| {
            // SAFETY: the driver writes one handle.
            unsafe { sys::cuEventCreate(event, DISABLE_TIMING) }
        })?;
        Ok(Self { memory, used: 0, sent })
    }

    /// Puts `piece`, for which there is room, behind what is here, and sends it off.
    fn send(&mut self, to: CUdeviceptr, piece: &[u8], stream: CUstream) -> Result<()> {
        // SAFETY: the memory has `HALF` bytes, and `used` and the piece together are no more.
        let from = unsafe { self.memory.raw().cast::<u8>().add(self.used) };
        // SAFETY: nothing else refers to these bytes: copies on their way read those before `used` only.
        unsafe { slice::from_raw_parts_mut(from, piece.len()) }.copy_from_slice(piece);
        self.used += piece.len();
        // SAFETY: the caller checked that the device's memory has room; these bytes stay as they are until `turn` knows that
        // they have arrived, and the queue waits for its stream before it gives the memory back.
        unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.cast(), piece.len(), stream) }.or_failed()
    }
}
