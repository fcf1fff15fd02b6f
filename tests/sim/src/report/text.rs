use std::fmt::Write;

use crate::policy::Name;
use crate::scenario::Figure;
use crate::study::Study;

/// A column: its heading, and the figure as it is printed there.
type Column = (&'static str, Figure, fn(f64) -> String);

const COLUMNS: [Column; 10] = [
    ("on time", Figure::OnTime, percent),
    ("p50", Figure::P50, milliseconds),
    ("p99", Figure::P99, milliseconds),
    ("p99.9", Figure::P999, milliseconds),
    ("p99 after", Figure::AfterP99, milliseconds),
    ("swaps", Figure::Swaps, two),
    ("submissions", Figure::Submissions, three),
    ("excess", Figure::Excess, two),
    ("gaps", Figure::Gaps, percent),
    ("asked", Figure::Asked, percent),
];

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1000.0)
}

fn two(n: f64) -> String {
    format!("{n:.2}")
}

fn three(n: f64) -> String {
    format!("{n:.3}")
}

/// A study as a Markdown table, with what else was expected of ours below.
pub fn table(study: &Study) -> String {
    let scenario = &study.scenario;
    let mut out = String::new();
    let deadline = scenario.deadline_of_first();
    let _ = writeln!(out, "### {}\n\n{}\n", scenario.name, scenario.about.trim());
    let _ = writeln!(
        out,
        "Seeds {} to {}, deadline {} ms after the cut, {:.0} % of the slots busy when all is well.\n",
        study.seeds.start,
        study.seeds.end.saturating_sub(1),
        deadline.as_millis(),
        scenario.utilisation() * 100.0,
    );
    let mut rows = vec![
        std::iter::once("policy".to_owned())
            .chain(COLUMNS.iter().map(|(heading, ..)| (*heading).to_owned()))
            .collect::<Vec<_>>(),
    ];
    for name in study.tallies.keys() {
        let cell = |(_, figure, print): &Column| {
            let value = study.figure(*name, *figure);
            value.map_or_else(|| "-".to_owned(), print)
        };
        let cells = COLUMNS.iter().map(cell);
        rows.push(std::iter::once(name.to_string()).chain(cells).collect());
    }
    markdown(&rows, &mut out);
    expectations(study, &mut out);
    out
}

fn markdown(rows: &[Vec<String>], out: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    for (i, row) in rows.iter().enumerate() {
        out.push('|');
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, " {cell:>width$} |");
        }
        out.push('\n');
        if i == 0 {
            out.push('|');
            for width in &widths {
                let _ = write!(out, "-{}:|", "-".repeat(*width));
            }
            out.push('\n');
        }
    }
    out.push('\n');
}

fn expectations(study: &Study, out: &mut String) {
    for (figure, bound) in &study.scenario.expect {
        let seen = study.figure(Name::Ours, *figure);
        let seen = seen.map_or_else(|| "nothing".to_owned(), |n| format!("{n:.4}"));
        let mut wanted = Vec::new();
        wanted.extend(bound.min.map(|n| format!("at least {n}")));
        wanted.extend(bound.max.map(|n| format!("at most {n}")));
        if let Some(factor) = bound.oracle {
            let best = study.figure(Name::Oracle, *figure);
            let best = best.map_or_else(|| "-".to_owned(), |n| format!("{n:.4}"));
            wanted.push(format!("at most {factor} times the oracle's {best}"));
        }
        if bound.beats_baselines {
            wanted.push("better than every baseline".to_owned());
        }
        let _ = writeln!(out, "- `{figure}` {}: {seen}", wanted.join(", "));
    }
}
