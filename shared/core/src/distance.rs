//! How far regions are from each other.
//!
//! AWS names the city or state of a region ("AWS Regions", AWS Regions and Availability Zones guide) and keeps the buildings
//! to itself. The table has the coordinates of that city, or of the place of the state that is known for its data centers
//! (Ashburn, Columbus, San Francisco, Boardman); half a degree does not change an order by distance.

use crate::region::Region;

/// The radius of a sphere with the Earth's volume, in km.
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// Latitude and longitude of each region, in hundredths of a degree.
const PLACES: [(&str, i32, i32); 34] = [
    ("af-south-1", -3392, 1842),
    ("ap-east-1", 2230, 11417),
    ("ap-east-2", 2503, 12157),
    ("ap-northeast-1", 3569, 13969),
    ("ap-northeast-2", 3757, 12698),
    ("ap-northeast-3", 3469, 13550),
    ("ap-south-1", 1908, 7288),
    ("ap-south-2", 1739, 7849),
    ("ap-southeast-1", 135, 10382),
    ("ap-southeast-2", -3387, 15121),
    ("ap-southeast-3", -621, 10685),
    ("ap-southeast-4", -3781, 14496),
    ("ap-southeast-5", 314, 10169),
    ("ap-southeast-6", -3685, 17476),
    ("ap-southeast-7", 1376, 10050),
    ("ca-central-1", 4550, -7357),
    ("ca-west-1", 5105, -11407),
    ("eu-central-1", 5011, 868),
    ("eu-central-2", 4738, 854),
    ("eu-north-1", 5933, 1807),
    ("eu-south-1", 4546, 919),
    ("eu-south-2", 4165, -89),
    ("eu-west-1", 5335, -626),
    ("eu-west-2", 5151, -13),
    ("eu-west-3", 4886, 235),
    ("il-central-1", 3209, 3478),
    ("me-central-1", 2447, 5437),
    ("me-south-1", 2607, 5055),
    ("mx-central-1", 2059, -10039),
    ("sa-east-1", -2355, -4663),
    ("us-east-1", 3904, -7749),
    ("us-east-2", 3996, -8300),
    ("us-west-1", 3777, -12242),
    ("us-west-2", 4584, -11970),
];

/// The great-circle distance of two regions in km.
#[must_use]
pub fn km(one: Region, two: Region) -> u32 {
    let (Some(one), Some(two)) = (place(one), place(two)) else {
        // Every region is in the table, as a test shows; one that were not would be the farthest.
        return u32::MAX;
    };
    great_circle_km(one, two)
}

/// Latitude and longitude in radians.
fn place(region: Region) -> Option<(f64, f64)> {
    let found = PLACES.iter().find(|(name, ..)| *name == region.as_str());
    found.map(|(_, latitude, longitude)| {
        let radians = |hundredths: i32| (f64::from(hundredths) / 100.0).to_radians();
        (radians(*latitude), radians(*longitude))
    })
}

/// By the haversine formula, which is exact enough for near and far.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a distance on the Earth is from 0 to 20,100 km"
)]
fn great_circle_km(one: (f64, f64), two: (f64, f64)) -> u32 {
    let half_sine_squared = |difference: f64| (difference / 2.0).sin().powi(2);
    let chord = half_sine_squared(two.0 - one.0)
        + one.0.cos() * two.0.cos() * half_sine_squared(two.1 - one.1);
    (2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    #[test]
    fn every_region_has_its_place() {
        for one in Region::all() {
            for two in Region::all() {
                assert_eq!(km(one, two) == 0, one == two, "{one} {two}");
                assert!(km(one, two) < 20_100, "{one} {two}");
                assert_eq!(km(one, two), km(two, one));
            }
        }
    }

    #[test]
    fn distances_are_those_of_the_map() {
        for (one, two, km_about) in [
            ("us-east-1", "us-east-2", 480),
            ("us-east-1", "eu-west-1", 5_450),
            ("us-west-2", "ap-northeast-1", 7_900),
            ("eu-west-1", "eu-west-2", 465),
            ("ap-southeast-2", "sa-east-1", 13_350),
        ] {
            let found = km(region(one), region(two));
            assert!(
                found.abs_diff(km_about) < km_about / 20,
                "{one} {two}: {found}"
            );
        }
    }
}
