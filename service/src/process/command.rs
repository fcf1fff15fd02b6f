//! What to start, and how.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Pid, getppid};
use tokio::runtime::Handle;

use super::Child;
use super::forker::on_forker;
use super::inherit::FDS_VARIABLE;

/// Variables that speak to the process that systemd started, and would mislead its children.
const NOT_INHERITED: [&str; 7] = [
    RESUME_VARIABLE,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A path that leads to this very program while it runs, whatever an upgrade puts in the place of its
/// file: parent and child are always of one version. The kernel calls such a child `exe` until that
/// says what it [is called](super::be_called).
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The variable in which a program leaves word for the one that [replaces](super::replace_program)
/// it in the same process.
pub const RESUME_VARIABLE: &str = "RACKCAST_RESUME";

/// Builds a child process that dies with this one and leads its own process group.
///
/// ```no_run
/// # async fn demo(listener: std::net::TcpListener) -> std::io::Result<()> {
/// use rackcast_service::process::Command;
/// let (ours, theirs) = tokio::net::UnixStream::pair()?;
/// let mut worker = Command::new("/usr/bin/worker")
///     .arg("--slot=1")
///     .fd("rtmp", listener)
///     .fd("control", theirs.into_std()?)
///     .nice(5)
///     .spawn()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a command does nothing until it is spawned"]
pub struct Command {
    command: tokio::process::Command,
    fds: Vec<(String, OwnedFd)>,
    nice: Option<i32>,
    cpus: Vec<usize>,
    limits: Vec<(Resource, u64)>,
}

impl Command {
    /// A child that runs `program`, with standard input closed and the rest inherited.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = tokio::process::Command::new(&program);
        if let (true, Some(name)) = (program.as_ref() == OWN_PROGRAM, std::env::args_os().next()) {
            command.arg0(name);
        }
        command
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        Self {
            command,
            fds: Vec::new(),
            nice: None,
            cpus: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the child's environment, one that would not be inherited included.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the child's standard input, closed by default.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Sets the child's standard output, inherited by default.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Sets the child's standard error, inherited by default.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Hands a file descriptor over; the child takes it with [`inherited`](super::inherited)
    /// under the same name. This process's copy is closed once the child has been started; keep
    /// a `try_clone` to start another child with it.
    ///
    /// The name may have neither `=` nor `,`; [`spawn`](Self::spawn) refuses it otherwise.
    pub fn fd(mut self, name: &str, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((name.to_owned(), fd.into()));
        self
    }

    /// Adds to the child's niceness: 0 (as this process) to 19 (last in line for the CPU).
    pub fn nice(mut self, nice: i32) -> Self {
        self.nice = Some(nice);
        self
    }

    /// Keeps the child to these CPUs, by number; an empty list keeps it to none in particular.
    pub fn cpus(mut self, cpus: &[usize]) -> Self {
        self.cpus = cpus.to_vec();
        self
    }

    /// Limits a resource of the child, soft and hard, in that resource's unit.
    ///
    /// A write beyond `RLIMIT_FSIZE` fails with `EFBIG`; the signal that would end the process
    /// is ignored, since a log that has grown long must not kill who writes into it.
    pub fn limit(mut self, resource: Resource, limit: u64) -> Self {
        self.limits.push((resource, limit));
        self
    }

    /// Starts the child.
    ///
    /// Must be called within a tokio runtime; blocks for the moment that fork and exec take.
    ///
    /// # Errors
    /// Those of fork and exec (the program is missing, a limit cannot be set, this machine has
    /// none of the CPUs), a file descriptor with an unusable name, and no tokio runtime.
    pub fn spawn(mut self) -> io::Result<Child> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        self.command.env_remove(FDS_VARIABLE);
        if !self.fds.is_empty() {
            self.command.env(FDS_VARIABLE, describe(&self.fds)?);
        }
        on_forker(move || {
            let _within = runtime.enter();
            self.fork()
        })
    }

    fn fork(mut self) -> io::Result<Child> {
        let numbers: Vec<_> = self.fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        let (nice, limits, parent) = (self.nice, self.limits, Pid::this());
        let cpus = cpu_set(&self.cpus)?;
        let small_files = limits.iter().any(|(r, _)| *r == Resource::RLIMIT_FSIZE);
        let prepare = move || {
            die_with(parent)?;
            if let Some(nice) = nice {
                add_nice(nice)?;
            }
            if let Some(cpus) = &cpus {
                sched_setaffinity(Pid::from_raw(0), cpus)?;
            }
            if small_files {
                ignore(Signal::SIGXFSZ)?;
            }
            for (resource, limit) in &limits {
                setrlimit(*resource, *limit, *limit)?;
            }
            numbers.iter().try_for_each(|&number| keep_open(number))
        };
        // SAFETY: between fork and exec only async-signal-safe calls are allowed, and no
        // allocation. `prepare` makes bare system calls on data allocated before the fork.
        #[allow(unsafe_code)]
        unsafe {
            self.command.pre_exec(prepare);
        }
        self.command.spawn().map(Child::new)
        // `self.fds` is dropped here: from now on only the child has them.
    }
}

/// The value of the variable that tells the child which descriptor has which number.
pub(super) fn describe(fds: &[(String, OwnedFd)]) -> io::Result<String> {
    let mut described = Vec::with_capacity(fds.len());
    for (name, fd) in fds {
        if name.is_empty() || name.contains(['=', ',']) {
            let text = format!("{name:?} cannot name an inherited file descriptor");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        described.push(format!("{name}={}", fd.as_raw_fd()));
    }
    Ok(described.join(","))
}

fn cpu_set(cpus: &[usize]) -> io::Result<Option<CpuSet>> {
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|cpu| set.set(*cpu))?;
    Ok((!cpus.is_empty()).then_some(set))
}

/// Runs in the child. Ignored signals stay ignored across `exec`.
fn ignore(ignored: Signal) -> io::Result<()> {
    // SAFETY: no handler is installed that could run at a bad moment.
    #[allow(unsafe_code)]
    unsafe { signal(ignored, SigHandler::SigIgn) }?;
    Ok(())
}

/// Runs in the child. Asks for SIGKILL at the parent's death, then looks whether it came too
/// late to ask.
fn die_with(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH.into())
    }
}

/// Runs in the child. Every descriptor is close-on-exec until here, so that no other child that
/// is started at the same moment gets it.
fn keep_open(number: i32) -> io::Result<()> {
    // SAFETY: the parent's `OwnedFd` outlives the fork, so the number is open in the child.
    #[allow(unsafe_code)]
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Runs in the child.
fn add_nice(nice: i32) -> io::Result<()> {
    Errno::clear();
    // SAFETY: a bare system call without pointers. -1 may be the new niceness, hence the errno.
    #[allow(unsafe_code)]
    let result = unsafe { libc::nice(nice) };
    match Errno::last_raw() {
        0 => Ok(()),
        _ if result != -1 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
