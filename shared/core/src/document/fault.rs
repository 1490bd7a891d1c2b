//! What is wrong with a document, in words for the person who wrote it.

use std::fmt;

use serde::Serialize;

/// Characters of the faults' text. Step Functions keeps 32,768 characters of a cause (Step Functions API Reference,
/// `SendTaskFailure`); what is left over covers the JSON around it and its escapes.
const TEXT_CHARS_MAX: usize = 24_000;

/// Characters of a value that a fault repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// One fault: where, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where in the document, such as `params[3].ttl`; empty for the document as a whole.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What is accepted there; empty when the problem says it all.
    pub accepted: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        problem: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            accepted: accepted.into(),
            hint: None,
        }
    }

    /// The same fault with a hint, if there is one.
    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// `params[3].ttl: "5 parsecs" is not a duration; accepted: ... (did you mean ...?)`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        if !self.accepted.is_empty() {
            write!(f, "; accepted: {}", self.accepted)?;
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Every fault of a document, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// These faults, and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The faults in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self(faults)
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One line per fault; as many lines as fit into the cause of a failed execution, then how many more there are.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 fault in the sweep document:")?,
            n => write!(f, "{n} faults in the sweep document:")?,
        }
        let mut chars = 0;
        for (shown, fault) in self.0.iter().enumerate() {
            let line = format!("\n- {fault}");
            chars += line.chars().count();
            // The first is always shown: each part of a fault is bounded where it is made.
            if shown > 0 && chars > TEXT_CHARS_MAX {
                return write!(f, "\n- and {} more", self.0.len() - shown);
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a document is read on, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Collector(Vec<Fault>);

impl Collector {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value if reading it went well; otherwise its fault is kept.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.add(fault);
                None
            }
        }
    }

    /// `value` when no fault was found, otherwise the faults.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Faults> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Faults(self.0))
        }
    }
}

/// A text of the document as a fault repeats it: on one line, and short.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}

/// `path.key`, or `path["odd key"]` where a dot would mislead.
pub(crate) fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (path, is_plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", quoted(key)),
    }
}
