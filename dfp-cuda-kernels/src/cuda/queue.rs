//! Work in the order of a stream.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use cust::sys::{
    self, CUdeviceptr, CUevent_st, CUfunction, CUgraph_st, CUgraphExec_st, CUstream, CUstream_st,
    CUstreamCaptureMode,
};

use super::Opened;
use super::failure::{Answer, about};
use super::handle::Handle;
use super::staging::Staging;
use crate::device::{DeviceError, Launch, Memory, Queue, Result};

/// `CU_STREAM_NON_BLOCKING`: nothing waits for the stream that programs share unknowingly.
const NON_BLOCKING: u32 = 1;

pub(super) struct CudaQueue {
    /// The last two marks, the later one last.
    marks: [Option<Handle<CUevent_st>>; 2],
    staging: Option<Staging>,
    stream: Handle<CUstream_st>,
    // Outlives what was made in its context.
    device: Arc<Opened>,
}

impl CudaQueue {
    pub(super) fn new(device: Arc<Opened>) -> Result<Self> {
        device.enter()?;
        let stream = Handle::new(sys::cuStreamDestroy_v2, |stream| {
            // SAFETY: the driver writes one handle.
            unsafe { sys::cuStreamCreate(stream, NON_BLOCKING) }
        })?;
        Ok(Self { marks: [None, None], staging: None, stream, device })
    }

    fn wait(&self) -> Result<()> {
        // SAFETY: the stream lives.
        unsafe { sys::cuStreamSynchronize(self.stream.raw()) }.or_failed()
    }

    /// The launches as one piece of work for the device.
    fn record(&self, launches: &[(CUfunction, &Launch)]) -> Result<Handle<CUgraphExec_st>> {
        // What other threads do meanwhile is no part of it.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives, and records nothing yet.
        unsafe { sys::cuStreamBeginCapture_v2(self.stream.raw(), mode) }.or_failed()?;
        let launched = launch_all(launches, self.stream.raw());
        // The stream must leave this state, whatever happened.
        let graph: Result<Handle<CUgraph_st>> = Handle::new(sys::cuGraphDestroy, |graph| {
            // SAFETY: recording began on this thread; the driver writes one handle.
            unsafe { sys::cuStreamEndCapture(self.stream.raw(), graph) }
        });
        launched?;
        let graph = graph?;
        Handle::new(sys::cuGraphExecDestroy, |executable| {
            // SAFETY: the graph lives; the driver writes one handle.
            unsafe { sys::cuGraphInstantiateWithFlags(executable, graph.raw(), 0) }
        })
    }
}

impl Queue for CudaQueue {
    fn upload(&mut self, memory: &Memory, offset: usize, bytes: &[u8]) -> Result<()> {
        let to = place(memory, offset, bytes.len())?;
        self.device.enter()?;
        let staging = match &mut self.staging {
            Some(staging) => staging,
            none => none.insert(Staging::new()?),
        };
        staging.upload(to, bytes, self.stream.raw())
    }

    fn clear(&mut self, memory: &Memory, offset: usize, bytes: usize) -> Result<()> {
        let to = place(memory, offset, bytes)?;
        if bytes == 0 {
            return Ok(());
        }
        self.device.enter()?;
        // SAFETY: the range lies inside the memory, which lives until the work is done.
        unsafe { sys::cuMemsetD8Async(to, 0, bytes, self.stream.raw()) }.or_failed()
    }

    fn run(&mut self, launches: &[Launch], times: u32) -> Result<()> {
        if launches.is_empty() || times == 0 {
            return Ok(());
        }
        self.device.enter()?;
        let prepare = |launch| Ok((self.device.prepare(launch)?, launch));
        let launches = launches.iter().map(prepare).collect::<Result<Vec<_>>>()?;
        if times == 1 {
            return launch_all(&launches, self.stream.raw());
        }
        let recorded = self.record(&launches)?;
        for _ in 0..times {
            // SAFETY: both handles live. The driver keeps what is still to run of the recording after that is given back.
            unsafe { sys::cuGraphLaunch(recorded.raw(), self.stream.raw()) }.or_failed()?;
        }
        Ok(())
    }

    fn download(&mut self, memory: &Memory, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let from = place(memory, offset, bytes.len())?;
        self.device.enter()?;
        if bytes.is_empty() {
            return self.wait();
        }
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: the range lies inside the memory, and the bytes are borrowed until the copy has been waited for.
        let copied =
            unsafe { sys::cuMemcpyDtoHAsync_v2(to, from, bytes.len(), self.stream.raw()) }.or_failed();
        copied.and(self.wait())
    }

    fn finish(&mut self) -> Result<()> {
        self.device.enter()?;
        self.wait()
    }

    fn mark(&mut self) -> Result<()> {
        self.device.enter()?;
        let event = match &mut self.marks[0] {
            Some(event) => event,
            none => none.insert(Handle::new(sys::cuEventDestroy_v2, |event| {
                // SAFETY: the driver writes one handle.
                unsafe { sys::cuEventCreate(event, 0) }
            })?),
        };
        // SAFETY: both handles live.
        unsafe { sys::cuEventRecord(event.raw(), self.stream.raw()) }.or_failed()?;
        self.marks.swap(0, 1);
        Ok(())
    }

    fn seconds_between_marks(&mut self) -> Result<f64> {
        let [Some(from), Some(to)] = &self.marks else {
            let text = "there are no two marks".to_owned();
            return Err(DeviceError::Failed { call: "timing".to_owned(), text });
        };
        self.device.enter()?;
        let mut milliseconds = 0.0;
        // SAFETY: the event lives.
        unsafe { sys::cuEventSynchronize(to.raw()) }.or_failed()?;
        // SAFETY: both events live and are past; the driver writes one number.
        unsafe { sys::cuEventElapsedTime(&raw mut milliseconds, from.raw(), to.raw()) }.or_failed()?;
        Ok(f64::from(milliseconds) / 1e3)
    }
}

impl Drop for CudaQueue {
    fn drop(&mut self) {
        // The device may still read the staging memory. What fails now has nobody to be told.
        let _ = self.finish();
    }
}

/// Where a range of the memory begins.
fn place(memory: &Memory, offset: usize, bytes: usize) -> Result<CUdeviceptr> {
    match offset.checked_add(bytes) {
        Some(end) if end <= memory.bytes() => Ok(memory.address() + offset as CUdeviceptr),
        _ => Err(DeviceError::Failed {
            call: format!("{bytes} bytes from {offset} on"),
            text: format!("the memory has {} bytes", memory.bytes()),
        }),
    }
}

fn launch_all(launches: &[(CUfunction, &Launch)], stream: CUstream) -> Result<()> {
    launches.iter().try_for_each(|(function, launch)| {
        // The driver copies the argument before it answers.
        let mut arguments = [launch.argument.as_ptr().cast_mut().cast::<c_void>()];
        // SAFETY: the function takes one argument, and `Opened::prepare` saw that this is not shorter.
        unsafe {
            sys::cuLaunchKernel(
                *function,
                launch.blocks,
                1,
                1,
                launch.kernel.threads,
                1,
                1,
                launch.kernel.shared,
                stream,
                arguments.as_mut_ptr(),
                ptr::null_mut(),
            )
        }
        .or_failed()
        .map_err(about(launch.kernel.name))
    })
}
