//! The operator's price file: rates that are not AWS's list prices, or prices for where AWS's cannot be asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::book::{Item, PriceBook, Quote};
use crate::money::MicroDollars;
use crate::region::Region;

/// Prices with where they come from. They come before AWS's own, and hold until the file is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// Where the prices come from, in words.
    pub source: String,
    /// The day on which they were true, such as `2026-01-22`.
    pub as_of: String,
    /// US dollars an hour as text, by region and type.
    #[serde(default)]
    pub prices: BTreeMap<Region, BTreeMap<String, Price>>,
    /// US dollars for a GiB of a gp3 volume and a month, by region.
    #[serde(default)]
    pub gib_month: BTreeMap<Region, String>,
    /// US dollars for an hour of a public IPv4 address, by region.
    #[serde(default)]
    pub public_ipv4_hour: BTreeMap<Region, String>,
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

/// A text that is not a price file.
#[derive(Debug, thiserror::Error)]
#[error("the price book is not readable: {0}")]
pub struct PriceBookError(String);

impl PriceBook {
    /// The prices of an operator's file.
    ///
    /// # Errors
    /// When it is none, or holds an amount that is no price.
    pub fn parse(text: &[u8]) -> Result<Self, PriceBookError> {
        let file: PriceFile =
            serde_json::from_slice(text).map_err(|error| PriceBookError(error.to_string()))?;
        let source = format!("{}, {}", file.source, file.as_of);
        let mut book = Self::default();
        let mut add = |region: Region, item: Item, amount: &str| {
            let parsed: Result<MicroDollars, _> = amount.parse();
            // Volumes and addresses may cost nothing: subnets give none, or a contract has them.
            let least = i64::from(matches!(item, Item::OnDemand(_) | Item::Spot(..)));
            let Some(amount) = parsed.ok().filter(|price| price.0 >= least) else {
                let words = format!(
                    "`{amount}`, the price of {}, is no price",
                    item.words(&region)
                );
                return Err(PriceBookError(words));
            };
            let quote = Quote {
                amount,
                source: source.clone(),
                fetched_at: None,
            };
            book.add(region, item, quote);
            Ok(())
        };
        for (region, types) in file.prices {
            for (name, price) in types {
                add(region, Item::OnDemand(name.clone()), &price.on_demand)?;
                if let Some(spot) = price.spot {
                    add(region, Item::Spot(name, None), &spot)?;
                }
            }
        }
        for (region, amount) in file.gib_month {
            add(region, Item::GibMonth, &amount)?;
        }
        for (region, amount) in file.public_ipv4_hour {
            add(region, Item::PublicIpv4Hour, &amount)?;
        }
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Market;

    const BOOK: &str = r#"{"source": "test", "as_of": "2026-01-22",
        "prices": {"us-east-1": {"c5.4xlarge": {"on_demand": "0.68", "spot": "0.20"}}},
        "gib_month": {"us-east-1": "0.08"}, "public_ipv4_hour": {"us-east-1": "0.005"}}"#;

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
        assert_eq!(
            book.amount(&region, &Item::GibMonth),
            Some(MicroDollars(80_000))
        );
        assert_eq!(book.amount(&west, &Item::PublicIpv4Hour), None);
    }

    #[test]
    fn a_book_with_a_wrong_amount_is_refused_as_a_whole() {
        for wrong in ["0", "-1", "cheap", "0.1234567"] {
            let text = BOOK.replace("0.68", wrong);
            assert!(PriceBook::parse(text.as_bytes()).is_err(), "{wrong}");
        }
        for (cost, nothing) in [("0.08", "0"), ("0.005", "0"), ("0.005", "0.00")] {
            let text = BOOK.replace(cost, nothing);
            assert!(PriceBook::parse(text.as_bytes()).is_ok(), "{cost}");
        }
        assert!(PriceBook::parse(BOOK.replace("0.005", "-1").as_bytes()).is_err());
        assert!(PriceBook::parse(b"{}").is_err());
        assert!(PriceBook::parse(b"[]").is_err());
    }
}
