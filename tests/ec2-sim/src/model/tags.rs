//! Tags and their rules.
//!
//! Source: "Tag your Amazon EC2 resources", EC2 user guide, section "Tag restrictions": 50 tags, keys up to 128
//! characters, values up to 256, `aws:` reserved; and "View tags for your EC2 instances using instance metadata" for the
//! narrower set of key characters when metadata shows them.

use std::collections::BTreeMap;

use crate::wire::{Ec2Error, Params};

/// Tags of one resource.
pub(crate) type Tags = BTreeMap<String, String>;

const TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// Tags by the type of resource they are meant for.
#[derive(Clone, Debug, Default)]
pub(crate) struct TagSpecifications(BTreeMap<String, Tags>);

impl TagSpecifications {
    /// Reads `TagSpecification.N`; a resource type outside `allowed` is refused.
    pub(crate) fn read(params: &Params, allowed: &[&str]) -> Result<Self, Ec2Error> {
        let mut all = BTreeMap::new();
        for item in params.list("TagSpecification") {
            let resource_type = item
                .text("ResourceType")
                .ok_or_else(|| Ec2Error::missing("ResourceType"))?;
            if !allowed.contains(&resource_type) {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    format!(
                        "'{resource_type}' is not a valid taggable resource type for this operation."
                    ),
                ));
            }
            if all
                .insert(resource_type.to_owned(), read_tags(item)?)
                .is_some()
            {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    format!(
                        "Duplicate resource type '{resource_type}' specified in tag specifications"
                    ),
                ));
            }
        }
        Ok(Self(all))
    }

    /// The tags for a type of resource.
    pub(crate) fn of(&self, resource_type: &str) -> Tags {
        self.0.get(resource_type).cloned().unwrap_or_default()
    }

    /// These, with those of `over` added; on the same key those of `over` win.
    pub(crate) fn merged_with(mut self, over: Self) -> Self {
        for (resource_type, tags) in over.0 {
            self.0.entry(resource_type).or_default().extend(tags);
        }
        self
    }

    pub(crate) fn add(&mut self, resource_type: &str, key: &str, value: &str) {
        self.0
            .entry(resource_type.to_owned())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn has(&self, resource_type: &str) -> bool {
        self.0.contains_key(resource_type)
    }
}

/// Reads `Tag.N.Key` and `Tag.N.Value`.
pub(crate) fn read_tags(params: &Params) -> Result<Tags, Ec2Error> {
    let mut tags = Tags::new();
    for item in params.list("Tag") {
        let key = item
            .text("Key")
            .ok_or_else(|| Ec2Error::missing("Tag.Key"))?;
        let value = item
            .get("Value")
            .and_then(Params::value)
            .unwrap_or_default();
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Ec2Error::new(
                "InvalidParameterValue",
                format!("Duplicate tag key '{key}' specified."),
            ));
        }
    }
    check_tags(&tags)?;
    Ok(tags)
}

/// Applies the restrictions to a set of tags.
pub(crate) fn check_tags(tags: &Tags) -> Result<(), Ec2Error> {
    for (key, value) in tags {
        let refusal = if key.starts_with("aws:") {
            "Tag keys starting with 'aws:' are reserved for internal use".to_owned()
        } else if key.chars().count() > KEY_CHARACTERS_MAX {
            format!("Tag key exceeds the maximum length of {KEY_CHARACTERS_MAX} characters")
        } else if value.chars().count() > VALUE_CHARACTERS_MAX {
            format!("Tag value exceeds the maximum length of {VALUE_CHARACTERS_MAX} characters")
        } else {
            continue;
        };
        return Err(Ec2Error::new("InvalidParameterValue", refusal));
    }
    if tags.len() > TAGS_MAX {
        return Err(Ec2Error::new(
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{TagSpecifications, read_tags};
    use crate::wire::Params;

    #[test]
    fn restrictions_are_those_of_the_guide() {
        let refused = |query: String| {
            read_tags(&Params::parse(query.as_bytes()))
                .unwrap_err()
                .code
        };
        assert_eq!(refused("Tag.1.Key=aws:x".into()), "InvalidParameterValue");
        assert_eq!(
            refused(format!("Tag.1.Key={}", "k".repeat(129))),
            "InvalidParameterValue"
        );
        assert_eq!(
            refused(format!("Tag.1.Key=k&Tag.1.Value={}", "v".repeat(257))),
            "InvalidParameterValue"
        );
        assert_eq!(
            refused("Tag.1.Key=k&Tag.2.Key=k".into()),
            "InvalidParameterValue"
        );
        let many: Vec<String> = (1..=51).map(|n| format!("Tag.{n}.Key=k{n}")).collect();
        assert_eq!(refused(many.join("&")), "TagLimitExceeded");
    }

    #[test]
    fn a_request_adds_to_the_tags_of_its_template() {
        let read =
            |query: &[u8]| TagSpecifications::read(&Params::parse(query), &["instance"]).unwrap();
        let template = read(b"TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=1&TagSpecification.1.Tag.2.Key=b&TagSpecification.1.Tag.2.Value=1");
        let request = read(b"TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=b&TagSpecification.1.Tag.1.Value=2");
        let tags = template.merged_with(request).of("instance");
        assert_eq!(
            tags.iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
    }
}
