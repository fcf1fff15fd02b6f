//! How times, nodes and tables are written.

use std::time::{Duration, SystemTime};

use rackcast_service::explain::{Node, Why};

/// Without what could move a terminal's cursor: part of this was said by other machines.
pub(crate) fn printable(text: &str) -> String {
    let fit = |c: &char| *c == '\n' || !c.is_control();
    text.chars().filter(fit).collect()
}

/// `2026-11-23 17:03:21.512 UTC`
pub(crate) fn date(unix_ms: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    // Later than the year 9999, which no clock says.
    let Some(at) = at.filter(|_| unix_ms < 253_402_300_800_000) else {
        return "at an unknown time".to_owned();
    };
    let text = humantime::format_rfc3339_millis(at).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// `17:03:21`, UTC.
pub(crate) fn clock(unix_ms: u64) -> String {
    let date = date(unix_ms);
    date.get(11..19).unwrap_or(&date).to_owned()
}

/// `743 ms`, `12.3 s`, `4 min 5 s`
pub(crate) fn length(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// `2.0 s`: for what nobody compares to the millisecond.
pub(crate) fn seconds(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => length(ms),
    }
}

/// `n` of something.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// A node without the part of its ID that all of them have: `rack5-1`.
pub(crate) fn name(node: &Node) -> &str {
    let short = node.id.split_once("-transcode-");
    let short = short.map(|(_, short)| short).filter(|s| !s.is_empty());
    short.unwrap_or(&node.id)
}

/// `rack5-1 (ZONE)`
pub(crate) fn node(node: &Node) -> String {
    let name = name(node);
    match &node.zone {
        Some(zone) => format!("{name} ({zone})"),
        None => name.to_owned(),
    }
}

/// A reason as the rest of a sentence that begins with a name: reasons of failures say "it".
pub(crate) fn did(why: &Why) -> &str {
    why.text.strip_prefix("it ").unwrap_or(&why.text)
}

/// Columns as wide as they have to be; the last one is left as it is.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<_> = head.iter().map(|h| (*h).to_owned()).collect();
    let rows: Vec<_> = std::iter::once(&head).chain(rows).collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lengths() {
        assert_eq!(date(1_795_452_187_042), "2026-11-23 16:43:07.042 UTC");
        assert_eq!(clock(1_795_452_187_042), "16:43:07");
        assert_eq!(date(u64::MAX), "at an unknown time");
        let told = [0, 9_999, 10_449, 59_999, 245_000].map(length);
        assert_eq!(told, ["0 ms", "9999 ms", "10.4 s", "59.9 s", "4 min 5 s"]);
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let rows = [["a", "xyz", "1"], ["bcd", "", ""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let text = table(&["N", "M", "COUNT"], &rows);
        assert_eq!(text, "  N    M    COUNT\n  a    xyz  1\n  bcd\n");
    }

    #[test]
    fn what_others_said_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2J\r\nb\tc"), "a[2J\nbc");
    }
}
