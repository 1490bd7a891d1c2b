//! Whether the reaper ever ends what lives and works, and whether it ends the rest.

use std::collections::BTreeMap;
use std::fmt;

use spawn_core::clock;
use spawn_core::ledger::Row;
use spawn_core::ports::InstanceState;
use spawn_core::ranges::Indices;
use spawn_core::reap::{KEEP_ALIVE_TAG, PROTECT_TAG, idle::HEARTBEAT_MS};
use spawn_core::rows::{
    AttemptRow, AttemptState, BatchRow, LaunchApi, Location, MemberRow, Pool, Rung,
};
use spawn_core::state::MemberState;

use crate::cloud::{Shown, Truth};
use crate::fleet::Fleet;
use crate::{HOUR, MINUTE, build};

/// What an instance of the fleet is, and what should become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// At work, and says so; some clocks go wrong by ten minutes.
    AtWork,
    /// At work, but its words do not arrive any more.
    Silent,
    /// At work on a GPU, which CloudWatch does not show, and silent.
    SilentGpu,
    /// At work, never heard of.
    NeverHeard,
    /// At work, and its own row is lost.
    RowLost,
    /// At work, and its member's row is lost.
    MemberLost,
    /// At work, launched and not recorded: to be adopted.
    NotRecorded,
    /// At work, and says that it is idle.
    WrongWord,
    /// Idle, with a signal that it cannot read.
    Unreadable,
    /// Idle, and a tag protects it.
    Protected,
    /// Idle, and a tag keeps it alive.
    KeptAlive,
    /// Idle for too long, and says so.
    Idle,
    /// Idle for too long, and silent; CloudWatch shows it.
    IdleSilent,
    /// Its time passes, and its kill switch has failed.
    Overdue,
    /// Complete, and does not shut down.
    Hung,
    /// Ended in the ledger.
    Zombie,
    /// Nobody's.
    Orphan,
}

/// The kinds, and how many of a thousand instances are of each.
const SHARES: [(Kind, u32); 17] = [
    (Kind::AtWork, 700),
    (Kind::Silent, 60),
    (Kind::SilentGpu, 30),
    (Kind::NeverHeard, 20),
    (Kind::RowLost, 20),
    (Kind::MemberLost, 15),
    (Kind::NotRecorded, 10),
    (Kind::WrongWord, 15),
    (Kind::Unreadable, 15),
    (Kind::Protected, 10),
    (Kind::KeptAlive, 10),
    (Kind::Idle, 25),
    (Kind::IdleSilent, 15),
    (Kind::Overdue, 20),
    (Kind::Hung, 15),
    (Kind::Zombie, 10),
    (Kind::Orphan, 10),
];

impl Kind {
    fn of(number: u32) -> Self {
        // Spread over the fleet, not in blocks.
        let mut place = number.wrapping_mul(617) % 1000;
        for (kind, share) in SHARES {
            if place < share {
                return kind;
            }
            place -= share;
        }
        Self::AtWork
    }

    /// Whether it must be ended.
    #[must_use]
    pub fn must_end(self) -> bool {
        self >= Self::Idle
    }
}

/// What became of the instances of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many there were.
    pub instances: usize,
    /// How many were ended.
    pub ended: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// By kind.
    pub outcomes: BTreeMap<Kind, Outcome>,
    /// Passes, and how many of them failed because of a fault.
    pub passes: usize,
    /// Those that failed.
    pub failed: usize,
}

impl Safety {
    /// What should not be: something at work was ended, or something was not that should have been.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let wrong = |(kind, outcome): (&Kind, &Outcome)| {
            let Outcome { instances, ended } = *outcome;
            let right = if kind.must_end() { instances } else { 0 };
            (ended != right).then(|| format!("{kind:?}: {ended} of {instances} were ended"))
        };
        self.outcomes.iter().filter_map(wrong).collect()
    }
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:>9} {:>7}  should be",
            "instances", "number", "ended"
        )?;
        for (kind, outcome) in &self.outcomes {
            let right = if kind.must_end() {
                outcome.instances
            } else {
                0
            };
            let name = format!("{kind:?}");
            writeln!(
                f,
                "{name:<12} {:>9} {:>7}  {right}",
                outcome.instances, outcome.ended
            )?;
        }
        write!(
            f,
            "{} passes, {} of them failed by faults",
            self.passes, self.failed
        )
    }
}

/// Members of one sweep.
const MEMBERS: u32 = 500;
/// When the run begins; everything was launched two hours before.
const BEGIN: u64 = 1_000 * HOUR;
const IDLE_TIMEOUT_S: u64 = 30 * 60;

/// Runs the reaper over a fleet of `instances`: two hours with every fault, then until what must end can have ended.
pub async fn run(instances: u32, seed: u64) -> Safety {
    let mut random = fastrand::Rng::with_seed(seed);
    let (truths, rows, kinds) = fleet_of(instances, &mut random);
    let fleet = Fleet::new(truths, rows, seed).await;
    for (id, kind) in &kinds {
        first_words(&fleet, id, *kind, &mut random);
    }
    let mut safety = Safety::default();
    fleet.cloud.misbehave(Shown {
        failed_lists: 15,
        failed_questions: 20,
        stale: 30,
        left_out: 1,
        missing_points: 2,
    });
    let mut now = BEGIN;
    while now < BEGIN + 2 * HOUR {
        speak(&fleet, &kinds, now, &mut random);
        step(&fleet, now, &mut safety).await;
        now += MINUTE * random.u64(1..=8);
    }
    fleet.cloud.misbehave(Shown::default());
    while now < BEGIN + 4 * HOUR {
        speak(&fleet, &kinds, now, &mut random);
        step(&fleet, now, &mut safety).await;
        now += 5 * MINUTE;
    }
    for truth in fleet.cloud.truths() {
        let id = &truth.managed.instance.arn.instance_id;
        let Some(kind) = kinds.get(id) else { continue };
        let outcome = safety.outcomes.entry(*kind).or_default();
        outcome.instances += 1;
        outcome.ended += usize::from(truth.managed.instance.state != InstanceState::Running);
    }
    safety
}

async fn step(fleet: &Fleet, now: u64, safety: &mut Safety) {
    safety.passes += 1;
    safety.failed += usize::from(fleet.pass(now).await.is_err());
}

fn fleet_of(
    instances: u32,
    random: &mut fastrand::Rng,
) -> (Vec<Truth>, Vec<Row>, BTreeMap<String, Kind>) {
    let mut truths = Vec::new();
    let mut rows = Vec::new();
    let mut kinds = BTreeMap::new();
    let launched_at = BEGIN - 2 * HOUR;
    let numbers: Vec<u32> = (0..instances).collect();
    for (number, chunk) in numbers
        .chunks(usize::try_from(MEMBERS).unwrap_or(1))
        .enumerate()
    {
        let members = u32::try_from(chunk.len()).unwrap_or(MEMBERS);
        let mut sweep = build::sweep(number, members);
        let mut unrecorded = Vec::new();
        for (index, instance) in (0_u32..).zip(chunk) {
            let kind = Kind::of(*instance);
            let ttl = match kind {
                Kind::Overdue => 2 * HOUR + MINUTE * random.u64(0..90),
                _ => 20 * HOUR,
            };
            let (mut truth, mut member, row) =
                build::pair(&sweep, *instance, index, launched_at, ttl);
            kinds.insert(truth.managed.instance.arn.instance_id.clone(), kind);
            shape(kind, &mut truth, &mut member, random);
            if kind == Kind::NotRecorded {
                unrecorded.push(index);
                truth.managed.tags = build::tags(&sweep.sweep_id, &build::abandoned(&sweep));
                let params = member.params.clone();
                member = MemberRow::planned(
                    sweep.sweep_id.clone(),
                    sweep.shards,
                    index,
                    simulation::lane(build::LANE),
                );
                member.params = params;
            }
            if !matches!(kind, Kind::RowLost | Kind::NotRecorded | Kind::Orphan) {
                rows.push(build::row(&row));
            }
            if kind == Kind::Orphan {
                // Its member has another instance by now, which has ended.
                member.state = MemberState::Completed;
                member.live = false;
                member.instance = None;
                member.ended_at = Some(launched_at);
            }
            if kind != Kind::MemberLost {
                rows.push(build::row(&member));
            }
            truths.push(truth);
        }
        counted(&mut sweep, chunk);
        rows.push(build::row(&build::program(&sweep, Some(IDLE_TIMEOUT_S))));
        rows.push(build::row(&batch(&sweep)));
        rows.push(build::row(&attempt(&sweep, &unrecorded, launched_at)));
        rows.push(build::row(&sweep));
    }
    (truths, rows, kinds)
}

/// The sweep's counts as its members' rows say.
fn counted(sweep: &mut spawn_core::rows::SweepRow, chunk: &[u32]) {
    let states = chunk.iter().map(|number| match Kind::of(*number) {
        Kind::NotRecorded => MemberState::Planned,
        Kind::Zombie => MemberState::Reaped,
        Kind::Orphan => MemberState::Completed,
        _ => MemberState::Running,
    });
    sweep.counts = spawn_core::state::Counts::tally(states);
}

/// The batch of that attempt, all of which was tried.
fn batch(sweep: &spawn_core::rows::SweepRow) -> BatchRow {
    let lane = simulation::lane(build::LANE);
    let mut row = BatchRow::new(sweep.sweep_id.clone(), lane, 0, 0, Indices::default());
    row.attempts = 1;
    row
}

/// An attempt that was abandoned with these members unrecorded.
fn attempt(sweep: &spawn_core::rows::SweepRow, members: &[u32], at: u64) -> AttemptRow {
    AttemptRow {
        sweep_id: sweep.sweep_id.clone(),
        lane: simulation::lane(build::LANE),
        batch: 0,
        number: 1,
        version: 0,
        token: build::abandoned(sweep),
        members: members.iter().copied().collect(),
        at: simulation::lane(build::LANE),
        shape: 0,
        step: 0,
        rung: Rung {
            api: LaunchApi::RunInstances,
            market: spawn_core::ids::Market::OnDemand,
            pools: vec![Pool {
                instance_type: "c5.large".to_owned(),
                location: Location::Any,
            }],
            is_one_zone: false,
        },
        send_at: at,
        calls: 1,
        calling_until: Some(at + spawn_core::launch::CALL_MS_MAX),
        unsettled_until: 0,
        recorded: Default::default(),
        state: AttemptState::Intended,
        error: None,
        launched: 0,
        created_at: at,
        costs: Default::default(),
    }
}

/// What is true of an instance of a kind, and what its member's row says.
fn shape(kind: Kind, truth: &mut Truth, member: &mut MemberRow, random: &mut fastrand::Rng) {
    let tag = |truth: &mut Truth, name: &str, value: String| {
        truth.managed.tags.insert(name.to_owned(), value);
    };
    match kind {
        Kind::SilentGpu => {
            truth.managed.instance.instance_type = "g5.xlarge".to_owned();
            truth.on_gpu = true;
        }
        Kind::Unreadable | Kind::Idle | Kind::IdleSilent => {
            truth.idle_since = Some(BEGIN + MINUTE * random.u64(0..60));
        }
        Kind::Protected => {
            truth.idle_since = Some(BEGIN);
            tag(truth, PROTECT_TAG, "true".to_owned());
        }
        Kind::KeptAlive => {
            truth.idle_since = Some(BEGIN);
            tag(truth, KEEP_ALIVE_TAG, clock::format_iso(BEGIN + 9 * HOUR));
        }
        Kind::Zombie => {
            member.state = MemberState::Reaped;
            member.live = false;
            member.ended_at = Some(BEGIN - HOUR);
        }
        Kind::Orphan => {
            tag(truth, "spawn:attempt", "of-nobody".to_owned());
        }
        Kind::AtWork
        | Kind::Silent
        | Kind::NeverHeard
        | Kind::RowLost
        | Kind::MemberLost
        | Kind::NotRecorded
        | Kind::WrongWord
        | Kind::Overdue
        | Kind::Hung => {}
    }
}

/// What instances have said by the beginning.
fn first_words(fleet: &Fleet, id: &str, kind: Kind, random: &mut fastrand::Rng) {
    let Some(truth) = fleet.cloud.truths_of(id) else {
        return;
    };
    match kind {
        Kind::NeverHeard | Kind::RowLost | Kind::NotRecorded | Kind::Orphan => {}
        Kind::Silent | Kind::SilentGpu | Kind::IdleSilent => {
            fleet.say(&truth, "busy", BEGIN - 2 * HOUR, BEGIN - HOUR);
        }
        _ => {
            let at = BEGIN - random.u64(0..HEARTBEAT_MS);
            fleet.say(&truth, "busy", BEGIN - 2 * HOUR, at);
        }
    }
    if kind == Kind::Hung {
        fleet.report_end(&truth, BEGIN + MINUTE * random.u64(0..60));
    }
}

/// What instances say at `now`: heartbeats, and changes.
fn speak(fleet: &Fleet, kinds: &BTreeMap<String, Kind>, now: u64, random: &mut fastrand::Rng) {
    for truth in fleet.cloud.truths() {
        let id = &truth.managed.instance.arn.instance_id;
        let Some(kind) = kinds.get(id) else { continue };
        if truth.managed.instance.state != InstanceState::Running {
            continue;
        }
        // Some clocks go wrong, always by the same.
        let skew = id.bytes().map(u64::from).sum::<u64>() % 40;
        let by_clock = |at: u64| match skew {
            0 => at.saturating_sub(10 * MINUTE),
            1 => at + 10 * MINUTE,
            _ => at,
        };
        let says_now = random.u64(0..3) == 0;
        match kind {
            Kind::AtWork | Kind::MemberLost | Kind::Overdue if says_now => {
                fleet.say(&truth, "busy", BEGIN - 2 * HOUR, by_clock(now));
            }
            Kind::WrongWord if says_now => {
                fleet.say(&truth, "idle", BEGIN - HOUR, now);
            }
            Kind::Unreadable => fleet.say(&truth, "unknown", BEGIN, now),
            Kind::Idle | Kind::Protected | Kind::KeptAlive => match truth.idle_since {
                // The runner needs some windows to be sure.
                Some(since) if now >= since + 5 * MINUTE => {
                    fleet.say(&truth, "idle", since, now);
                }
                _ => fleet.say(&truth, "busy", BEGIN - 2 * HOUR, now),
            },
            _ => {}
        }
    }
}
