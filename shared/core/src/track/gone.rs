//! The one line that is logged of an instance that is gone.

use crate::metrics::Unit;
use crate::rows::MemberRow;

/// An instance of a member that is gone, with what it did and cost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gone {
    member: MemberRow,
    instance_id: String,
    duration_s: u64,
    cost_usd: Option<f64>,
}

/// The instance of a member that has just gone, if it has. `after` is the end of the try, before another one is planned.
pub(super) fn of(before: &MemberRow, after: &MemberRow) -> Option<Gone> {
    let is_gone = |member: &MemberRow| member.state.is_ended() && !member.live;
    if is_gone(before) || !is_gone(after) {
        return None;
    }
    let instance_id = before.instance.as_ref()?.instance_id.clone();
    let mut entries = after.spent.iter().rev();
    let spent = entries.find(|spent| spent.instance_id == instance_id);
    let ran_ms: Option<u64> = spent.map(|spent| {
        let ended = spent.runs.iter().filter_map(|run| Some(run.to? - run.from));
        ended.sum()
    });
    let since_launch = || Some(after.ended_at?.saturating_sub(after.launched_at?));
    let cost = spent.and_then(|spent| spent.billed);
    Some(Gone {
        duration_s: ran_ms.or_else(since_launch).unwrap_or(0) / 1000,
        cost_usd: cost.and_then(|cost| Unit::Dollars.publish(cost.0).as_f64()),
        member: after.clone(),
        instance_id,
    })
}

impl Gone {
    /// Logs it, with the trace of its sweep. Called once the end is in the ledger: by whoever wrote it there, and by nobody else, so the line is told once. A
    /// death in between loses the line and nothing more.
    pub(super) fn log(&self, trace: Option<&str>) {
        let member = &self.member;
        tracing::info!(
            trace,
            sweep_id = %member.sweep_id,
            member = member.index,
            attempt = member.try_number(),
            instance_id = self.instance_id,
            instance_type = member.instance_type.as_deref(),
            region = member.lane.region.as_str(),
            market = member.market.map(|market| market.to_string()),
            status = member.state.as_str(),
            code = member.code.map(|code| code.as_str()),
            exit_code = member.exit_code,
            duration = self.duration_s,
            cost_usd = self.cost_usd,
            "instance is gone"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{EndedBy, Run};
    use crate::money::MicroDollars;
    use crate::state::MemberState;

    fn member(state: MemberState, live: bool) -> MemberRow {
        let lane = "us-east-1.spot".parse().unwrap();
        let mut member = MemberRow::planned("s-20260122-abcdef".into(), 1, 7, lane);
        member.state = state;
        member.live = live;
        member.instance = Some(
            "arn:aws:ec2:us-east-1:000000000000:instance/i-1"
                .parse()
                .unwrap(),
        );
        member
    }

    #[test]
    fn an_instance_goes_once_whatever_its_member_did_before() {
        use MemberState::{Completed, Interrupted, Running, Stopped};
        for (before, after, is_told) in [
            ((Running, true), (Completed, true), false),
            ((Completed, true), (Completed, false), true),
            ((Running, true), (Interrupted, false), true),
            ((Running, true), (Stopped, false), false),
            ((Stopped, false), (Completed, false), true),
            ((Completed, false), (Completed, false), false),
        ] {
            let told = of(&member(before.0, before.1), &member(after.0, after.1));
            assert_eq!(told.is_some(), is_told, "{before:?} {after:?}");
        }
    }

    #[test]
    fn its_duration_is_that_of_its_runs_and_its_cost_that_of_its_bill() {
        let before = member(MemberState::Running, true);
        let mut after = member(MemberState::Completed, false);
        let run = |from, to| Run {
            from,
            to: Some(to),
            ended_by: EndedBy::User,
        };
        after.spent = vec![crate::cost::Spent {
            runs: vec![run(1_000, 61_000), run(90_000, 120_500)],
            billed: Some(MicroDollars(12_500)),
            ..crate::cost::sample(crate::ids::Market::Spot)
        }];
        let told = of(&before, &after).unwrap();
        assert_eq!((told.duration_s, told.cost_usd), (90, Some(0.0125)));
    }
}
