//! Names with `*` in them, as the configuration has them.

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    // The leftmost place of every middle part leaves the most room for the rest.
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some((_, after)) = name.split_once(part) else {
            return false;
        };
        (name, pattern) = (after, rest);
    }
    name.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, fits) in [
            ("show", "show", true),
            ("show", "show2", false),
            ("*", "", true),
            ("show-*", "show-1", true),
            ("show-*", "show", false),
            ("*-hd", "a-hd", true),
            ("a*a", "a", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "ac", false),
            ("a**c", "abc", true),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
