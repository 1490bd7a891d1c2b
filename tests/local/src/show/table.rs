//! Small tables.

use super::Style;

/// Rows under a header, as wide as what they hold and no wider than the output.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Between columns.
const GAP: &str = "  ";

/// No cell is wider: a command or a reason is cut.
const CELL_MAX: usize = 48;

impl Table {
    /// A table with a header and no rows.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self {
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's lines. Numbers stand to the right. Columns that do not fit are left out, the last ones first.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let columns = self.columns(style.width);
        let render = |cells: &[String]| {
            let line: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(index, column)| {
                    let cell = cells
                        .get(index)
                        .map(|cell| cut(cell, style))
                        .unwrap_or_default();
                    let space = " ".repeat(column.width.saturating_sub(width_of(&cell)));
                    if column.is_numeric {
                        format!("{space}{cell}")
                    } else {
                        format!("{cell}{space}")
                    }
                })
                .collect();
            line.join(GAP).trim_end().to_owned()
        };
        let header = style.dim(&render(&self.header));
        std::iter::once(header)
            .chain(self.rows.iter().map(|row| render(row)))
            .collect()
    }

    fn columns(&self, width_max: usize) -> Vec<Column> {
        let mut left = width_max;
        let mut columns = Vec::new();
        for (index, name) in self.header.iter().enumerate() {
            let cells = || self.rows.iter().filter_map(|row| row.get(index));
            let width = cells()
                .chain([name])
                .map(|cell| width_of(cell).min(CELL_MAX))
                .max()
                .unwrap_or_default();
            let with_gap = width + if index == 0 { 0 } else { GAP.len() };
            if with_gap > left {
                break;
            }
            left -= with_gap;
            let is_numeric = cells().any(|cell| !cell.is_empty())
                && cells().all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok());
            columns.push(Column { width, is_numeric });
        }
        columns
    }
}

#[derive(Debug)]
struct Column {
    width: usize,
    is_numeric: bool,
}

fn width_of(text: &str) -> usize {
    text.chars().count()
}

/// One line, not too long.
fn cut(text: &str, style: Style) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    if width_of(&line) <= CELL_MAX {
        return line;
    }
    let ellipsis = if style.has_unicode { "…" } else { "~" };
    line.chars()
        .take(CELL_MAX - 1)
        .chain(ellipsis.chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(["#", "name", "loss"]);
        table.row(["3", "wide", "0.25"]);
        table.row(["12", "x", ""]);
        assert_eq!(
            table.lines(Style::plain()),
            [" #  name  loss", " 3  wide  0.25", "12  x"]
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_or_left_out() {
        let style = Style {
            width: 60,
            ..Style::plain()
        };
        let mut table = Table::new(["a", "b", "c"]);
        table.row(["x\ny".to_owned(), "w".repeat(100), "v".repeat(20)]);
        let lines = table.lines(style);
        assert_eq!(lines[1], format!("x y  {}…", "w".repeat(47)));
    }
}
