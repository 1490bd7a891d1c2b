//! Names with `*`, as EC2's filters take them.

/// Whether a name fits a pattern whose `*` stands for any text, the empty one included.
#[must_use]
pub fn matches(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern, fits) in [
            ("c5.4xlarge", "c5.*", true),
            ("c5n.4xlarge", "c5.*", false),
            ("c5.4xlarge", "c*.4xlarge", true),
            ("c5.4xlarge", "*", true),
            ("c5.4xlarge", "c5.4xlarge", true),
            ("c5.4xlarge", "c5.4*x*e", true),
            ("c5.metal", "c5.*large", false),
            ("us-east-1", "us-*", true),
            ("us-east-1", "*-east-*", true),
        ] {
            assert_eq!(matches(name, pattern), fits, "{name} {pattern}");
        }
    }
}
