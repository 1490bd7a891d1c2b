//! What a plain YAML scalar means, by the core schema of YAML 1.2.
//!
//! `yes`, `no`, `on` and `off` are text; numbers keep their text. Two departures, so that a parameter arrives as it was
//! written: a number with leading zeros (`007`) and what JSON cannot hold (`.inf`, `.nan`) stay text.

use serde_json::{Number, Value};

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// The number that a plain scalar is, if it is one.
pub(super) fn number(text: &str) -> Option<Number> {
    // Nearly every text fails here, without an allocation.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let radix = |digits: &str, radix| {
        let is_plain = digits.chars().all(|c| c.is_digit(radix));
        u64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| is_plain)
            .map(Number::from)
    };
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let (sign, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) if text.starts_with('-') => ("-", rest),
        Some(rest) => ("", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let has_digits = !whole.is_empty() || fraction.is_some_and(|digits| !digits.is_empty());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !has_digits || has_leading_zero || !is_digits(whole) || !is_digits(fraction.unwrap_or("")) {
        return None;
    }
    // JSON wants digits on both sides of the point: `.5` is 0.5, `5.` is 5.0.
    let whole = if whole.is_empty() { "0" } else { whole };
    let json = match fraction {
        None => format!("{sign}{whole}{exponent}"),
        Some("") => format!("{sign}{whole}.0{exponent}"),
        Some(fraction) => format!("{sign}{whole}.{fraction}{exponent}"),
    };
    json_number(&json)
}

/// The number that `text` is in JSON, with that very text.
pub(super) fn json_number(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_yaml_1_2_says() {
        let text = |text: &str| Value::from(text);
        for (scalar, json) in [
            ("", "null"),
            ("~", "null"),
            ("true", "true"),
            ("False", "false"),
            ("42", "42"),
            ("+42", "42"),
            ("-1", "-1"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0.10", "0.10"),
            ("1e-3", "1e-3"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("99999999999999999999999", "99999999999999999999999"),
        ] {
            assert_eq!(resolve(scalar).to_string(), json, "{scalar}");
        }
        for scalar in [
            "yes",
            "no",
            "on",
            "Off",
            "007",
            "-01.5",
            ".inf",
            ".nan",
            "1_000",
            "12:30",
            "1.2.3",
            "2024-01-01",
            "1e",
            "-",
            ".",
            "+",
            "0x",
            "0xG",
            "0x+1",
            "e5",
            "- 1",
        ] {
            assert_eq!(resolve(scalar), text(scalar), "{scalar}");
        }
    }
}
