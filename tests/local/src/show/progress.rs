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
}

/// How a state is drawn.
struct Look {
    state: &'static str,
    block: char,
    ascii: char,
    colour: &'static str,
}

/// In the order in which the bar shows them: the ends, then what runs, then what waits.
const LOOKS: [Look; 7] = [
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

const BAR_WIDTH: usize = 36;

impl Progress {
    /// What a sweep's row in the ledger says.
    pub fn of_row(row: &Row) -> Self {
        let counts = row.get("counts").and_then(serde_json::Value::as_object);
        Self {
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
            style.dim(&seconds(elapsed))
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
            "{:>6}  {}/{} ended  {}",
            seconds(elapsed),
            self.ended(),
            self.members,
            parts.join(", ")
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
            "[#########xxx======..................] 12/36  9 completed, 3 failed, 6 running  4.2 s"
        );
        assert_eq!(
            progress.words(elapsed),
            " 4.2 s  12/36 ended  9 completed, 3 failed, 6 running, 18 planned"
        );
    }
}
