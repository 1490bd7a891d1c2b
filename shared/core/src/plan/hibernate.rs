//! EC2's preconditions of hibernation, checked before anything is launched (Amazon EC2 User Guide, "Prerequisites for EC2
//! instance hibernation"): the option at launch, a type that can, less than 150 GiB of memory, no bare metal, and an encrypted
//! EBS root volume that holds the memory beside the image.

use crate::document::{Fault, OnComplete, Settings, Spot};
use crate::ports::{ImageFacts, TypeFacts};
use crate::rows::HibernationVolume;

/// EC2 hibernates Linux instances with less memory than this.
const MEMORY_MIB_MAX: u64 = 150 * 1024;

/// The setting that asks for hibernation, if one does that can be met. Spot instances are launched one-time, which EC2
/// neither hibernates nor stops: there `hibernate_on_idle` ends them, as the plan says.
fn asked_by(settings: &Settings) -> Option<&'static str> {
    if settings.spot != Spot::OnDemand {
        return None;
    }
    if settings.on_complete == OnComplete::Hibernate {
        return Some("on_complete");
    }
    settings.hibernate_on_idle.then_some("hibernate_on_idle")
}

/// Why a type cannot hibernate.
fn hindrance(one: &TypeFacts) -> Option<String> {
    if one.bare_metal {
        return Some("it is bare metal".to_owned());
    }
    if one.memory_mib >= MEMORY_MIB_MAX {
        let gib = one.memory_mib / 1024;
        return Some(format!("it has {gib} GiB of memory, 150 GiB or more"));
    }
    (!one.hibernation).then(|| "EC2 does not hibernate its family".to_owned())
}

/// Those of `types` that can hibernate, when the settings ask for it. A type that the document names is not left out in
/// silence.
///
/// # Errors
/// Every named type that cannot hibernate; or that no type of a pattern can.
pub(crate) fn able<'a>(
    settings: &Settings,
    types: Vec<&'a TypeFacts>,
    at: &str,
) -> Result<Vec<&'a TypeFacts>, Fault> {
    let Some(setting) = asked_by(settings) else {
        return Ok(types);
    };
    let named = settings.instance_types.names();
    let unable: Vec<String> = types
        .iter()
        .filter_map(|one| Some((one, hindrance(one)?)))
        .filter(|(one, _)| named.contains(&one.name.as_str()) || types.len() == 1)
        .map(|(one, why)| format!("`{}` cannot hibernate: {why}", one.name))
        .collect();
    let able: Vec<&TypeFacts> = types
        .iter()
        .copied()
        .filter(|one| hindrance(one).is_none())
        .collect();
    if unable.is_empty() && !able.is_empty() {
        return Ok(able);
    }
    let problem = if unable.is_empty() {
        "none of the types can hibernate".to_owned()
    } else {
        unable.join("; ")
    };
    Err(Fault::new(
        format!("{at}{setting}"),
        problem,
        "types that EC2 hibernates, not bare metal, with less than 150 GiB of memory",
    )
    .hint(Some(
        "leave it out: an idle instance is then terminated".to_owned(),
    )))
}

/// The root volume that instances need to hibernate; `None` when the settings do not ask for it.
///
/// # Errors
/// When the image's root is not on EBS, or EC2 does not say how large it is.
pub(crate) fn volume(
    settings: &Settings,
    memory_mib: u64,
    image: Option<&ImageFacts>,
    at: &str,
) -> Result<Option<HibernationVolume>, Fault> {
    let Some(setting) = asked_by(settings) else {
        return Ok(None);
    };
    let root = image.and_then(|image| image.root_device.clone().zip(image.root_gib));
    let Some((device, gib)) = root else {
        return Err(Fault::new(
            format!("{at}{setting}"),
            "the image's root volume is not on EBS, or EC2 does not say how large it is",
            "an image with its root on EBS",
        ));
    };
    let memory_gib = u32::try_from(memory_mib.div_ceil(1024)).unwrap_or(u32::MAX);
    Ok(Some(HibernationVolume {
        device,
        gib: gib.saturating_add(memory_gib),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Ttl;

    fn settings(names: &[&str]) -> Settings {
        let document = serde_json::json!({
            "instance_type": names, "ttl": "1h", "command": "true", "hibernate_on_idle": true, "idle_timeout": "10m",
        });
        let operator = crate::document::OperatorDefaults {
            ami: None,
            instance_type: None,
            key_name: None,
            instance_profile: None,
            budget: None,
            owner: None,
            home_region: "us-east-1".parse().unwrap(),
            reach: crate::document::Reach::default(),
        };
        let overrides = serde_json::Map::new();
        let sweep = crate::document::Sweep::from_document(&document, None, &overrides, &operator);
        let settings = (*sweep.unwrap().members[0].settings).clone();
        assert_eq!(settings.ttl, Ttl::Seconds(3600));
        settings
    }

    fn one(name: &str, memory_gib: u64, hibernation: bool) -> TypeFacts {
        TypeFacts {
            name: name.to_owned(),
            memory_mib: memory_gib * 1024,
            bare_metal: name.ends_with(".metal"),
            hibernation,
            ..TypeFacts::default()
        }
    }

    #[test]
    fn a_named_type_that_cannot_hibernate_is_told_with_the_reason() {
        let types = [
            one("c5.large", 4, true),
            one("c5.metal", 192, false),
            one("r5.8xlarge", 256, true),
            one("t1.micro", 1, false),
        ];
        let settings = settings(&["c5.large", "c5.metal", "r5.8xlarge", "t1.micro"]);
        let fault = able(&settings, types.iter().collect(), "").unwrap_err();
        let text = fault.to_string();
        for words in [
            "hibernate_on_idle",
            "`c5.metal` cannot hibernate: it is bare metal",
            "`r5.8xlarge` cannot hibernate: it has 256 GiB",
            "`t1.micro` cannot hibernate: EC2 does not hibernate its family",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn of_a_pattern_those_are_taken_that_can_hibernate() {
        let types = [one("c5.large", 4, true), one("c5.metal", 192, false)];
        let able = able(&settings(&["c5.*"]), types.iter().collect(), "").unwrap();
        assert_eq!(able.len(), 1);
    }

    #[test]
    fn the_root_volume_holds_the_memory_beside_the_image() {
        let image = ImageFacts {
            id: "ami-1".to_owned(),
            architecture: "x86_64".to_owned(),
            available: true,
            root_gib: Some(8),
            root_device: Some("/dev/xvda".to_owned()),
        };
        let settings = settings(&["c5.large"]);
        let volume = volume(&settings, 4 * 1024, Some(&image), "")
            .unwrap()
            .unwrap();
        assert_eq!((volume.device.as_str(), volume.gib), ("/dev/xvda", 12));
        let without = ImageFacts {
            root_device: None,
            ..image
        };
        assert!(super::volume(&settings, 4 * 1024, Some(&without), "").is_err());
    }
}
