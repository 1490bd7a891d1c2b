//! How far a sweep is, in one line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Style, seconds};
use crate::aws::Row;

/// Members by state.
pub type Tally = BTreeMap<String, u64>;

/// How far a sweep is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its status in the ledger.
    pub status: String,
    /// How many members it has.
    pub members: u64,
    /// Members by state.
    pub counts: Tally,
    /// What it has cost so far, in micro-dollars: as cost-guard saw it last, or by the bills since.
    pub spent: u64,
    /// Its budget in micro-dollars, if it has one.
    pub budget: Option<u64>,
}

/// How a state is drawn.
struct Look {
    state: &'static str,
    block: char,
    ascii: char,
    colour: &'static str,
}

/// In the order in which the bar shows them: the ends, then what runs, then what waits.
const LOOKS: [Look; 8] = [
    Look {
        state: "completed",
        block: '█',
        ascii: '#',
        colour: "32",
    },
    Look {
        state: "failed",
        block: '█',
        ascii: 'x',
        colour: "31",
    },
    Look {
        state: "interrupted",
        block: '█',
        ascii: 'i',
        colour: "35",
    },
    Look {
        state: "reaped",
        block: '█',
        ascii: 'r',
        colour: "33",
    },
    Look {
        state: "running",
        block: '▓',
        ascii: '=',
        colour: "36",
    },
    Look {
        state: "stopped",
        block: '▓',
        ascii: 's',
        colour: "2",
    },
    Look {
        state: "launching",
        block: '▒',
        ascii: '-',
        colour: "34",
    },
    Look {
        state: "planned",
        block: '░',
        ascii: '.',
        colour: "2",
    },
];

const BAR_WIDTH: usize = 24;

/// Fewer members than this say little about how long the others will take.
const ENDS_TO_TELL: u64 = 2;

impl Progress {
    /// What a sweep's row in the ledger says.
    pub fn of_row(row: &Row) -> Self {
        let counts = row.get("counts").and_then(serde_json::Value::as_object);
        let number = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_u64);
        let seen = number(row.get("cost").and_then(|cost| cost.get("accrued")));
        Self {
            spent: seen.max(number(row.get("billed"))).unwrap_or_default(),
            budget: number(row.get("budget")),
            status: row
                .get("status")
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            members: row
                .get("members")
                .and_then(serde_json::Value::as_u64)
                .unwrap_or_default(),
            counts: counts
                .into_iter()
                .flatten()
                .map(|(state, count)| (state.clone(), count.as_u64().unwrap_or_default()))
                .collect(),
        }
    }

    /// Members in a state.
    pub fn of(&self, state: &str) -> u64 {
        self.counts.get(state).copied().unwrap_or_default()
    }

    /// Members that will not change any more.
    pub fn ended(&self) -> u64 {
        ["completed", "failed", "interrupted", "reaped"]
            .iter()
            .map(|state| self.of(state))
            .sum()
    }

    /// Members that have been launched, whatever became of them.
    pub fn launched(&self) -> u64 {
        self.members.saturating_sub(self.of("planned"))
    }

    /// Members that end in a minute, in tenths, after so long.
    fn ends_per_minute(&self, elapsed: Duration) -> Option<String> {
        let ms = elapsed.as_millis().max(1);
        let tenths = u128::from(self.ended()) * 600_000 / ms;
        (self.ended() > 0).then(|| format!("{}.{}/min", tenths / 10, tenths % 10))
    }

    /// How long the others will take if they end as those before them.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let left = self.members.saturating_sub(self.ended());
        let ended = u32::try_from(self.ended()).ok()?;
        let left = u32::try_from(left).ok()?;
        (self.ended() >= ENDS_TO_TELL && left > 0).then(|| elapsed * left / ended)
    }

    /// Rate, money and the time that is left, as far as they are known.
    fn forecast(&self, elapsed: Duration) -> Vec<String> {
        let mut words = vec![format!("{} launched", self.launched())];
        words.extend(self.ends_per_minute(elapsed));
        match self.budget {
            Some(budget) => words.push(format!("{} of {}", dollars(self.spent), dollars(budget))),
            None if self.spent > 0 => words.push(dollars(self.spent)),
            None => {}
        }
        let left = self.left(elapsed);
        words.extend(left.map(|left| format!("about {} left", seconds(left))));
        words
    }

    /// A bar, and numbers beside it.
    pub fn line(&self, elapsed: Duration, style: Style) -> String {
        let total = self.members.to_string();
        let ended = format!("{:>width$}/{total}", self.ended(), width = total.len());
        let parts: Vec<String> = LOOKS
            .iter()
            .filter(|look| look.state != "planned" && self.of(look.state) > 0)
            .map(|look| {
                style.coloured(
                    look.colour,
                    &format!("{} {}", self.of(look.state), look.state),
                )
            })
            .collect();
        let numbers = if parts.is_empty() {
            self.status.clone()
        } else {
            parts.join(", ")
        };
        format!(
            "{} {ended}  {numbers}  {}",
            self.bar(style),
            style.dim(&format!(
                "{}, {}",
                self.forecast(elapsed).join(", "),
                seconds(elapsed)
            ))
        )
    }

    /// Plain words for a file.
    pub fn words(&self, elapsed: Duration) -> String {
        let parts: Vec<String> = LOOKS
            .iter()
            .filter(|look| self.of(look.state) > 0)
            .map(|look| format!("{} {}", self.of(look.state), look.state))
            .collect();
        format!(
            "{:>6}  {}/{} ended  {}; {}",
            seconds(elapsed),
            self.ended(),
            self.members,
            parts.join(", "),
            self.forecast(elapsed).join(", ")
        )
    }

    fn bar(&self, style: Style) -> String {
        let cells = self.cells();
        let drawn: String = LOOKS
            .iter()
            .zip(cells)
            .filter(|(_, width)| *width > 0)
            .map(|(look, width)| {
                let character = if style.has_unicode {
                    look.block
                } else {
                    look.ascii
                };
                style.coloured(look.colour, &character.to_string().repeat(width))
            })
            .collect();
        format!("[{drawn}]")
    }

    /// Cells of each state. They add up to the bar's width: shares are cut at the running sum, not one by one.
    fn cells(&self) -> [usize; LOOKS.len()] {
        let mut cells = [0; LOOKS.len()];
        let total: u64 = LOOKS.iter().map(|look| self.of(look.state)).sum();
        if total == 0 {
            cells[LOOKS.len() - 1] = BAR_WIDTH;
            return cells;
        }
        let (mut members, mut drawn) = (0, 0);
        for (cell, look) in cells.iter_mut().zip(&LOOKS) {
            members += self.of(look.state);
            let until = usize::try_from(members * BAR_WIDTH as u64 / total).unwrap_or(BAR_WIDTH);
            *cell = until - drawn;
            drawn = until;
        }
        cells
    }
}

/// An amount to the cent, or of less than that to the micro-dollar.
fn dollars(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if micros == 0 || micros >= 10_000 {
        format!("${whole}.{:02}", rest / 10_000)
    } else {
        format!("${whole}.{rest:06}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress(counts: &[(&str, u64)]) -> Progress {
        Progress {
            status: "running".into(),
            members: counts.iter().map(|(_, count)| count).sum(),
            counts: counts
                .iter()
                .map(|(state, count)| ((*state).to_owned(), *count))
                .collect(),
            spent: 0,
            budget: None,
        }
    }

    #[test]
    fn a_row_of_the_ledger_is_read() {
        let row = json!({"status": "running", "members": 3, "counts": {"running": 2, "failed": 1}});
        let read = Progress::of_row(row.as_object().unwrap());
        assert_eq!(read, progress(&[("running", 2), ("failed", 1)]));
        assert_eq!(read.ended(), 1);
    }

    #[test]
    fn the_bar_is_always_full() {
        for counts in [
            vec![],
            vec![("planned", 1)],
            vec![
                ("completed", 1),
                ("failed", 1),
                ("running", 1),
                ("launching", 1),
                ("planned", 3),
            ],
            vec![("completed", 99_999), ("failed", 1)],
        ] {
            let cells = progress(&counts).cells();
            assert_eq!(cells.iter().sum::<usize>(), BAR_WIDTH, "{counts:?}");
        }
    }

    #[test]
    fn the_line_says_what_the_bar_shows() {
        let progress = progress(&[
            ("completed", 9),
            ("failed", 3),
            ("running", 6),
            ("planned", 18),
        ]);
        let style = Style {
            has_unicode: false,
            ..Style::plain()
        };
        let elapsed = Duration::from_millis(4200);
        assert_eq!(
            progress.line(elapsed, style),
            "[######xx====............] 12/36  9 completed, 3 failed, 6 running  18 launched, 171.4/min, about 8.4 s left, 4.2 s"
        );
        assert_eq!(
            progress.words(elapsed),
            " 4.2 s  12/36 ended  9 completed, 3 failed, 6 running, 18 planned; 18 launched, 171.4/min, about 8.4 s left"
        );
    }

    #[test]
    fn money_is_told_beside_the_budget_and_what_is_not_known_is_not_told() {
        let minute = Duration::from_secs(60);
        let mut one = progress(&[("completed", 1), ("running", 3)]);
        assert_eq!(one.forecast(minute), ["4 launched", "1.0/min"]);
        (one.spent, one.budget) = (123_456, Some(5_000_000));
        assert_eq!(one.forecast(minute)[2], "$0.12 of $5.00");
        one.budget = None;
        one.spent = 1_300;
        assert_eq!(one.forecast(minute)[2], "$0.001300");
        let over = progress(&[("completed", 4)]);
        assert_eq!(over.forecast(minute), ["4 launched", "4.0/min"]);
        let row = json!({"cost": {"accrued": 7}, "billed": 9, "budget": 20});
        let read = Progress::of_row(row.as_object().unwrap());
        assert_eq!((read.spent, read.budget), (9, Some(20)));
    }
}
