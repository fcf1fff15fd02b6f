//! What the documents say is what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

use rackcast_tests::files::{root, walk};
use rackcast_tests::process::program;

/// What Prometheus and Grafana are given.
const MONITORING: &str = "ansible/roles/monitoring/files";

#[test]
fn links_lead_somewhere() {
    for page in walk(&root(), "md") {
        let text = read_to_string(&page).unwrap();
        for (link, _) in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(
                path.exists(),
                "{} links to {target}, which is not there",
                page.display()
            );
            let section = link.split_once('#').map(|(_, section)| section);
            if let Some(section) = section.filter(|_| target.ends_with(".md")) {
                assert!(
                    sections(&path).contains(section),
                    "{} links to {link}, which has no such section",
                    page.display()
                );
            }
        }
    }
}

#[test]
fn the_metrics_page_lists_every_metric_and_no_other() {
    let mut registered = BTreeSet::new();
    for member in ["agent", "consul", "ingest", "route", "service", "transcode"] {
        for file in walk(&root().join(member).join("src"), "rs") {
            registered.extend(metric_names(&file, '"'));
        }
    }
    let documented = metric_names(&root().join("docs/metrics.md"), '`');
    assert_eq!(documented, registered, "left: the page; right: the code");
}

/// Of what a line of the log tells, whoever is woken searches by these.
#[test]
fn the_metrics_page_lists_every_field_of_the_journal_and_no_other() {
    let mut logged = BTreeSet::new();
    for member in ["agent", "consul", "ingest", "route", "service", "transcode"] {
        for file in walk(&root().join(member).join("src"), "rs") {
            let text = read_to_string(&file).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            let pairs = words.windows(2).filter(|pair| pair[1] == "=");
            let names = pairs.map(|pair| pair[0].trim_start_matches("log::").to_owned());
            // `log::info!(rackcast_key = ...`
            let names = names.filter_map(|n| Some(n.rsplit('(').next()?.to_uppercase()));
            logged.extend(names.filter(|name| name.starts_with("RACKCAST_")));
        }
    }
    let page = read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter(|l| l.starts_with("| `RACKCAST_"));
    let cells = rows.filter_map(|l| l.split(" | ").next());
    let told = cells.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
    let told: BTreeSet<String> = told.filter(|w| w.starts_with("RACKCAST_")).collect();
    assert_eq!(told, logged, "left: docs/metrics.md; right: the code");
}

/// Words like `rackcast_...` between quotes; code names its metrics in full, so that they can be
/// searched for.
fn metric_names(file: &Path, quote: char) -> BTreeSet<String> {
    let word = |s: &&str| s.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
    read_to_string(file)
        .unwrap()
        .split(quote)
        .filter(|s| s.starts_with("rackcast_"))
        .filter(word)
        .map(str::to_owned)
        .collect()
}

/// What no role's options list, since it is for all of them, has one table.
#[test]
fn the_collection_s_page_lists_every_variable_of_the_fleet_and_no_other() {
    let mut used = BTreeSet::new();
    for folder in ["playbooks", "roles"] {
        for extension in ["yml", "j2"] {
            for file in walk(&root().join("ansible").join(folder), extension) {
                if !file.starts_with(root().join(MONITORING)) {
                    used.extend(fleet_variables(&read_to_string(&file).unwrap()));
                }
            }
        }
    }
    let page = read_to_string(root().join("ansible/README.md")).unwrap();
    let rows = page.lines().filter(|l| l.starts_with("| `rackcast_"));
    let told: BTreeSet<String> = rows
        .flat_map(|l| fleet_variables(l).into_iter().next())
        .collect();
    assert!(told.len() > 10, "{told:?}");
    assert_eq!(told, used, "left: ansible/README.md; right: the collection");
}

/// Words `rackcast_...` of a text, in their order.
fn fleet_variables(text: &str) -> Vec<String> {
    text.split(|c: char| !(c == '_' || c.is_ascii_alphanumeric()))
        .filter(|word| word.starts_with("rackcast_"))
        .map(str::to_owned)
        .collect()
}

/// An alert sends whoever was woken to a section of the runbook, and so does the runbook's table.
#[test]
fn every_alert_names_the_section_that_the_runbook_gives_it() {
    let rules = read_to_string(root().join(MONITORING).join("rackcast.rules.yml")).unwrap();
    let mut named = BTreeSet::new();
    for alert in rules.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        let mut lines = alert.lines().map(str::trim);
        let address = lines.find_map(|l| l.strip_prefix("runbook_url: docs/runbook.md#"));
        named.insert((name, address.expect(name)));
    }
    let page = root().join("docs/runbook.md");
    let (text, sections) = (read_to_string(&page).unwrap(), sections(&page));
    let rows = text.lines().take_while(|l| !l.starts_with("## "));
    let mut told = BTreeSet::new();
    for row in rows.filter(|l| l.starts_with("| Rackcast")) {
        let mut cells = row.split('|').skip(1);
        let alerts = cells.next().unwrap().split(',').map(str::trim);
        // What else may help stands behind the first.
        let section = cells.next().and_then(|c| c.split("](#").nth(1));
        let section = section.and_then(|s| s.split(')').next()).expect(row);
        assert!(sections.contains(section), "{section}; {sections:?}");
        told.extend(alerts.map(|name| (name, section)));
    }
    assert_eq!(told, named, "left: docs/runbook.md; right: the rules");
}

/// The addresses of a page's headings, as Git forges make them.
fn sections(page: &Path) -> BTreeSet<String> {
    let text = read_to_string(page).unwrap();
    let headings = text.lines().filter(|l| l.starts_with('#'));
    let address = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        words
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(address).collect()
}

#[test]
fn the_guide_tells_of_every_alert_and_no_other() {
    let rules = read_to_string(root().join(MONITORING).join("rackcast.rules.yml")).unwrap();
    let names = rules
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- alert: "));
    let names: BTreeSet<&str> = names.collect();
    let guide = read_to_string(root().join("docs/fleet.md")).unwrap();
    let rows = guide.lines().filter_map(|l| l.strip_prefix("| Rackcast"));
    let rows = rows.filter_map(|l| l.split(" |").next());
    let told: BTreeSet<String> = rows.map(|name| format!("Rackcast{name}")).collect();
    let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told, names, "left: docs/fleet.md; right: the rules");
}

/// A rule or a panel over a metric that is not there is quiet for ever.
#[test]
fn alerts_and_dashboards_ask_for_metrics_that_exist() {
    let documented = metric_names(&root().join("docs/metrics.md"), '`');
    let files = ["rackcast.rules.yml", "dashboards/rackcast.json"];
    for file in files.map(|file| root().join(MONITORING).join(file)) {
        let text = read_to_string(&file).unwrap();
        let words = text.split(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
        let asked: BTreeSet<&str> = words.filter(|w| w.starts_with("rackcast_")).collect();
        assert!(asked.len() > 10, "{}: {asked:?}", file.display());
        for metric in asked {
            let plain = metric.strip_suffix("_bucket").unwrap_or(metric);
            assert!(documented.contains(plain), "{}: {metric}", file.display());
        }
    }
}

/// Where the page tells of reasons, whose codes stand there, and what is a code besides.
const REASONS: [(&str, &[&str], &[&str]); 9] = [
    ("Why this node", &["PickReason", "Left"], &[]),
    // The journal and the metric have the failure's kind instead.
    ("What for", &["Cause"], &["retry"]),
    ("What a node did", &["FailureKind"], &[]),
    ("What a node says", &["RefusalCode"], &["unspecified"]),
    (
        "Waiting, or given up",
        &["Wait", "GiveUp", "NoNodeReason", "Reduction"],
        &[],
    ),
    ("Cancelled", &["CancelReason"], &[]),
    ("Not hedged", &["NotHedged"], &[]),
    ("How a node stands", &["Standing"], &[]),
    ("Others", &[], &["complete"]),
];

/// Codes are what programs and alerts go by, and what whoever was woken looks up.
#[test]
fn the_page_on_explain_tells_of_every_reason_and_no_other() {
    let page = read_to_string(root().join("docs/explain.md")).unwrap();
    let page = page.split_once("\n## Reasons\n").unwrap().1;
    let page = page.split("\n## ").next().unwrap();
    let mut kinds = BTreeMap::new();
    let reply = root().join("segment/src/wire/reply.rs");
    for file in walk(&root().join("route/src"), "rs")
        .into_iter()
        .chain([reply])
    {
        kinds.extend(codes_by_type(&read_to_string(file).unwrap()));
    }
    // Not a reason: what a certificate says.
    assert!(kinds.remove("Tier").is_some());

    let dispatch = root().join("ingest/src/dispatch");
    let words = root().join("ingest/src/explain/words.rs");
    let words = read_to_string(words).unwrap();
    let notes = read_to_string(dispatch.join("note.rs")).unwrap();
    let mut loose = behind(&words, "why(\"");
    loose.extend(behind(&notes, "rackcast_reason=\""));
    for codes in kinds.values() {
        loose.retain(|code| !codes.contains(code));
    }
    let answers = read_to_string(dispatch.join("answer.rs")).unwrap();
    for (title, types, besides) in REASONS {
        let mut expected: BTreeSet<String> = BTreeSet::new();
        for name in types {
            expected.extend(kinds.remove(*name).expect(name));
        }
        for code in besides {
            let literal = format!("\"{code}\"");
            let said = [&words, &notes, &answers].map(|text| text.contains(&literal));
            assert!(said.contains(&true), "nothing says {literal} any more");
            loose.remove(*code);
            expected.insert((*code).to_owned());
        }
        if types.is_empty() {
            expected.append(&mut loose);
        }
        let part = page.split_once(&format!("\n### {title}\n")).expect(title).1;
        let part = part.split("\n### ").next().unwrap();
        let rows = part.lines().filter(|l| l.starts_with("| `"));
        let cells = rows.filter_map(|l| l.split(" | ").next());
        let told = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let told: BTreeSet<String> = told.map(str::to_owned).collect();
        assert_eq!(
            told, expected,
            "{title}; left: docs/explain.md; right: the code"
        );
    }
    assert!(kinds.is_empty(), "REASONS lacks {kinds:?}");
}

/// What the types of a file are called, each with the texts of its `as_str`, where that is a list.
fn codes_by_type(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let blocks = text.split("\nimpl ").skip(1);
    let lists = blocks.filter_map(|block| {
        let (name, block) = block.split_once(" {\n")?;
        let block = block.split("\n}\n").next()?;
        let list = block.split_once("fn as_str(self) -> &'static str {")?.1;
        let list = list.split("\n    }\n").next()?;
        let codes = list.split('"').skip(1).step_by(2).map(str::to_owned);
        Some((name.to_owned(), codes.collect()))
    });
    lists.collect()
}

/// The texts between `before` and the next quote, however the lines are broken.
fn behind(text: &str, before: &str) -> BTreeSet<String> {
    let dense: String = text.split_whitespace().collect();
    let texts = dense.split(before).skip(1);
    let texts = texts.filter_map(|rest| rest.split('"').next());
    texts.map(str::to_owned).collect()
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = read_to_string(root().join("Makefile")).unwrap();
    for page in walk(&root(), "md") {
        let text = read_to_string(&page).unwrap();
        for before in ["`make ", "\nmake "] {
            for rest in text.split(before).skip(1) {
                let word = |c: &char| c.is_ascii_lowercase() || *c == '-';
                let target: String = rest.chars().take_while(word).collect();
                let known = target.is_empty() || makefile.contains(&format!("\n{target}: ## "));
                assert!(known, "{} names `make {target}`", page.display());
            }
        }
    }
}

#[test]
fn a_command_s_page_lists_every_option() {
    for (command, page) in [("dev", "docs/try.md"), ("explain", "docs/explain.md")] {
        let help = Command::new(program("rackcast"))
            .args([command, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let text = read_to_string(root().join(page)).unwrap();
        let options = |text: &str| -> BTreeSet<String> {
            let words = text.split(|c: char| c.is_whitespace() || "`,.;:".contains(c));
            let option = |w: &&str| w.starts_with("--") && w.len() > 4 && *w != "--help";
            words.filter(option).map(str::to_owned).collect()
        };
        assert_eq!(
            options(&text),
            options(&help),
            "left: {page}; right: rackcast {command} --help"
        );
    }
}
