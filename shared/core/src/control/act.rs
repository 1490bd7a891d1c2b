//! What is done with each member's instance.

use super::input::{Request, Target};
use super::name::Control;
use super::outcome::Outcome;
use crate::ids::Market;
use crate::ports::{InstanceState, ShownInstance};
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
    if member.instance.is_none() {
        let is_whole = matches!(request.target, Target::Sweep(_));
        return match request.control {
            Control::Terminate if member.state.is_ended() => decision(Step::Done, gone),
            // It is taken from what its lane is about to launch; what a call to EC2 is about is waited for.
            Control::Terminate => decision(Step::Wait, Outcome::NotLaunched),
            Control::Stop if is_whole => decision(Step::Done, Outcome::Held),
            _ => decision(Step::Done, Outcome::NotLaunched),
        };
    }
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
                stops: false,
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
}
