//! The file in which a member's program leaves its result: a JSON object, whose fields become columns.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What the name of a file ends with that is meant to be JSON.
const JSON: &str = ".json";

/// How programs write numbers that JSON has no words for: Python, R and JavaScript write these, and read them.
const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Whether a result of this key is meant to be JSON.
#[must_use]
pub fn is_json(key: &str) -> bool {
    key.ends_with(JSON)
}

/// The fields of a result. `NaN` and infinities, of which JSON knows nothing, are read as text: a run that diverged has a result,
/// too.
///
/// # Errors
/// Why there are none, in words.
pub fn fields(body: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    parse(text)
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    match serde_json::from_str(&with_words(text)) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Array(_)) => Err("it is a list, not an object".to_owned()),
        Ok(_) => Err("it is a single value, not an object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

/// The text with quotes around what JSON has no words for. What stands in quotes already stays as it is.
fn with_words(text: &str) -> Cow<'_, str> {
    if !NOT_FINITE.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut is_in_string = false;
    while let Some(next) = rest.chars().next() {
        let word = NOT_FINITE
            .iter()
            .find(|word| !is_in_string && rest.starts_with(**word));
        let taken = if let Some(word) = word {
            quoted.extend(["\"", word, "\""]);
            word.len()
        } else {
            is_in_string ^= next == '"';
            // A quote behind a backslash ends nothing.
            let escaped = rest.chars().nth(1).filter(|_| is_in_string && next == '\\');
            let length = next.len_utf8() + escaped.map_or(0, char::len_utf8);
            quoted.push_str(&rest[..length]);
            length
        };
        rest = &rest[taken..];
    }
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_programs_write_them() {
        let body = r#"{"loss": NaN, "best": -Infinity, "all": [Infinity, 1e400], "note": "NaN \"Infinity\" \\", "lr": 0.1}"#;
        let fields = fields(body.as_bytes()).unwrap();
        let shown: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            shown,
            [
                r#"loss="NaN""#,
                r#"best="-Infinity""#,
                r#"all=["Infinity",1e+400]"#,
                r#"note="NaN \"Infinity\" \\""#,
                "lr=0.1"
            ]
        );
    }

    #[test]
    fn a_result_without_fields_says_why() {
        for (body, words) in [
            (&b"[1]"[..], "it is a list, not an object"),
            (b"7", "it is a single value, not an object"),
            (b" \n", "it is empty"),
            (b"{\"a\": \xe4}", "it is not UTF-8"),
            (
                b"{\"a\": NaNo}",
                "it is not JSON: expected `,` or `}` at line 1 column 12",
            ),
        ] {
            assert_eq!(fields(body), Err(words.to_owned()));
        }
    }
}
