//! The rows and the instances of a fleet.

use std::collections::BTreeMap;

use spawn_core::ids::{ClientToken, InstanceArn, Market, SweepId};
use spawn_core::ledger::{Attributes, LedgerError, Row, Stored};
use spawn_core::ports::{CloudInstance, InstanceState};
use spawn_core::reap::{ATTEMPT_TAG, IdleRules, MANAGED_TAG, ManagedInstance, SWEEP_TAG};
use spawn_core::rows::{
    Addresses, InstanceRow, MemberRow, OnComplete, ProgramRow, SweepRow, shard_count,
};
use spawn_core::state::{Counts, MemberState, SweepStatus};

use crate::cloud::Truth;

/// The lane of every fleet.
pub(crate) const LANE: &str = "us-east-1.on-demand";

/// An instance of number `number` and its member, both at work since `launched_at`.
pub(crate) fn pair(
    sweep: &SweepRow,
    number: u32,
    index: u32,
    launched_at: u64,
    ttl_ms: u64,
) -> (Truth, MemberRow, InstanceRow) {
    let arn = arn(number);
    let truth = Truth {
        managed: ManagedInstance {
            instance: CloudInstance {
                arn: arn.clone(),
                state: InstanceState::Running,
                instance_type: "c5.large".to_owned(),
                market: Market::OnDemand,
                availability_zone: "us-east-1a".to_owned(),
                launched_at,
                addresses: Addresses::default(),
                state_reason: None,
                seen_at: 1,
            },
            tags: tags(&sweep.sweep_id, &token(sweep)),
            can_hibernate: false,
        },
        idle_since: None,
        on_gpu: false,
        ended_at: None,
    };
    let deadline = launched_at + ttl_ms;
    let member = MemberRow {
        state: MemberState::Running,
        live: true,
        instance: Some(arn.clone()),
        attempt: Some(token(sweep)),
        launched_at: Some(launched_at),
        running_at: Some(launched_at),
        ttl_deadline: Some(deadline),
        ..MemberRow::planned(
            sweep.sweep_id.clone(),
            sweep.shards,
            index,
            simulation::lane(LANE),
        )
    };
    // As large as the assignments of real sweeps are.
    let assignment = "a".repeat(1200);
    let row = InstanceRow::assigned(
        arn,
        sweep.sweep_id.clone(),
        index,
        assignment,
        Some(deadline),
    );
    (truth, member, row)
}

/// The token of a sweep's attempts.
pub(crate) fn token(sweep: &SweepRow) -> ClientToken {
    ClientToken::of(&[sweep.sweep_id.as_str(), "attempt"])
}

/// The token of its attempt that was abandoned.
pub(crate) fn abandoned(sweep: &SweepRow) -> ClientToken {
    ClientToken::of(&[sweep.sweep_id.as_str(), "abandoned"])
}

fn arn(number: u32) -> InstanceArn {
    InstanceArn {
        partition: "aws".to_owned(),
        region: simulation::lane(LANE).region,
        account: "000000000000".to_owned(),
        instance_id: format!(
            "i-{:017x}",
            u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ),
    }
}

pub(crate) fn tags(sweep: &SweepId, token: &ClientToken) -> BTreeMap<String, String> {
    [
        (MANAGED_TAG, "true"),
        (SWEEP_TAG, sweep.as_str()),
        (ATTEMPT_TAG, token.as_str()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// A sweep of `members` members that all run.
pub(crate) fn sweep(number: usize, members: u32) -> SweepRow {
    let id = format!("fleet-20260101-{number:06}");
    let mut counts = vec![MemberState::Running; usize::try_from(members).unwrap_or(0)];
    counts.shrink_to_fit();
    let mut row = simulation::sweep(members, &[LANE], None);
    row.sweep_id = SweepId::from(id.as_str());
    row.status = SweepStatus::Running;
    row.shards = shard_count(members);
    row.counts = Counts::tally(counts);
    row.live = i64::from(members);
    for live in row.live_in.values_mut() {
        *live = i64::from(members);
    }
    row
}

/// What the members of a sweep run.
pub(crate) fn program(sweep: &SweepRow, idle_timeout_s: Option<u64>) -> ProgramRow {
    ProgramRow {
        sweep_id: sweep.sweep_id.clone(),
        program: 0,
        user_data: None,
        command: Some("true".to_owned()),
        ttl_s: Some(36_000),
        idle_timeout_s,
        hibernate_on_idle: false,
        idle: IdleRules::default(),
        on_complete: OnComplete::Terminate,
        completion_file: None,
        completion_delay_s: 0,
        inputs: Vec::new(),
        result_file: "result.json".to_owned(),
        on_interruption: None,
    }
}

/// A row, or a panic: these rows are well formed.
pub(crate) fn row(stored: &impl Stored) -> Row {
    checked(stored.row())
}

pub(crate) fn checked<T>(result: Result<T, LedgerError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// What an instance says of itself at `at`, by its own clock.
pub(crate) fn words(activity: &str, since: u64, at: u64) -> Attributes {
    let mut words = Attributes::new();
    words.insert("report_activity".to_owned(), activity.into());
    words.insert("report_activity_since".to_owned(), since.into());
    words.insert("report_heartbeat_at".to_owned(), at.into());
    words
}
