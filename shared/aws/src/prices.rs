//! Prices: on demand, of volumes and of addresses from the Price List, of spot from EC2's price history.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use aws_config::{Region as AwsRegion, SdkConfig};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::InstanceType;
use aws_sdk_pricing::types::{Filter, FilterType};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use spawn_core::cost::PriceFrom;
use spawn_core::money::MicroDollars;
use spawn_core::ports::{AskPrices, ServiceError, SpotPrice};
use spawn_core::region::Region;

use crate::sdk::Failure;

/// The Price List is served in few regions, of all regions' prices (AWS Billing User Guide, "Using the AWS Price List Query API").
const PRICE_LIST_REGION: &str = "us-east-1";
/// Questions to the Price List at a time.
const QUESTIONS_AT_ONCE: usize = 5;
/// What members run (API reference of `DescribeSpotPriceHistory`: the names of products).
const LINUX: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];
/// The services, as errors name them.
const PRICE_LIST: &str = "the Price List";
const EC2: &str = "EC2's spot price history";

/// Prices, asked with the credentials of one account.
#[derive(Debug)]
pub struct Prices {
    config: SdkConfig,
    list: aws_sdk_pricing::Client,
    ec2: Mutex<HashMap<Region, aws_sdk_ec2::Client>>,
}

impl Prices {
    /// Prices, asked with the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let list = aws_sdk_pricing::config::Builder::from(config)
            .region(AwsRegion::from_static(PRICE_LIST_REGION));
        Self {
            config: config.clone(),
            list: aws_sdk_pricing::Client::from_conf(list.build()),
            ec2: Mutex::default(),
        }
    }

    fn ec2(&self, region: Region) -> aws_sdk_ec2::Client {
        let mut clients = self.ec2.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region).or_insert_with(|| {
            let config = aws_sdk_ec2::config::Builder::from(&self.config)
                .region(AwsRegion::from_static(region.as_str()));
            aws_sdk_ec2::Client::from_conf(config.build())
        });
        client.clone()
    }

    /// The dearest price among the products of a service that have all these attributes, in the unit that is asked for.
    /// Nothing but one price is expected; of several the dearest can surprise nobody.
    async fn list_price(
        &self,
        service: &str,
        attributes: &[(&str, &str)],
        usage: &str,
        unit: &str,
    ) -> Result<Option<MicroDollars>, ServiceError> {
        let mut filters = Vec::with_capacity(attributes.len());
        for (field, value) in attributes {
            let filter = Filter::builder()
                .r#type(FilterType::TermMatch)
                .field(*field)
                .value(*value)
                .build()
                .map_err(|error| Failure::Invalid(error.to_string()).of_service(PRICE_LIST))?;
            filters.push(filter);
        }
        let mut pages = self
            .list
            .get_products()
            .service_code(service)
            .set_filters(Some(filters))
            .into_paginator()
            .send();
        let mut dearest = None;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).of_service(PRICE_LIST))?;
            for product in page.price_list() {
                dearest = dearest.max(price_of(product, usage, unit));
            }
        }
        Ok(dearest)
    }
}

impl AskPrices for Prices {
    async fn on_demand_hours(
        &self,
        region: &Region,
        types: &[String],
    ) -> Result<BTreeMap<String, MicroDollars>, ServiceError> {
        let questions = types.iter().cloned().map(|name| async move {
            let attributes = [
                ("regionCode", region.as_str()),
                ("instanceType", name.as_str()),
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                ("capacitystatus", "Used"),
            ];
            let price = self
                .list_price("AmazonEC2", &attributes, &format!("BoxUsage:{name}"), "Hrs")
                .await?;
            Ok::<_, ServiceError>(price.map(|price| (name, price)))
        });
        stream::iter(questions)
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    async fn gib_month(&self, region: &Region) -> Result<Option<MicroDollars>, ServiceError> {
        let attributes = [
            ("regionCode", region.as_str()),
            ("productFamily", "Storage"),
            ("volumeApiName", "gp3"),
        ];
        self.list_price("AmazonEC2", &attributes, "EBS:VolumeUsage.gp3", "GB-Mo")
            .await
    }

    async fn public_ipv4_hour(
        &self,
        region: &Region,
    ) -> Result<Option<MicroDollars>, ServiceError> {
        let attributes = [
            ("regionCode", region.as_str()),
            ("group", "VPCPublicIPv4Address"),
        ];
        self.list_price("AmazonVPC", &attributes, "PublicIPv4:InUseAddress", "Hrs")
            .await
    }

    async fn spot_prices(
        &self,
        region: &Region,
        types: &[String],
        since: u64,
    ) -> Result<Vec<SpotPrice>, ServiceError> {
        let seconds = i64::try_from(since / 1000).unwrap_or(i64::MAX);
        let mut pages = self
            .ec2(*region)
            .describe_spot_price_history()
            .set_instance_types(Some(
                types
                    .iter()
                    .map(|name| InstanceType::from(name.as_str()))
                    .collect(),
            ))
            .set_product_descriptions(Some(LINUX.map(str::to_owned).to_vec()))
            .start_time(DateTime::from_secs(seconds))
            .into_paginator()
            .send();
        let mut prices = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).of_service(EC2))?;
            prices.extend(page.spot_price_history().iter().filter_map(|seen| {
                Some(SpotPrice {
                    instance_type: seen.instance_type()?.as_str().to_owned(),
                    availability_zone: seen.availability_zone()?.to_owned(),
                    price: PriceFrom {
                        from: u64::try_from(seen.timestamp()?.to_millis().ok()?).ok()?,
                        hour: micros_rounded_up(seen.spot_price()?)?,
                    },
                })
            }));
        }
        Ok(prices)
    }
}

/// The price of a product of the Price List on demand, in US dollars for one `unit`, if its usage type ends with `usage`:
/// other kinds of usage have the same attributes and other prices.
fn price_of(product: &str, usage: &str, unit: &str) -> Option<MicroDollars> {
    let product: Value = serde_json::from_str(product).ok()?;
    let used = product.pointer("/product/attributes/usagetype")?.as_str()?;
    if !used.ends_with(usage) {
        return None;
    }
    let terms = product.pointer("/terms/OnDemand")?.as_object()?;
    terms
        .values()
        .filter_map(|term| term.get("priceDimensions")?.as_object())
        .flat_map(|dimensions| dimensions.values())
        .filter(|dimension| dimension.get("unit").and_then(Value::as_str) == Some(unit))
        .filter_map(|dimension| {
            micros_rounded_up(dimension.pointer("/pricePerUnit/USD")?.as_str()?)
        })
        .max()
        .filter(|price| price.0 > 0)
}

/// The amount of a text such as `0.6800000000`, to the next micro-dollar: the Price List has ten decimals.
fn micros_rounded_up(text: &str) -> Option<MicroDollars> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (kept, rest) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
    let exact: MicroDollars = format!("{whole}.{kept}0").parse().ok()?;
    if !rest.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let more = i64::from(rest.bytes().any(|digit| digit != b'0'));
    exact.checked_add(MicroDollars(more))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_are_taken_to_the_next_micro_dollar() {
        for (text, micros) in [
            ("0.6800000000", Some(680_000)),
            ("0.0000166667", Some(17)),
            ("0.200000", Some(200_000)),
            ("5", Some(5_000_000)),
            ("0.08", Some(80_000)),
            ("free", None),
            ("0.123456x", None),
        ] {
            assert_eq!(micros_rounded_up(text), micros.map(MicroDollars), "{text}");
        }
    }

    #[test]
    fn a_product_has_the_price_of_the_unit_that_is_asked_for() {
        let product = json!({
            "product": {"attributes": {"usagetype": "USW2-BoxUsage:c5.4xlarge"}},
            "terms": {"OnDemand": {"SKU.TERM": {"priceDimensions": {
                "SKU.TERM.1": {"unit": "Hrs", "pricePerUnit": {"USD": "0.6800000000"}},
            }}}},
        })
        .to_string();
        assert_eq!(
            price_of(&product, "BoxUsage:c5.4xlarge", "Hrs"),
            Some(MicroDollars(680_000))
        );
        assert_eq!(price_of(&product, "BoxUsage:c5.4xlarge", "GB-Mo"), None);
        assert_eq!(price_of("{}", "", "Hrs"), None);
    }
}
