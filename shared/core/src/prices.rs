//! The price book: what an hour of an instance costs, as far as somebody has said so. A price that is not in it is not known,
//! and nothing is ever guessed in its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Market;
use crate::money::MicroDollars;
use crate::region::Region;

/// EC2 bills by the second with a minute at least (Amazon EC2 User Guide, "On-Demand Instances").
const BILLED_S_MIN: u64 = 60;

/// Prices by region and type, with where they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    /// Where the prices come from, in words.
    pub source: String,
    /// The day on which they were true, such as `2026-01-22`.
    pub as_of: String,
    /// US dollars an hour as text, by region and type.
    pub prices: BTreeMap<Region, BTreeMap<String, Price>>,
}

/// The price of a type in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// On demand, in US dollars an hour.
    pub on_demand: String,
    /// As spot, if it is known; at the most, the price on demand.
    pub spot: Option<String>,
}

/// A text that is not a price book.
#[derive(Debug, thiserror::Error)]
#[error("the price book is not readable: {0}")]
pub struct PriceBookError(String);

impl PriceBook {
    /// Reads a price book.
    ///
    /// # Errors
    /// When it is not one, or holds an amount that is no price.
    pub fn parse(text: &[u8]) -> Result<Self, PriceBookError> {
        let book: Self =
            serde_json::from_slice(text).map_err(|error| PriceBookError(error.to_string()))?;
        for (region, types) in &book.prices {
            for (name, price) in types {
                for amount in [Some(&price.on_demand), price.spot.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    let parsed: Result<MicroDollars, _> = amount.parse();
                    if !parsed.is_ok_and(|price| price.0 > 0) {
                        let text = format!("`{amount}` of {name} in {region} is no price");
                        return Err(PriceBookError(text));
                    }
                }
            }
        }
        Ok(book)
    }

    /// What an hour may cost at the most: the price on demand, which is the default ceiling of a spot price too (Amazon EC2
    /// User Guide, "Spot Instance pricing and savings"). `None` when it is not known.
    #[must_use]
    pub fn hour_at_most(&self, region: &Region, instance_type: &str) -> Option<MicroDollars> {
        self.prices
            .get(region)?
            .get(instance_type)?
            .on_demand
            .parse()
            .ok()
    }

    /// What an hour costs as far as is known: for spot the price that was seen, if one was.
    #[must_use]
    pub fn hour_expected(
        &self,
        region: &Region,
        instance_type: &str,
        market: Market,
    ) -> Option<MicroDollars> {
        let price = self.prices.get(region)?.get(instance_type)?;
        match (market, &price.spot) {
            (Market::Spot, Some(spot)) => spot.parse().ok(),
            (Market::Spot | Market::OnDemand, _) => price.on_demand.parse().ok(),
        }
    }
}

/// What `seconds` cost at a price an hour, rounded up to a millionth. `None` past the largest amount.
#[must_use]
pub fn cost(hour: MicroDollars, seconds: u64) -> Option<MicroDollars> {
    let seconds = i128::from(seconds.max(BILLED_S_MIN));
    let micros = (i128::from(hour.0) * seconds + 3599) / 3600;
    i64::try_from(micros).ok().map(MicroDollars)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = r#"{"source": "test", "as_of": "2026-01-22",
        "prices": {"us-east-1": {"c5.4xlarge": {"on_demand": "0.68", "spot": "0.20"}}}}"#;

    #[test]
    fn prices_are_exact_and_missing_ones_are_unknown() {
        let book = PriceBook::parse(BOOK.as_bytes()).unwrap();
        let region: Region = "us-east-1".parse().unwrap();
        let west: Region = "us-west-2".parse().unwrap();
        let hour = |market| book.hour_expected(&region, "c5.4xlarge", market);
        assert_eq!(hour(Market::OnDemand), Some(MicroDollars(680_000)));
        assert_eq!(hour(Market::Spot), Some(MicroDollars(200_000)));
        assert_eq!(
            book.hour_at_most(&region, "c5.4xlarge"),
            Some(MicroDollars(680_000))
        );
        assert_eq!(book.hour_at_most(&region, "c5.large"), None);
        assert_eq!(book.hour_at_most(&west, "c5.4xlarge"), None);
    }

    #[test]
    fn time_is_billed_by_the_second_with_a_minute_at_least() {
        let hour = MicroDollars(680_000);
        for (seconds, micros) in [
            (3600, 680_000),
            (1, 11_334),
            (60, 11_334),
            (61, 11_523),
            (7200, 1_360_000),
        ] {
            assert_eq!(cost(hour, seconds), Some(MicroDollars(micros)), "{seconds}");
        }
        assert_eq!(cost(MicroDollars(i64::MAX), u64::MAX), None);
    }

    #[test]
    fn a_book_with_a_wrong_amount_is_refused_as_a_whole() {
        for wrong in ["0", "-1", "cheap", "0.1234567"] {
            let text = BOOK.replace("0.68", wrong);
            assert!(PriceBook::parse(text.as_bytes()).is_err(), "{wrong}");
        }
        assert!(PriceBook::parse(b"{}").is_err());
    }
}
