//! Machine images: Amazon Linux 2023 for both architectures in every region, plus one with a fixed id.
//!
//! Source: "Amazon Linux 2023 on Amazon EC2" (names, `imdsSupport` v2.0) and API DescribeImages.

use std::sync::LazyLock;

use super::{Architecture, regions};
use crate::ids::stable_id;

/// The id that the local stack's public SSM parameters answer, in every region.
const LOCAL_SSM_IMAGE: &str = "ami-0c2023a1b2c3d4e5f";

/// A machine image of a region.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) region: &'static str,
    pub(crate) name: String,
    pub(crate) architecture: Architecture,
}

impl Image {
    /// The device that images of Amazon Linux boot from.
    pub(crate) const ROOT_DEVICE: &'static str = "/dev/xvda";
    /// Size of the root volume.
    pub(crate) const ROOT_GIB: u32 = 8;
    /// Amazon's account for public images.
    pub(crate) const OWNER: &'static str = "137112412989";
    pub(crate) const CREATED: &'static str = "2026-01-05T00:00:00.000Z";
}

static ALL: LazyLock<Vec<Image>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for region in regions() {
        for architecture in [Architecture::X86_64, Architecture::Arm64] {
            let name = format!(
                "al2023-ami-2023.9.20260105.0-kernel-6.1-{}",
                architecture.as_str()
            );
            let id = stable_id("ami", &format!("{}/{name}", region.name));
            all.push(Image {
                id,
                region: region.name,
                name,
                architecture,
            });
        }
        all.push(Image {
            id: LOCAL_SSM_IMAGE.to_owned(),
            region: region.name,
            name: "al2023-ami-2023.8.20251201.0-kernel-6.1-x86_64".to_owned(),
            architecture: Architecture::X86_64,
        });
    }
    all
});

/// The images of a region.
pub(crate) fn images(region: &str) -> impl Iterator<Item = &'static Image> {
    ALL.iter().filter(move |image| image.region == region)
}

/// The image of this id in a region.
pub(crate) fn image(region: &str, id: &str) -> Option<&'static Image> {
    images(region).find(|image| image.id == id)
}
