//! AWS's prices in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use spawn_core::cost::PriceFrom;
use spawn_core::money::MicroDollars;
use spawn_core::ports::{AskPrices, ServiceError, SpotPrice};
use spawn_core::region::Region;

/// A Price List and a spot price history that know what they are told.
#[derive(Debug, Default)]
pub struct PriceLists {
    on_demand: Mutex<BTreeMap<(Region, String), MicroDollars>>,
    spot: Mutex<Vec<(Region, SpotPrice)>>,
    asked: Mutex<usize>,
    silent: Mutex<bool>,
}

impl PriceLists {
    /// Sets the price of a type on demand.
    pub fn set(&self, region: Region, name: &str, micros: i64) {
        let mut prices = self
            .on_demand
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        prices.insert((region, name.to_owned()), MicroDollars(micros));
    }

    /// Adds a spot price from a moment on.
    pub fn add_spot(&self, region: Region, name: &str, zone: &str, from: u64, micros: i64) {
        let price = SpotPrice {
            instance_type: name.to_owned(),
            availability_zone: zone.to_owned(),
            price: PriceFrom {
                from,
                hour: MicroDollars(micros),
            },
        };
        self.spot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((region, price));
    }

    /// Answers nothing any more.
    pub fn fall_silent(&self) {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// How many questions were asked.
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Result<(), ServiceError> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if *self.silent.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(ServiceError::Transient {
                service: "the Price List",
                message: "timed out".to_owned(),
            });
        }
        Ok(())
    }
}

impl AskPrices for PriceLists {
    async fn on_demand_hours(
        &self,
        region: &Region,
        types: &[String],
    ) -> Result<BTreeMap<String, MicroDollars>, ServiceError> {
        self.ask()?;
        let prices = self
            .on_demand
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = types.iter().filter_map(|name| {
            let price = prices.get(&(*region, name.clone()))?;
            Some((name.clone(), *price))
        });
        Ok(known.collect())
    }

    async fn gib_month(&self, _region: &Region) -> Result<Option<MicroDollars>, ServiceError> {
        self.ask()?;
        Ok(Some(MicroDollars(80_000)))
    }

    async fn public_ipv4_hour(
        &self,
        _region: &Region,
    ) -> Result<Option<MicroDollars>, ServiceError> {
        self.ask()?;
        Ok(Some(MicroDollars(5_000)))
    }

    async fn spot_prices(
        &self,
        region: &Region,
        types: &[String],
        since: u64,
    ) -> Result<Vec<SpotPrice>, ServiceError> {
        self.ask()?;
        let prices = self.spot.lock().unwrap_or_else(PoisonError::into_inner);
        let of_region = prices
            .iter()
            .filter(|(of, seen)| of == region && types.contains(&seen.instance_type));
        let all: Vec<&SpotPrice> = of_region.map(|(_, seen)| seen).collect();
        // The one in force at `since`, and the later ones.
        let later = |seen: &SpotPrice| {
            all.iter().any(|other| {
                (&other.instance_type, &other.availability_zone)
                    == (&seen.instance_type, &seen.availability_zone)
                    && other.price.from > seen.price.from
                    && other.price.from <= since
            })
        };
        Ok(all
            .iter()
            .filter(|seen| !later(seen))
            .map(|seen| (*seen).clone())
            .collect())
    }
}
