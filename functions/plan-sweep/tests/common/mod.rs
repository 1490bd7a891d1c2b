//! Where plan-sweep is called: a deployment, and all that it asks.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by tests of which each uses a part"
)]

use std::sync::Arc;

use plan_sweep::{Deployment, Input, Output, Ports, handle};
use serde_json::Value;
use simulation::{Faults, MemoryLedger, MemoryObjects, Offers, PriceLists, Route53, VirtualTime};
use spawn_core::document::OperatorDefaults;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Stored as _;
use spawn_core::rows::MemberRow;

pub const EXECUTION: &str = "arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:test";
/// The trace that it began.
pub const TRACE: &str = "1-5759e988-bd862e3fe1be46a994272793";

/// A deployment without a domain, whose documents need not name an image or a type.
pub fn deployment(instance_type: &str) -> Deployment {
    Deployment {
        defaults: OperatorDefaults {
            ami: Some("/aws/service/al2023-{arch}".to_owned()),
            instance_type: Some(instance_type.to_owned()),
            key_name: None,
            instance_profile: None,
            budget: None,
            owner: None,
            home_region: "us-east-1".parse().unwrap(),
            reach: spawn_core::document::Reach::default(),
        },
        results_bucket: "results".to_owned(),
        instance_profile: "spawn-instance-profile".to_owned(),
        home_account: "000000000000".parse().unwrap(),
        notify_topic: None,
        price_book: None,
        price_age_ms_max: 48 * 3_600_000,
        naming: None,
    }
}

/// All that a plan depends on.
pub struct Place {
    pub faults: Arc<Faults>,
    pub ledger: MemoryLedger,
    pub offers: Offers,
    pub objects: MemoryObjects,
    pub prices: PriceLists,
    pub zones: Route53,
    pub deployment: Deployment,
}

impl Place {
    pub fn of(deployment: Deployment) -> Self {
        let faults = Arc::new(Faults::default());
        Self {
            ledger: MemoryLedger::new(Arc::clone(&faults)),
            offers: Offers::new(Arc::clone(&faults)),
            objects: MemoryObjects::new(Arc::clone(&faults)),
            zones: Route53::new(VirtualTime::default(), Arc::clone(&faults)),
            faults,
            prices: PriceLists::default(),
            deployment,
        }
    }

    pub fn ports(
        &self,
    ) -> Ports<'_, MemoryLedger, Offers, Offers, MemoryObjects, PriceLists, Route53> {
        Ports {
            ledger: &self.ledger,
            ec2: &self.offers,
            parameters: &self.offers,
            objects: &self.objects,
            prices: &self.prices,
            zones: &self.zones,
            deployment: &self.deployment,
        }
    }

    /// What plan-sweep answers to the input of an execution at `now` (ms since 1970).
    pub async fn plan_of(
        &self,
        execution_arn: &str,
        input: Value,
        now: u64,
    ) -> Result<Output, FunctionError> {
        let input = Input {
            execution_arn: execution_arn.to_owned(),
            started_at: "2026-01-22T10:00:00Z".to_owned(),
            input,
            trace: Some(TRACE.to_owned()),
        };
        Box::pin(handle(input, &self.ports(), now)).await
    }

    /// The members in the ledger, by index.
    pub fn members(&self) -> Vec<MemberRow> {
        let rows = self.ledger.dump().into_iter();
        let mut members: Vec<MemberRow> = rows
            .filter(|row| row.key.sk.starts_with("MEMBER#"))
            .map(|row| MemberRow::from_row(row).unwrap())
            .collect();
        members.sort_by_key(|member| member.index);
        members
    }
}
