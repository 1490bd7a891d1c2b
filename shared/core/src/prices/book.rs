//! The prices that a decision is made by.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::PriceRow;
use crate::clock;
use crate::ids::Market;
use crate::money::MicroDollars;
use crate::region::Region;

/// Something that has a price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// An hour of an instance type on demand: Linux, shared tenancy.
    OnDemand(String),
    /// An hour of an instance type as spot in an availability zone; `None`: in any of the region.
    Spot(String, Option<String>),
    /// A month of a GiB of a gp3 volume.
    GibMonth,
    /// An hour of a public IPv4 address.
    PublicIpv4Hour,
}

impl Item {
    /// Its sort key in the ledger: `type#market[#zone]`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::OnDemand(name) => format!("{name}#on-demand"),
            Self::Spot(name, None) => format!("{name}#spot"),
            Self::Spot(name, Some(zone)) => format!("{name}#spot#{zone}"),
            Self::GibMonth => "gp3#gib-month".to_owned(),
            Self::PublicIpv4Hour => "public-ipv4#hour".to_owned(),
        }
    }

    /// The item of a sort key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.split('#').collect();
        Some(match parts[..] {
            ["gp3", "gib-month"] => Self::GibMonth,
            ["public-ipv4", "hour"] => Self::PublicIpv4Hour,
            [name, "on-demand"] => Self::OnDemand(name.to_owned()),
            [name, "spot"] => Self::Spot(name.to_owned(), None),
            [name, "spot", zone] => Self::Spot(name.to_owned(), Some(zone.to_owned())),
            _ => return None,
        })
    }

    /// What it is called in a message.
    #[must_use]
    pub fn words(&self, region: &Region) -> String {
        match self {
            Self::OnDemand(name) => format!("{name} on demand in {region}"),
            Self::Spot(name, None) => format!("{name} as spot in {region}"),
            Self::Spot(name, Some(zone)) => format!("{name} as spot in {zone}"),
            Self::GibMonth => format!("gp3 volumes in {region}"),
            Self::PublicIpv4Hour => format!("public IPv4 addresses in {region}"),
        }
    }
}

/// A price, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// The price in micro-dollars.
    pub amount: MicroDollars,
    /// Who says so, in words.
    pub source: String,
    /// When that was asked, in ms since 1970; `None` for the operator's file, which holds until it is replaced.
    pub fetched_at: Option<u64>,
}

impl Quote {
    /// `$0.68 (AWS Price List, 3 h old)`.
    #[must_use]
    pub fn words(&self, now: u64) -> String {
        let age = match self.fetched_at {
            Some(at) => format!(", {} h old", now.saturating_sub(at) / 3_600_000),
            None => String::new(),
        };
        format!("{} ({}{age})", self.amount, self.source)
    }
}

/// Prices that are known and not too old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceBook {
    quotes: BTreeMap<(Region, Item), Quote>,
    /// When those were asked that are too old to be used.
    stale: BTreeMap<(Region, Item), u64>,
    /// Why AWS did not answer for a region, if it did not.
    unanswered: BTreeMap<Region, String>,
}

impl PriceBook {
    /// Adds a price, unless there is one.
    pub(super) fn add(&mut self, region: Region, item: Item, quote: Quote) {
        self.stale.remove(&(region, item.clone()));
        self.quotes.entry((region, item)).or_insert(quote);
    }

    /// Adds a price of the ledger, unless there is one, or this is older than `age_ms_max`.
    pub(super) fn add_row(&mut self, row: &PriceRow, now: u64, age_ms_max: u64) {
        let Some(item) = Item::of_key(&row.item) else {
            return;
        };
        if now.saturating_sub(row.fetched_at) <= age_ms_max {
            let quote = Quote {
                amount: row.amount,
                source: row.source.clone(),
                fetched_at: Some(row.fetched_at),
            };
            self.add(row.region, item, quote);
        } else if self.quote(&row.region, &item).is_none() {
            self.stale.insert((row.region, item), row.fetched_at);
        }
    }

    /// Notes that AWS did not answer.
    pub(super) fn note_unanswered(&mut self, region: Region, why: String) {
        self.unanswered.entry(region).or_insert(why);
    }

    /// The price of `item` and where it comes from.
    #[must_use]
    pub fn quote(&self, region: &Region, item: &Item) -> Option<&Quote> {
        self.quotes.get(&(*region, item.clone()))
    }

    /// The spot price of a type: that of `zone`, or without one the lowest of the region's zones.
    #[must_use]
    pub fn spot<'a>(
        &'a self,
        region: &Region,
        name: &'a str,
        zone: Option<&str>,
    ) -> Option<&'a Quote> {
        let of = |zone: Option<&str>| {
            self.quote(
                region,
                &Item::Spot(name.to_owned(), zone.map(str::to_owned)),
            )
        };
        if let Some(quote) = of(None) {
            return Some(quote);
        }
        match zone {
            Some(zone) => of(Some(zone)),
            None => self
                .spot_zones(region, name)
                .map(|(_, quote)| quote)
                .min_by_key(|quote| quote.amount),
        }
    }

    /// The spot prices of a type by zone.
    pub fn spot_zones<'a>(
        &'a self,
        region: &Region,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Quote)> {
        let from = (*region, Item::Spot(name.to_owned(), None));
        let region = *region;
        self.quotes
            .range(from..)
            .take_while(move |((of, item), _)| {
                *of == region && matches!(item, Item::Spot(other, _) if other == name)
            })
            .filter_map(|((_, item), quote)| match item {
                Item::Spot(_, Some(zone)) => Some((zone.as_str(), quote)),
                _ => None,
            })
    }

    /// What an hour may cost at the most: the price on demand, which is the default ceiling of a spot price too (Amazon EC2
    /// User Guide, "Spot Instance pricing and savings"). `None` when it is not known.
    #[must_use]
    pub fn hour_at_most(&self, region: &Region, instance_type: &str) -> Option<MicroDollars> {
        self.quote(region, &Item::OnDemand(instance_type.to_owned()))
            .map(|quote| quote.amount)
    }

    /// What an hour costs as far as is known: for spot the price that was seen, if one was.
    #[must_use]
    pub fn hour_expected(
        &self,
        region: &Region,
        instance_type: &str,
        market: Market,
    ) -> Option<MicroDollars> {
        let spot = match market {
            Market::Spot => self.spot(region, instance_type, None),
            Market::OnDemand => None,
        };
        spot.map(|quote| quote.amount)
            .or_else(|| self.hour_at_most(region, instance_type))
    }

    /// The price of an item that has no time or place of its own.
    #[must_use]
    pub fn amount(&self, region: &Region, item: &Item) -> Option<MicroDollars> {
        self.quote(region, item).map(|quote| quote.amount)
    }

    /// Why a price is not there, in words: never heard of, too old, or AWS did not answer.
    #[must_use]
    pub fn why_missing(&self, region: &Region, item: &Item) -> String {
        let mut words = format!("the price of {} is not known", item.words(region));
        if let Some(at) = self.stale.get(&(*region, item.clone())) {
            words = format!(
                "the price of {} is too old: it was asked on {}",
                item.words(region),
                clock::format_iso(*at)
            );
        }
        match self.unanswered.get(region) {
            Some(why) => format!("{words} ({why})"),
            None => words,
        }
    }

    /// Who says what the prices are, each once.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> = self.quotes.values().map(|q| q.source.clone()).collect();
        sources.sort();
        sources.dedup();
        sources
    }

    /// The regions in which a type's price on demand is known, the cheapest first.
    #[must_use]
    pub fn regions_of(&self, instance_type: &str) -> Vec<(Region, MicroDollars)> {
        let mut regions: Vec<(Region, MicroDollars)> = self
            .quotes
            .iter()
            .filter(|((_, item), _)| matches!(item, Item::OnDemand(name) if name == instance_type))
            .map(|((region, _), quote)| (*region, quote.amount))
            .collect();
        regions.sort_by_key(|(region, amount)| (*amount, *region));
        regions
    }
}
