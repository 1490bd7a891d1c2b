//! The fields of the document, and which of them a key names.

use super::shape::Shape;

pub(super) use super::catalogue::{SETTINGS, TOP};

/// A field: `T` tells which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<T> {
    pub(super) id: T,
    pub(super) name: &'static str,
    /// Names under which it is found in the wild.
    pub(super) aliases: &'static [&'static str],
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
}

/// A field of the sweep as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Top {
    Name,
    Owner,
    Project,
    Defaults,
    Params,
    Grid,
    Count,
    Regions,
    Distribution,
    RegionOrder,
    MaxConcurrent,
    MaxConcurrentPerRegion,
    LaunchDelay,
    Budget,
    OnBudget,
    Results,
    ResultBucket,
    ResultFile,
    Inputs,
    Notify,
    Naming,
    Logs,
    InstanceMetrics,
    DryRun,
    Accounts,
    Retries,
    OnFailure,
    ToleratedFailures,
}

/// A setting of a member, which may also stand in `defaults` or at the top level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    Region,
    AvailabilityZone,
    InstanceType,
    InstanceRequirements,
    Spot,
    Ami,
    KeyName,
    IamRole,
    SecurityGroupIds,
    SubnetIds,
    PlacementGroup,
    Efa,
    UserData,
    Command,
    Ttl,
    IdleTimeout,
    Idle,
    HibernateOnIdle,
    OnComplete,
    CompletionFile,
    CompletionDelay,
    OnInterruption,
    DnsName,
}

/// A field, wherever it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Top(Top),
    Setting(Setting),
}

/// The field that `key` names.
pub(super) fn known(key: &str) -> Option<Known> {
    let is_named = |name: &str, aliases: &[&str]| name == key || aliases.contains(&key);
    let top = TOP.iter().find(|field| is_named(field.name, field.aliases));
    let setting = || {
        SETTINGS
            .iter()
            .find(|field| is_named(field.name, field.aliases))
    };
    top.map(|field| Known::Top(field.id))
        .or_else(|| setting().map(|field| Known::Setting(field.id)))
}

/// The entry of a top-level field.
pub(super) fn top(id: Top) -> &'static Field<Top> {
    TOP.iter().find(|field| field.id == id).unwrap_or(&TOP[0])
}

/// The entry of a setting.
pub(super) fn setting(id: Setting) -> &'static Field<Setting> {
    SETTINGS
        .iter()
        .find(|field| field.id == id)
        .unwrap_or(&SETTINGS[0])
}

/// The names and aliases of the sweep's fields.
pub(super) fn top_names() -> impl Iterator<Item = &'static str> {
    TOP.iter()
        .flat_map(|field| std::iter::once(field.name).chain(field.aliases.iter().copied()))
}

/// The names and aliases of the settings.
pub(super) fn setting_names() -> impl Iterator<Item = &'static str> {
    SETTINGS
        .iter()
        .flat_map(|field| std::iter::once(field.name).chain(field.aliases.iter().copied()))
}

/// Whether a field of the sweep, found in a member, is refused rather than taken as a parameter of that name: who writes
/// `budget` there expects something of spawn. `count` or `distribution` may well be the program's own.
pub(super) fn is_misplaced_in_member(id: Top) -> bool {
    match id {
        Top::Regions
        | Top::RegionOrder
        | Top::MaxConcurrent
        | Top::MaxConcurrentPerRegion
        | Top::LaunchDelay
        | Top::Budget
        | Top::OnBudget
        | Top::Results
        | Top::ResultBucket
        | Top::ResultFile
        | Top::Inputs
        | Top::Notify
        | Top::InstanceMetrics
        | Top::DryRun
        | Top::Accounts
        | Top::Retries
        | Top::OnFailure
        | Top::ToleratedFailures
        | Top::Defaults => true,
        Top::Name
        | Top::Owner
        | Top::Project
        | Top::Params
        | Top::Grid
        | Top::Count
        | Top::Naming
        | Top::Logs
        | Top::Distribution => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_stands_for_two_fields() {
        let names: Vec<&str> = top_names().chain(setting_names()).collect();
        let distinct: HashSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
    }

    #[test]
    fn every_field_has_its_entry() {
        assert!(TOP.iter().all(|field| top(field.id).name == field.name));
        assert!(
            SETTINGS
                .iter()
                .all(|field| setting(field.id).name == field.name)
        );
    }
}
