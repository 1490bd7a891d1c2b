//! YAML to a JSON value, with the line and column of what is wrong.
//!
//! A document is data from outside: depth, and what aliases expand to, are bounded, so that a small text cannot become a
//! large value.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};

use super::fault::{Fault, quoted};
use super::scalar;

/// Levels of nesting. A sweep document needs five.
const DEPTH_MAX: usize = 64;

/// What anchors and aliases may add to a document, in units of [`NODE_WEIGHT`].
const EXPANSION_MAX: usize = 16 * 1024 * 1024;

/// About what a value takes in memory beside its text, in bytes.
const NODE_WEIGHT: usize = 64;

/// The value of the one document in `text`.
pub(super) fn load(text: &str) -> Result<Value, Fault> {
    let mut loader = Loader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| broken(&error, text))?;
        loader.take(event, span.start)?;
    }
    loader.root.ok_or_else(empty)
}

/// The fault of a text without a document in it.
pub(super) fn empty() -> Fault {
    Fault::new("", "the document is empty", "a sweep document")
}

fn place(at: Marker) -> String {
    format!("line {}, column {}", at.line(), at.col() + 1)
}

fn broken(error: &ScanError, text: &str) -> Fault {
    if error.info().contains("recursion limit") {
        return too_deep(*error.marker());
    }
    let line = error.marker().line();
    let indent = text
        .lines()
        .nth(line.saturating_sub(1))
        .map(|line| &line[..line.len() - line.trim_start().len()]);
    let hint = indent
        .filter(|indent| indent.contains('\t'))
        .map(|_| "YAML is indented with spaces; this line begins with a tab".to_owned());
    Fault::new(
        place(*error.marker()),
        format!("the text is not YAML: {}", error.info()),
        "",
    )
    .hint(hint)
}

/// A collection that is still open.
enum Open {
    List(Vec<Value>),
    Object {
        map: Map<String, Value>,
        /// The key that waits for its value.
        key: Option<Key>,
        /// What `<<` brings in once the object is closed: its own keys win.
        merges: Vec<Value>,
    },
}

enum Key {
    Name(String),
    Merge,
}

struct Frame {
    open: Open,
    start: Marker,
    anchor: usize,
    weight_before: usize,
}

#[derive(Default)]
struct Loader {
    root: Option<Value>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Value, usize)>,
    /// The weight of all nodes so far, those of aliases included.
    weight: usize,
    /// The part of it that anchors and aliases copied.
    expansion: usize,
}

impl Loader {
    fn take(&mut self, event: Event<'_>, at: Marker) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => Err(Fault::new(
                place(at),
                "a second document begins here",
                "one sweep document",
            )),
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let before = self.weight;
                self.weight += NODE_WEIGHT + text.len();
                if self.awaits_key() {
                    return self.key(&text, style, at);
                }
                let value = scalar_value(&text, style, tag.as_deref(), at)?;
                self.value(value, anchor, before, at)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", at)?;
                self.open(Open::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", at)?;
                let open = Open::Object {
                    map: Map::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(open, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                if self.awaits_key() {
                    return Err(not_a_key(at));
                }
                let (_, weight) = self.anchors.get(&anchor).ok_or_else(|| {
                    Fault::new(place(at), "the alias refers to what it stands in", "")
                })?;
                let (before, weight) = (self.weight, *weight);
                self.weight = self.weight.saturating_add(weight);
                self.expand(weight, at)?;
                let value = self.anchors.get(&anchor).map(|(value, _)| value.clone());
                self.value(value.unwrap_or_default(), 0, before, at)
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.frames.last().map(|frame| &frame.open),
            Some(Open::Object { key: None, .. })
        )
    }

    fn expand(&mut self, weight: usize, at: Marker) -> Result<(), Fault> {
        self.expansion = self.expansion.saturating_add(weight);
        if self.expansion > EXPANSION_MAX {
            return Err(Fault::new(
                place(at),
                "the document's anchors and aliases expand to too much",
                "16 MiB",
            ));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize, at: Marker) -> Result<(), Fault> {
        if self.awaits_key() {
            return Err(not_a_key(at));
        }
        if self.frames.len() >= DEPTH_MAX {
            return Err(too_deep(at));
        }
        let weight_before = self.weight;
        self.weight += NODE_WEIGHT;
        self.frames.push(Frame {
            open,
            start: at,
            anchor,
            weight_before,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let value = match frame.open {
            Open::List(items) => Value::Array(items),
            Open::Object { map, merges, .. } => Value::Object(merge(map, merges, frame.start)?),
        };
        self.value(value, frame.anchor, frame.weight_before, frame.start)
    }

    fn key(&mut self, text: &str, style: ScalarStyle, at: Marker) -> Result<(), Fault> {
        let Some(Frame {
            open: Open::Object { map, key, .. },
            ..
        }) = self.frames.last_mut()
        else {
            return Ok(());
        };
        if text == "<<" && style == ScalarStyle::Plain {
            *key = Some(Key::Merge);
            return Ok(());
        }
        if map.contains_key(text) {
            return Err(twice(place(at), text));
        }
        *key = Some(Key::Name(text.to_owned()));
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn value(
        &mut self,
        value: Value,
        anchor: usize,
        before: usize,
        at: Marker,
    ) -> Result<(), Fault> {
        if anchor != 0 {
            let weight = self.weight.saturating_sub(before);
            self.expand(weight, at)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        match self.frames.last_mut().map(|frame| &mut frame.open) {
            None => self.root = Some(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object { map, key, merges }) => match key.take() {
                Some(Key::Name(name)) => {
                    map.insert(name, value);
                }
                Some(Key::Merge) | None => merges.push(value),
            },
        }
        Ok(())
    }
}

/// The fault of a key that an object has twice.
pub(super) fn twice(path: String, key: &str) -> Fault {
    Fault::new(
        path,
        format!("the key {} stands twice", quoted(key)),
        "each key once in an object",
    )
}

fn too_deep(at: Marker) -> Fault {
    Fault::new(
        place(at),
        "the document is nested too deeply",
        format!("{DEPTH_MAX} levels"),
    )
}

fn not_a_key(at: Marker) -> Fault {
    Fault::new(
        place(at),
        "a key is a list, an object or an alias",
        "a text",
    )
}

/// `map`, and what `<<` adds to it where it has no key of its own.
fn merge(
    mut map: Map<String, Value>,
    merges: Vec<Value>,
    at: Marker,
) -> Result<Map<String, Value>, Fault> {
    for value in merges {
        let sources = match value {
            Value::Array(items) => items,
            single => vec![single],
        };
        for source in sources {
            let Value::Object(source) = source else {
                return Err(Fault::new(
                    place(at),
                    "\"<<\" does not name an object",
                    "an object, or a list of objects",
                ));
            };
            for (key, value) in source {
                map.entry(key).or_insert(value);
            }
        }
    }
    Ok(map)
}

fn scalar_value(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Marker,
) -> Result<Value, Fault> {
    let plain = || scalar::resolve(text);
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => plain(),
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Value::from(text),
        });
    };
    let value = plain();
    let fits = match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => return Ok(Value::from(text)),
        (true, "int" | "float") => value.is_number(),
        (true, "bool") => value.is_boolean(),
        (true, "null") => value.is_null(),
        _ => return Err(unknown_tag(tag, at)),
    };
    if fits {
        return Ok(value);
    }
    Err(Fault::new(
        place(at),
        format!("{} is not of the type !!{}", quoted(text), tag.suffix),
        "",
    ))
}

fn check_tag(tag: Option<&Tag>, suffix: &str, at: Marker) -> Result<(), Fault> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() || tag.suffix != suffix => {
            Err(unknown_tag(tag, at))
        }
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, at: Marker) -> Fault {
    let shown = format!("{}{}", tag.handle, tag.suffix);
    Fault::new(
        place(at),
        format!("the tag {} means nothing here", quoted(&shown)),
        "!!str, !!int, !!float, !!bool, !!null, !!seq, !!map",
    )
}
