//! Single daemons, each with a folder, addresses and a configuration of its own.

mod agent;
mod ingest;
mod node;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::http::Http;
use crate::process::{Process, program};
use crate::wait::wait_for;

pub use agent::Agent;
pub use ingest::Ingest;
pub use node::{Node, renditions};

/// How long a daemon may take to become ready.
const START: Duration = Duration::from_secs(30);

/// What all daemons here call this machine, whatever it is called.
pub const NODE: &str = "rack-1";

fn edit(file: &Path, text: &str, by: &str) {
    let whole = std::fs::read_to_string(file).unwrap();
    assert!(whole.contains(text), "{text:?} is not in {whole}");
    std::fs::write(file, whole.replace(text, by)).unwrap();
}

async fn metric(admin: &str, name: &str, labels: &[&str]) -> f64 {
    let url = format!("http://{admin}/metrics");
    let answer = Http::default().get(&url).await.unwrap();
    let wanted = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let value = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
    answer.text().lines().filter(wanted).map(value).sum()
}

fn daemon(name: &str, config: &Path) -> Process {
    Process::start(Command::new(program(name)).arg("--config").arg(config))
}

async fn ready(process: &mut Process, admin: &str, limit: Duration) {
    wait_for(&format!("{admin} to be ready"), limit, || {
        assert!(process.ended().is_none(), "it ended while it started");
        let (http, url) = (Http::default(), format!("http://{admin}/readyz"));
        async move { (http.get(&url).await.ok()?.status == 200).then_some(()) }
    })
    .await;
}
