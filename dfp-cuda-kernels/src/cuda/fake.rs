//! A driver that computes nothing: it keeps memory on the host, writes down what it is asked, and fails where it is told to.
//!
//! As with a real one, work waits in its stream until somebody waits for it, and calls need a current context.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_ulonglong, c_void};
use std::ptr;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cust::sys::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction, CUfunction_attribute, CUgraph,
    CUgraphExec, CUjit_option, CUmodule, CUstream, CUstreamCaptureMode,
};

use super::shim::{self, Driver};

/// What the machine has, what the driver was asked, and what it is to answer.
pub(super) struct Fake {
    /// As `cuDriverGetVersion` writes it.
    pub(super) version: c_int,
    /// Names and capabilities.
    pub(super) cards: Vec<(&'static CStr, c_int, c_int)>,
    /// Bytes of a card.
    pub(super) total: usize,
    /// What goes wrong: the call, how often it still goes well, and the code.
    pub(super) faults: Vec<(&'static str, usize, c_int)>,
    /// What every call answers that needs a context.
    pub(super) lost: c_int,
    /// Every call, in order.
    pub(super) calls: Vec<&'static str>,
    /// What ran.
    pub(super) launched: Vec<Launched>,
    /// Launches that came from recordings.
    pub(super) replayed: usize,
    /// Host memory given back while copies from it were still to come.
    pub(super) torn: usize,
    memory: BTreeMap<CUdeviceptr, Vec<u8>>,
    things: BTreeMap<usize, Thing>,
    made: usize,
}

/// A launch that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launched {
    pub(super) name: String,
    pub(super) blocks: u32,
    pub(super) threads: u32,
    pub(super) shared: u32,
    pub(super) argument: [u64; WORDS],
}

/// Words of every kernel's argument.
pub(super) const WORDS: usize = 3;

/// Most threads of every kernel.
pub(super) const THREADS: u32 = 256;

/// Dynamic shared memory that a kernel has without asking.
const SHARED: u32 = 48 << 10;

/// Shared memory of a multiprocessor.
const MOST_SHARED: c_int = 227 << 10;

enum Thing {
    Context,
    Module(String),
    Function {
        name: String,
        shared: u32,
    },
    Pinned(Box<[u8]>),
    Stream {
        work: Vec<Work>,
        recording: Option<Vec<Launched>>,
    },
    /// Launches that had run when it came to pass; none while it waits or was never recorded.
    Event {
        past: Option<usize>,
    },
    Graph(Vec<Launched>),
    Executable(Vec<Launched>),
}

enum Work {
    Copy { to: CUdeviceptr, from: usize, bytes: usize },
    Clear { to: CUdeviceptr, bytes: usize },
    Launch(Launched),
    Replay(Vec<Launched>),
    Event(usize),
}

type Answer<T = ()> = Result<T, c_int>;

const INVALID_VALUE: c_int = 1;
const OUT_OF_MEMORY: c_int = 2;
const INVALID_PTX: c_int = 218;
const INVALID_CONTEXT: c_int = 201;
const INVALID_HANDLE: c_int = 400;
const NOT_FOUND: c_int = 500;
const ILLEGAL_ADDRESS: c_int = 700;
const CAPTURE_UNSUPPORTED: c_int = 900;

static FAKE: Mutex<Option<Fake>> = Mutex::new(None);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// The fake is the driver while this lives.
pub(super) struct Installed(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

/// Makes a machine with one good card, changed by `change`, the one that the shim sees.
pub(super) fn install(change: impl FnOnce(&mut Fake)) -> Installed {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fake = Fake {
        version: 13_000,
        cards: vec![(c"Fake H200", 9, 0)],
        total: 64 << 20,
        faults: Vec::new(),
        lost: 0,
        calls: Vec::new(),
        launched: Vec::new(),
        replayed: 0,
        torn: 0,
        memory: BTreeMap::new(),
        things: BTreeMap::new(),
        made: 0,
    };
    change(&mut fake);
    *FAKE.lock().unwrap_or_else(PoisonError::into_inner) = Some(fake);
    CURRENT.set(0);
    shim::install(Some(&DRIVER));
    Installed(turn)
}

/// No driver at all while the answer lives.
pub(super) fn install_none() -> Installed {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    shim::install(None);
    Installed(turn)
}

impl Drop for Installed {
    fn drop(&mut self) {
        shim::install(None);
        *FAKE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Looks at the fake, or changes it.
pub(super) fn with<T>(look: impl FnOnce(&mut Fake) -> T) -> T {
    look(FAKE.lock().unwrap_or_else(PoisonError::into_inner).as_mut().expect("the fake is installed"))
}

impl Fake {
    /// What was made and not given back: pieces of memory, and all else.
    pub(super) fn alive(&self) -> (usize, usize) {
        let things = self.things.values().filter(|thing| !matches!(thing, Thing::Function { .. }));
        (self.memory.len(), things.count())
    }

    /// The bytes of a piece of memory as they are now.
    pub(super) fn bytes(&self, address: u64) -> &[u8] {
        &self.memory[&address]
    }

    fn fault(&mut self, call: &str) -> Answer {
        let Some(at) = self.faults.iter().position(|(name, ..)| *name == call) else { return Ok(()) };
        match &mut self.faults[at] {
            (_, 0, _) => Err(self.faults.remove(at).2),
            (_, well, _) => {
                *well -= 1;
                Ok(())
            }
        }
    }

    fn make<T>(&mut self, thing: Thing) -> *mut T {
        self.made += 1;
        self.things.insert(self.made, thing);
        ptr::without_provenance_mut(self.made)
    }

    fn thing<T>(&mut self, handle: *mut T) -> Answer<&mut Thing> {
        self.things.get_mut(&handle.addr()).ok_or(INVALID_HANDLE)
    }

    fn give_back<T>(&mut self, handle: *mut T) -> Answer {
        self.things.remove(&handle.addr()).map(drop).ok_or(INVALID_HANDLE)
    }

    fn push(&mut self, stream: CUstream, work: Work) -> Answer {
        let Thing::Stream { work: waiting, recording } = self.thing(stream)? else {
            return Err(INVALID_HANDLE);
        };
        match (recording, work) {
            (Some(recorded), Work::Launch(launch)) => recorded.push(launch),
            (Some(_), _) => return Err(CAPTURE_UNSUPPORTED),
            (None, work) => waiting.push(work),
        }
        Ok(())
    }

    /// Does a stream's work until it is done, or until `event` has come to pass.
    fn drain(&mut self, stream: usize, until: Option<usize>) -> Answer {
        loop {
            let Some(Thing::Stream { work, recording: None }) = self.things.get_mut(&stream) else {
                return Err(CAPTURE_UNSUPPORTED);
            };
            if work.is_empty() {
                return Ok(());
            }
            match work.remove(0) {
                Work::Copy { to, from, bytes } => {
                    let pinned = |thing: &Thing| match thing {
                        Thing::Pinned(memory) => {
                            let offset = from.checked_sub(memory.as_ptr().addr())?;
                            Some(memory.get(offset..offset + bytes)?.to_vec())
                        }
                        _ => None,
                    };
                    // Gone already: a device would read whatever is there now.
                    let copied = self.things.values().find_map(pinned).ok_or(ILLEGAL_ADDRESS)?;
                    self.place(to, bytes)?.copy_from_slice(&copied);
                }
                Work::Clear { to, bytes } => self.place(to, bytes)?.fill(0),
                Work::Launch(launch) => self.launched.push(launch),
                Work::Replay(launches) => {
                    self.replayed += launches.len();
                    self.launched.extend(launches);
                }
                Work::Event(event) => {
                    let ran = self.launched.len();
                    if let Some(Thing::Event { past }) = self.things.get_mut(&event) {
                        *past = Some(ran);
                    }
                    if until == Some(event) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn place(&mut self, address: CUdeviceptr, bytes: usize) -> Answer<&mut [u8]> {
        let (start, memory) = self.memory.range_mut(..=address).next_back().ok_or(ILLEGAL_ADDRESS)?;
        let offset = (address - start) as usize;
        memory.get_mut(offset..offset + bytes).ok_or(ILLEGAL_ADDRESS)
    }
}

/// A call that needs no context.
fn call(name: &'static str, answer: impl FnOnce(&mut Fake) -> Answer) -> c_int {
    let mut fake = FAKE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(fake) = fake.as_mut() else { return super::shim::NO_DEVICE };
    fake.calls.push(name);
    fake.fault(name).and_then(|()| answer(fake)).err().unwrap_or(0)
}

/// A call to the device of the current context.
fn inside(name: &'static str, answer: impl FnOnce(&mut Fake) -> Answer) -> c_int {
    call(name, |fake| {
        if fake.lost != 0 {
            return Err(fake.lost);
        }
        match fake.things.get(&CURRENT.get()) {
            Some(Thing::Context) => answer(fake),
            _ => Err(INVALID_CONTEXT),
        }
    })
}

/// Writes an answer where the caller wants it.
fn give<T>(place: *mut T, value: T) -> Answer {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the code under test gives places that it owns.
    unsafe { place.write(value) };
    Ok(())
}

/// Defines the driver's functions with the bodies given, and the table of them.
macro_rules! fakes {
    ($($kind:ident fn $name:ident($fake:ident $(, $argument:ident: $type:ty)*) $body:block)*) => {
        $(
            #[allow(non_snake_case, unused_variables, reason = "the names are the driver's")]
            extern "C" fn $name($($argument: $type),*) -> c_int {
                $kind(stringify!($name), |$fake: &mut Fake| $body)
            }
        )*

        static DRIVER: Driver = Driver { $($name,)* cuGetErrorString };
    };
}

#[allow(non_snake_case, reason = "the name is the driver's")]
extern "C" fn cuGetErrorString(error: c_int, text: *mut *const c_char) -> c_int {
    let words = match error {
        OUT_OF_MEMORY => c"out of memory",
        INVALID_PTX => c"a PTX JIT compilation failed",
        ILLEGAL_ADDRESS => c"an illegal memory access was encountered",
        _ => c"words of the driver",
    };
    give(text, words.as_ptr()).err().unwrap_or(0)
}

fakes! {
    call fn cuInit(fake, flags: c_uint) {
        if fake.cards.is_empty() { Err(shim::NO_DEVICE) } else { Ok(()) }
    }
    call fn cuDriverGetVersion(fake, version: *mut c_int) { give(version, fake.version) }
    call fn cuDeviceGetCount(fake, count: *mut c_int) { give(count, fake.cards.len() as c_int) }
    call fn cuDeviceGet(fake, device: *mut CUdevice, ordinal: c_int) { give(device, ordinal) }
    call fn cuDeviceGetName(fake, name: *mut c_char, length: c_int, device: CUdevice) {
        let text = fake.cards[device as usize].0.to_bytes_with_nul();
        assert!(text.len() <= length as usize);
        // SAFETY: there is room.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), name, text.len()) };
        Ok(())
    }
    call fn cuDeviceGetAttribute(fake, value: *mut c_int, attribute: CUdevice_attribute, device: CUdevice) {
        use CUdevice_attribute as A;
        let (_, major, minor) = fake.cards[device as usize];
        give(value, match attribute {
            A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR => major,
            A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR => minor,
            A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT => 132,
            _ => return Err(INVALID_VALUE),
        })
    }
    call fn cuDeviceTotalMem_v2(fake, bytes: *mut usize, device: CUdevice) { give(bytes, fake.total) }
    call fn cuDevicePrimaryCtxRetain(fake, context: *mut CUcontext, device: CUdevice) {
        let made = fake.make(Thing::Context);
        give(context, made)
    }
    call fn cuDevicePrimaryCtxRelease_v2(fake, device: CUdevice) {
        let context = |(id, thing): (&usize, &Thing)| matches!(thing, Thing::Context).then_some(*id);
        let id = fake.things.iter().find_map(context).ok_or(INVALID_CONTEXT)?;
        fake.things.remove(&id);
        Ok(())
    }
    call fn cuCtxSetCurrent(fake, context: CUcontext) {
        CURRENT.set(context.addr());
        Ok(())
    }

    inside fn cuModuleLoadDataEx(
        fake,
        module: *mut CUmodule,
        image: *const c_void,
        options: c_uint,
        names: *mut CUjit_option,
        values: *mut *mut c_void
    ) {
        // SAFETY: the image ends with a zero byte.
        let text = unsafe { CStr::from_ptr(image.cast()) }.to_str().unwrap();
        if !text.contains(".version 9.0") {
            let log = c"ptxas fatal: nothing that is understood";
            // SAFETY: the first option is the buffer for what goes wrong, which has room.
            unsafe { ptr::copy_nonoverlapping(log.as_ptr(), (*values).cast(), log.count_bytes() + 1) };
            return Err(INVALID_PTX);
        }
        let made = fake.make(Thing::Module(text.to_owned()));
        give(module, made)
    }
    inside fn cuModuleUnload(fake, module: CUmodule) { fake.give_back(module) }
    inside fn cuModuleGetFunction(fake, function: *mut CUfunction, module: CUmodule, name: *const c_char) {
        // SAFETY: the name ends with a zero byte.
        let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned();
        let Thing::Module(text) = fake.thing(module)? else { return Err(INVALID_HANDLE) };
        if !text.contains(&format!(".entry {name}(")) {
            return Err(NOT_FOUND);
        }
        let made = fake.make(Thing::Function { name, shared: SHARED });
        give(function, made)
    }
    inside fn cuFuncGetAttribute(
        fake,
        value: *mut c_int,
        attribute: CUfunction_attribute,
        function: CUfunction
    ) {
        give(value, THREADS as c_int)
    }
    inside fn cuFuncSetAttribute(fake, function: CUfunction, attribute: CUfunction_attribute, value: c_int) {
        match fake.thing(function)? {
            Thing::Function { shared, .. } if value <= MOST_SHARED => *shared = value as u32,
            _ => return Err(INVALID_VALUE),
        }
        Ok(())
    }
    inside fn cuFuncGetParamInfo(
        fake,
        function: CUfunction,
        index: usize,
        offset: *mut usize,
        bytes: *mut usize
    ) {
        give(offset, 0)?;
        give(bytes, 8 * WORDS)
    }

    inside fn cuMemGetInfo_v2(fake, free: *mut usize, total: *mut usize) {
        let used: usize = fake.memory.values().map(Vec::len).sum();
        give(free, fake.total - used)?;
        give(total, fake.total)
    }
    inside fn cuMemAlloc_v2(fake, address: *mut CUdeviceptr, bytes: usize) {
        let used: usize = fake.memory.values().map(Vec::len).sum();
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if used + bytes > fake.total {
            return Err(OUT_OF_MEMORY);
        }
        fake.made += 1;
        let made = (fake.made as u64) << 32;
        fake.memory.insert(made, vec![0xcd; bytes]);
        give(address, made)
    }
    inside fn cuMemFree_v2(fake, address: CUdeviceptr) {
        fake.memory.remove(&address).map(drop).ok_or(INVALID_VALUE)
    }
    inside fn cuMemHostAlloc(fake, address: *mut *mut c_void, bytes: usize, flags: c_uint) {
        let mut memory = vec![0; bytes].into_boxed_slice();
        let at = memory.as_mut_ptr();
        fake.things.insert(at.addr(), Thing::Pinned(memory));
        give(address, at.cast())
    }
    inside fn cuMemFreeHost(fake, address: *mut c_void) {
        let Thing::Pinned(memory) = fake.thing(address)? else { return Err(INVALID_VALUE) };
        let range = address.addr()..address.addr() + memory.len();
        let waits = |thing: &Thing| match thing {
            Thing::Stream { work, .. } => {
                work.iter().any(|work| matches!(work, Work::Copy { from, .. } if range.contains(from)))
            }
            _ => false,
        };
        fake.torn += usize::from(fake.things.values().any(waits));
        fake.give_back(address)
    }
    inside fn cuMemcpyHtoDAsync_v2(
        fake,
        to: CUdeviceptr,
        from: *const c_void,
        bytes: usize,
        stream: CUstream
    ) {
        fake.place(to, bytes)?;
        fake.push(stream, Work::Copy { to, from: from.expose_provenance(), bytes })
    }
    inside fn cuMemcpyDtoHAsync_v2(fake, to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream) {
        fake.drain(stream.addr(), None)?;
        // SAFETY: the code under test gives bytes that it owns.
        unsafe { slice::from_raw_parts_mut(to.cast::<u8>(), bytes) }.copy_from_slice(fake.place(from, bytes)?);
        Ok(())
    }
    inside fn cuMemsetD8Async(fake, to: CUdeviceptr, value: c_uchar, bytes: usize, stream: CUstream) {
        assert_eq!(value, 0);
        fake.push(stream, Work::Clear { to, bytes })
    }

    inside fn cuStreamCreate(fake, stream: *mut CUstream, flags: c_uint) {
        let made = fake.make(Thing::Stream { work: Vec::new(), recording: None });
        give(stream, made)
    }
    inside fn cuStreamDestroy_v2(fake, stream: CUstream) { fake.give_back(stream) }
    inside fn cuStreamSynchronize(fake, stream: CUstream) { fake.drain(stream.addr(), None) }
    inside fn cuStreamBeginCapture_v2(fake, stream: CUstream, mode: CUstreamCaptureMode) {
        match fake.thing(stream)? {
            Thing::Stream { recording: recording @ None, .. } => *recording = Some(Vec::new()),
            _ => return Err(CAPTURE_UNSUPPORTED),
        }
        Ok(())
    }
    inside fn cuStreamEndCapture(fake, stream: CUstream, graph: *mut CUgraph) {
        let Thing::Stream { recording, .. } = fake.thing(stream)? else { return Err(INVALID_HANDLE) };
        let recorded = recording.take().ok_or(CAPTURE_UNSUPPORTED)?;
        let made = fake.make(Thing::Graph(recorded));
        give(graph, made)
    }
    inside fn cuGraphInstantiateWithFlags(
        fake,
        executable: *mut CUgraphExec,
        graph: CUgraph,
        flags: c_ulonglong
    ) {
        let Thing::Graph(launches) = fake.thing(graph)? else { return Err(INVALID_HANDLE) };
        let launches = launches.clone();
        let made = fake.make(Thing::Executable(launches));
        give(executable, made)
    }
    inside fn cuGraphLaunch(fake, executable: CUgraphExec, stream: CUstream) {
        let Thing::Executable(launches) = fake.thing(executable)? else { return Err(INVALID_HANDLE) };
        let work = Work::Replay(launches.clone());
        fake.push(stream, work)
    }
    inside fn cuGraphExecDestroy(fake, executable: CUgraphExec) { fake.give_back(executable) }
    inside fn cuGraphDestroy(fake, graph: CUgraph) { fake.give_back(graph) }
    inside fn cuLaunchKernel(
        fake,
        function: CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: CUstream,
        arguments: *mut *mut c_void,
        extra: *mut *mut c_void
    ) {
        let Thing::Function { name, shared: most } = fake.thing(function)? else { return Err(INVALID_HANDLE) };
        if shared > *most || [grid_y, grid_z, block_y, block_z] != [1; 4] || grid_x == 0 {
            return Err(INVALID_VALUE);
        }
        let name = name.clone();
        // SAFETY: a launch has one argument of so many words.
        let argument = unsafe { (*arguments).cast::<[u64; WORDS]>().read() };
        let launch = Launched { name, blocks: grid_x, threads: block_x, shared, argument };
        fake.push(stream, Work::Launch(launch))
    }

    inside fn cuEventCreate(fake, event: *mut CUevent, flags: c_uint) {
        let made = fake.make(Thing::Event { past: None });
        give(event, made)
    }
    inside fn cuEventRecord(fake, event: CUevent, stream: CUstream) {
        let Thing::Event { past } = fake.thing(event)? else { return Err(INVALID_HANDLE) };
        *past = None;
        fake.push(stream, Work::Event(event.addr()))
    }
    inside fn cuEventSynchronize(fake, event: CUevent) {
        let waits = |thing: &Thing| match thing {
            Thing::Stream { work, .. } => {
                work.iter().any(|work| matches!(work, Work::Event(id) if *id == event.addr()))
            }
            _ => false,
        };
        match fake.things.iter().find_map(|(id, thing)| waits(thing).then_some(*id)) {
            Some(stream) => fake.drain(stream, Some(event.addr())),
            None => Ok(()),
        }
    }
    inside fn cuEventElapsedTime(fake, milliseconds: *mut f32, from: CUevent, to: CUevent) {
        let mut ran = |event| match fake.thing(event)? {
            Thing::Event { past: Some(ran) } => Ok(*ran),
            _ => Err(INVALID_HANDLE),
        };
        let (from, to) = (ran(from)?, ran(to)?);
        give(milliseconds, (to - from) as f32)
    }
    inside fn cuEventDestroy_v2(fake, event: CUevent) { fake.give_back(event) }
}
