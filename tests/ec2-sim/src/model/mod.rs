//! What the simulated cloud holds: places, instances, launch templates, fleets, remembered client tokens.

mod instance;
mod place;
mod spec;
mod tags;
mod template;
mod token;

pub(crate) use instance::{Cause, Change, Instance, SpotNotice, State};
pub(crate) use place::Place;
pub(crate) use spec::{LaunchSpec, Market, MetadataOptions, ShutdownBehavior, SpotKind, Volume};
pub(crate) use tags::{TagSpecifications, Tags, check_tags, read_tags};
pub(crate) use template::{Template, TemplateVersion};
pub(crate) use token::{Remembered, TokenKey, TokenMemory};
