//! Colour, characters and width that an output can take.

use std::io::IsTerminal;

/// Width for files and pipes.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

/// Longer lines are hard to read, however wide the terminal.
const WIDTH_MAX: usize = 120;

/// How to write to one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether lines can be rewritten.
    pub is_terminal: bool,
    /// Whether to colour.
    pub has_colour: bool,
    /// Whether to draw with characters beyond ASCII.
    pub has_unicode: bool,
    /// Columns.
    pub width: usize,
}

impl Style {
    /// For standard output.
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let columns = rustix::termios::tcgetwinsize(&stdout)
            .ok()
            .map(|size| usize::from(size.ws_col));
        Self::of(stdout.is_terminal(), columns, &|name| {
            std::env::var(name).ok()
        })
    }

    /// For standard error.
    pub fn of_stderr() -> Self {
        let stderr = std::io::stderr();
        let columns = rustix::termios::tcgetwinsize(&stderr)
            .ok()
            .map(|size| usize::from(size.ws_col));
        Self::of(stderr.is_terminal(), columns, &|name| {
            std::env::var(name).ok()
        })
    }

    fn of(
        is_terminal: bool,
        columns: Option<usize>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").is_some_and(|term| term == "dumb");
        // An empty locale says nothing; a named one without UTF-8 says no.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(set)
            .unwrap_or_else(|| "UTF-8".into());
        let locale = locale.to_ascii_uppercase();
        Self {
            is_terminal: is_terminal && !is_dumb,
            has_colour: is_terminal && !is_dumb && set("NO_COLOR").is_none(),
            has_unicode: locale.contains("UTF-8") || locale.contains("UTF8"),
            width: columns
                .filter(|columns| *columns > 0)
                .unwrap_or(WIDTH_WITHOUT_TERMINAL)
                .clamp(40, WIDTH_MAX),
        }
    }

    /// For a file: no colour, no rewriting.
    pub fn plain() -> Self {
        Self {
            is_terminal: false,
            has_colour: false,
            has_unicode: true,
            width: WIDTH_WITHOUT_TERMINAL,
        }
    }

    /// Success.
    pub fn good(self, text: &str) -> String {
        self.coloured("32", text)
    }

    /// Failure.
    pub fn bad(self, text: &str) -> String {
        self.coloured("31", text)
    }

    /// Attention.
    pub fn warn(self, text: &str) -> String {
        self.coloured("33", text)
    }

    /// Weight.
    pub fn strong(self, text: &str) -> String {
        self.coloured("1", text)
    }

    /// What may be read over.
    pub fn dim(self, text: &str) -> String {
        self.coloured("2", text)
    }

    /// By an SGR code of ECMA-48.
    pub(super) fn coloured(self, code: &str, text: &str) -> String {
        if self.has_colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(is_terminal: bool, variables: &[(&str, &str)]) -> Style {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Style::of(is_terminal, Some(80), &|name| {
            variables
                .iter()
                .find(|(set, _)| set == name)
                .map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        assert!(style(true, &[]).has_colour);
        assert!(!style(false, &[]).has_colour);
        assert!(!style(true, &[("NO_COLOR", "1")]).has_colour);
        assert!(style(true, &[("NO_COLOR", "")]).has_colour);
        assert!(!style(true, &[("TERM", "dumb")]).is_terminal);
        assert_eq!(style(false, &[]).bad("x"), "x");
        assert_eq!(style(true, &[]).bad("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn unicode_follows_the_locale() {
        assert!(style(true, &[]).has_unicode);
        assert!(style(true, &[("LANG", "en_GB.utf8")]).has_unicode);
        assert!(!style(true, &[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]).has_unicode);
    }
}
