//! Stays with an execution until it has ended.

use std::time::{Duration, Instant};

use crate::aws::{Client, Execution};
use crate::error::Result;
use crate::show::{Progress, Style, flush};
use crate::{TABLE, signals};

/// Often enough for the eye.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// In a file, lines no closer than this.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct Followed {
    /// How it ended.
    pub execution: Execution,
    /// Its sweep's id, when it got as far as having one.
    pub sweep_id: Option<String>,
    /// How long it was followed.
    pub elapsed: Duration,
}

/// Follows an execution and shows how far its sweep is, or shows nothing when there is no style.
pub fn follow(client: &Client, execution_arn: &str, style: Option<Style>) -> Result<Followed> {
    let started = Instant::now();
    let mut view = View {
        style,
        shown: None,
        written: None,
    };
    let mut sweep_id = None;
    loop {
        // The execution before the ledger: what is shown last is then the end.
        let execution = client.execution(execution_arn)?;
        if sweep_id.is_none() {
            sweep_id = client.find_in_history(execution_arn, "sweep_id")?;
        }
        let row = match &sweep_id {
            Some(id) => client.row(TABLE, &format!("SWEEP#{id}"), "META")?,
            None => None,
        };
        let has_ended = execution.status != "RUNNING";
        view.show(
            row.as_ref().map(Progress::of_row),
            started.elapsed(),
            has_ended,
        );
        if has_ended {
            view.end();
            return Ok(Followed {
                execution,
                sweep_id,
                elapsed: started.elapsed(),
            });
        }
        if let Err(stopped) = signals::go_on() {
            view.end();
            return Err(stopped);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

struct View {
    style: Option<Style>,
    shown: Option<Progress>,
    written: Option<Instant>,
}

impl View {
    fn show(&mut self, progress: Option<Progress>, elapsed: Duration, is_last: bool) {
        let Some(style) = self.style else { return };
        if style.is_terminal {
            let line = progress.as_ref().map_or_else(
                || style.dim("planning"),
                |progress| progress.line(elapsed, style),
            );
            print!("\r\u{1b}[2K{line}");
            flush();
            self.shown = progress;
            return;
        }
        let is_due = is_last
            || self
                .written
                .is_none_or(|written| written.elapsed() >= WRITE_EVERY);
        if let Some(progress) = progress
            && is_due
            && self.shown.as_ref() != Some(&progress)
        {
            println!("{}", progress.words(elapsed));
            self.written = Some(Instant::now());
            self.shown = Some(progress);
        }
    }

    /// Leaves the last bar standing, and no empty one.
    fn end(&self) {
        if self.style.is_some_and(|style| style.is_terminal) {
            print!(
                "{}",
                if self.shown.is_some() {
                    "\n"
                } else {
                    "\r\u{1b}[2K"
                }
            );
            flush();
        }
    }
}
