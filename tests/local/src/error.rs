//! What can go wrong with a stack on one machine, and what to do about it.

use std::io;
use std::path::Path;

/// A failure of the local stack or of a call to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the stack needs is not there, or not as it has to be.
    #[error("{what}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The machine refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, such as `write /tmp/x`.
        doing: String,
        /// The system's words.
        source: io::Error,
    },
    /// A program that the stack needs failed or ended.
    #[error("{program} {what}")]
    Program {
        /// Its name.
        program: String,
        /// What it did, such as `ended with exit code 1`.
        what: String,
        /// The end of its output.
        output: String,
    },
    /// A service answered with an error.
    #[error("{operation}: {code}: {message}")]
    Refused {
        /// The API operation.
        operation: String,
        /// The service's error code.
        code: String,
        /// The service's words.
        message: String,
    },
    /// Whoever read the output has read enough.
    #[error("nobody reads the output any more")]
    NobodyReads,
    /// Nobody answered.
    #[error("{operation}: no answer from {endpoint}: {why}")]
    NoAnswer {
        /// The API operation.
        operation: String,
        /// Where it was sent.
        endpoint: String,
        /// The client's words.
        why: String,
    },
    /// An answer, a file or a document is not what it should be.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What it is.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// CloudFormation did not create the stack.
    #[error("the template was not deployed")]
    Deploy {
        /// The failed events, in the order in which they happened.
        events: Vec<String>,
    },
    /// The command was given something that it cannot use.
    #[error("{0}")]
    Usage(String),
    /// The user asked to stop.
    #[error("stopped")]
    Interrupted,
}

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: says what was being done to a path.
    pub fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        move |source| Self::Io { doing, source }
    }

    /// What stands below the message: advice, or the end of a program's output.
    pub fn details(&self) -> Option<String> {
        match self {
            Self::Missing { hint, .. } => Some(hint.clone()),
            Self::Program { output, .. } if !output.is_empty() => Some(output.clone()),
            Self::Deploy { events } => Some(events.join("\n")),
            _ => None,
        }
    }
}
