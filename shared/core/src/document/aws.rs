//! Values that name things of AWS: regions, zones, instance types, images, buckets, topics.

use serde_json::Value;

use super::fault::quoted;
use super::read::{Problem, Read, each, text, truth_hint, word, wrong_type};
use super::settings::{Ami, InstanceTypes, OnComplete, PlacementGroup, Spot};
use super::suggest::nearest;
use super::uri::{S3Uri, is_bucket_name};
use crate::region::Region;

/// Types and patterns of one member. EC2's fleets take more, but nobody writes more by hand.
const INSTANCE_TYPES_MAX: usize = 60;

/// Sizes of instance types without a number in front (`2xlarge`) or behind (`metal-24xl`).
const SIZES: [&str; 8] = [
    "nano", "micro", "small", "medium", "large", "xlarge", "metal", "2xlarge",
];

/// A region's name.
pub(super) fn region(value: &Value) -> Read<Region> {
    region_name(text(value, 64)?).map_err(Vec::from)
}

/// The region that `name` names.
pub(super) fn region_name(name: &str) -> Result<Region, Problem> {
    name.parse().map_err(|error: crate::region::RegionError| {
        let hint = error
            .suggestion
            .map(|region| format!("did you mean {region}?"));
        Problem::new(format!("{} is not an AWS region", quoted(name))).hint(hint)
    })
}

/// An availability zone, and the region that it lies in.
pub(super) fn zone(value: &Value) -> Read<(String, Region)> {
    let name = text(value, 64)?;
    let is_zone_of = |region: &Region| {
        // us-east-1a, or a local zone such as us-east-1-bos-1a.
        name.strip_prefix(region.as_str()).is_some_and(|rest| {
            let letter = rest
                .rsplit(|c: char| !c.is_ascii_lowercase())
                .next()
                .unwrap_or("");
            let is_local = rest.starts_with('-') && rest.len() > 4;
            letter.len() == 1 && (rest.len() == 1 || is_local)
        })
    };
    match Region::all().find(is_zone_of) {
        Some(region) => Ok((name.to_owned(), region)),
        None => {
            let region = name.parse::<Region>().ok();
            let hint = region.map(|region| format!("did you mean {region}a?"));
            Err(
                Problem::new(format!("{} is not an availability zone", quoted(name)))
                    .hint(hint)
                    .into(),
            )
        }
    }
}

/// Instance types: one, several with `|` between them, or a list of either.
pub(super) fn instance_types(value: &Value) -> Read<InstanceTypes> {
    let names = each(value, |item| {
        let given = text(item, 4096)?;
        let names: Vec<&str> = given.split('|').map(str::trim).collect();
        let problems: Vec<Problem> = names
            .iter()
            .filter_map(|name| check_type(name).err())
            .collect();
        if problems.is_empty() {
            Ok(names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        } else {
            Err(problems)
        }
    })?;
    let mut distinct: Vec<String> = Vec::new();
    for name in names.into_iter().flatten() {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
        if distinct.len() > INSTANCE_TYPES_MAX {
            let problem = format!("it names more than {INSTANCE_TYPES_MAX} types");
            return Err(Problem::new(problem).into());
        }
    }
    Ok(if distinct.iter().any(|name| name.contains('*')) {
        InstanceTypes::Pattern(distinct)
    } else {
        InstanceTypes::Exact(distinct)
    })
}

/// Whether `name` has the form of an instance type or of a pattern; whether the type exists is for EC2 to say.
pub(super) fn check_type(name: &str) -> Result<(), Problem> {
    let refused = || Problem::new(format!("{} is not an instance type", quoted(name)));
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        let lower = name.to_lowercase();
        let hint = check_type(&lower)
            .is_ok()
            .then(|| format!("did you mean {lower}?"));
        return Err(refused().hint(hint));
    }
    let Some((family, size)) = name.split_once('.') else {
        return Err(refused().hint("a type is a family and a size, such as c5.large".to_owned()));
    };
    let is_plain = |part: &str| {
        part.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*'))
    };
    let is_family = family.starts_with(|c: char| c.is_ascii_lowercase())
        && is_plain(family)
        && (family.contains('*') || family.contains(|c: char| c.is_ascii_digit()));
    let is_size = is_plain(size) && !size.is_empty() && (size.contains('*') || is_exact_size(size));
    if is_family && is_size {
        return Ok(());
    }
    let digits = size.len() - size.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, word) = size.split_at(digits);
    let hint = nearest(word, SIZES)
        .filter(|word| is_family && is_exact_size(&format!("{number}{word}")))
        .map(|word| format!("did you mean {family}.{number}{word}?"));
    Err(refused().hint(hint))
}

fn is_exact_size(size: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let sized = size.strip_suffix("xlarge").is_some_and(is_number);
    let metal = size
        .strip_prefix("metal-")
        .and_then(|rest| rest.strip_suffix("xl"))
        .is_some_and(is_number);
    SIZES.contains(&size) || sized || metal
}

/// `true`, `false` or `fallback`.
pub(super) fn spot(value: &Value) -> Read<Spot> {
    match value {
        Value::Bool(true) => Ok(Spot::Spot),
        Value::Bool(false) => Ok(Spot::OnDemand),
        Value::String(text) if text == "fallback" => Ok(Spot::SpotThenOnDemand),
        Value::String(text) => {
            let near = nearest(text, ["fallback"]).map(|word| format!("did you mean {word}?"));
            let hint = truth_hint(value).or(near);
            Err(wrong_type(value, "true, false or fallback")
                .hint(hint)
                .into())
        }
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong_type(value, "true, false or fallback").into())
        }
    }
}

/// An image: an id, an object of ids by region, or the name of an SSM parameter.
pub(super) fn ami(value: &Value) -> Read<Ami> {
    let Value::Object(by_region) = value else {
        let name = text(value, 2048)?;
        if name.starts_with('/') {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "/._-{}".contains(c);
            return match name.chars().all(is_name) {
                true => Ok(Ami::Parameter(name.to_owned())),
                false => Err(Problem::new(format!(
                    "{} is not the name of an SSM parameter",
                    quoted(name)
                ))
                .into()),
            };
        }
        return image_id(name).map(Ami::Id);
    };
    if by_region.is_empty() {
        return Err(Problem::new("the object is empty").into());
    }
    let mut images = std::collections::BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in by_region {
        let at = format!(".{name}");
        match region_name(name) {
            Ok(region) => match text(value, 64).and_then(image_id) {
                Ok(id) => {
                    images.insert(region, id);
                }
                Err(found) => problems.extend(found.into_iter().map(|p| p.at(&at))),
            },
            Err(problem) => problems.push(problem.at(&at)),
        }
    }
    if problems.is_empty() {
        Ok(Ami::ByRegion(images))
    } else {
        Err(problems)
    }
}

/// Whether a text has the form of an id of EC2: a prefix, and 17 hexadecimal digits, 8 for what is older ("Resource IDs", Amazon
/// EC2 User Guide). Whether it exists is for EC2 to say.
fn has_form(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|digits| {
        (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn image_id(name: &str) -> Read<String> {
    let is_id = has_form(name, "ami-");
    if is_id {
        return Ok(name.to_owned());
    }
    Err(Problem::new(format!("{} is not an image id", quoted(name))).into())
}

/// The longest name of a placement group (API reference of `CreatePlacementGroup`).
const GROUP_NAME_CHARS_MAX: usize = 255;

/// A placement group: the word cluster, or a name.
pub(super) fn placement_group(value: &Value) -> Read<PlacementGroup> {
    let name = text(value, GROUP_NAME_CHARS_MAX)?;
    match name {
        "cluster" => Ok(PlacementGroup::Cluster),
        "spread" | "partition" => {
            let problem = format!("a placement group of strategy {name} is not made by a sweep");
            let hint = "create it, and give its name".to_owned();
            Err(Problem::new(problem).hint(hint).into())
        }
        _ if name.is_ascii() && !name.contains(|c: char| c.is_ascii_control()) => {
            Ok(PlacementGroup::Named(name.to_owned()))
        }
        _ => Err(Problem::new(format!("{} has other characters than ASCII", quoted(name))).into()),
    }
}

/// Ids with a prefix, or one.
pub(super) fn ids(value: &Value, prefix: &str) -> Read<Vec<String>> {
    each(value, |item| {
        let id = text(item, 64)?;
        let is_id = has_form(id, prefix);
        match is_id {
            true => Ok(id.to_owned()),
            false => Err(Problem::new(format!(
                "{} is not an id of the form {prefix} and hexadecimal digits",
                quoted(id)
            ))
            .into()),
        }
    })
}

/// The name or ARN of a role or an instance profile.
pub(super) fn role(value: &Value) -> Read<String> {
    let name = text(value, 2048)?;
    let is_name = |name: &str| {
        (1..=128).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
    };
    let is_arn = name.starts_with("arn:aws")
        && (name.contains(":instance-profile/") || name.contains(":role/"))
        && name.rsplit('/').next().is_some_and(is_name);
    match is_arn || is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Problem::new(format!("{} is not the name of a role", quoted(name))).into()),
    }
}

/// What becomes of an instance when its work is done.
pub(super) fn on_complete(value: &Value) -> Read<OnComplete> {
    match word(value, &["terminate", "stop", "none", "hibernate"])? {
        "terminate" => Ok(OnComplete::Terminate),
        "stop" => Ok(OnComplete::Stop),
        "none" => Ok(OnComplete::None),
        _ => Ok(OnComplete::Hibernate),
    }
}

/// A bucket's name.
pub(super) fn bucket(value: &Value) -> Read<String> {
    let name = text(value, 255)?;
    if is_bucket_name(name) {
        return Ok(name.to_owned());
    }
    let bare = name
        .strip_prefix("s3://")
        .map(|rest| rest.trim_end_matches('/'));
    let hint = bare
        .filter(|rest| is_bucket_name(rest))
        .map(|rest| format!("write {rest}"));
    Err(
        Problem::new(format!("{} is not the name of a bucket", quoted(name)))
            .hint(hint)
            .into(),
    )
}

/// S3 URIs, or one.
pub(super) fn s3_uris(value: &Value, uris_max: usize) -> Read<Vec<S3Uri>> {
    let uris = each(value, |item| {
        let name = text(item, 2048)?;
        name.parse().map_err(|error: super::uri::S3UriError| {
            Problem::new(format!("{} is not an S3 URI: it {error}", quoted(name))).into()
        })
    })?;
    if uris.len() > uris_max {
        return Err(Problem::new(format!("it has more than {uris_max} URIs")).into());
    }
    Ok(uris)
}

/// ARNs of SNS topics, or one.
pub(super) fn topics(value: &Value) -> Read<Vec<String>> {
    each(value, |item| {
        let arn = text(item, 512)?;
        let parts: Vec<&str> = arn.split(':').collect();
        let is_topic = match parts.as_slice() {
            ["arn", partition, "sns", region, account, name] => {
                partition.starts_with("aws")
                    && region.parse::<Region>().is_ok()
                    && account.len() == 12
                    && account.bytes().all(|b| b.is_ascii_digit())
                    && !name.is_empty()
            }
            _ => false,
        };
        match is_topic {
            true => Ok(arn.to_owned()),
            false => {
                Err(Problem::new(format!("{} is not the ARN of an SNS topic", quoted(arn))).into())
            }
        }
    })
}

/// Names of the Parameter Store parameters that hold webhooks' addresses, or one.
///
/// The addresses themselves are secrets: whoever has one can write to the channel, and documents are kept and shown.
pub(super) fn webhooks(value: &Value) -> Read<Vec<String>> {
    each(value, |item| {
        let name = text(item, 1011)?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = name.strip_prefix('/').is_some_and(|path| {
            path.split('/')
                .all(|part| !part.is_empty() && part.chars().all(is_word))
        });
        if is_name {
            return Ok(name.to_owned());
        }
        let problem = if name.contains("://") {
            // Not repeated: it is a secret.
            Problem::new("it is an address, which is a secret")
                .hint("put it into a SecureString parameter, and name that here".to_owned())
        } else {
            Problem::new(format!("{} is not the name of a parameter", quoted(name)))
        };
        Err(problem.into())
    })
}
