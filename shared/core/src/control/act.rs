//! What is done with each member's instance, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::{Request, Target};
use super::name::Control;
use crate::ids::Market;
use crate::ports::{InstanceState, ShownInstance};
use crate::ranges::Indices;
use crate::rows::MemberRow;

/// What is to be done about one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// EC2 is asked.
    Call,
    /// EC2 has been asked, or its answer is behind: look again.
    Wait,
    /// Nothing more.
    Done,
}

/// What came of a control for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its instance was terminated because of the control.
    Terminated,
    /// Its instance is being terminated.
    Terminating,
    /// Its instance is stopped.
    Stopped,
    /// Its instance is being stopped.
    Stopping,
    /// Its instance runs.
    Running,
    /// Its instance is being started.
    Starting,
    /// Its time was extended.
    Extended,
    /// It has no instance yet.
    NotLaunched,
    /// It is not launched until its sweep is started.
    Held,
    /// It gets another instance.
    Replaced,
    /// Its instance was ended, and it gets no other.
    NotReplaced,
    /// Its program had come to a good end.
    HadCompleted,
    /// Its instance had ended by itself.
    HadEnded,
    /// Its instance bears the tag that protects it.
    Protected,
    /// Its instance is a one-time spot instance, which EC2 does not stop.
    SpotCannotStop,
    /// It has no end of its time that could be moved.
    NoTtl,
    /// Its time ends later than asked for already.
    HadMoreTime,
    /// A budget has no room for what was asked: nothing was done.
    NoRoom,
    /// EC2 has no capacity to start its instance.
    NoCapacity,
    /// Its sweep may have no more instances at a time: its instance stays stopped.
    NoSlot,
    /// EC2 refuses.
    Refused,
    /// A later control of it goes before, and this one had not come to its end.
    Superseded,
    /// EC2 did it, and somebody has undone it since.
    Undone,
}

impl Outcome {
    /// What it means, and what can be done, where that is not plain.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Protected => Some(
                "the tag spawn:protect was obeyed: ask again with \"force\": true to end it all the same",
            ),
            Self::SpotCannotStop => Some(
                "left running: EC2 does not stop a one-time spot instance; spawn-terminate ends it, and so does its ttl",
            ),
            Self::NotLaunched => Some("it has no instance"),
            Self::Held => Some("it is launched when the sweep is started by spawn-start"),
            Self::NoTtl => {
                Some("it has no ttl: nothing ends it but its own end, a drain or spawn-terminate")
            }
            Self::NoCapacity => Some("it stays stopped: start it again later"),
            Self::NoSlot => Some(
                "max_concurrent, or a region's, has no slot free: it stays stopped; start it again when another one has ended",
            ),
            Self::HadMoreTime => Some("its time ends later than that already"),
            Self::HadEnded => Some("its instance was gone already"),
            Self::NotReplaced => {
                Some("its sweep launches nothing more: it was drained, held, stopped, or is over")
            }
            Self::Superseded => Some("a later control of it goes before"),
            Self::Undone => Some(
                "EC2 was asked, and the instance is as it was before: somebody else has started or stopped it since",
            ),
            Self::HadCompleted => Some("its program had ended well: there is nothing to do again"),
            Self::Terminated
            | Self::Terminating
            | Self::Stopped
            | Self::Stopping
            | Self::Running
            | Self::Starting
            | Self::Extended
            | Self::Replaced
            | Self::NoRoom
            | Self::Refused => None,
        }
    }
}

/// What is to be done about one member, and what has come of it so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The next step.
    pub step: Step,
    /// What has come of it, if nothing more happens.
    pub outcome: Outcome,
}

/// Decides about a member whose instance EC2 shows as `shown` (`None`: it shows none), for a request that was made at
/// `asked_at` (ms since 1970) and has, or has not, asked EC2 for it by now.
#[must_use]
pub fn decide(
    request: &Request,
    member: &MemberRow,
    shown: Option<&ShownInstance>,
    asked_at: u64,
    was_called: bool,
) -> Decision {
    let decision = |step, outcome| Decision { step, outcome };
    if member.instance.is_none() {
        let is_held =
            request.control == Control::Stop && matches!(request.target, Target::Sweep(_));
        let outcome = if is_held {
            Outcome::Held
        } else {
            Outcome::NotLaunched
        };
        return decision(Step::Done, outcome);
    }
    // A member that had ended before keeps the reason of that; its instance was left, and is ended by this control.
    let is_ours = was_called
        || member
            .reaping
            .as_ref()
            .is_some_and(|reaping| reaping.at >= asked_at);
    let gone = match request.control {
        Control::Terminate if is_ours => Outcome::Terminated,
        _ => Outcome::HadEnded,
    };
    let Some(ShownInstance {
        instance,
        protected,
    }) = shown
    else {
        // EC2's answers may be behind by some seconds; the ledger knows of the launch.
        return match (member.live, request.control) {
            (true, Control::Terminate) => decision(Step::Call, Outcome::Terminating),
            (true, _) => decision(Step::Wait, Outcome::Starting),
            (false, _) => decision(Step::Done, gone),
        };
    };
    if instance.state.is_ending() {
        return decision(Step::Done, gone);
    }
    match request.control {
        Control::Terminate => {
            if *protected && !request.force {
                decision(Step::Done, Outcome::Protected)
            } else {
                decision(Step::Call, Outcome::Terminating)
            }
        }
        Control::Stop => match instance.state {
            InstanceState::Stopped => decision(Step::Done, Outcome::Stopped),
            InstanceState::Stopping => decision(Step::Wait, Outcome::Stopping),
            _ if instance.market == Market::Spot => decision(Step::Done, Outcome::SpotCannotStop),
            InstanceState::Pending => decision(Step::Wait, Outcome::Starting),
            _ => decision(Step::Call, Outcome::Stopping),
        },
        Control::Start => match instance.state {
            InstanceState::Running => decision(Step::Done, Outcome::Running),
            InstanceState::Pending => decision(Step::Wait, Outcome::Starting),
            InstanceState::Stopping => decision(Step::Wait, Outcome::Stopping),
            _ => decision(Step::Call, Outcome::Starting),
        },
        // These ask nothing of EC2, or are decided elsewhere.
        Control::Cancel
        | Control::Extend
        | Control::Replace
        | Control::Resume
        | Control::Status => decision(Step::Done, Outcome::Running),
    }
}

/// Members of one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What came of it.
    pub outcome: Outcome,
    /// EC2's words, when it refused.
    pub error: Option<String>,
    /// The members.
    pub members: Indices,
}

/// Members by outcome, for one place or for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<(Outcome, Option<String>), Vec<u32>>);

impl Outcomes {
    /// Notes what came of a member.
    pub fn add(&mut self, index: u32, outcome: Outcome, error: Option<String>) {
        self.0.entry((outcome, error)).or_default().push(index);
    }

    /// Notes a group.
    pub fn add_group(&mut self, group: Group) {
        let members = self.0.entry((group.outcome, group.error)).or_default();
        members.extend(group.members.iter());
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        self.0
            .iter()
            .map(|((outcome, error), members)| Group {
                outcome: *outcome,
                error: error.clone(),
                members: members.iter().copied().collect(),
            })
            .collect()
    }

    /// The groups as a person reads them: each outcome with its number, its members and its meaning.
    #[must_use]
    pub fn shown(&self) -> Value {
        self.groups()
            .into_iter()
            .map(|group| {
                json!({
                    "outcome": group.outcome,
                    "count": group.members.len(),
                    "members": shortened(&group.members.to_string()),
                    "because": group.error.or_else(|| group.outcome.words().map(str::to_owned)),
                })
            })
            .collect()
    }
}

/// Characters of a list of members: an output holds 256 KiB, and a row of the ledger 400 KB.
const MEMBERS_CHARS_MAX: usize = 20_000;

fn shortened(members: &str) -> String {
    if members.len() <= MEMBERS_CHARS_MAX {
        return members.to_owned();
    }
    let cut = members[..MEMBERS_CHARS_MAX].rfind(',').unwrap_or(0);
    format!("{},...", &members[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SweepId;
    use crate::ports::CloudInstance;
    use crate::reap::{ReapReason, Reaping};
    use crate::rows::Addresses;

    fn request(control: Control, force: bool) -> Request {
        Request {
            control,
            target: Target::Sweep(SweepId::from("s")),
            reason: None,
            force,
            extension: None,
        }
    }

    fn member() -> MemberRow {
        let arn = "arn:aws:ec2:us-east-1:000000000000:instance/i-1";
        MemberRow {
            instance: arn.parse().ok(),
            live: true,
            ..MemberRow::planned(SweepId::from("s"), 1, 0, "us-east-1.spot".parse().unwrap())
        }
    }

    fn shown(state: InstanceState, market: Market) -> ShownInstance {
        ShownInstance {
            instance: CloudInstance {
                arn: member().instance.unwrap(),
                state,
                instance_type: "c5.large".to_owned(),
                market,
                availability_zone: "us-east-1a".to_owned(),
                launched_at: 1,
                state_reason: None,
                addresses: Addresses::default(),
                seen_at: 1,
            },
            protected: false,
        }
    }

    #[test]
    fn an_instance_is_acted_on_by_its_state_and_market() {
        use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
        use Market::{OnDemand, Spot};
        use Outcome as O;
        use Step::{Call, Done, Wait};
        for (control, state, market, step, outcome) in [
            (Control::Stop, Running, OnDemand, Call, O::Stopping),
            (Control::Stop, Running, Spot, Done, O::SpotCannotStop),
            (Control::Stop, Pending, Spot, Done, O::SpotCannotStop),
            (Control::Stop, Pending, OnDemand, Wait, O::Starting),
            (Control::Stop, Stopping, OnDemand, Wait, O::Stopping),
            (Control::Stop, Stopped, OnDemand, Done, O::Stopped),
            (Control::Stop, Terminated, OnDemand, Done, O::HadEnded),
            (Control::Start, Stopped, OnDemand, Call, O::Starting),
            (Control::Start, Stopping, OnDemand, Wait, O::Stopping),
            (Control::Start, Pending, OnDemand, Wait, O::Starting),
            (Control::Start, Running, Spot, Done, O::Running),
            (Control::Start, ShuttingDown, Spot, Done, O::HadEnded),
            (Control::Terminate, Running, Spot, Call, O::Terminating),
            (Control::Terminate, Stopped, OnDemand, Call, O::Terminating),
            (Control::Terminate, Terminated, Spot, Done, O::HadEnded),
        ] {
            let decided = decide(
                &request(control, false),
                &member(),
                Some(&shown(state, market)),
                5,
                false,
            );
            assert_eq!(
                decided,
                Decision { step, outcome },
                "{control} {state:?} {market}"
            );
        }
    }

    #[test]
    fn a_protected_instance_needs_force() {
        let mut instance = shown(InstanceState::Running, Market::Spot);
        instance.protected = true;
        let decided = |force| {
            decide(
                &request(Control::Terminate, force),
                &member(),
                Some(&instance),
                5,
                false,
            )
        };
        assert_eq!(decided(false).outcome, Outcome::Protected);
        assert_eq!(decided(true).step, Step::Call);
    }

    #[test]
    fn what_this_control_has_terminated_is_told_from_what_had_ended_before() {
        let mut member = member();
        let gone = shown(InstanceState::Terminated, Market::Spot);
        for (at, outcome) in [(4, Outcome::HadEnded), (5, Outcome::Terminated)] {
            member.reaping = Some(Reaping {
                reason: ReapReason::Asked,
                note: None,
                at,
            });
            let asked = request(Control::Terminate, false);
            let decided = decide(&asked, &member, Some(&gone), 5, false);
            assert_eq!(decided.outcome, outcome);
            let decided = decide(&asked, &member, Some(&gone), 5, true);
            assert_eq!(decided.outcome, Outcome::Terminated);
        }
    }

    #[test]
    fn an_instance_that_ec2_does_not_show_yet_is_not_forgotten() {
        let decided =
            |control, member: &MemberRow| decide(&request(control, false), member, None, 5, false);
        assert_eq!(decided(Control::Terminate, &member()).step, Step::Call);
        assert_eq!(decided(Control::Stop, &member()).step, Step::Wait);
        let mut ended = member();
        ended.live = false;
        assert_eq!(decided(Control::Terminate, &ended).step, Step::Done);
        ended.instance = None;
        assert_eq!(decided(Control::Stop, &ended).outcome, Outcome::Held);
        assert_eq!(
            decided(Control::Start, &ended).outcome,
            Outcome::NotLaunched
        );
    }

    #[test]
    fn outcomes_are_called_as_the_guide_says() {
        let named = [
            (Outcome::HadMoreTime, "had_more_time"),
            (Outcome::NoTtl, "no_ttl"),
            (Outcome::NoRoom, "no_room"),
            (Outcome::NoSlot, "no_slot"),
            (Outcome::Superseded, "superseded"),
            (Outcome::Undone, "undone"),
        ];
        for (outcome, name) in named {
            assert_eq!(serde_json::to_value(outcome).unwrap(), name);
        }
    }

    #[test]
    fn members_are_told_in_groups() {
        let mut outcomes = Outcomes::default();
        for index in [3, 0, 1, 2] {
            outcomes.add(index, Outcome::Stopped, None);
        }
        outcomes.add(4, Outcome::Refused, Some("no".to_owned()));
        let shown = outcomes.shown();
        assert_eq!(
            shown,
            json!([
                {"outcome": "stopped", "count": 4, "members": "0-3", "because": null},
                {"outcome": "refused", "count": 1, "members": "4", "because": "no"},
            ])
        );
        let mut again = Outcomes::default();
        outcomes
            .groups()
            .into_iter()
            .for_each(|group| again.add_group(group));
        assert_eq!(again.shown(), shown);
    }
}
