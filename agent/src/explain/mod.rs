//! `rackcast explain`: asks the ingests why a stream's segments went where they went.
//!
//! Every ingest remembers its own decisions for a while and tells them on its admin address
//! ([`rackcast_service::explain`]). This command finds the ingests in Consul, asks all of them at
//! once, since any may carry the stream or have carried it, and puts the answers into words. It
//! needs nothing from the machine that it runs on, and changes nothing anywhere.

pub(crate) mod ask;
pub(crate) mod find;
mod fleet;
mod options;
mod segment;
mod story;
pub(crate) mod text;

use rackcast_service::explain::{Answer, Nodes, Story, Streams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use options::Question;
pub use options::{Ingests, Options};

use crate::command::Exit;
use ask::{Asked, Reply};

/// What is to be printed.
#[derive(Debug)]
pub struct Told {
    /// To standard output.
    pub text: String,
    /// To standard error, line by line: who could not be asked, and why.
    pub complaints: Vec<String>,
    /// How it ended.
    pub end: Exit,
}

/// Asks, and puts the answers into words.
pub async fn explain(options: &Options) -> Told {
    let question = options.question();
    let (ingests, mut complaints) = find::ingests(&options.ingests).await;
    let none_found = ingests.is_empty() && complaints.is_empty();
    let mut asked = ask::all(ingests, &question.target()).await;
    if none_found {
        complaints.push("no ingest is registered in Consul: see --consul and --ingest".to_owned());
    }
    // The one that had it last is read last, at the end of a terminal.
    asked.sort_by_key(|asked| newest(&asked.reply));
    let failures = asked.iter().filter_map(|asked| match &asked.reply {
        Reply::Failed(why) => Some(format!("{}: {why}", asked.name)),
        _ => None,
    });
    complaints.extend(failures);
    let end = end(&asked, !complaints.is_empty());
    let text = if options.json {
        in_json(&asked, &complaints)
    } else {
        in_words(&question, &asked)
    };
    if matches!(end, Exit::No | Exit::Incomplete) {
        complaints.extend(unknown(&question, &asked));
    }
    Told {
        text: text::printable(&text),
        complaints: complaints.iter().map(|c| text::printable(c)).collect(),
        end,
    }
}

fn end(asked: &[Asked], incomplete: bool) -> Exit {
    let any = |wanted: fn(&Reply) -> bool| asked.iter().any(|asked| wanted(&asked.reply));
    match (
        any(|r| matches!(r, Reply::Known(_))),
        any(|r| matches!(r, Reply::Unknown { .. })),
    ) {
        (true, _) => Exit::Yes,
        (false, true) if incomplete => Exit::Incomplete,
        (false, true) => Exit::No,
        (false, false) => Exit::Unasked,
    }
}

fn newest(reply: &Reply) -> u64 {
    match reply {
        Reply::Known(body) => {
            let segments = body["segments"].as_array();
            let last = segments.and_then(|segments| segments.last());
            last.and_then(|s| s["began_at_ms"].as_u64()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// What the ingests said, word for word, for programs.
fn in_json(asked: &[Asked], complaints: &[String]) -> String {
    let answers = asked.iter().filter_map(|asked| match &asked.reply {
        Reply::Known(body) => Some(body),
        _ => None,
    });
    let all = json!({ "answers": answers.collect::<Vec<_>>(), "failures": complaints });
    format!("{all:#}\n")
}

fn in_words(question: &Question, asked: &[Asked]) -> String {
    let known = asked.iter().filter_map(|asked| match &asked.reply {
        Reply::Known(body) => Some(words(question, body).unwrap_or_else(|e| {
            let name = &asked.name;
            format!("{name}: this program does not understand its answer: {e}\n")
        })),
        _ => None,
    });
    known.collect::<Vec<_>>().join("\n")
}

/// What to say when nobody knows: which segments there are, or that nobody has the stream.
fn unknown(question: &Question, asked: &[Asked]) -> Vec<String> {
    let mut answered = 0u64;
    let mut other_segments = Vec::new();
    for asked in asked {
        if let Reply::Unknown { code, message } = &asked.reply {
            answered += 1;
            if code == "unknown-segment" {
                other_segments.push(format!("{}: {message}", asked.name));
            }
        }
    }
    if other_segments.is_empty() {
        let ingests = text::count(answered, "ingest", "ingests");
        return vec![format!(
            "{ingests} answered, none knows {}",
            question.subject()
        )];
    }
    other_segments
}

fn words(question: &Question, body: &Value) -> Result<String, serde_json::Error> {
    Ok(match question {
        Question::Streams => story::streams(&read::<Streams>(body)?),
        Question::Nodes => fleet::table_of(&read::<Nodes>(body)?),
        Question::Story { .. } => story::notable(&read::<Story>(body)?),
        Question::Last { .. } => story::last(&read::<Story>(body)?),
        Question::Segment { .. } => segment::all(&read::<Story>(body)?),
    })
}

fn read<T: DeserializeOwned>(body: &Value) -> Result<Answer<T>, serde_json::Error> {
    serde_json::from_value(body.clone())
}
