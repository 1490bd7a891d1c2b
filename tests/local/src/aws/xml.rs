//! The little XML reading that the query protocol's answers need: no attributes, no nesting of equal names.

/// The text of the first element of a name.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(unescaped)
}

/// The insides of all elements of a name that are not within another of that name.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let from = rest.find(&open)? + open.len();
        let inside = &rest[from..];
        // Lists call every entry `item` or `member`, and entries hold lists.
        let mut depth = 1_usize;
        let mut at = 0;
        loop {
            let closing = at + inside[at..].find(&close)?;
            depth += inside[at..closing].matches(&open).count();
            depth -= 1;
            if depth == 0 {
                rest = &inside[closing + close.len()..];
                return Some(&inside[..closing]);
            }
            at = closing + close.len();
        }
    })
}

fn unescaped(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.trim().to_owned(), |text, (escape, meaning)| {
        text.replace(escape, meaning)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_within_their_like_belong_to_the_outer_one() {
        let xml = "<set><item><id>a</id><tags><item>x</item><item>y</item></tags></item><item><id>b</id></item></set>";
        let found: Vec<_> = elements(xml, "item")
            .filter_map(|item| text(item, "id"))
            .collect();
        assert_eq!(found, ["a", "b"]);
    }

    #[test]
    fn a_cut_answer_ends_the_reading() {
        assert_eq!(elements("<item><id>a</id>", "item").count(), 0);
        assert_eq!(
            text("<a>1 &lt; 2 &amp;amp;</a>", "a").as_deref(),
            Some("1 < 2 &amp;")
        );
    }
}
