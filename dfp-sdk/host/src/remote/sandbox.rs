//! What a plugin's process may ask of the system. All threads are confined, those a plugin starts later included, and
//! nothing can be undone.
//!
//! The list says what is allowed: what computing, memory, threads, time and the pipes need. So a call that a later kernel
//! invents is denied. Denied calls answer EPERM; a plugin that tries one sees an ordinary failure.

use std::collections::BTreeMap;

use dfp_core::{Error, ErrorKind, Result};
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter_all_threads,
};

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Allowed with any arguments.
const ALLOWED: &[i64] = &[
    // Pipes and open files.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_dup,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // clone3 hides its flags from a filter; a second filter says that it does not exist, and C libraries use clone.
    libc::SYS_clone3,
    // Signals, to oneself: see `rules`.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time, chance, and harmless questions.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_delete,
    libc::SYS_times,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_getrlimit,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_umask,
    libc::SYS_getcwd,
    // What finding and loading a library needs; opening is limited below.
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
];

/// The same for calls that newer systems do without.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[i64] = &[];

/// What leads to a file, denied once the library is loaded.
const OPENING: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

/// Confines this process to computing, and to reading files.
pub(super) fn confine() -> Result<()> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Error::io("giving up privileges", error.into()))?;
    apply(allowed()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    apply(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
}

/// No more files, not even to look whether they are there.
pub(super) fn close() -> Result<()> {
    let opening = OPENING.iter().map(|call| (*call, Vec::new())).collect();
    apply(opening, SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32))
}

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<()> {
    let failed = |what: String| {
        let text = format!("confining the plugin's process: {what}; turn the sandbox off to do without");
        Error::new(ErrorKind::Unsupported, text)
    };
    let filter =
        SeccompFilter::new(rules, otherwise, matched, ARCH).map_err(|error| failed(error.to_string()))?;
    let program: BpfProgram =
        filter.try_into().map_err(|error: seccompiler::BackendError| failed(error.to_string()))?;
    apply_filter_all_threads(&program).map_err(|error| failed(error.to_string()))
}

fn allowed() -> Result<Rules> {
    let own =
        |error: seccompiler::BackendError| Error::caused(ErrorKind::Internal, "writing a filter", error);
    let when = |index, length, op, value| {
        let condition = SeccompCondition::new(index, length, op, value).map_err(own)?;
        SeccompRule::new(vec![condition]).map_err(own)
    };
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let this = std::process::id().into();
    // Threads, never processes.
    rules.insert(
        libc::SYS_clone,
        vec![when(0, Qword, MaskedEq(libc::CLONE_THREAD as u64), libc::CLONE_THREAD as u64)?],
    );
    // Signals to oneself, as `abort` and thread libraries send them.
    rules.insert(libc::SYS_tgkill, vec![when(0, Dword, Eq, this)?]);
    rules.insert(libc::SYS_kill, vec![when(0, Dword, Eq, this)?]);
    // Flags and copies of descriptors. Whoever may name a descriptor's owner has the system send him signals.
    let commands =
        [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL];
    let allowed = commands.into_iter().map(|command| when(1, Dword, Eq, command as u64));
    rules.insert(libc::SYS_fcntl, allowed.collect::<Result<_>>()?);
    // One's own limits, and only to know them.
    rules.insert(libc::SYS_prlimit64, vec![when(2, Qword, Eq, 0)?]);
    // Names of threads and of memory; and what comes before a further filter.
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];
    rules.insert(
        libc::SYS_prctl,
        names.into_iter().map(|name| when(0, Dword, Eq, name as u64)).collect::<Result<_>>()?,
    );
    // Files to read: neither writing, nor making, nor emptying.
    let writing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE) & !libc::O_DIRECTORY;
    rules.insert(libc::SYS_openat, vec![when(2, Dword, MaskedEq(writing as u64), libc::O_RDONLY as u64)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![when(1, Dword, MaskedEq(writing as u64), libc::O_RDONLY as u64)?]);
    // A further filter, for after loading.
    rules.insert(libc::SYS_seccomp, Vec::new());
    Ok(rules)
}
