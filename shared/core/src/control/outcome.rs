//! What came of a control, member by member.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ranges::Indices;

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
            Self::NotLaunched => Some("it has no instance yet: it gets one when its turn comes"),
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
