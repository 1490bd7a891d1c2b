//! Launch templates and their numbered versions ("Store instance launch parameters in Amazon EC2 launch templates", EC2 user guide).

use super::{Place, Tags};
use crate::wire::{Ec2Error, Params};

/// One version. Its data is kept as the parameters that the request carried.
#[derive(Clone, Debug)]
pub(crate) struct TemplateVersion {
    pub(crate) number: u64,
    pub(crate) description: Option<String>,
    pub(crate) data: Params,
    pub(crate) created_ms: u64,
}

/// A launch template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) seq: u64,
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tags: Tags,
    pub(crate) created_ms: u64,
    pub(crate) default_version: u64,
    pub(crate) versions: Vec<TemplateVersion>,
}

impl Template {
    pub(crate) fn latest(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// The version that `$Latest`, `$Default` or a number means.
    pub(crate) fn version(&self, wanted: &str) -> Result<&TemplateVersion, Ec2Error> {
        let number = match wanted {
            "$Latest" => self.latest(),
            "$Default" => self.default_version,
            number => number.parse().map_err(|_| {
                Ec2Error::new(
                    "InvalidLaunchTemplateVersion.Malformed",
                    format!("The launch template version '{number}' is not valid."),
                )
            })?,
        };
        self.versions.iter().find(|version| version.number == number).ok_or_else(|| {
            Ec2Error::new(
                "InvalidLaunchTemplateId.VersionNotFound",
                format!("Could not find launch template version: {wanted} for the specified launch template ID {}", self.id),
            )
        })
    }
}
