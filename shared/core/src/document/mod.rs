//! The sweep document: what a person writes, read and checked as a whole before anything is launched.
//!
//! ```text
//! execution input -- Submission --> text, or a value, or where the text lies in S3
//!                    parse_text --> a JSON value (YAML and JSON alike)
//!  table_uri, parse_table       --> the rows that `params` names in S3, if it does
//!          Sweep::from_document --> every member with its parameters and settings, or every fault at once
//! ```
//!
//! Nothing here reads a file, a clock or an environment variable; the caller brings texts, and gets values.

mod aws;
mod build;
mod catalogue;
mod check;
mod duration;
mod entry;
mod expand;
mod extras;
mod fault;
mod fields;
mod grid;
mod idleness;
mod json;
mod keys;
mod layer;
mod metrics;
mod names;
mod points;
mod policy;
mod read;
mod regions;
mod requirements;
mod scalar;
mod schema;
mod selection;
mod settings;
mod shape;
mod submission;
pub(crate) mod suggest;
mod survey;
mod sweep;
mod table;
mod text;
mod uri;
mod yaml;

pub use duration::{DurationError, format_duration, parse_duration};
pub(crate) use fault::Collector;
pub use fault::{Fault, Faults};
pub(crate) use names::TAG_CHARS_MAX;
pub use points::table_uri;
pub(crate) use requirements::model;
pub use requirements::{Bounds, Presence, Requirements, Workload};
pub use schema::schema;
pub use settings::{Ami, InstanceTypes, OnComplete, PlacementGroup, Settings, Spot, Ttl};
pub use submission::{INPUT_BYTES_MAX, Source, Submission};
pub use sweep::{
    Distribution, MEMBERS_MAX, Member, Notify, Occasion, OperatorDefaults, Reach, RegionOrder,
    RegionShare, Results, Sweep,
};
pub use table::{TABLE_BYTES_MAX, parse_table};
pub use text::{DOCUMENT_BYTES_MAX, parse_text};
pub use uri::{S3Uri, S3UriError};

#[cfg(test)]
mod tests;
