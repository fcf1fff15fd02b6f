//! A list of CPUs as the kernel writes it: `0-3,8`.

use std::str::FromStr;

use serde::Deserialize;

/// The highest number of a CPU, as far as the C library's sets reach.
const MAX_CPU: usize = 1023;

/// CPUs by number, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cpus(Vec<usize>);

impl Cpus {
    /// Their numbers.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

/// Why a text is no list of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no list of CPUs like \"0-3,8\" with numbers up to {MAX_CPU}")]
pub struct InvalidCpus(String);

impl FromStr for Cpus {
    type Err = InvalidCpus;

    fn from_str(list: &str) -> Result<Self, InvalidCpus> {
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n <= MAX_CPU);
        let mut cpus = Vec::new();
        for range in list.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
                _ => return Err(InvalidCpus(list.to_owned())),
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

impl TryFrom<String> for Cpus {
    type Error = InvalidCpus;

    fn try_from(list: String) -> Result<Self, InvalidCpus> {
        list.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        let read = |list: &str| list.parse::<Cpus>().map(|cpus| cpus.0);
        assert_eq!(read("0-2,8"), Ok(vec![0, 1, 2, 8]));
        assert_eq!(read(" 3 , 1-2,2"), Ok(vec![1, 2, 3]));
        for bad in [
            "",
            "a",
            "3-1",
            "1-",
            "-1",
            "1024",
            "0,,1",
            "0-99999999999999999999",
        ] {
            assert_eq!(read(bad), Err(InvalidCpus(bad.to_owned())));
        }
    }
}
