//! What a member is launched with, as far as EC2 has it; or what is wrong with what its document asks for.

use crate::document::{Ami, Fault, Settings, Spot};
use crate::ids::{LaneId, Market};
use crate::plan::RegionFacts;
use crate::ports::{ImageFacts, TypeFacts};
use crate::rows::Shape;

/// The most types that a pattern is resolved to: the first of them are the cheapest, the rest would never be reached.
const TYPES_MAX: usize = 20;

/// The shape of members with these settings in a lane. `at` is where the document says so, such as `params[3].`.
///
/// # Errors
/// What EC2 does not have of what the document asks for.
pub(crate) fn shape_of(
    settings: &Settings,
    at: &str,
    lane: &LaneId,
    facts: &RegionFacts,
    default_profile: &str,
) -> Result<Shape, Fault> {
    let path = |field: &str| format!("{at}{field}");
    let types = types_of(settings, lane, facts, &path("instance_type"))?;
    let (ami, types) = image_of(settings, lane, facts, types, &path("ami"))?;
    if let Some(zone) = &settings.availability_zone
        && !zone.starts_with(lane.region.as_str())
    {
        return Err(Fault::new(
            path("availability_zone"),
            format!("`{zone}` is not in {}, where the member goes", lane.region),
            "a zone of the member's region, such as `us-east-1a`",
        ));
    }
    Ok(Shape {
        instance_types: types,
        ami,
        key_name: settings.key_name.clone(),
        // An ARN ends with the name, and a launch names a profile.
        instance_profile: settings
            .iam_role
            .as_ref()
            .and_then(|role| role.rsplit('/').next())
            .unwrap_or(default_profile)
            .to_owned(),
        security_group_ids: settings.security_group_ids.clone(),
        subnet_ids: settings.subnet_ids.clone(),
        availability_zone: settings.availability_zone.clone(),
        zones: Vec::new(),
        placement_group: None,
        efa: None,
        on_demand_fallback: settings.spot == Spot::SpotThenOnDemand,
    })
}

/// The types that the member's list and patterns name in the region, in the order of the list; those of a pattern by size.
fn types_of<'a>(
    settings: &Settings,
    lane: &LaneId,
    facts: &'a RegionFacts,
    path: &str,
) -> Result<Vec<&'a TypeFacts>, Fault> {
    let mut found: Vec<&TypeFacts> = Vec::new();
    for name in settings.instance_types.names() {
        let mut of_name: Vec<&TypeFacts> = if name.contains('*') {
            facts
                .types
                .values()
                .filter(|t| matches_pattern(&t.name, name))
                .collect()
        } else {
            facts.types.get(name).into_iter().collect()
        };
        if of_name.is_empty() {
            return Err(Fault::new(
                path,
                format!(
                    "`{name}` is no instance type that EC2 offers in {}",
                    lane.region
                ),
                "a type (`c5.4xlarge`), a list of types, or a pattern (`c5.*`) that the region offers",
            ));
        }
        of_name.sort_by_key(|t| (t.vcpus, t.memory_mib));
        for one in of_name {
            if !found.iter().any(|t| t.name == one.name) {
                found.push(one);
            }
        }
    }
    if lane.market == Market::Spot {
        let first = found.first().map(|t| t.name.clone()).unwrap_or_default();
        found.retain(|t| t.spot || settings.spot == Spot::SpotThenOnDemand);
        if found.is_empty() {
            return Err(Fault::new(
                path,
                format!("`{first}` cannot be bought as spot in {}", lane.region),
                "a type that EC2 offers as spot, or `spot: false`",
            ));
        }
    }
    found.truncate(TYPES_MAX);
    Ok(found)
}

/// Whether a name fits a pattern whose `*` stands for any text.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// The image of the member, and those of its types that can boot it.
fn image_of(
    settings: &Settings,
    lane: &LaneId,
    facts: &RegionFacts,
    types: Vec<&TypeFacts>,
    path: &str,
) -> Result<(String, Vec<String>), Fault> {
    let region = &lane.region;
    let accepted =
        "an image id of the region, a map from region to image id, or the name of an SSM parameter";
    let id = match &settings.ami {
        Some(Ami::Id(id)) => id.clone(),
        Some(Ami::ByRegion(images)) => images
            .get(region)
            .cloned()
            .ok_or_else(|| Fault::new(path, format!("no image is given for {region}"), accepted))?,
        Some(Ami::Parameter(name)) => {
            // Types of one launch share an image, so the first type's architecture decides.
            let architecture = types
                .first()
                .and_then(|t| t.architectures.first())
                .map_or("x86_64", String::as_str);
            let name = name.replace("{arch}", architecture);
            facts.parameters.get(&name).cloned().ok_or_else(|| {
                let problem = format!("the SSM parameter `{name}` does not exist in {region}");
                Fault::new(path, problem, accepted)
            })?
        }
        None => {
            let problem = "no image is given, and the deployment has no default";
            return Err(Fault::new(path, problem, accepted));
        }
    };
    let image: &ImageFacts = facts.images.get(&id).ok_or_else(|| {
        Fault::new(
            path,
            format!("the image `{id}` does not exist in {region}"),
            accepted,
        )
    })?;
    if !image.available {
        let problem = format!("the image `{id}` in {region} is not available");
        return Err(Fault::new(path, problem, accepted));
    }
    let fits = |t: &&TypeFacts| t.architectures.contains(&image.architecture);
    let fitting: Vec<String> = types
        .iter()
        .copied()
        .filter(|t| fits(t))
        .map(|t| t.name.clone())
        .collect();
    if fitting.is_empty() {
        let names: Vec<&str> = types.iter().map(|t| t.name.as_str()).collect();
        return Err(Fault::new(
            path,
            format!(
                "the image `{id}` is for {}, and {} cannot boot it",
                image.architecture,
                names.join(", ")
            ),
            "an image of the instance type's architecture",
        ));
    }
    Ok((id, fitting))
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern, fits) in [
            ("c5.4xlarge", "c5.*", true),
            ("c5n.4xlarge", "c5.*", false),
            ("c5.4xlarge", "c*.4xlarge", true),
            ("c5.4xlarge", "*", true),
            ("c5.4xlarge", "c5.4xlarge", true),
            ("c5.4xlarge", "c5.4*x*e", true),
            ("c5.metal", "c5.*large", false),
        ] {
            assert_eq!(matches_pattern(name, pattern), fits, "{name} {pattern}");
        }
    }
}
