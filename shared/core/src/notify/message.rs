//! What a notice says.

use serde_json::{Value, json};

use super::occasion::Facts;
use crate::document::{Occasion, format_duration};
use crate::settle;
use crate::state::MemberState;

/// Characters of a subject (Amazon SNS API Reference, `Publish`: fewer than 100).
const SUBJECT_CHARS_MAX: usize = 99;
/// Members that are named.
const MEMBERS_SHOWN: usize = 20;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// For people.
    pub text: String,
    /// For programs, as JSON text.
    pub body: String,
}

/// The message of an occasion that is there, or has passed. `news` is what the sweep's machine says of its end.
#[must_use]
pub fn message(
    occasion: Occasion,
    is_resolved: bool,
    facts: &Facts,
    news: Option<&Value>,
    now: u64,
) -> Message {
    let sweep = &facts.sweep;
    let what = what(occasion, facts);
    let resolved = if is_resolved { "resolved: " } else { "" };
    let subject: String = format!("spawn: {resolved}{} {what}", sweep.sweep_id)
        .chars()
        .take(SUBJECT_CHARS_MAX)
        .collect();
    let states: Vec<String> = MemberState::ALL
        .iter()
        .filter(|state| sweep.counts.of(**state) > 0)
        .map(|state| format!("{} {state}", sweep.counts.of(*state)))
        .collect();
    let age_s = sweep
        .ended_at
        .unwrap_or(now)
        .saturating_sub(sweep.started_at)
        / 1000;
    let mut text = format!(
        "{resolved}{} {what}: {} of {} members, after {}. Owner {}, project {}.",
        sweep.sweep_id,
        states.join(", "),
        sweep.members,
        format_duration(age_s),
        sweep.owner,
        sweep.project
    );
    if let Some(drain) = &sweep.drain {
        text.push_str(&format!(" Drained because: {}.", drain.reason));
    }
    if let Some(held) = &sweep.held {
        text.push_str(&format!(" Nothing more is launched, because {held}."));
    }
    if sweep.status.is_ended() {
        let key = settle::results_key(sweep);
        text.push_str(&format!(" Results: s3://{}/{key}", sweep.results_bucket));
    }
    let own = json!({
        "sweep_id": sweep.sweep_id,
        "status": sweep.status,
        "occasion": super::key_of(occasion),
        "resolved": is_resolved,
        "counts": sweep.counts,
        "owner": sweep.owner,
        "project": sweep.project,
        "drained_because": sweep.drain.as_ref().map(|drain| &drain.reason),
    });
    let body = news.filter(|_| !is_resolved).unwrap_or(&own);
    Message {
        subject,
        text,
        body: serde_json::to_string_pretty(body).unwrap_or_default(),
    }
}

/// What happened, in a few words.
fn what(occasion: Occasion, facts: &Facts) -> String {
    let sweep = &facts.sweep;
    match occasion {
        Occasion::End | Occasion::Failure => {
            if facts.drain_failed {
                "draining: instances may be left".to_owned()
            } else {
                sweep.status.to_string()
            }
        }
        Occasion::FirstFailure => "first member failed".to_owned(),
        Occasion::CostShare(percent) => format!("has spent {percent} % of its budget"),
        Occasion::Overdue => {
            let shown: Vec<String> = facts
                .overdue
                .iter()
                .take(MEMBERS_SHOWN)
                .map(u32::to_string)
                .collect();
            match shown.is_empty() {
                true => "overdue".to_owned(),
                false => format!("overdue (members {})", shown.join(", ")),
            }
        }
    }
}
