//! Marks on what is nobody's, and warnings to the users of what is.

use std::collections::BTreeMap;

use serde_json::Value;
use spawn_core::account::Place;
use spawn_core::clock;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Ledger, Write, path};
use spawn_core::ports::WatchInstances;
use spawn_core::reap::{Action, ReapReason, Reason, mark_tag};
use spawn_core::rows::instance_key;

use super::{Acted, id, known};
use crate::pass::Looked;

/// Marks the instances that are nobody's, and warns the users of the others.
pub(super) async fn warn<E: WatchInstances>(
    ledger: &impl Ledger,
    ec2: &E,
    place: Place,
    looked: &[Looked],
    now: u64,
    acted: &mut Acted,
) -> Result<(), FunctionError> {
    let mut marks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in looked {
        let (Action::Warn, Reason::Reap(reason)) = (one.decision.action, one.decision.reason)
        else {
            continue;
        };
        if let Some(tag) = mark_tag(reason) {
            marks.entry(tag).or_default().push(id(one));
        } else if let Some(known) = known(one) {
            let write = Write::Update {
                key: instance_key(&known.row.instance),
                set: vec![(
                    path(&["warning"]),
                    Value::from(warning(reason, one.decision.next_look)),
                )],
                remove: Vec::new(),
                add: Vec::new(),
                when: Vec::new(),
            };
            ledger.commit(vec![write]).await?;
        }
    }
    for (tag, ids) in marks {
        if let Err(error) = ec2
            .mark(&place.region, &ids, tag, &clock::format_iso(now))
            .await
        {
            // Without its mark an instance is never ended for this: the next pass tries again.
            acted.failures.push(error.into());
        }
    }
    Ok(())
}

/// What users of an instance are told.
fn warning(reason: ReapReason, at: u64) -> String {
    let at = clock::format_iso(at);
    match reason {
        ReapReason::Idle => format!("spawn ends this instance at {at}, because it is idle"),
        _ => format!(
            "spawn ends this instance at {at}, because {}",
            reason.words()
        ),
    }
}
