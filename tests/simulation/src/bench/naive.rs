//! The naive design on the same model of EC2: one RunInstances a member, the whole sweep in one item that is written anew
//! after every launch, and a function that looks every ten seconds.

use serde_json::Value;
use spawn_core::account::Place;
use spawn_core::ids::Market;
use spawn_core::region::Region;

use super::REGIONS;
use super::prices;
use crate::START_MS;
use crate::ec2::{Api, Choice, Ec2, Launch, Settings};
use crate::engine::Ms;

/// Bytes of a member in the item, and of the item without members.
const MEMBER_BYTES: u64 = 155;
const ITEM_BYTES: u64 = 2_048;
/// The most bytes of an item (Amazon DynamoDB Developer Guide, "Service quotas").
const ITEM_BYTES_MAX: u64 = 400 * 1_024;
/// Between two looks.
const POLL: Ms = 10_000;
/// Memory of the function that runs all the time, in MiB.
const MEMORY_MIB: u64 = 512;

/// What the naive design took.
#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    /// From the first call to the last launch.
    pub launch_ms: Ms,
    /// Launch calls, those that were throttled too.
    pub launch_calls: u64,
    /// Until the last member has ended.
    pub took_ms: Ms,
    /// Write units.
    pub write_units: u64,
    /// Read units.
    pub read_units: u64,
    /// The member whose launch no longer fits the item, if there is one.
    pub full_at: Option<u64>,
}

impl Naive {
    /// Items of its bill, as [`super::cost`] names them: amount, and price of one.
    pub(super) fn bill(&self) -> Vec<(&'static str, u64, u64)> {
        let gb_ms = self.took_ms * MEMORY_MIB / 1_024;
        vec![
            (
                "function GB-ms (arm64)",
                gb_ms,
                prices::X86_GB_SECOND / 1_000,
            ),
            ("ledger write units", self.write_units, prices::WRITE_UNIT),
            ("ledger read units", self.read_units, prices::READ_UNIT),
        ]
    }
}

/// Runs it: every region at once, each as fast as its bucket of requests allows.
pub(super) fn naive(members: u64, regions: usize, run_ms: Ms) -> Naive {
    let mut ec2 = Ec2::new(Settings::default());
    let places: Vec<Place> = REGIONS
        .iter()
        .take(regions)
        .filter_map(|name| name.parse::<Region>().ok())
        .map(Place::home)
        .collect();
    for place in &places {
        // The bucket of other requests is full: this cannot fail.
        let made = ec2.create_template(*place, "naive", None, START_MS);
        debug_assert!(made.is_ok());
    }
    let mut naive = Naive::default();
    let mut now = START_MS;
    let mut launched = 0;
    while launched < members {
        for place in &places {
            while launched < members && one(&mut ec2, *place, launched, now) {
                launched += 1;
                let bytes = ITEM_BYTES + launched * MEMBER_BYTES;
                naive.write_units += bytes.div_ceil(1_024);
                if bytes > ITEM_BYTES_MAX && naive.full_at.is_none() {
                    naive.full_at = Some(launched);
                }
            }
        }
        naive.launch_ms = now - START_MS;
        // It asks again when a request has returned to the bucket.
        now += 500;
    }
    naive.launch_calls = ec2.launch_calls.values().sum();
    naive.took_ms = naive.launch_ms + run_ms;
    let item = ITEM_BYTES + members * MEMBER_BYTES;
    naive.read_units = naive.took_ms / POLL * item.div_ceil(4_096);
    naive
}

/// Launches one member; answers whether EC2 did.
fn one(ec2: &mut Ec2, place: Place, member: u64, now: Ms) -> bool {
    let call = Launch {
        api: Api::RunInstances,
        place,
        token: format!("member-{member}"),
        parameters: Value::from(member).to_string(),
        template: "naive".to_owned(),
        choices: vec![Choice {
            instance_type: "c5.large".to_owned(),
            market: Market::OnDemand,
            zone: None,
        }],
        count: 1,
        tags: Vec::new(),
    };
    ec2.launch(call, now).is_ok()
}
