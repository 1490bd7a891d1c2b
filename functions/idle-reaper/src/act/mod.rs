//! Carries decisions out, and looks whether they took effect.
//!
//! ```text
//! adopt     members recorded by the launch protocol, in the launcher's stead
//! warn      a tag on an instance that is nobody's; a text in the row of any other, which its boot runner shows
//! intent    the reason into the member's row, on the version that was decided on: who changed it meanwhile wins
//! end       hibernate, else stop, else terminate: EC2 is asked in bulk
//! verify    EC2 is asked again: what did not change is told, and due with the next pass
//! prolong   the deadline to the time of the tag that keeps an instance alive, if budgets have room
//! ```

mod adopt;
mod end;
mod prolong;
mod warn;

use std::collections::BTreeSet;

use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Ledger, LedgerError, Versioned as _};
use spawn_core::ports::{
    EndInstances, HibernateInstances, InAccounts, StopInstances, WakeExecutions, WatchInstances,
};
use spawn_core::reap::{Known, Record};
use spawn_core::rows::MemberRow;

use crate::Ports;
use crate::pass::Looked;
use adopt::adopt;
use end::{end_all, endings, intend, verify};
use prolong::prolong;
use warn::warn;

/// What came of carrying out.
#[derive(Debug, Default)]
pub(crate) struct Acted {
    /// Instances about which something was decided that did not take effect.
    pub(crate) unchanged: BTreeSet<String>,
    /// What failed, beside single instances.
    pub(crate) failures: Vec<FunctionError>,
}

/// Carries out what was decided about `looked`.
///
/// # Errors
/// When the ledger does not answer before anything was ended.
pub(crate) async fn carry_out<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    looked: &[Looked],
    now: u64,
) -> Result<Acted, FunctionError>
where
    L: Ledger,
    E: InAccounts + WatchInstances + EndInstances + StopInstances + HibernateInstances,
    W: WakeExecutions,
{
    let ec2 = ports.ec2.of(place.account);
    let mut acted = Acted::default();
    adopt(ports, place, looked, now, &mut acted).await;
    warn(ports.ledger, &ec2, place, looked, now, &mut acted).await?;
    forget_old_intents(ports.ledger, looked, now).await?;
    let endings = endings(looked);
    if !endings.is_empty() {
        let endings = intend(ports.ledger, endings, now, &mut acted).await?;
        end_all(ports.ledger, &ec2, place, &endings, now, &mut acted).await;
        verify(ports, &ec2, place, &endings, now, &mut acted).await?;
    }
    // What must end goes before.
    prolong(ports.ledger, looked, now, &mut acted).await;
    Ok(acted)
}

fn known(looked: &Looked) -> Option<&Known> {
    match &looked.subject.record {
        Record::Known(known) => Some(known),
        Record::Missing(_) => None,
    }
}

fn id(looked: &Looked) -> String {
    looked.subject.cloud.instance.arn.instance_id.clone()
}

/// An intent that was never carried out is older than any call to EC2 takes.
const INTENT_MS_MAX: u64 = 10 * 60 * 1000;

/// Takes intents back that were not carried out and are not meant any more, so that a later end is not put down to them.
async fn forget_old_intents(
    ledger: &impl Ledger,
    looked: &[Looked],
    now: u64,
) -> Result<(), LedgerError> {
    for one in looked.iter().filter(|one| !one.decision.action.is_end()) {
        let Some(member) = known(one).and_then(|known| known.member.as_ref()) else {
            continue;
        };
        let is_old = member
            .reaping
            .as_ref()
            .is_some_and(|reaping| reaping.at + INTENT_MS_MAX < now);
        if is_old && member.paused_at.is_none() && !member.state.is_ended() {
            let mut member = member.clone();
            member.reaping = None;
            commit_one(ledger, member).await?;
        }
    }
    Ok(())
}

/// Writes one member; answers whether its row was still the one that was read.
async fn commit_one(ledger: &impl Ledger, member: MemberRow) -> Result<bool, LedgerError> {
    match ledger.commit(vec![member.replace()?]).await {
        Ok(()) => Ok(true),
        Err(LedgerError::Condition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
