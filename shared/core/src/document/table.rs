//! A table of members: a JSON array, JSON Lines, or CSV.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::fault::{Fault, Faults, quoted};
use super::sweep::MEMBERS_MAX;
use super::uri::S3Uri;
use super::{json, scalar};

/// The longest table that is read, in bytes.
pub const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Digits that a binary double holds whatever the number: a decimal with more would reach a program rounded.
const DOUBLE_DIGITS_MAX: usize = 17;

/// What a table is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Lines,
    /// With the character between cells.
    Csv(u8),
}

/// Reads a table that was found at `uri`. The name's ending says what it is; any other is told by its first character.
///
/// # Errors
/// The first fault of the text, with its line.
pub fn parse_table(uri: &S3Uri, text: &str) -> Result<Vec<Map<String, Value>>, Faults> {
    Ok(parse(uri, text)?)
}

fn parse(uri: &S3Uri, text: &str) -> Result<Vec<Map<String, Value>>, Fault> {
    let path = format!("params ({uri})");
    if text.len() > TABLE_BYTES_MAX {
        return Err(Fault::new(
            path,
            format!("the table has {} bytes", text.len()),
            format!("at most {TABLE_BYTES_MAX} bytes"),
        ));
    }
    let text = text.trim_start_matches('\u{feff}');
    let rows = match form(uri, text, &path)? {
        Form::Array => array(text, &path)?,
        Form::Lines => lines(text, &path)?,
        Form::Csv(delimiter) => csv(text, delimiter, &path)?,
    };
    if rows.is_empty() {
        return Err(Fault::new(path, "the table is empty", "at least one row"));
    }
    Ok(rows)
}

fn form(uri: &S3Uri, text: &str, path: &str) -> Result<Form, Fault> {
    let name = uri.key().rsplit('/').next().unwrap_or_default();
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    let sniffed = match text.trim_start().chars().next() {
        Some('[') => Form::Array,
        Some('{') => Form::Lines,
        _ => Form::Csv(b','),
    };
    match ending.as_deref() {
        Some("csv") => Ok(Form::Csv(b',')),
        Some("tsv") => Ok(Form::Csv(b'\t')),
        Some("jsonl" | "ndjson") => Ok(Form::Lines),
        // JSON Lines are often called .json, too.
        Some("json") if sniffed == Form::Lines => Ok(Form::Lines),
        Some("json") => Ok(Form::Array),
        Some(other @ ("gz" | "zip" | "zst" | "bz2" | "xz" | "parquet" | "xlsx")) => {
            Err(Fault::new(
                path,
                format!("a .{other} file cannot be read"),
                "JSON (.json), JSON Lines (.jsonl), CSV (.csv) or TSV (.tsv), not compressed",
            ))
        }
        _ => Ok(sniffed),
    }
}

fn too_many(path: &str) -> Fault {
    Fault::new(
        path,
        format!("the table has more than {MEMBERS_MAX} rows"),
        format!("at most {MEMBERS_MAX} members"),
    )
}

fn array(text: &str, path: &str) -> Result<Vec<Map<String, Value>>, Fault> {
    let value = json::load(text).map_err(|fault| within(path, fault))?;
    let Value::Array(rows) = value else {
        return Err(Fault::new(
            path,
            "the table is not a list",
            "a list of objects",
        ));
    };
    if rows.len() > MEMBERS_MAX as usize {
        return Err(too_many(path));
    }
    let object = |(index, row)| match row {
        Value::Object(row) => Ok(row),
        _ => Err(Fault::new(
            format!("{path}[{index}]"),
            "the row is not an object",
            "an object per member",
        )),
    };
    rows.into_iter().enumerate().map(object).collect()
}

fn lines(text: &str, path: &str) -> Result<Vec<Map<String, Value>>, Fault> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let path = format!("{path} line {}", index + 1);
        match json::load(line) {
            Ok(Value::Object(row)) => rows.push(row),
            Ok(_) => {
                return Err(Fault::new(
                    path,
                    "the line is not an object",
                    "an object per line",
                ));
            }
            Err(fault) => {
                return Err(Fault::new(path, fault.problem, "a JSON object per line"));
            }
        }
        if rows.len() > MEMBERS_MAX as usize {
            return Err(too_many(&path));
        }
    }
    Ok(rows)
}

fn csv(text: &str, delimiter: u8, path: &str) -> Result<Vec<Map<String, Value>>, Fault> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::Headers)
        .from_reader(text.as_bytes());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        let problem = match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                format!("the row has {len} cells, the first row has {expected_len}")
            }
            _ => "the text is not CSV".to_owned(),
        };
        Fault::new(
            format!("{path} line {line}"),
            problem,
            "as many cells as names",
        )
    };
    let names: Vec<String> = reader
        .headers()
        .map_err(broken)?
        .iter()
        .map(str::to_owned)
        .collect();
    check_names(&names, &format!("{path} line 1"))?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        // Spreadsheets leave such rows behind the last one: a member without parameters is none that anybody wrote down.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if rows.len() >= MEMBERS_MAX as usize {
            return Err(too_many(path));
        }
        let row = names
            .iter()
            .zip(record.iter())
            .filter(|(_, cell)| !cell.trim().is_empty())
            .map(|(name, cell)| (name.clone(), cell_value(cell)))
            .collect();
        rows.push(row);
    }
    Ok(rows)
}

fn check_names(names: &[String], path: &str) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for (column, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Fault::new(
                path,
                format!("column {} has no name", column + 1),
                "the columns' names in the first row",
            ));
        }
        if !seen.insert(name) {
            return Err(Fault::new(
                path,
                format!("the column {} stands twice", quoted(name)),
                "each name once",
            ));
        }
    }
    Ok(())
}

/// What a cell of CSV means: a whole number, a decimal, true or false, otherwise text. A number keeps its text; one that a
/// program could not read back exactly, or that is not written as JSON writes it (`007`, `+1`), stays text.
fn cell_value(cell: &str) -> Value {
    let trimmed = cell.trim();
    match trimmed {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_numeric = trimmed
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let number = Some(trimmed)
        .filter(|text| is_numeric && text.len() <= 64)
        .and_then(scalar::json_number)
        .filter(|number| {
            let is_whole = !trimmed.contains(['.', 'e', 'E']);
            if is_whole {
                number.is_i64()
            } else {
                significant_digits(trimmed) <= DOUBLE_DIGITS_MAX
                    && number.as_f64().is_some_and(f64::is_finite)
            }
        });
    number.map_or_else(|| Value::from(cell), Value::Number)
}

fn significant_digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

/// The fault of a text inside the table.
fn within(path: &str, fault: Fault) -> Fault {
    Fault {
        path: format!("{path} {}", fault.path),
        ..fault
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, text: &str) -> Result<Value, String> {
        let uri = format!("s3://bucket/{name}").parse().unwrap();
        parse_table(&uri, text)
            .map(|rows| json!(rows))
            .map_err(|faults| faults.as_slice()[0].to_string())
    }

    #[test]
    fn the_forms_are_told_by_name_and_by_look() {
        let rows = json!([{"a": 1, "b": "x"}, {"a": 2}]);
        let array = r#"[{"a": 1, "b": "x"}, {"a": 2}]"#;
        let lines = "{\"a\": 1, \"b\": \"x\"}\n\n{\"a\": 2}\n";
        let csv = "a,b\r\n1,x\r\n2,\r\n";
        for (name, text) in [
            ("t.json", array),
            ("t", array),
            ("t.jsonl", lines),
            ("t.json", lines),
            ("t.txt", lines),
            ("t.csv", csv),
            ("dir.d/t", csv),
            ("t.tsv", "a\tb\n1\tx\n2\t\n"),
            ("t.csv", "\u{feff}a, b\n1,x\n2,\" \"\n"),
        ] {
            assert_eq!(read(name, text).as_ref(), Ok(&rows), "{name} {text}");
        }
    }

    #[test]
    fn a_row_of_blank_cells_is_no_member() {
        let rows = json!([{"a": 1}, {"b": 2}]);
        for (name, text) in [
            ("t.csv", "a,b\n1,\n,2\n,\n , \n\"\",\n"),
            ("t.csv", "a,b\r\n,\r\n1,\r\n,\r\n,2\r\n"),
            ("t.tsv", "a\tb\n1\t\n\t2\n\t\n"),
        ] {
            assert_eq!(read(name, text).as_ref(), Ok(&rows), "{name} {text:?}");
        }
        let empty = read("t.csv", "a,b\n,\n").unwrap_err();
        assert!(empty.contains("the table is empty"), "{empty}");
        let blanks = ",\n".repeat(100_001);
        assert!(read("t.csv", &format!("a,b\n1,2\n{blanks}")).is_ok());
    }

    #[test]
    fn cells_keep_their_text() {
        let cells = "1,-5,0.10,1e-3,true,False,007,+1,1.,.5,12345678901234567890,0.12345678901234567890,1e999,8h,NaN,1-2, x ,\"a,\"\"b\"\"\"";
        let header: Vec<String> = (0..18).map(|n| format!("c{n}")).collect();
        let rows = read("t.csv", &format!("{}\n{cells}\n", header.join(","))).unwrap();
        let shown: Vec<String> = rows[0]
            .as_object()
            .unwrap()
            .values()
            .map(Value::to_string)
            .collect();
        assert_eq!(
            shown.join(" "),
            r#"1 -5 0.10 1e-3 true false "007" "+1" "1." ".5" "12345678901234567890" "0.12345678901234567890" "1e999" "8h" "NaN" "1-2" " x " "a,\"b\"""#
        );
    }

    #[test]
    fn a_broken_table_is_told_with_its_line() {
        let at = "params (s3://bucket/t.csv)";
        for (name, text, shown) in [
            ("t.csv", "a,b\n1,2\n3\n", format!("{at} line 3: the row has 1 cells, the first row has 2; accepted: as many cells as names")),
            ("t.csv", "a,a\n1,2\n", format!("{at} line 1: the column \"a\" stands twice; accepted: each name once")),
            ("t.csv", "a,\n1,2\n", format!("{at} line 1: column 2 has no name; accepted: the columns' names in the first row")),
            ("t.csv", "a,b\n", format!("{at}: the table is empty; accepted: at least one row")),
            ("t.json", "[{\"a\": 1}, 2]", "params (s3://bucket/t.json)[1]: the row is not an object; accepted: an object per member".into()),
            ("t.json", "[{\"a\": 1,}]", "params (s3://bucket/t.json) line 1, column 10: the text is not JSON: trailing comma".into()),
            ("t.jsonl", "{\"a\": 1}\n[]\n", "params (s3://bucket/t.jsonl) line 2: the line is not an object; accepted: an object per line".into()),
            ("t.jsonl", "{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n", "params (s3://bucket/t.jsonl) line 2: the key \"a\" stands twice; accepted: a JSON object per line".into()),
            ("t.csv.gz", "", "params (s3://bucket/t.csv.gz): a .gz file cannot be read; accepted: JSON (.json), JSON Lines (.jsonl), CSV (.csv) or TSV (.tsv), not compressed".into()),
        ] {
            assert_eq!(read(name, text), Err(shown), "{name} {text}");
        }
        let many = format!("a\n{}", "1\n".repeat(100_001));
        assert_eq!(
            read("t.csv", &many),
            Err(format!(
                "{at}: the table has more than 100000 rows; accepted: at most 100000 members"
            ))
        );
    }
}
