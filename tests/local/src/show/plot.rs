//! Small pictures of results.

use std::collections::BTreeMap;

use super::Style;

/// A value that belongs to two settings.
pub type Point = (String, String, f64);

/// 256-colour codes from good to bad: green, yellow, orange, red.
const COLOURS: [u8; 6] = [34, 106, 178, 172, 166, 160];

/// The same without colour: more ink is better.
const SHADES: [&str; 6] = ["██", "▓▓", "▓▒", "▒▒", "▒░", "░░"];
const ASCII_SHADES: [&str; 6] = ["##", "%%", "==", "--", "..", "  "];

const BAR_WIDTH: usize = 40;

/// A field of cells, one for each pair of settings, the best value of each pair in words and shade.
///
/// `axes` names what goes down and what goes across; smaller is better when `is_lower_better`. Where several values
/// belong to one pair, the best of them is shown.
pub fn heat_map(
    axes: (&str, &str),
    points: &[Point],
    is_lower_better: bool,
    style: Style,
) -> Vec<String> {
    let mut cells: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let (down, across) = (
        settings(points, |point| &point.0),
        settings(points, |point| &point.1),
    );
    for (row_setting, column_setting, value) in points {
        let at = (
            index_of(&down, row_setting),
            index_of(&across, column_setting),
        );
        let best = cells.entry(at).or_insert(*value);
        if is_better(*value, *best, is_lower_better) {
            *best = *value;
        }
    }
    let Some(scale) = Scale::of(cells.values().copied(), is_lower_better) else {
        return Vec::new();
    };

    let texts: BTreeMap<_, _> = cells
        .iter()
        .map(|(at, value)| (*at, number(*value)))
        .collect();
    let cell_width = texts
        .values()
        .chain(&across)
        .map(|text| text.chars().count())
        .max()
        .unwrap_or_default()
        + 4;
    let label_width = down
        .iter()
        .map(|text| text.chars().count())
        .chain([axes.0.chars().count()])
        .max()
        .unwrap_or_default();

    let mut lines = vec![format!("{:label_width$}  {}", "", style.dim(axes.1))];
    let header: String = across
        .iter()
        .map(|setting| format!("{setting:^cell_width$}"))
        .collect();
    lines.push(format!(
        "{}  {header}",
        style.dim(&format!("{:>label_width$}", axes.0))
    ));
    for (row, setting) in down.iter().enumerate() {
        let drawn: String = (0..across.len())
            .map(|column| match texts.get(&(row, column)) {
                Some(text) => scale.cell(cells[&(row, column)], text, cell_width, style),
                None => " ".repeat(cell_width),
            })
            .collect();
        lines.push(
            format!("{setting:>label_width$}  {drawn}")
                .trim_end()
                .to_owned(),
        );
    }
    lines
}

/// A bar for each value, the longest for the largest.
pub fn bars(values: &[(String, f64)], style: Style) -> Vec<String> {
    let largest = values
        .iter()
        .map(|(_, value)| value.abs())
        .fold(0.0, f64::max);
    let label_width = values
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or_default();
    values
        .iter()
        .map(|(label, value)| {
            let share = if largest > 0.0 {
                value.abs() / largest
            } else {
                0.0
            };
            let bar = if style.has_unicode { "█" } else { "#" }.repeat(steps(share, BAR_WIDTH));
            format!(
                "{label:>label_width$}  {} {}",
                style.coloured("36", &bar),
                number(*value)
            )
        })
        .collect()
}

struct Scale {
    best: f64,
    worst: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, is_lower_better: bool) -> Option<Self> {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (best, worst) = if is_lower_better {
            (low, high)
        } else {
            (high, low)
        };
        (low <= high).then_some(Self { best, worst })
    }

    /// From 0, the best, to the last shade.
    fn shade(&self, value: f64) -> usize {
        let span = self.worst - self.best;
        if span == 0.0 || !value.is_finite() {
            return 0;
        }
        steps((value - self.best) / span, COLOURS.len() - 1)
    }

    fn cell(&self, value: f64, text: &str, width: usize, style: Style) -> String {
        let shade = self.shade(value);
        // The best is marked for those who see no colour.
        #[expect(
            clippy::float_cmp,
            reason = "the best value is one of the values, not a result of arithmetic"
        )]
        let is_best = value == self.best;
        if style.has_colour {
            let text = format!(
                "{:^width$}",
                if is_best {
                    format!("* {text}")
                } else {
                    text.to_owned()
                }
            );
            return style.coloured(
                &format!(
                    "{}38;5;231;48;5;{}",
                    if is_best { "1;" } else { "" },
                    COLOURS[shade]
                ),
                &text,
            );
        }
        let shades = if style.has_unicode {
            SHADES
        } else {
            ASCII_SHADES
        };
        format!(
            "{:<width$}",
            format!("{}{}{text}", shades[shade], if is_best { "*" } else { " " })
        )
    }
}

/// How many of `count` steps a share of 1 makes.
fn steps(share: f64, count: usize) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is clamped to 0..=1 and the count is small"
    )]
    let step = (share.clamp(0.0, 1.0) * count as f64).round() as usize;
    step.min(count)
}

fn is_better(value: f64, than: f64, is_lower_better: bool) -> bool {
    if is_lower_better {
        value < than
    } else {
        value > than
    }
}

/// The different settings, numbers by size, words in order of appearance.
fn settings<'a>(points: &'a [Point], of: impl Fn(&'a Point) -> &'a String) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for setting in points.iter().map(of) {
        if !found.contains(setting) {
            found.push(setting.clone());
        }
    }
    if found.iter().all(|setting| setting.parse::<f64>().is_ok()) {
        found.sort_by(|one, other| {
            let value = |text: &str| text.parse::<f64>().unwrap_or_default();
            value(one).total_cmp(&value(other))
        });
    }
    found
}

fn index_of(settings: &[String], setting: &str) -> usize {
    settings
        .iter()
        .position(|found| found == setting)
        .unwrap_or_default()
}

/// Four places, without zeros at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(down: &str, across: &str, value: f64) -> Point {
        (down.into(), across.into(), value)
    }

    #[test]
    fn a_heat_map_shows_the_best_value_of_each_pair() {
        let points = [
            point("8", "0.3", 0.9),
            point("8", "0.3", 0.5),
            point("10", "0.3", 0.75),
            point("8", "0.03", 1.0),
        ];
        let style = Style {
            has_unicode: false,
            ..Style::plain()
        };
        let lines = heat_map(("units", "rate"), &points, true, style);
        assert_eq!(lines[0], "       rate");
        assert_eq!(lines[1], "units    0.03    0.3   ");
        assert_eq!(lines[2], "    8     1    ##*0.5");
        assert_eq!(lines[3], "   10          -- 0.75");
    }

    #[test]
    fn colours_go_from_best_to_worst() {
        let scale = Scale::of([0.2, 0.9, f64::NAN].into_iter(), false).unwrap();
        assert_eq!(
            (scale.shade(0.9), scale.shade(0.2), scale.shade(f64::NAN)),
            (0, COLOURS.len() - 1, 0)
        );
        assert!(Scale::of([f64::NAN].into_iter(), true).is_none());
        assert!(heat_map(("a", "b"), &[], true, Style::plain()).is_empty());
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let style = Style {
            has_unicode: false,
            ..Style::plain()
        };
        let lines = bars(
            &[("a".into(), 2.0), ("bb".into(), 1.0), ("c".into(), 0.0)],
            style,
        );
        assert_eq!(lines[0], format!(" a  {} 2", "#".repeat(40)));
        assert_eq!(lines[1], format!("bb  {} 1", "#".repeat(20)));
        assert_eq!(lines[2], " c   0");
    }
}
