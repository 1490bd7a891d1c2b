//! launch-batch: a few turns of a lane. Each launches what EC2's limits allow, records it, and says when to come back.
//!
//! Safe to run twice at once, to be killed anywhere and to be run again: see [`spawn_core::launch`] for the protocol.

mod afford;
mod call;
mod finish;
mod turn;

use serde::{Deserialize, Serialize};
use spawn_core::boot::Home;
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::launch;
use spawn_core::ledger::Ledger;
use spawn_core::limits::Sizes;
use spawn_core::metrics::Measured;
use spawn_core::ports::{Clock, InAccounts, LaunchInstances};
use spawn_core::rows::LaneRow;

use turn::Run;

/// What the state machine asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The execution that the lane launches for. When another one has resumed the sweep since, this one launches nothing more.
    #[serde(default)]
    pub execution_arn: Option<String>,
}

/// When to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// At once.
    Launch,
    /// In `wait_s` seconds.
    Wait,
    /// When an instance of the sweep has ended: a slot is free then, or there is room in the sweep's budget.
    Slot,
    /// Never: the lane has nothing more to launch.
    Done,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// When to come back.
    pub next: Next,
    /// Seconds to wait when `next` is `wait`, else 0.
    pub wait_s: u64,
    /// Instances that this invocation recorded.
    pub launched: u32,
    /// Members of the lane not yet launched nor given up.
    pub remaining: u32,
    /// What the sweep may be charged with, in micro-dollars, when `next` is `slot` for want of room in its budget.
    pub charged_at_most: Option<i64>,
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, C> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Time.
    pub clock: &'a C,
    /// Where instances find the ledger.
    pub home: &'a Home,
    /// EC2's launch limits, where an operator knows them better than EC2's documentation and Service Quotas.
    pub limits: Sizes,
    /// Takes what was measured.
    pub publish: &'a (dyn Fn(&Measured, u64) + Sync),
}

/// How often a turn starts over because another writer was faster, before it asks to be called again.
const TRIES_MAX: u32 = 20;

/// How long an invocation begins new turns: a turn lasts a minute at the most, and the function's time limit is two.
const WORK_MS: u64 = 40_000;

/// Takes turns of a lane until it has to wait for longer than is worth waiting here; `random` decides jitter.
///
/// # Errors
/// When the ledger does not answer. EC2's errors are answers: they decide when to come back.
pub async fn handle<L: Ledger, E: InAccounts + LaunchInstances, C: Clock>(
    input: Input,
    ports: &Ports<'_, L, E, C>,
    random: u64,
) -> Result<Output, FunctionError> {
    let started = ports.clock.now_ms();
    let mut random = Random(random);
    let mut launched = 0;
    let mut tries = 0;
    loop {
        let run = Run {
            ports,
            input: &input,
            now: ports.clock.now_ms(),
            random: random.next(),
        };
        let turn = match run.turn().await {
            Ok(turn) => turn,
            // Another launcher of this lane, or a lane that took the last slots or tokens, was faster: look again.
            Err(FunctionError::Conflict(_)) if tries < TRIES_MAX => {
                tries += 1;
                ports
                    .clock
                    .sleep_ms(random.next() % conflict_ms(tries))
                    .await;
                continue;
            }
            Err(FunctionError::Conflict(_)) => Turn {
                next: When::At(ports.clock.now_ms() + launch::backoff_ms(2, random.next())),
                launched: 0,
                remaining: 0,
            },
            Err(error) => return Err(error),
        };
        if turn.launched > 0 {
            tries = 0;
        }
        launched += turn.launched;
        let now = ports.clock.now_ms();
        let is_worn = now >= started + WORK_MS;
        match turn.next {
            When::Now if !is_worn => {}
            When::At(time) if !is_worn && time <= now + launch::HORIZON_MS => {
                ports.clock.sleep_ms(time.saturating_sub(now)).await;
            }
            next => {
                let (next, wait_s, charged_at_most) = match next {
                    When::Now => (Next::Launch, 0, None),
                    When::At(time) => (Next::Wait, launch::wait_s(time, now), None),
                    When::Slot => (Next::Slot, 0, None),
                    When::Charged(most) => (Next::Slot, 0, Some(most)),
                    When::Never => (Next::Done, 0, None),
                };
                return Ok(Output {
                    next,
                    wait_s,
                    launched,
                    remaining: turn.remaining,
                    charged_at_most,
                });
            }
        }
    }
}

/// The longest pause after so many conflicts in a row, in ms.
fn conflict_ms(tries: u32) -> u64 {
    (10_u64 << tries.min(6)).min(500)
}

/// When the next turn is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Now,
    /// In ms since 1970.
    At(u64),
    /// When an instance of the sweep has ended.
    Slot,
    /// When the sweep is charged with no more than so many micro-dollars.
    Charged(i64),
    Never,
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    next: When,
    launched: u32,
    remaining: u32,
}

impl Turn {
    fn of(next: When, launched: u32, lane: &LaneRow) -> Self {
        Self {
            next,
            launched,
            remaining: lane.pending,
        }
    }
}

/// Random numbers that follow from one (SplitMix64): an invocation has one seed, and many pauses to spread.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
