//! `rackcast-ingest probe`: has transcode nodes transcode a sample segment, now.
//!
//! The sample goes the way of every segment: the node is found in Consul, called with this ingest's
//! certificate, admits the job or refuses it, and what comes back is verified. So it finds what a
//! health check cannot see: a port that a firewall closes, a certificate that is refused, a worker
//! that answers nonsense. It runs beside the ingest and touches nothing of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use prometheus::Registry;
use rackcast_consul::client::{self, Client, HealthQuery, Instance};
use rackcast_route::Router;
use rackcast_segment::id::{Sequence, StreamToken};
use rackcast_segment::sample;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_service::status::Role;

use crate::config::Config;
use crate::discovery;
use crate::dispatch::Dispatcher;
use crate::explain::Trails;
use crate::tls::{self, Tls};

/// How long a node may take for the sample, which is a third of a second of small pictures.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(500);
/// What nodes are told that the stream is called.
const TOKEN: &str = "probe";
/// The status of a probe that could ask nobody.
pub const UNASKED: u8 = 2;

/// Have transcode nodes transcode a sample segment, over mTLS where it is configured, and verify
/// what comes back.
///
/// Exits with 0 if all of them did it well, 1 if none did or one that was named did not, 2 if Consul
/// could not be asked, 3 if some did not.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Machines, as Consul calls them; all that have a transcode node unless some are named.
    pub nodes: Vec<String>,
    /// Ask again until all have done it well, for so long at most, such as 30s.
    #[arg(long, value_name = "TIME", default_value = "0s",
          value_parser = humantime::parse_duration)]
    pub wait: Duration,
}

/// Why nobody could be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Consul cannot be asked.
    #[error("consul: {0}")]
    Consul(#[from] client::Error),
    /// A defect of this program.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A defect of this program.
    #[error(transparent)]
    Sample(#[from] sample::SampleError),
    /// A defect of this program.
    #[error("the stream's token: {0}")]
    Token(String),
}

/// What came of it, by machine.
#[derive(Debug, Default)]
pub struct Report {
    answers: Vec<(String, Result<String, String>)>,
    named: bool,
}

impl Report {
    /// The status to exit with.
    pub fn exit(&self) -> u8 {
        let good = self.answers.iter().filter(|(_, a)| a.is_ok()).count();
        match (good, self.answers.len()) {
            (0, _) => 1,
            (good, all) if good == all => 0,
            _ if self.named => 1,
            _ => 3,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, answer) in &self.answers {
            match answer {
                Ok(how) => writeln!(f, "{node}: good: {how}")?,
                Err(why) => writeln!(f, "{node}: BAD: {why}")?,
            }
        }
        match self.answers.is_empty() {
            true => writeln!(f, "Consul knows no transcode node"),
            false => Ok(()),
        }
    }
}

/// Asks until all is well or the time is over.
///
/// # Errors
/// Nobody could be asked.
pub async fn run(config: &Config, options: &Options) -> Result<Report, Error> {
    let began = Instant::now();
    let prober = Prober::new(config)?;
    loop {
        let report = prober.round(&options.nodes).await;
        let over = began.elapsed() >= options.wait;
        match report {
            Ok(report) if over || report.exit() == 0 => return Ok(report),
            Err(error) if over => return Err(error.into()),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

struct Prober {
    consul: Client,
    service: String,
    datacenters: Vec<Option<String>>,
    dispatcher: Arc<Dispatcher>,
    token: StreamToken,
    spec: JobSpec,
}

impl Prober {
    fn new(config: &Config) -> Result<Self, Error> {
        let registry = Registry::new();
        let tls = Tls::load(config, &registry)?;
        let consul = Client::observed(&config.consul, tls.metrics)?;
        let trails = Arc::new(Trails::new(config.explain.clone(), &registry)?);
        let router = Router::new(config.router(), &config.identity(), Instant::now());
        let dispatcher = Dispatcher::new(config.dispatch.clone(), router, trails, &registry)?;
        Ok(Self {
            consul,
            service: format!("{}-{}", config.service_prefix, Role::Transcode),
            datacenters: match config.datacenters.as_slice() {
                [] => vec![None],
                some => some.iter().cloned().map(Some).collect(),
            },
            dispatcher: Arc::new(dispatcher.secured(tls.nodes)),
            token: TOKEN
                .parse()
                .map_err(|e| Error::Token(format!("{TOKEN}: {e}")))?,
            spec: sample::job()?,
        })
    }

    /// Asks each once.
    async fn round(&self, nodes: &[String]) -> Result<Report, client::Error> {
        let mut instances = Vec::new();
        for datacenter in &self.datacenters {
            let query = HealthQuery {
                service: &self.service,
                datacenter: datacenter.as_deref(),
                ..HealthQuery::default()
            };
            instances.extend(self.consul.health_service(&query).await?.value);
        }
        if !nodes.is_empty() {
            instances.retain(|i| nodes.contains(&i.node));
        }
        let trials = instances.iter().map(|instance| async {
            let answer = self.ask(instance).await;
            (instance.node.clone(), answer)
        });
        let mut answers = join_all(trials).await;
        for node in nodes {
            if !answers.iter().any(|(n, _)| n == node) {
                let why = format!("Consul knows no {} on it", self.service);
                answers.push((node.clone(), Err(why)));
            }
        }
        answers.sort();
        let named = !nodes.is_empty();
        Ok(Report { answers, named })
    }

    async fn ask(&self, instance: &Instance) -> Result<String, String> {
        let endpoint = discovery::endpoint(instance, &self.dispatcher)?;
        let secured = match endpoint.identity() {
            Some(identity) => format!("over mTLS as {identity}"),
            None => "in cleartext".to_owned(),
        };
        let job = Job {
            stream: self.token.clone(),
            sequence: Sequence(0),
            deadline: DEADLINE,
            attempt: 1,
            quarantine: false,
            spec: self.spec.clone(),
        };
        let began = Instant::now();
        let trial = self.dispatcher.trial(endpoint, job, sample::segment());
        trial.await.map_err(|e| e.to_string())?;
        let took = began.elapsed().as_millis();
        let (count, address) = (self.spec.renditions.len(), &instance.address);
        Ok(format!(
            "{count} renditions from {address}:{} in {took} ms {secured}",
            instance.port
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whether_all_some_or_none_did_it() {
        let report = |named, good: &[bool]| {
            let answer = |good: &bool| match good {
                true => ("n".to_owned(), Ok(String::new())),
                false => ("n".to_owned(), Err(String::new())),
            };
            let answers = good.iter().map(answer).collect();
            Report { answers, named }.exit()
        };
        assert_eq!(report(false, &[]), 1);
        assert_eq!(report(false, &[true, true]), 0);
        assert_eq!(report(false, &[true, false]), 3);
        assert_eq!(report(false, &[false]), 1);
        assert_eq!(report(true, &[true]), 0);
        assert_eq!(report(true, &[true, false]), 1);
    }
}
