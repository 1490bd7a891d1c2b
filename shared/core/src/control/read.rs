//! Reading an input field by field, with every fault.

use serde_json::{Map, Value};

use crate::document::suggest;
use crate::errors::FunctionError;

/// What Step Functions' console and spawn's own machines put into an input beside what is asked.
const TOLERATED: [&str; 1] = ["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"];

/// Characters of a value that a fault repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// The input of the machine `machine`, and what is wrong with it so far.
#[derive(Debug)]
pub struct Reader<'a> {
    machine: String,
    input: Option<&'a Map<String, Value>>,
    accepted: String,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Begins to read: whatever has a name other than `names` is a fault.
    #[must_use]
    pub fn new(machine: &str, input: &'a Value, names: &[&str]) -> Self {
        let mut reader = Self {
            machine: machine.to_owned(),
            input: input.as_object(),
            accepted: names.join(", "),
            faults: Vec::new(),
        };
        let Some(object) = reader.input else {
            let problem = format!("the input is {}, not a JSON object", shown(input));
            reader.fault("", &problem, &format!("an object with {}", reader.accepted));
            return reader;
        };
        for key in object.keys() {
            if names.contains(&key.as_str()) || TOLERATED.contains(&key.as_str()) {
                continue;
            }
            let accepted = match suggest::nearest(key, names.iter().copied()) {
                Some(meant) => format!("{} (did you mean {meant}?)", reader.accepted),
                None => reader.accepted.clone(),
            };
            reader.fault(key, "is not known", &accepted);
        }
        reader
    }

    /// Notes a fault of the field `name`; an empty name is the input as a whole.
    pub fn fault(&mut self, name: &str, problem: &str, accepted: &str) {
        let colon = if name.is_empty() { "" } else { ": " };
        self.faults
            .push(format!("{name}{colon}{problem}; accepted: {accepted}"));
    }

    /// Whether a field is there, be it null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.input.is_some_and(|input| input.contains_key(name))
    }

    /// The value of a field, if it is there.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.input?.get(name).filter(|value| !value.is_null())
    }

    /// A field that is a text that is not empty and of at most `chars_max` characters.
    pub fn text(&mut self, name: &str, chars_max: usize, accepted: &str) -> Option<&'a str> {
        let value = self.value(name)?;
        match value.as_str().map(str::trim) {
            Some("") => self.fault(name, "is empty", accepted),
            Some(text) if text.chars().count() <= chars_max => return Some(text),
            Some(_) => {
                let problem = format!("is longer than {chars_max} characters");
                self.fault(name, &problem, accepted);
            }
            None => self.fault(name, &format!("{} is no text", shown(value)), accepted),
        }
        None
    }

    /// A field that is true or false; false when it is not there.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.value(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                let problem = format!("{} is neither true nor false", shown(other));
                self.fault(name, &problem, "true, false");
                false
            }
        }
    }

    /// What was read, or everything that is wrong.
    ///
    /// # Errors
    /// [`FunctionError::InvalidInput`] with every fault.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, FunctionError> {
        match (read, self.faults.len()) {
            (Some(read), 0) => Ok(read),
            (_, count) => {
                let plural = if count == 1 { "" } else { "s" };
                let mut text = format!("{count} fault{plural} in the input of {}:", self.machine);
                for fault in self.faults {
                    text.push_str("\n- ");
                    text.push_str(&fault);
                }
                Err(FunctionError::InvalidInput(text))
            }
        }
    }
}

/// A value as a fault repeats it: short, and on one line.
#[must_use]
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
