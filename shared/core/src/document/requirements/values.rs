//! Kinds of values that only requirements have.

use serde_json::Value;

use super::super::aws::check_type;
use super::super::fault::quoted;
use super::super::read::{Problem, Read, each, shown, text, word, wrong_type};
use super::{Bounds, Presence};

/// More than the memory of any type, in MiB.
pub(super) const NUMBER_MAX: u32 = 1_000_000_000;

/// Adds to problems of a word which words there are.
pub(super) fn known(problems: Vec<Problem>, words: &[&str]) -> Vec<Problem> {
    let hint = format!("one of {}", words.join(", "));
    problems
        .into_iter()
        .map(|problem| problem.or_hint(&hint))
        .collect()
}

/// Reads `{min: ..., max: ...}`.
pub(super) fn bounds(value: &Value, read: impl Fn(&Value) -> Read<u32>) -> Read<Bounds> {
    let Value::Object(map) = value else {
        let hint = matches!(value, Value::Number(_) | Value::String(_)).then(|| {
            let shown = shown(value);
            let given = shown.trim_matches('"');
            format!("write {{min: {given}}}, or {{min: {given}, max: {given}}}")
        });
        return Err(wrong_type(value, "an object with min and max")
            .hint(hint)
            .into());
    };
    let mut bounds = Bounds::default();
    let mut problems = Vec::new();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!(".{name}");
        match (name.as_str(), read(value)) {
            ("min", Ok(number)) => bounds.min = Some(number),
            ("max", Ok(number)) => bounds.max = Some(number),
            ("min" | "max", Err(found)) => {
                problems.extend(found.into_iter().map(|problem| problem.at(&at)));
            }
            _ => {
                let problem = format!("{} is neither min nor max", quoted(name));
                problems.push(Problem::new(problem).at(&at));
            }
        }
    }
    if problems.is_empty() && bounds == Bounds::default() {
        problems.push(Problem::new("it has neither min nor max"));
    }
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        problems.push(Problem::new("its min is above its max"));
    }
    if problems.is_empty() {
        Ok(bounds)
    } else {
        Err(problems)
    }
}

/// MiB of an amount of memory with a unit.
pub(super) fn mebibytes(value: &Value) -> Read<u32> {
    if let Value::Number(number) = value {
        let hint = format!("write {number} GiB or {number} MiB");
        return Err(Problem::new(format!("{number} has no unit"))
            .hint(hint)
            .into());
    }
    let given = text(value, 64)?.trim();
    let digits = given.len() - given.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = given.split_at(digits);
    let refused = |hint: Option<String>| {
        let problem = format!("{} is not an amount of memory", quoted(given));
        Err(Problem::new(problem).hint(hint).into())
    };
    let factor = match unit.trim() {
        "MiB" => 1,
        "GiB" => 1024,
        "TiB" => 1024 * 1024,
        other => {
            let meant = match other.to_lowercase().as_str() {
                "g" | "gb" | "gib" => Some("GiB"),
                "m" | "mb" | "mib" => Some("MiB"),
                "t" | "tb" | "tib" => Some("TiB"),
                "" => return refused(Some(format!("write {number} GiB or {number} MiB"))),
                _ => None,
            };
            return refused(meant.map(|unit| format!("write {number} {unit}, as EC2 counts")));
        }
    };
    match number
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(mib) if mib <= NUMBER_MAX => Ok(mib),
        _ => refused(None),
    }
}

pub(super) fn presence(value: &Value) -> Read<Presence> {
    let words = ["included", "required", "excluded"];
    match word(value, &words).map_err(|problems| known(problems, &words))? {
        "included" => Ok(Presence::Included),
        "required" => Ok(Presence::Required),
        _ => Ok(Presence::Excluded),
    }
}

/// Instance types and patterns; `c5*` stands for all types whose names begin so.
pub(super) fn patterns(value: &Value) -> Read<Vec<String>> {
    each(value, |item| {
        let name = text(item, 64)?;
        let is_open = name.ends_with('*')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*".contains(c));
        if !is_open {
            check_type(name)?;
        }
        Ok(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit() {
        for (text, mib) in [("512 MiB", 512), ("16GiB", 16_384), (" 2 TiB ", 2_097_152)] {
            assert_eq!(mebibytes(&Value::from(text)), Ok(mib), "{text}");
        }
        for text in ["16", "16 GB", "lots", "GiB", "5000000000 GiB", "-1 GiB"] {
            assert!(mebibytes(&Value::from(text)).is_err(), "{text}");
        }
    }
}
