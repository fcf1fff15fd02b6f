use rackcast_segment::id::StreamId;
use rackcast_service::explain::{EXPLAIN_PATH, NODES_PATH};
use url::Url;

use crate::reach::Reach;

/// Say why the segments of a stream went where they went, asking every ingest.
///
/// Exits with 0 if it was found, 1 if no ingest knows it, 2 if no ingest could be asked, and 3 if
/// none that answered knows it but some did not answer.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// APP/STREAM; without one, the streams that can be explained.
    #[arg(value_name = "APP/STREAM", conflicts_with = "nodes")]
    pub stream: Option<StreamId>,
    /// All that happened to one segment: its media sequence number.
    #[arg(long, value_name = "N", requires = "stream", conflicts_with = "last")]
    pub segment: Option<u64>,
    /// The newest segments, a line each.
    #[arg(long, value_name = "K", requires = "stream",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub last: Option<u64>,
    /// The transcode nodes as each ingest sees them.
    #[arg(long)]
    pub nodes: bool,
    /// What the ingests answered, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Who is asked.
    #[command(flatten)]
    pub ingests: Ingests,
}

/// Which ingests are asked, and how they are found.
#[derive(Debug, Clone, clap::Args)]
pub struct Ingests {
    /// The admin address of an ingest, instead of those in Consul; several times for several.
    #[arg(long, value_name = "URL")]
    pub ingest: Vec<Url>,
    /// Where Consul is.
    #[command(flatten)]
    pub reach: Reach,
    /// A Consul datacenter to look for ingests in; several times for several. Without one, the
    /// Consul agent's own.
    #[arg(long, value_name = "DC")]
    pub datacenter: Vec<String>,
    /// What the services are called in Consul: PREFIX-ingest.
    #[arg(long, value_name = "PREFIX", default_values = ["rackcast", "rackcast-dev"])]
    pub service_prefix: Vec<String>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Streams,
    Nodes,
    Story { stream: StreamId },
    Last { stream: StreamId, count: u64 },
    Segment { stream: StreamId, number: u64 },
}

impl Options {
    pub(super) fn question(&self) -> Question {
        match (&self.stream, self.segment, self.last) {
            (None, ..) if self.nodes => Question::Nodes,
            (None, ..) => Question::Streams,
            (Some(stream), Some(number), _) => Question::Segment {
                stream: stream.clone(),
                number,
            },
            (Some(stream), None, Some(count)) => Question::Last {
                stream: stream.clone(),
                count,
            },
            (Some(stream), None, None) => Question::Story {
                stream: stream.clone(),
            },
        }
    }
}

impl Question {
    /// What it is about, in words.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Streams => "a stream".to_owned(),
            Self::Nodes => "a node".to_owned(),
            Self::Story { stream } | Self::Last { stream, .. } | Self::Segment { stream, .. } => {
                stream.to_string()
            }
        }
    }

    /// Path and query. A stream's name has no character that would have to be escaped.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Streams => EXPLAIN_PATH.to_owned(),
            Self::Nodes => NODES_PATH.to_owned(),
            Self::Story { stream } => format!("{EXPLAIN_PATH}/{stream}"),
            Self::Last { stream, count } => format!("{EXPLAIN_PATH}/{stream}?last={count}"),
            Self::Segment { stream, number } => {
                format!("{EXPLAIN_PATH}/{stream}?segment={number}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn target(args: &str) -> Option<String> {
        let args = ["explain"].into_iter().chain(args.split_whitespace());
        let parsed = Command::try_parse_from(args).ok()?;
        Some(parsed.options.question().target())
    }

    #[test]
    fn what_is_asked_of_an_ingest() {
        let asks = |args, expected: &str| assert_eq!(target(args).as_deref(), Some(expected));
        asks("", "/v1/explain");
        asks("--nodes", "/v1/nodes");
        asks("live/show", "/v1/explain/live/show");
        asks("live/show --segment 17", "/v1/explain/live/show?segment=17");
        asks("live/show --last 5 --json", "/v1/explain/live/show?last=5");
    }

    #[test]
    fn nonsense_is_refused_before_anyone_is_asked() {
        for args in [
            "show",
            "live/../etc",
            "live/show --segment x",
            "live/show --last 0",
            "live/show --last 1 --segment 1",
            "--segment 1",
            "live/show --nodes",
            "live/show --ingest nonsense",
        ] {
            assert_eq!(target(args), None, "{args}");
        }
    }
}
