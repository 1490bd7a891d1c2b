//! vCPU quotas.
//!
//! Source: "Amazon EC2 On-Demand Instance quotas" and "Spot Instance quotas", EC2 user guide: one quota for each group of
//! families and market, in vCPUs, per account and region. AWS starts accounts low (5 for standard families); here the
//! default is out of the way and a test sets what it needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::QuotaClass;
use crate::model::Place;
use crate::wire::Ec2Error;

/// Quota where no rule says otherwise.
const DEFAULT_VCPUS: u64 = 1_000_000;

/// The two markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MarketKind {
    OnDemand,
    Spot,
}

impl MarketKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

/// A quota that a test has set. An absent selector matches everything; the last rule that matches counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaRule {
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    /// `standard`, `g`, `p`, `inf`, `trn`, `dl`, `f`, `hpc`, `high-memory`, `x`.
    pub(crate) class: Option<String>,
    pub(crate) market: Option<MarketKind>,
    pub(crate) vcpus: u64,
}

/// All quotas.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    pub(crate) rules: Vec<QuotaRule>,
}

impl Quotas {
    /// The quotas in force in a place, by class and market.
    pub(crate) fn limits(
        &self,
        place: &Place,
    ) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
        let markets = [MarketKind::OnDemand, MarketKind::Spot];
        QuotaClass::ALL
            .into_iter()
            .map(|class| {
                let of_market = |market| (market, self.limit(place, class, market));
                let limits = markets.map(of_market);
                let limits = limits.map(|(market, limit)| (market.as_str(), limit));
                (class.as_str(), BTreeMap::from(limits))
            })
            .collect()
    }

    fn limit(&self, place: &Place, class: QuotaClass, market: MarketKind) -> u64 {
        let matches =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|one| one == value);
        self.rules
            .iter()
            .rev()
            .find(|rule| {
                matches(&rule.account, &place.account)
                    && matches(&rule.region, place.region.name)
                    && matches(&rule.class, class.as_str())
                    && rule.market.is_none_or(|one| one == market)
            })
            .map_or(DEFAULT_VCPUS, |rule| rule.vcpus)
    }

    /// Refuses a launch that would pass the quota; `used` are the vCPUs of live instances of the class and market.
    pub(crate) fn check(
        &self,
        place: &Place,
        class: QuotaClass,
        market: MarketKind,
        used: u64,
        wanted: u64,
    ) -> Result<(), Ec2Error> {
        let limit = self.limit(place, class, market);
        if used + wanted <= limit {
            return Ok(());
        }
        Err(match market {
            MarketKind::OnDemand => Ec2Error::new(
                "VcpuLimitExceeded",
                format!(
                    "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the \
                     instance bucket that the specified instance type belongs to. Please visit \
                     http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
                ),
            ),
            MarketKind::Spot => Ec2Error::new(
                "MaxSpotInstanceCountExceeded",
                "Max spot instance count exceeded",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MarketKind, QuotaRule, Quotas};
    use crate::catalogue::QuotaClass;
    use crate::model::Place;

    #[test]
    fn each_market_has_its_own_error_and_the_last_rule_counts() {
        let rule = |vcpus| QuotaRule {
            account: None,
            region: None,
            class: None,
            market: None,
            vcpus,
        };
        let quotas = Quotas {
            rules: vec![rule(0), rule(10)],
        };
        let here = Place::new("000000000000", "us-east-1").unwrap();
        let code = |market, used, wanted| {
            quotas
                .check(&here, QuotaClass::Standard, market, used, wanted)
                .err()
                .map(|error| error.code.into_owned())
        };
        assert_eq!(code(MarketKind::OnDemand, 8, 2), None);
        assert_eq!(
            code(MarketKind::OnDemand, 8, 3).as_deref(),
            Some("VcpuLimitExceeded")
        );
        assert_eq!(
            code(MarketKind::Spot, 8, 3).as_deref(),
            Some("MaxSpotInstanceCountExceeded")
        );
    }
}
