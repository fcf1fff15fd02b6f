//! Child processes that end with the test, by their own pid.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long a process that was told to stop may take.
const STOP: Duration = Duration::from_secs(30);
/// How long what a process wrote last may take to be read; what holds its output for longer is a child that
/// outlives it.
const DRAIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of a process's output that are shown when its test fails.
const TAIL: usize = 120;

/// One of this workspace's programs: in `RACKCAST_BIN_DIR`, or beside the test itself.
///
/// # Panics
/// It was not built.
pub fn program(name: &str) -> PathBuf {
    let dir = std::env::var_os("RACKCAST_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().to_owned()
        },
        PathBuf::from,
    );
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// Where builds and what tests make go.
///
/// # Panics
/// The test lies in no build directory.
pub fn target_dir() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(3)
        .unwrap()
        .to_owned()
}

/// A running child. Dropped, it is asked to end, then killed; its output is shown if the test
/// is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Output,
}

/// What a process has written so far, stdout and stderr together, line by line.
#[derive(Debug, Clone, Default)]
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    /// Of stdout and stderr, those that are not at their end.
    open: Arc<AtomicUsize>,
}

impl Output {
    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The first line that contains the text.
    pub fn find(&self, text: &str) -> Option<String> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .find(|l| l.contains(text))
            .cloned()
    }

    fn read(&self, from: impl Read + Send + 'static) {
        let (lines, open) = (Arc::clone(&self.lines), Arc::clone(&self.open));
        open.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                lines
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&line).into_owned());
            }
            open.fetch_sub(1, Ordering::Release);
        });
    }
}

impl Process {
    /// Starts it, with its output collected.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let output = Output::default();
        output.read(child.stdout.take().unwrap());
        output.read(child.stderr.take().unwrap());
        Self {
            name,
            child,
            output,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end, and until all that it wrote is in its output.
    ///
    /// # Panics
    /// The limit passed.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.wait_within(limit)
            .unwrap_or_else(|| panic!("{} still runs after {limit:?}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// It takes too long.
    pub fn stop(&mut self) -> ExitStatus {
        signal(self.pid(), Signal::SIGTERM);
        self.wait(STOP)
    }

    fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        let status = loop {
            match self.ended() {
                None if start.elapsed() < limit => std::thread::sleep(PAUSE),
                end => break end?,
            }
        };
        let ended = Instant::now();
        while self.output.open.load(Ordering::Acquire) > 0 && ended.elapsed() < DRAIN {
            std::thread::sleep(PAUSE);
        }
        Some(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            signal(self.pid(), Signal::SIGTERM);
            if self.wait_within(GRACE).is_none() {
                kill9(self.pid());
                self.child.wait().unwrap();
            }
        }
        if std::thread::panicking() {
            let lines = self.output.lines();
            eprintln!("--- the last lines of {} (pid {})", self.name, self.pid());
            for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
                eprintln!("{line}");
            }
        }
    }
}

/// Sends a signal; a process that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let _gone = kill(pid, signal);
}

/// `kill -9`.
pub fn kill9(pid: u32) {
    signal(pid, Signal::SIGKILL);
}

/// Whether a process of this id runs (and is no zombie).
pub fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|s| s.trim().starts_with('Z'))
    })
}

/// Children of a process (of any of its threads) whose command line contains the text.
pub fn children(parent: u32, text: &str) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let listing = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let list: String = threads.flatten().map(listing).collect();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| {
                String::from_utf8_lossy(&c)
                    .replace('\0', " ")
                    .contains(text)
            })
        })
        .collect()
}
