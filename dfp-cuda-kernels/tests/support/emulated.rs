//! The emulator as a [`Device`]: a program of its own, told through a pipe what to do. A kernel that goes wrong ends that program
//! and not the test; what it said last is the error.

use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use dfp_cuda_kernels::device::{Device, DeviceError, DeviceInfo, Launch, Memory, Queue, Result};

use super::Program;

/// In which order blocks run, and the threads of a block that can go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Up,
    Down,
    /// By this seed.
    Shuffled(u32),
}

/// What a device is like, and what befalls it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Its number.
    pub(crate) index: usize,
    /// Bytes it has.
    pub(crate) memory: u64,
    pub(crate) order: Order,
    /// Do what is queued as late as is allowed: when somebody waits for it.
    pub(crate) late: bool,
    /// The launch, counted from 0, in which the device is lost.
    pub(crate) lost_in: Option<u64>,
    /// Whether kernels may go wrong, and the device be lost by that. Else the test fails at once, as what it tests could make up
    /// for the loss.
    pub(crate) may_go_wrong: bool,
    /// Seconds of processor time after which a launch is taken for one that never ends.
    pub(crate) seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            index: 0,
            memory: 1 << 30,
            order: Order::Up,
            late: false,
            lost_in: None,
            may_go_wrong: false,
            seconds: 120,
        }
    }
}

/// A device that is emulated.
#[derive(Debug)]
pub(crate) struct Emulated {
    info: DeviceInfo,
    late: bool,
    link: Arc<Mutex<Link>>,
}

impl Emulated {
    /// Starts one.
    pub(crate) fn new(program: &Program, settings: &Settings) -> Self {
        let (order, seed) = match settings.order {
            Order::Up => ("0", 0),
            Order::Down => ("1", 0),
            Order::Shuffled(seed) => ("2", seed),
        };
        let mut link =
            Link::new(program, &[order, &seed.to_string(), &settings.seconds.to_string()], settings);
        link.answer::<8>().expect("the emulator starts");
        let info = DeviceInfo {
            index: settings.index,
            name: "emulator".into(),
            capability: (9, 0),
            multiprocessors: 2,
            memory: settings.memory,
            driver: None,
        };
        Self { info, late: settings.late, link: Arc::new(Mutex::new(link)) }
    }

    /// Bytes taken and not given back.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.info.memory - self.link().free
    }

    /// Launches so far.
    pub(crate) fn launches(&self) -> u64 {
        self.link().launches
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        locked(&self.link)
    }
}

impl Device for Emulated {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn free_memory(&self) -> Result<u64> {
        let mut link = self.link();
        link.wait()?;
        Ok(link.free)
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        if bytes == 0 {
            return Err(failed("allocate", "no bytes were asked for"));
        }
        let mut link = self.link();
        if bytes as u64 > link.free {
            return Err(DeviceError::OutOfMemory { bytes });
        }
        link.send(&words(&[ALLOCATE, bytes as u64]));
        let address = link.answer().map(u64::from_le_bytes)?;
        link.free -= bytes as u64;
        let link = Arc::clone(&self.link);
        Ok(Memory::new(address, bytes, move || {
            let mut link = locked(&link);
            link.send(&words(&[FREE, address]));
            link.free += bytes as u64;
        }))
    }

    fn queue(&self) -> Result<Box<dyn Queue>> {
        let mut link = self.link();
        link.wait()?;
        link.queues += 1;
        let number = link.queues;
        let link = Arc::clone(&self.link);
        Ok(Box::new(EmulatedQueue { number, late: self.late, marks: 0, pending: Vec::new(), link }))
    }
}

struct EmulatedQueue {
    number: u64,
    late: bool,
    marks: u64,
    pending: Vec<u8>,
    link: Arc<Mutex<Link>>,
}

impl EmulatedQueue {
    fn queue(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.pending.extend_from_slice(part);
        }
        if !self.late {
            drop(self.hand_over());
        }
    }

    fn hand_over(&mut self) -> MutexGuard<'_, Link> {
        let mut link = locked(&self.link);
        link.send(&std::mem::take(&mut self.pending));
        link
    }
}

impl Queue for EmulatedQueue {
    fn upload(&mut self, memory: &Memory, offset: usize, bytes: &[u8]) -> Result<()> {
        let order = range(UPLOAD, memory, offset, bytes.len())?;
        self.queue(&[&order, bytes]);
        Ok(())
    }

    fn clear(&mut self, memory: &Memory, offset: usize, bytes: usize) -> Result<()> {
        let order = range(CLEAR, memory, offset, bytes)?;
        self.queue(&[&order]);
        Ok(())
    }

    fn run(&mut self, launches: &[Launch], times: u32) -> Result<()> {
        for launch in launches {
            check(launch)?;
        }
        for _ in 0..times {
            for launch in launches {
                let order = {
                    let mut link = locked(&self.link);
                    link.launches += 1;
                    if link.lost_in == Some(link.launches - 1) { be_lost() } else { encoded(launch) }
                };
                self.queue(&[&order]);
            }
        }
        Ok(())
    }

    fn download(&mut self, memory: &Memory, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let order = range(DOWNLOAD, memory, offset, bytes.len())?;
        self.pending.extend_from_slice(&order);
        self.hand_over().receive(bytes)
    }

    fn finish(&mut self) -> Result<()> {
        self.hand_over().wait()
    }

    fn mark(&mut self) -> Result<()> {
        self.marks += 1;
        let order = words(&[MARK, self.number]);
        self.queue(&[&order]);
        Ok(())
    }

    fn seconds_between_marks(&mut self) -> Result<f64> {
        if self.marks < 2 {
            return Err(failed("seconds between marks", "there are no two marks"));
        }
        self.pending.extend(words(&[SECONDS, self.number]));
        self.hand_over().answer().map(f64::from_le_bytes)
    }
}

impl Drop for EmulatedQueue {
    fn drop(&mut self) {
        drop(self.hand_over());
    }
}

// Orders, as emulator.cpp reads them.
const ALLOCATE: u64 = 0;
const FREE: u64 = 1;
const UPLOAD: u64 = 2;
const CLEAR: u64 = 3;
const DOWNLOAD: u64 = 4;
const LAUNCH: u64 = 5;
const MARK: u64 = 6;
const SECONDS: u64 = 7;
const FINISH: u64 = 8;
const BE_LOST: u64 = 9;
/// What a device says that was told to be lost.
const AS_WANTED: &str = "lost, as the test wants";

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn range(order: u64, memory: &Memory, offset: usize, bytes: usize) -> Result<Vec<u8>> {
    if offset.checked_add(bytes).is_none_or(|end| end > memory.bytes()) {
        return Err(failed(
            "copy",
            &format!("{bytes} bytes from {offset} on are not in memory of {}", memory.bytes()),
        ));
    }
    Ok(words(&[order, memory.address() + offset as u64, bytes as u64]))
}

/// What a driver refuses.
fn check(launch: &Launch) -> Result<()> {
    let Launch { kernel, blocks, argument } = launch;
    if *blocks == 0 || *blocks > i32::MAX as u32 || kernel.shared > 227 << 10 || argument.len() > 512 {
        return Err(failed(
            &format!("launch of {}", kernel.name),
            &format!(
                "{blocks} blocks, {} bytes of shared memory, {} of argument",
                kernel.shared,
                argument.len() * 8
            ),
        ));
    }
    Ok(())
}

fn encoded(launch: &Launch) -> Vec<u8> {
    let Launch { kernel, blocks, argument } = launch;
    let mut order = words(&[LAUNCH, u64::from(*blocks), u64::from(kernel.threads), u64::from(kernel.shared)]);
    order.extend(words(&[kernel.name.len() as u64]));
    order.extend(kernel.name.as_bytes());
    order.extend(words(&[argument.len() as u64]));
    order.extend(words(argument));
    order
}

fn be_lost() -> Vec<u8> {
    let mut order = words(&[BE_LOST, AS_WANTED.len() as u64]);
    order.extend(AS_WANTED.as_bytes());
    order
}

fn failed(call: &str, text: &str) -> DeviceError {
    DeviceError::Failed { call: call.into(), text: text.into() }
}

/// Memory is given back also while a test that failed is left.
fn locked(link: &Mutex<Link>) -> MutexGuard<'_, Link> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running program.
#[derive(Debug)]
struct Link {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    said: Option<JoinHandle<String>>,
    lost: Option<DeviceError>,
    lost_in: Option<u64>,
    may_go_wrong: bool,
    free: u64,
    launches: u64,
    queues: u64,
}

impl Link {
    fn new(program: &Program, arguments: &[&str; 3], settings: &Settings) -> Self {
        let mut child = program
            .command(arguments[0], arguments[1], arguments[2])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was just compiled");
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut errors = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            orders,
            answers,
            said: Some(said),
            lost: None,
            lost_in: settings.lost_in,
            may_go_wrong: settings.may_go_wrong,
            free: settings.memory,
            launches: 0,
            queues: 0,
        }
    }

    /// That the device is lost shows when somebody waits.
    fn send(&mut self, orders: &[u8]) {
        let _: io::Result<()> = self.orders.write_all(orders);
    }

    fn wait(&mut self) -> Result<()> {
        self.send(&words(&[FINISH]));
        self.answer::<8>().map(drop)
    }

    fn answer<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut answer = [0; N];
        self.receive(&mut answer).map(|()| answer)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.lost.is_none() && self.answers.read_exact(bytes).is_err() {
            let status = self.child.wait().unwrap();
            let said = self.said.take().map_or_else(String::new, |said| said.join().unwrap());
            let text = if said.is_empty() {
                format!("the emulator ended: {status}")
            } else {
                said.trim_end().into()
            };
            self.lost = Some(DeviceError::Lost(text.clone()));
            assert!(self.may_go_wrong || text == AS_WANTED, "{text}");
        }
        self.lost.clone().map_or(Ok(()), Err)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
