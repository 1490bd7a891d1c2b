//! Lines over time.

use std::fmt::Write as _;

use super::text::{duration, escape};

const WIDTH: i64 = 720;
const HEIGHT: i64 = 160;
/// Room for the words of the vertical axis.
const LEFT: i64 = 70;
/// Room for those of the horizontal one.
const BELOW: i64 = 18;
/// Room for the width of lines.
const ABOVE: i64 = 6;

/// A line: amounts over time (ms since 1970).
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    pub(super) is_dashed: bool,
    pub(super) points: Vec<(u64, i64)>,
}

/// What lines are drawn on.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// The left end, in ms since 1970.
    pub(super) from: u64,
    /// The right end, in ms since 1970; later than `from`.
    pub(super) until: u64,
    /// The upper end.
    pub(super) most: i64,
    /// An amount in words.
    pub(super) words: fn(i64) -> String,
}

/// So many moments between two others, both included, in even steps.
pub(super) fn times(from: u64, until: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..=count).map(move |number| from + until.saturating_sub(from) * number / count)
}

impl Chart {
    /// The lines with axes and a legend.
    pub(super) fn draw(&self, lines: &[Line]) -> String {
        let mut html = format!(
            "<h2>{}</h2><svg class=\"chart\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-size=\"11\">",
            escape(self.title)
        );
        let most = self.most.max(1);
        for amount in [0, most / 2, most] {
            let y = self.y(amount);
            write!(
                html,
                "<path d=\"M{LEFT} {y}H{WIDTH}\" stroke=\"#d5dbdb\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#5f6b7a\">{}</text>",
                LEFT - 6,
                y + 4,
                escape(&(self.words)(amount))
            ).unwrap_or_default();
        }
        let span = duration(self.until - self.from);
        for (x, anchor, words) in [(LEFT, "start", "start"), (WIDTH, "end", span.as_str())] {
            write!(
                html,
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"#5f6b7a\">{words}</text>",
                HEIGHT - 4
            )
            .unwrap_or_default();
        }
        for line in lines {
            let mut path = String::new();
            for (number, (at, amount)) in line.points.iter().enumerate() {
                let command = if number == 0 { 'M' } else { 'L' };
                write!(path, "{command}{} {}", self.x(*at), self.y(*amount)).unwrap_or_default();
            }
            let dashes = if line.is_dashed {
                " stroke-dasharray=\"4 3\""
            } else {
                ""
            };
            write!(
                html,
                "<path class=\"line\" d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes}/>",
                line.colour
            ).unwrap_or_default();
        }
        html.push_str("</svg><p class=\"legend\">");
        for line in lines {
            let last = line.points.last().map_or(0, |(_, amount)| *amount);
            write!(
                html,
                "<span style=\"color:{}\">{} {}</span> ",
                line.colour,
                line.name,
                escape(&(self.words)(last))
            )
            .unwrap_or_default();
        }
        html.push_str("</p>");
        html
    }

    fn x(&self, at: u64) -> i64 {
        let span = i128::from(self.until - self.from).max(1);
        let passed = i128::from(at.clamp(self.from, self.until) - self.from);
        LEFT + i64::try_from(i128::from(WIDTH - LEFT) * passed / span).unwrap_or_default()
    }

    fn y(&self, amount: i64) -> i64 {
        let most = i128::from(self.most.max(1));
        let height = i128::from(HEIGHT - BELOW - ABOVE);
        let up = i128::from(amount).clamp(0, most) * height / most;
        HEIGHT - BELOW - i64::try_from(up).unwrap_or_default()
    }
}
