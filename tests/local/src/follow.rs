//! Stays with an execution until it has ended.

use std::time::{Duration, Instant};

use serde_json::json;

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
    let mut money = Money::default();
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
        let mut progress = row.as_ref().map(Progress::of_row);
        if let (Some(progress), Some(id)) = (&mut progress, &sweep_id)
            && view.style.is_some()
            && !has_ended
        {
            progress.spent =
                progress
                    .spent
                    .max(money.run_up(client, execution_arn, id, progress.members));
        }
        view.show(progress, started.elapsed(), has_ended);
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

/// What a sweep has run up. Its row knows what cost-guard saw last, minutes ago; `spawn-status` adds up what runs.
#[derive(Default)]
struct Money {
    asked: Option<Instant>,
    /// In micro-dollars.
    run_up: u64,
}

/// Not so often that it matters: every member is read for it.
const MONEY_EVERY: Duration = Duration::from_secs(3);
/// Members for which that may be done so often.
const MONEY_MEMBERS: u64 = 500;

impl Money {
    /// What is known; asked for again now and then. Whoever does not answer keeps nobody from following.
    fn run_up(
        &mut self,
        client: &Client,
        execution_arn: &str,
        sweep_id: &str,
        members: u64,
    ) -> u64 {
        let every = MONEY_EVERY * u32::try_from(members / MONEY_MEMBERS + 1).unwrap_or(u32::MAX);
        if self.asked.is_none_or(|asked| asked.elapsed() >= every) {
            self.asked = Some(Instant::now());
            let machine = execution_arn
                .split(":execution:")
                .next()
                .unwrap_or_default();
            let machine = format!("{machine}:stateMachine:spawn-status");
            let status = client.ask(&machine, &json!({"sweep_id": sweep_id}));
            let so_far = status.ok().flatten();
            let so_far = so_far
                .as_ref()
                .and_then(|status| status.pointer("/cost/so_far")?.as_str());
            self.run_up = so_far.and_then(micros).unwrap_or(self.run_up);
        }
        self.run_up
    }
}

/// An amount such as `$0.005197`, in micro-dollars.
fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.strip_prefix('$')?.split_once('.')?;
    format!("{whole}{fraction:0<6}").parse().ok()
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

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn amounts_are_read_to_the_micro_dollar() {
        assert_eq!(micros("$0.005197"), Some(5_197));
        assert_eq!(micros("$12.50"), Some(12_500_000));
        assert_eq!(micros("12"), None);
    }
}
