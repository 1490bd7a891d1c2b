//! Token buckets, per account and region.
//!
//! Source: "Request throttling for the Amazon EC2 API", Amazon EC2 Developer Guide: every API has a request bucket of its
//! own, and the calls that launch, start, stop or terminate draw one token an instance from an instance bucket too.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::model::Place;

/// Size of a bucket: how many tokens it holds, and how many return each second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    pub(crate) capacity: f64,
    pub(crate) refill_per_s: f64,
}

const fn size(capacity: f64, refill_per_s: f64) -> Size {
    Size {
        capacity,
        refill_per_s,
    }
}

/// Actions of the smaller bucket when they neither filter nor paginate.
const UNFILTERED: [&str; 3] = [
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeVolumes",
];

/// The name of the request bucket that a call draws on.
pub(crate) fn request_bucket(action: &str, filtered_or_paginated: bool) -> String {
    if UNFILTERED.contains(&action) && !filtered_or_paginated {
        format!("{action}:unfiltered")
    } else {
        action.to_owned()
    }
}

/// The name of the bucket that an action draws instances from. CreateFleet launches through the one of RunInstances (not
/// in the guide; seen by others, see aws-parallelcluster-node PR 734).
pub(crate) fn instance_bucket(action: &str) -> String {
    let action = if action == "CreateFleet" {
        "RunInstances"
    } else {
        action
    };
    format!("{action}:instances")
}

/// The documented size of a bucket.
fn default_size(name: &str) -> Size {
    match name {
        "RunInstances" | "StartInstances" => size(5.0, 2.0),
        "TerminateInstances" => size(100.0, 5.0),
        "CreateTags" | "DeleteTags" => size(100.0, 10.0),
        "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate" => size(100.0, 5.0),
        "RunInstances:instances" | "StartInstances:instances" => size(1000.0, 2.0),
        "TerminateInstances:instances" | "StopInstances:instances" => size(1000.0, 20.0),
        name if name.ends_with(":unfiltered") => size(50.0, 10.0),
        name if name.starts_with("Describe") || name.starts_with("Get") => size(100.0, 20.0),
        _ => size(50.0, 5.0),
    }
}

#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: f64,
    at_ms: u64,
}

/// All buckets of all accounts and regions.
#[derive(Debug)]
pub(crate) struct Buckets {
    pub(crate) enabled: bool,
    sizes: HashMap<String, Size>,
    levels: HashMap<(Place, String), Level>,
}

impl Buckets {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            sizes: HashMap::new(),
            levels: HashMap::new(),
        }
    }

    /// Sets the size of a bucket in every account and region, and fills it.
    pub(crate) fn resize(&mut self, name: &str, size: Size) {
        self.sizes.insert(name.to_owned(), size);
        self.levels.retain(|(_, bucket), _| bucket != name);
    }

    fn size(&self, name: &str) -> Size {
        self.sizes
            .get(name)
            .copied()
            .unwrap_or_else(|| default_size(name))
    }

    /// Takes tokens when the bucket holds that many; otherwise takes none and answers false.
    pub(crate) fn take(&mut self, place: &Place, name: &str, amount: u32, now_ms: u64) -> bool {
        if !self.enabled {
            return true;
        }
        let size = self.size(name);
        let level = self
            .levels
            .entry((place.clone(), name.to_owned()))
            .or_insert(Level {
                tokens: size.capacity,
                at_ms: now_ms,
            });
        #[expect(
            clippy::cast_precision_loss,
            reason = "a span between two calls is far below 2^53 ms"
        )]
        let elapsed_s = now_ms.saturating_sub(level.at_ms) as f64 / 1000.0;
        level.tokens = (level.tokens + elapsed_s * size.refill_per_s).min(size.capacity);
        level.at_ms = now_ms;
        // Half a millionth of slack: refills of fractions must not lose a whole token to rounding.
        if level.tokens + 5e-7 < f64::from(amount) {
            return false;
        }
        level.tokens -= f64::from(amount);
        true
    }

    /// Sizes that differ from EC2's, for the control API.
    pub(crate) fn overrides(&self) -> &HashMap<String, Size> {
        &self.sizes
    }

    /// Tokens in each bucket used so far, as of its last use.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Place, &str, f64)> {
        self.levels
            .iter()
            .map(|((place, name), level)| (place, name.as_str(), level.tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::{Buckets, Size, instance_bucket, request_bucket};
    use crate::model::Place;

    fn place(region: &str) -> Place {
        Place::new("000000000000", region).unwrap()
    }

    #[test]
    fn five_run_instances_pass_then_two_a_second() {
        let mut buckets = Buckets::new(true);
        let here = place("us-east-1");
        let passed = (0..7)
            .filter(|_| buckets.take(&here, "RunInstances", 1, 0))
            .count();
        assert_eq!(passed, 5);
        assert!(!buckets.take(&here, "RunInstances", 1, 400));
        assert!(buckets.take(&here, "RunInstances", 1, 500));
        assert!(
            buckets.take(&place("us-west-2"), "RunInstances", 1, 500),
            "regions do not share"
        );
    }

    #[test]
    fn a_fleet_draws_on_the_instances_of_run_instances() {
        let mut buckets = Buckets::new(true);
        let here = place("us-east-1");
        assert!(buckets.take(&here, &instance_bucket("CreateFleet"), 999, 0));
        assert!(!buckets.take(&here, &instance_bucket("RunInstances"), 2, 0));
        assert!(buckets.take(&here, &instance_bucket("RunInstances"), 2, 500));
    }

    #[test]
    fn a_describe_without_filter_has_a_smaller_bucket() {
        let mut buckets = Buckets::new(true);
        let here = place("us-east-1");
        let name = request_bucket("DescribeInstances", false);
        assert_eq!(
            (0..200)
                .filter(|_| buckets.take(&here, &name, 1, 0))
                .count(),
            50
        );
        let name = request_bucket("DescribeInstances", true);
        assert_eq!(
            (0..200)
                .filter(|_| buckets.take(&here, &name, 1, 0))
                .count(),
            100
        );
    }

    #[test]
    fn a_bucket_can_be_resized() {
        let mut buckets = Buckets::new(true);
        let here = place("us-east-1");
        buckets.resize(
            "RunInstances",
            Size {
                capacity: 1.0,
                refill_per_s: 0.0,
            },
        );
        assert!(buckets.take(&here, "RunInstances", 1, 0));
        assert!(!buckets.take(&here, "RunInstances", 1, 60_000));
    }
}
