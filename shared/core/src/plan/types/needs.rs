//! What a type must have, one by one, so that the need that leaves no type can be named.

use crate::document::{Bounds, PlacementGroup, Requirements, Settings, Spot, model};
use crate::ids::Market;
use crate::pattern;
use crate::ports::{Accelerator, TypeFacts};

/// Something that a type must have, and the words for it.
pub(super) struct Need<'a> {
    /// The setting that asks for it, if a setting does.
    pub(super) setting: Option<&'static str>,
    /// `has 4 to 8 vCPUs`.
    pub(super) wanted: String,
    /// `cannot be bought as spot`.
    pub(super) lacking: &'static str,
    pub(super) accepted: &'static str,
    test: Box<dyn Fn(&TypeFacts) -> bool + 'a>,
}

impl<'a> Need<'a> {
    fn of(wanted: impl Into<String>, test: impl Fn(&TypeFacts) -> bool + 'a) -> Self {
        Self {
            setting: None,
            wanted: wanted.into(),
            lacking: "does not do",
            accepted: "",
            test: Box::new(test),
        }
    }

    pub(super) fn is_met_by(&self, one: &TypeFacts) -> bool {
        (self.test)(one)
    }

    /// That it is sold on the market. With fallback it may be sold on either.
    pub(super) fn market(settings: &Settings, market: Market) -> Option<Self> {
        let either = settings.spot == Spot::SpotThenOnDemand;
        Some(match market {
            Market::Spot => Self {
                lacking: "cannot be bought as spot",
                accepted: "a type that EC2 offers as spot, or `spot: false`",
                ..Self::of("can be bought as spot", move |one| {
                    one.spot || either && one.on_demand
                })
            },
            Market::OnDemand => Self {
                lacking: "cannot be bought on demand",
                accepted: "a type that EC2 offers on demand",
                ..Self::of("can be bought on demand", |one| one.on_demand)
            },
        })
    }

    pub(super) fn adapter(settings: &Settings) -> Option<Self> {
        settings.efa.then(|| Self {
            setting: Some("efa"),
            lacking: "cannot have an Elastic Fabric Adapter",
            accepted: "a type that supports one, such as c5n.18xlarge, or `efa: false`",
            ..Self::of("supports an Elastic Fabric Adapter", |one| one.efa)
        })
    }

    pub(super) fn cluster(settings: &Settings) -> Option<Self> {
        let is_own = settings.placement_group == Some(PlacementGroup::Cluster);
        is_own.then(|| Self {
            setting: Some("placement_group"),
            lacking: "cannot be launched into a cluster placement group",
            accepted: "a type that can, which the T families cannot, or no `placement_group`",
            ..Self::of("can be launched into a cluster placement group", |one| {
                one.cluster
            })
        })
    }
}

pub(super) fn path_of(need: &Need<'_>, at: &str) -> String {
    format!("{at}{}", need.setting.unwrap_or("instance_type"))
}

/// The requirements one by one, so that the one that leaves nothing can be named.
pub(super) fn requirement_needs<'a>(
    wanted: &'a Requirements,
    architectures: &'a [String],
) -> Vec<Need<'a>> {
    let mut needs = Vec::new();
    let named = |one: &TypeFacts, names: &[String]| {
        names.iter().any(|name| pattern::matches(&one.name, name))
    };
    if !wanted.allowed_instance_types.is_empty() {
        let allowed = &wanted.allowed_instance_types;
        let words = format!("is one of {}", allowed.join(", "));
        needs.push(Need::of(words, move |one| named(one, allowed)));
    }
    if let Some(workload) = wanted.workload {
        let words = format!("is of a family for {}", workload.as_str());
        needs.push(Need::of(words, move |one| {
            let family = one.name.split('.').next().unwrap_or_default();
            workload.suits(family)
        }));
    }
    let words = format!("is of architecture {}", architectures.join(" or "));
    needs.push(Need::of(words, move |one| {
        one.architectures
            .iter()
            .any(|name| architectures.contains(name))
    }));
    needs.push(Need::of(range("vCPUs", wanted.vcpu_count), |one| {
        wanted.vcpu_count.hold(u64::from(one.vcpus))
    }));
    needs.push(Need::of(range("MiB of memory", wanted.memory_mib), |one| {
        wanted.memory_mib.hold(one.memory_mib)
    }));
    needs.push(Need::of(
        range("accelerators", wanted.accelerator_count),
        |one| {
            let count: u64 = one.accelerators.iter().map(|a| u64::from(a.count)).sum();
            wanted.accelerator_count.hold(count)
        },
    ));
    let memory = wanted.accelerator_total_memory_mib;
    needs.push(Need::of(
        range("MiB of accelerator memory", memory),
        move |one| {
            let mib = |a: &Accelerator| u64::from(a.count) * a.memory_mib;
            memory.hold(one.accelerators.iter().map(mib).sum())
        },
    ));
    if !wanted.accelerator_names.is_empty() {
        let names = &wanted.accelerator_names;
        let words = format!("has an accelerator {}", names.join(" or "));
        needs.push(Need::of(words, move |one| {
            let mut models = one.accelerators.iter().map(|a| model(&a.name));
            models.any(|model| names.contains(&model))
        }));
    }
    needs.push(Need::of("fits burstable_performance", |one| {
        wanted.burstable_performance.allows(one.burstable)
    }));
    needs.push(Need::of("fits bare_metal", |one| {
        wanted.bare_metal.allows(one.bare_metal)
    }));
    needs.push(Need::of("fits local_storage", |one| {
        wanted.local_storage.allows(one.instance_storage)
    }));
    if wanted.current_generation {
        needs.push(Need::of("is of the current generation", |one| {
            one.current_generation
        }));
    }
    if !wanted.excluded_instance_types.is_empty() {
        let excluded = &wanted.excluded_instance_types;
        needs.push(Need::of("is left by excluded_instance_types", move |one| {
            !named(one, excluded)
        }));
    }
    needs
}

/// `has 4 to 8 vCPUs`.
fn range(what: &str, bounds: Bounds) -> String {
    match (bounds.min, bounds.max) {
        (Some(min), Some(max)) if min == max => format!("has {min} {what}"),
        (Some(min), Some(max)) => format!("has {min} to {max} {what}"),
        (Some(min), None) => format!("has at least {min} {what}"),
        (None, Some(max)) => format!("has at most {max} {what}"),
        (None, None) => format!("has {what}"),
    }
}
