//! The points of a sweep before they are repeated: entries times grid.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::entry::{Entry, Place};
use super::fault::{Collector, Fault, Faults, quoted};
use super::fields::{self, Known, Top};
use super::grid::{self, Axis, Values};
use super::keys::{Located, TopLevel};
use super::read::shown;
use super::sweep::MEMBERS_MAX;
use super::uri::S3Uri;

/// Entries and axes of a document.
#[derive(Debug, Default)]
pub(super) struct Points {
    pub(super) entries: Vec<Entry>,
    pub(super) axes: Vec<Axis>,
    /// Whether the document gives neither: then there is one entry, with nothing in it.
    pub(super) is_bare: bool,
    /// Whether all entries and axes could be read. Otherwise nobody knows how many members there are, and what they give.
    pub(super) is_whole: bool,
}

/// The rows of a table of members, or why there are none.
pub(super) type Table = Result<Vec<Map<String, Value>>, Faults>;

impl Points {
    /// Reads `params` and `grid` of a document's top level, and the table that `params` names, if it does.
    pub(super) fn read(top: &TopLevel<'_>, table: Option<Table>, faults: &mut Collector) -> Self {
        let mut points = Self {
            is_whole: true,
            ..Self::default()
        };
        let params = top.fields.get(&Top::Params);
        let grid = top.fields.get(&Top::Grid);
        points.is_bare = params.is_none() && grid.is_none();
        match (params, table) {
            (Some(params), Some(Ok(rows))) if params.value.is_string() => {
                points.read_entries(rows.iter().enumerate(), &params.path, faults);
            }
            (Some(params), Some(Err(found))) if params.value.is_string() => {
                found.into_iter().for_each(|fault| faults.add(fault));
                points.is_whole = false;
            }
            (Some(params), _) => points.read_params(params, faults),
            (None, _) => {}
        }
        if let Some(grid) = grid {
            match grid.value {
                Value::Object(map) => points.read_axes(map, &grid.path, faults),
                value => {
                    points.is_whole = false;
                    faults.add(Fault::new(
                        grid.path.as_str(),
                        format!("{} is not an object", shown(value)),
                        fields::top(Top::Grid).shape.accepted(),
                    ));
                }
            }
        }
        if points.entries.is_empty() {
            points.entries.push(Entry {
                path: grid
                    .or(params)
                    .map(|found| found.path.clone())
                    .unwrap_or_default(),
                ..Entry::default()
            });
        }
        points.refuse_overlaps(faults);
        points
    }

    fn read_params(&mut self, params: &Located<'_>, faults: &mut Collector) {
        let accepted = || fields::top(Top::Params).shape.accepted();
        let path = params.path.as_str();
        match params.value {
            Value::Array(rows) => self.is_whole &= (1..=MEMBERS_MAX as usize).contains(&rows.len()),
            Value::Object(_) => {}
            _ => self.is_whole = false,
        }
        match params.value {
            Value::Array(rows) if rows.is_empty() => {
                faults.add(Fault::new(path, "the list is empty", "at least one member"));
            }
            Value::Array(rows) if rows.len() > MEMBERS_MAX as usize => {
                faults.add(too_many(path, rows.len() as u64));
            }
            Value::Array(rows) => {
                if !self.read_as_grid(params.key, rows, path, faults) {
                    let objects = rows
                        .iter()
                        .enumerate()
                        .filter_map(|(index, row)| row.as_object().map(|row| (index, row)));
                    self.read_entries(objects, path, faults);
                    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_object())
                    {
                        self.is_whole = false;
                        faults.add(Fault::new(
                            format!("{path}[{index}]"),
                            format!("{} is not an object", shown(row)),
                            "an object for each member",
                        ));
                    }
                }
            }
            Value::Object(map) => self.read_axes(map, path, faults),
            Value::String(_) if path.starts_with("overrides") => faults.add(Fault::new(
                path,
                "a table can only be named by the document itself",
                "a list of objects, one for each member",
            )),
            Value::String(text) if text.trim().starts_with("s3://") => {
                faults.add(Fault::new(path, "the table was not read", accepted()));
            }
            value @ Value::String(_) => {
                faults.add(Fault::new(
                    path,
                    format!("{} is text, not a list", shown(value)),
                    accepted(),
                ));
            }
            value => faults.add(Fault::new(
                path,
                format!("{} is not a list", shown(value)),
                accepted(),
            )),
        }
    }

    /// Reads the axes of the object at `path`.
    fn read_axes(&mut self, map: &Map<String, Value>, path: &str, faults: &mut Collector) {
        let before = self.axes.len();
        grid::read(map, path, &mut self.axes, faults);
        self.is_whole &= !map.is_empty() && self.axes.len() - before == grid::keys(map);
    }

    fn read_entries<'a>(
        &mut self,
        rows: impl Iterator<Item = (usize, &'a Map<String, Value>)>,
        path: &str,
        faults: &mut Collector,
    ) {
        let mut parameters = HashSet::new();
        for (index, row) in rows {
            let path = format!("{path}[{index}]");
            self.entries.push(Entry::read(
                row,
                &path,
                Place::Member,
                &mut parameters,
                faults,
            ));
        }
    }

    /// A list with one object whose values are lists is a grid when it is called `parameters`, as in documents found in
    /// the wild; `params` is always a list of members.
    fn read_as_grid(
        &mut self,
        key: &str,
        rows: &[Value],
        path: &str,
        faults: &mut Collector,
    ) -> bool {
        let [Value::Object(map)] = rows else {
            return false;
        };
        if key != "parameters" || !map.values().any(Value::is_array) {
            return false;
        }
        let path = format!("{path}[0]");
        if map.values().all(Value::is_array) {
            self.read_axes(map, &path, faults);
            return true;
        }
        // A list is how some settings are written anyway.
        let is_plain =
            |(key, value): (&String, &Value)| !value.is_array() || fields::known(key).is_some();
        if map.iter().all(is_plain) {
            return false;
        }
        self.is_whole = false;
        faults.add(
            Fault::new(
                path,
                "some values are lists and some are not: a grid, or one member?",
                "",
            )
            .hint(
                "for a grid make all of them lists, for one member call the list params".to_owned(),
            ),
        );
        true
    }

    /// Refuses what both an entry and the grid give.
    fn refuse_overlaps(&self, faults: &mut Collector) {
        for axis in &self.axes {
            let is_given = |entry: &&Entry| match &axis.values {
                Values::Params(_) => entry.params.contains_key(&axis.name),
                Values::Settings(id, _) => {
                    let mut without = entry.layer.clone();
                    without.clear(*id);
                    without != entry.layer
                }
            };
            if let Some(entry) = self.entries.iter().find(is_given) {
                faults.add(Fault::new(
                    axis.path.as_str(),
                    format!("{} is given by {}, too", quoted(&axis.name), entry.path),
                    "either an axis of the grid or a key of the members",
                ));
            }
        }
    }

    /// How many members there are with each point repeated `repeat` times, or how many too many.
    pub(super) fn total(&self, repeat: u32) -> Result<u32, u128> {
        let product = self
            .axes
            .iter()
            .fold(self.entries.len() as u128, |product, axis| {
                product.saturating_mul(axis.len() as u128)
            })
            .saturating_mul(u128::from(repeat));
        u32::try_from(product)
            .ok()
            .filter(|total| *total <= MEMBERS_MAX)
            .ok_or(product)
    }
}

/// The fault of a sweep with more members than there may be.
pub(super) fn too_many(path: &str, members: impl std::fmt::Display) -> Fault {
    Fault::new(
        path,
        format!("the sweep would have {members} members"),
        format!("at most {MEMBERS_MAX}"),
    )
}

/// Where the table of members lies, when `params` of the document names one and nothing takes its place.
///
/// # Errors
/// When `params` is a text, but no S3 URI of an object.
pub fn table_uri(doc: &Value, overrides: &Map<String, Value>) -> Result<Option<S3Uri>, Faults> {
    let is_replaced = |key: &String| fields::known(key) == Some(Known::Top(Top::Params));
    if overrides.keys().any(is_replaced) {
        return Ok(None);
    }
    let named = ["params", "parameters"]
        .into_iter()
        .find_map(|key| Some((key, doc.get(key)?.as_str()?)));
    let Some((key, text)) = named else {
        return Ok(None);
    };
    match text.trim().parse::<S3Uri>() {
        Ok(uri) if !uri.is_prefix() => Ok(Some(uri)),
        _ => Err(Fault::new(
            key,
            format!("{} is not the S3 URI of an object", quoted(text)),
            fields::top(Top::Params).shape.accepted(),
        )
        .into()),
    }
}
