//! The child as a process: starting it, hearing its last words, and making sure that it ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfp_core::{Error, ErrorKind, Host, Level, Result};

use super::RemoteOptions;
use super::frame::cut;
use super::outbox::spawn;

/// How long a child that closed its pipe may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines that are remembered.
const TAIL_LINES: usize = 8;
/// Bytes of a line.
const LINE_BYTES: usize = 512;
/// What Rust programs write when memory ends.
const OUT_OF_MEMORY: &str = "memory allocation of";

/// The process behind a connection.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` if the other end is a thread, as in tests.
    child: Option<Mutex<Child>>,
    tail: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected once the child's stderr ended.
    stderr: Mutex<Option<Receiver<()>>>,
}

impl Process {
    /// Starts the program; its stderr goes to the host's log, line by line.
    pub(super) fn start(
        options: &RemoteOptions,
        name: &str,
        host: Arc<dyn Host>,
    ) -> Result<(Self, ChildStdout, ChildStdin)> {
        let doing = || format!("starting {} for {name}", options.program.display());
        let mut command = Command::new(&options.program);
        leave_files_behind(&mut command);
        let mut child = command
            .args(&options.arguments)
            // Secrets often lie in the environment. One arena for memory makes the limit mean what it says.
            .env_clear()
            .env("MALLOC_ARENA_MAX", "1")
            .current_dir("/")
            // Ctrl-C is the parent's to hear, who cancels and says so.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::io(doing(), error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::new(ErrorKind::Internal, format!("{}: it has no pipes", doing())));
        };
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (ended, listen) = channel();
        let (lines, target) = (tail.clone(), name.to_owned());
        let child = Some(Mutex::new(child));
        let process = Self { child, tail, stderr: Mutex::new(Some(listen)) };
        spawn("dfp-remote-stderr", move || {
            forward(stderr, &target, &*host, &lines);
            // In this order: whoever hears of the end finds the host let go of.
            drop(host);
            drop(ended);
        })?;
        Ok((process, stdout, stdin))
    }

    /// No process: the other end is in this one.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { child: None, tail: Arc::default(), stderr: Mutex::default() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Child) -> T) -> Option<T> {
        let child = self.child.as_ref()?;
        Some(f(&mut child.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.with(|child| {
            // It fails only for one that has ended already, and then the wait answers at once.
            let _ = child.kill();
            let _ = child.wait();
        });
    }

    /// Waits a while for it to end by itself, then ends it. Answers how it ended.
    pub(super) fn end(&self) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.with(Child::try_wait)? {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => break,
            }
        }
        self.kill();
        None
    }

    /// Waits for the last words of a child that has ended: they may still be on their way.
    pub(super) fn hear_out(&self) {
        if let Some(stderr) = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = stderr.recv_timeout(PATIENCE);
        }
    }

    /// Why it answers no more.
    pub(super) fn obituary(&self) -> Error {
        let how = match self.end() {
            Some(status) => describe(status),
            None => "the process closed its pipe and was killed".to_owned(),
        };
        self.hear_out();
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<&str> = tail.iter().map(String::as_str).collect();
        let kind = if words.iter().any(|line| line.contains(OUT_OF_MEMORY)) {
            ErrorKind::ResourceExhausted
        } else {
            ErrorKind::Internal
        };
        let said =
            if words.is_empty() { String::new() } else { format!("; its last words: {}", words.join(" | ")) };
        Error::new(kind, format!("{how}{said}"))
    }
}

impl Drop for Process {
    /// No child outlives its handle, whatever went wrong on the way.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Closes, for the child, what this program and its libraries have open and forgot to mark: a sandboxed plugin could not open
/// it, but would have it.
#[cfg(target_os = "linux")]
fn leave_files_behind(command: &mut Command) {
    let mark = || {
        // SAFETY: plain system calls on numbers, which is all that may be done between fork and exec.
        unsafe {
            if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
                // A kernel before 5.11.
                for fd in 3..libc::sysconf(libc::_SC_OPEN_MAX).clamp(1024, 1 << 16) as libc::c_int {
                    libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
                }
            }
        }
        Ok(())
    };
    // SAFETY: `mark` allocates nothing and takes no lock.
    unsafe { command.pre_exec(mark) };
}

#[cfg(not(target_os = "linux"))]
fn leave_files_behind(_command: &mut Command) {}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("the process was ended by signal {signal}{}", signal_name(signal)),
        (None, Some(code)) => format!("the process ended with status {code}"),
        (None, None) => "the process ended".to_owned(),
    }
}

/// The name of a signal that crashes have.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        _ => "",
    }
}

/// Hands lines to the log and remembers the last ones.
fn forward(stderr: impl Read, target: &str, host: &dyn Host, tail: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without end is cut into several.
        match stderr.by_ref().take(LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = cut(text.trim_end(), LINE_BYTES);
        if text.is_empty() {
            continue;
        }
        let _: Result<()> = dfp_abi::caught(|| {
            host.log(Level::Warn, target, text);
            Ok(())
        });
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(text.to_owned());
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::LocalHost;

    /// What a program prints that is started like a child.
    fn printed(program: &str, argument: &str) -> String {
        let options =
            RemoteOptions { arguments: vec![argument.into()], ..RemoteOptions::of_program(program) };
        let (process, mut stdout, _stdin) =
            Process::start(&options, program, Arc::new(LocalHost::new())).unwrap();
        let mut printed = String::new();
        stdout.read_to_string(&mut printed).unwrap();
        assert!(process.end().unwrap().success());
        printed
    }

    #[test]
    fn the_child_does_not_hear_the_terminals_signals() {
        let stat = printed("/bin/cat", "/proc/self/stat");
        let fields: Vec<&str> = stat.split(' ').collect();
        assert_eq!(fields[4], fields[0], "it leads a process group of its own: {stat}");
    }

    #[test]
    fn the_child_has_its_pipes_and_no_other_file() {
        let forgotten = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: a flag of a file that is open here.
        assert_eq!(unsafe { libc::fcntl(forgotten.as_raw_fd(), libc::F_SETFD, 0) }, 0);
        let seen = printed("/bin/ls", "/proc/self/fd");
        // The last one is the listed directory.
        assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }
}
