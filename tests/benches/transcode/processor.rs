//! Processor time, and where it is spent.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

/// Clock ticks of `/proc` a second, on every Linux.
const TICKS: f64 = 100.0;

/// Lets this thread, and what it starts from now on, run on these processors only.
pub(crate) fn pin(processors: &[usize]) {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor).unwrap();
    }
    sched_setaffinity(Pid::from_raw(0), &set).expect("there are two processors");
}

/// Seconds that children have used which have ended and were waited for.
pub(crate) fn of_ended_children() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(used.user_time()) + seconds(used.system_time())
}

/// Seconds that processes have used since their start, with what they started and have waited for.
pub(crate) fn of(pids: &[u32]) -> f64 {
    let used = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |i: usize| -> f64 { fields[i].parse().unwrap() };
        (11..15).map(ticks).sum::<f64>() / TICKS
    };
    pids.iter().map(used).sum()
}

/// MiB of memory that a process has had at most, and that are its own now (shared pages in parts).
pub(crate) fn memory(pid: u32) -> (f64, f64) {
    let field = |file: &str, name: &str| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    };
    (field("status", "VmHWM:"), field("smaps_rollup", "Pss:"))
}

/// The machine and how busy it was, to stand beside every table.
pub(crate) fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|l| l.starts_with("model name"));
    let model = model.and_then(|l| l.split(':').nth(1)).unwrap_or(" ?");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split_whitespace().take(2).collect();
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{count} of{model}, load {}", load.join(" "))
}
