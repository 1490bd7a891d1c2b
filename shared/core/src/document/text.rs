//! A document's text to its value.

use serde_json::Value;

use super::fault::{Fault, Faults};
use super::{json, yaml};

/// The longest document that is read, in bytes. 100,000 members with 300 bytes each fit; larger ones are tables.
pub const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Reads a document, YAML or JSON.
///
/// # Errors
/// One fault: with line and column where the text is broken, has a key twice, or expands to too much; without where it is
/// empty or too long.
pub fn parse_text(text: &str) -> Result<Value, Faults> {
    Ok(parse(text)?)
}

fn parse(text: &str) -> Result<Value, Fault> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Fault::new(
            "",
            format!("the document has {} bytes", text.len()),
            format!("at most {DOCUMENT_BYTES_MAX} bytes"),
        )
        .hint(
            "keep the members in a table, and name it: params: s3://bucket/table.csv".to_owned(),
        ));
    }
    let text = text.trim_start_matches('\u{feff}');
    let body = text.trim_start();
    if !body.starts_with(['{', '[']) {
        return yaml::load(text);
    }
    // An object whose first key is quoted is meant as JSON, and its faults are told as JSON's; any other may be YAML in its
    // flow style.
    let is_json = body[1..].trim_start().starts_with('"');
    match json::load(text) {
        Err(fault) if !is_json && json::is_syntax(&fault) => yaml::load(text),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(text: &str) -> String {
        parse_text(text).unwrap_err().as_slice()[0].to_string()
    }

    #[test]
    fn yaml_and_json_are_read_alike() {
        let value = json!({"name": "a", "params": [{"x": 1}, {"x": "yes"}]});
        for text in [
            "name: a\nparams:\n  - x: 1\n  - x: yes\n",
            "{\"name\": \"a\",\n\t\"params\": [{\"x\": 1}, {\"x\": \"yes\"}]}",
            "\u{feff}{name: a, params: [{x: 1}, {x: yes}],}",
            "---\nname: a\nparams: [{x: 1}, {x: 'yes'}]\n...\n",
        ] {
            assert_eq!(parse_text(text).as_ref(), Ok(&value), "{text}");
        }
    }

    #[test]
    fn anchors_and_merges_are_expanded() {
        let text = "x-base: &base {ttl: 1h, spot: true}\ndefaults:\n  <<: *base\n  spot: false\nalso: [*base]\n";
        assert_eq!(
            parse_text(text),
            Ok(json!({
                "x-base": {"ttl": "1h", "spot": true},
                "defaults": {"spot": false, "ttl": "1h"},
                "also": [{"ttl": "1h", "spot": true}],
            }))
        );
    }

    #[test]
    fn a_broken_text_is_told_with_line_and_column() {
        for (text, shown) in [
            ("", "the document is empty; accepted: a sweep document"),
            (
                "# nothing\n",
                "the document is empty; accepted: a sweep document",
            ),
            (
                "name: a\nname: b\n",
                "line 2, column 1: the key \"name\" stands twice; accepted: each key once in an object",
            ),
            (
                "{\"a\": {\"b\": 1.5, \"b\": 2}}",
                "line 1, column 20: the key \"b\" stands twice; accepted: each key once in an object",
            ),
            (
                "a: 1\n---\nb: 2\n",
                "line 2, column 1: a second document begins here; accepted: one sweep document",
            ),
            (
                "a: !Ref b\n",
                "line 1, column 4: the tag \"!Ref\" means nothing here; accepted: !!str, !!int, !!float, !!bool, !!null, !!seq, !!map",
            ),
            (
                "? [a]\n: b\n",
                "line 1, column 3: a key is a list, an object or an alias; accepted: a text",
            ),
            (
                "a: &x [*x]\n",
                "line 1, column 8: the alias refers to what it stands in",
            ),
            (
                "{\"a\": 1, \"b\": }",
                "line 1, column 15: the text is not JSON: expected value",
            ),
        ] {
            assert_eq!(fault(text), shown, "{text}");
        }
    }

    #[test]
    fn a_tab_in_the_indentation_is_named() {
        let shown = fault("params:\n\t- x: 1\n");
        assert!(shown.starts_with("line 2, column "), "{shown}");
        assert!(
            shown.ends_with("(YAML is indented with spaces; this line begins with a tab)"),
            "{shown}"
        );
    }

    #[test]
    fn a_small_text_cannot_become_a_large_value() {
        let mut laughs = String::from("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n");
        for level in 1..20 {
            let item = format!("*a{}", level - 1);
            laughs.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                [item.as_str(); 9].join(", ")
            ));
        }
        assert!(fault(&laughs).contains("expand to too much"));
        assert!(fault(&"[".repeat(100_000)).contains("nested too deeply"));
        assert!(fault(&"- ".repeat(10_000)).contains("nested too deeply"));
        assert!(fault(&" ".repeat(DOCUMENT_BYTES_MAX + 1)).contains("at most 33554432 bytes"));
    }
}
