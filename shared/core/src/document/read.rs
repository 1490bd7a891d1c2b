//! Values of the document, each read into the type it stands for.
//!
//! A reader knows nothing of paths: it tells what is wrong, and where inside the value; whoever calls it knows the rest.

use serde_json::Value;

use super::duration::{DurationError, parse_duration};
use super::fault::{Collector, Fault, quoted};
use super::shape::Shape;
use super::suggest::nearest;
use crate::money::MicroDollars;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where inside the value, such as `[2]`.
    at: String,
    problem: String,
    hint: Option<String>,
}

/// A value, or everything that is wrong with it.
pub(super) type Read<T> = Result<T, Vec<Problem>>;

impl Problem {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            at: String::new(),
            problem: problem.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with a hint, unless it has one.
    pub(super) fn or_hint(mut self, hint: &str) -> Self {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    pub(super) fn at(mut self, at: &str) -> Self {
        self.at.insert_str(0, at);
        self
    }
}

impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Self {
        vec![problem]
    }
}

/// Keeps the faults of a value that stands at `path`.
pub(super) fn take<T>(
    read: Read<T>,
    path: &str,
    shape: Shape,
    faults: &mut Collector,
) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(problems) => {
            for problem in problems {
                let path = format!("{path}{}", problem.at);
                faults.add(Fault::new(path, problem.problem, shape.accepted()).hint(problem.hint));
            }
            None
        }
    }
}

/// A value as a fault repeats it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "the list".to_owned(),
        Value::Object(_) => "the object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            text.chars().take(40).collect()
        }
    }
}

/// The problem of a value of the wrong type.
pub(super) fn wrong_type(value: &Value, wanted: &str) -> Problem {
    let shown = shown(value);
    let problem = match value {
        Value::Null => format!("it is empty, not {wanted}"),
        Value::Bool(_) => format!("{shown} is not {wanted}"),
        Value::Number(_) => format!("{shown} is a number, not {wanted}"),
        Value::String(_) => format!("{shown} is text, not {wanted}"),
        Value::Array(_) => format!("it is a list, not {wanted}"),
        Value::Object(_) => format!("it is an object, not {wanted}"),
    };
    Problem::new(problem)
}

/// A text of 1 to `bytes_max` bytes.
pub(super) fn text(value: &Value, bytes_max: usize) -> Read<&str> {
    let Value::String(text) = value else {
        let hint = match value {
            Value::Number(_) | Value::Bool(_) => {
                Some(format!("write it in quotes: \"{}\"", shown(value)))
            }
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        };
        return Err(wrong_type(value, "text").hint(hint).into());
    };
    if text.trim().is_empty() {
        return Err(Problem::new("it is an empty text").into());
    }
    if text.len() > bytes_max {
        return Err(Problem::new(format!("it has {} bytes", text.len())).into());
    }
    if text.contains('\0') {
        return Err(Problem::new("it contains a NUL character").into());
    }
    Ok(text)
}

/// One of some words.
pub(super) fn word<'a>(value: &Value, words: &[&'a str]) -> Read<&'a str> {
    let given = text(value, usize::MAX)?;
    words
        .iter()
        .copied()
        .find(|word| *word == given)
        .ok_or_else(|| {
            let meant = nearest(given, words.iter().copied());
            Problem::new(format!("{} is not known", quoted(given)))
                .hint(meant.map(|word| format!("did you mean {word}?")))
                .into()
        })
}

/// `true` or `false`.
pub(super) fn bool(value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| {
        wrong_type(value, "true or false")
            .hint(truth_hint(value))
            .into()
    })
}

/// What to write for a truth value that YAML 1.2 takes as text.
pub(super) fn truth_hint(value: &Value) -> Option<String> {
    let text = value.as_str()?.to_lowercase();
    match text.as_str() {
        "true" | "false" => Some(format!("write {text} without quotes")),
        "yes" | "on" | "y" => Some("write true: in YAML 1.2 yes and on are text".to_owned()),
        "no" | "off" | "n" => Some("write false: in YAML 1.2 no and off are text".to_owned()),
        _ => None,
    }
}

/// A whole number from `min` to `max`.
pub(super) fn whole(value: &Value, min: u32, max: u32) -> Read<u32> {
    let Value::Number(number) = value else {
        let is_numeric = value
            .as_str()
            .is_some_and(|text| text.parse::<u32>().is_ok());
        let hint = is_numeric.then(|| "write it without quotes".to_owned());
        return Err(wrong_type(value, "a whole number").hint(hint).into());
    };
    let number_in_range = number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (min..=max).contains(number));
    number_in_range.ok_or_else(|| {
        let shown = shown(value);
        let problem = if number.is_u64() || number.is_i64() {
            format!("{shown} is out of range")
        } else {
            format!("{shown} is not a whole number")
        };
        Problem::new(problem).into()
    })
}

/// Seconds of a duration from `min_s` to `max_s`.
pub(super) fn duration(value: &Value, min_s: u64, max_s: u64) -> Read<u64> {
    if min_s == 0 && value.as_u64() == Some(0) {
        return Ok(0);
    }
    let text = match value {
        Value::Number(number) => return Err(no_unit(&number.to_string()).into()),
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(wrong_type(value, "a duration").into());
        }
    };
    let seconds = parse_duration(text).map_err(|error| match error {
        DurationError::NoUnit => no_unit(text.trim()),
        DurationError::Unit(ref unit) => {
            let lower = unit.to_lowercase();
            let fixed = text.replace(unit.as_str(), &lower);
            let hint = (lower != *unit && parse_duration(&fixed).is_ok())
                .then(|| format!("did you mean {}?", fixed.trim()));
            Problem::new(format!("{} {error}", quoted(text))).hint(hint)
        }
        DurationError::Order | DurationError::Fraction | DurationError::Malformed => {
            Problem::new(format!("{} {error}", quoted(text)))
        }
    })?;
    if seconds < min_s {
        return Err(Problem::new(format!("{} is too short", quoted(text))).into());
    }
    if seconds > max_s {
        return Err(Problem::new(format!("{} is too long", quoted(text))).into());
    }
    Ok(seconds)
}

fn no_unit(number: &str) -> Problem {
    let number: String = number.chars().take(20).collect();
    Problem::new(format!("{number} has no unit"))
        .hint(format!("write {number}s, {number}m or {number}h"))
}

/// Seconds, or `None` for the word none.
pub(super) fn duration_or_none(value: &Value, min_s: u64, max_s: u64) -> Read<Option<u64>> {
    match value.as_str() {
        Some("none") => Ok(None),
        _ => duration(value, min_s, max_s).map(Some),
    }
}

/// An amount of money above zero.
pub(super) fn money(value: &Value) -> Read<MicroDollars> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(wrong_type(value, "an amount of money").into());
        }
    };
    let amount: MicroDollars = text
        .parse()
        .map_err(|error: crate::money::MoneyError| Problem::new(error.to_string()))?;
    if amount <= MicroDollars::ZERO {
        return Err(Problem::new(format!("{amount} is not above 0")).into());
    }
    Ok(amount)
}

/// The values of a list, or the one value that stands in its place.
pub(super) fn each<T>(value: &Value, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    let Value::Array(items) = value else {
        return Ok(vec![read(value)?]);
    };
    if items.is_empty() {
        return Err(Problem::new("the list is empty").into());
    }
    let mut values = Vec::with_capacity(items.len());
    let mut problems = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match read(item) {
            Ok(value) => values.push(value),
            Err(found) => {
                problems.extend(found.into_iter().map(|p| p.at(&format!("[{index}]"))));
            }
        }
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(problems)
    }
}
