//! Tells on the terminal how a stack comes up.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Style;
use crate::narrator::Narrator;

/// Without a terminal, news of a long step come so often.
const PLAIN_NEWS_EVERY: Duration = Duration::from_secs(10);

/// One line for the running step, and at the end one for all.
#[derive(Debug)]
pub struct Printed {
    style: Style,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    took: Vec<(String, Duration)>,
    last_news: Option<Instant>,
}

impl Printed {
    /// For standard output.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            state: Mutex::default(),
        }
    }

    /// Says how long each step took.
    pub fn summary(&self, all: Duration) {
        let Ok(state) = self.state.lock() else { return };
        let parts: Vec<String> = state
            .took
            .iter()
            .map(|(step, took)| format!("{step} {}", seconds(*took)))
            .collect();
        self.clear();
        println!(
            "{}",
            self.style
                .dim(&format!("up in {} ({})", seconds(all), parts.join(", ")))
        );
    }

    fn rewrite(&self, text: &str) {
        let text: String = text.chars().take(self.style.width - 1).collect();
        print!("\r\u{1b}[2K{}", self.style.dim(&text));
        flush();
    }

    fn clear(&self) {
        if self.style.is_terminal {
            print!("\r\u{1b}[2K");
            flush();
        }
    }
}

impl Narrator for Printed {
    fn begins(&self, step: &str) {
        if self.style.is_terminal {
            self.rewrite(&format!("{step} ..."));
        }
    }

    fn tells(&self, step: &str, news: &str) {
        if self.style.is_terminal {
            self.rewrite(&format!("{step}: {news}"));
            return;
        }
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        if state
            .last_news
            .is_none_or(|last| last.elapsed() >= PLAIN_NEWS_EVERY)
        {
            state.last_news = Some(Instant::now());
            println!("{step}: {news}");
        }
    }

    fn ends(&self, step: &str, took: Duration) {
        self.clear();
        if let Ok(mut state) = self.state.lock() {
            state.took.push((step.into(), took));
            state.last_news = None;
        }
    }
}

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f32()),
        whole @ 10..120 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

/// A terminal that cannot be written to is no reason to stop.
pub(crate) fn flush() {
    drop(std::io::stdout().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_short() {
        let words: Vec<_> = [444, 12_400, 200_000]
            .map(|ms| seconds(Duration::from_millis(ms)))
            .into();
        assert_eq!(words, ["0.4 s", "12 s", "3 min 20 s"]);
    }
}
