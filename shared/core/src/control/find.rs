//! The sweep and the members that a control is about.

use super::input::{MemberName, Target};
use crate::errors::FunctionError;
use crate::ids::{InstanceArn, SweepId};
use crate::ledger::{self, Ledger, LedgerError, Stored};
use crate::region::Region;
use crate::rows::{InstanceRow, MemberRow, SweepRow, instance_key, shard_pk, sweep_key};

/// What a control is about, as the ledger has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The sweep.
    pub sweep: SweepRow,
    /// The members that are meant, by index; `None`: all.
    pub members: Option<Vec<MemberRow>>,
    /// The instance that was named, and what it has reported.
    pub instance: Option<InstanceRow>,
}

impl Found {
    /// That the instance which was named is its member's no more, in words: what is asked of it is not done to the one that the
    /// member has now.
    #[must_use]
    pub fn is_former(&self) -> Option<String> {
        let named = &self.instance.as_ref()?.instance;
        let member = self.members.as_deref().and_then(<[_]>::first)?;
        if member.instance.as_ref() == Some(named) {
            return None;
        }
        let now = match &member.instance {
            Some(arn) => format!("has {} now", arn.instance_id),
            None => "waits for another one".to_owned(),
        };
        Some(format!(
            "instance {} was an earlier one of member {}, which {now}",
            named.instance_id, member.index
        ))
    }
}

/// Finds what `target` names. An instance that is named by its id alone is looked for in every region of `account`, in one
/// read of the ledger.
///
/// # Errors
/// [`FunctionError::NotFound`] when there is no such thing, and when the ledger does not answer. Repeatable.
pub async fn find(
    ledger: &impl Ledger,
    target: &Target,
    account: &str,
) -> Result<Found, FunctionError> {
    match target {
        Target::Sweep(id) => Ok(Found {
            sweep: sweep(ledger, id).await?,
            members: None,
            instance: None,
        }),
        Target::Members(id, name) => {
            let sweep = sweep(ledger, id).await?;
            let members = members(ledger, &sweep, name).await?;
            Ok(Found {
                sweep,
                members: Some(members),
                instance: None,
            })
        }
        Target::InstanceArn(arn) => of_instance(ledger, vec![arn.clone()], &arn.instance_id).await,
        Target::InstanceId(id) => {
            let arns = Region::all().map(|region| arn_in(region, account, id));
            of_instance(ledger, arns.collect(), id).await
        }
    }
}

/// The account of an execution, which is that of the home account.
#[must_use]
pub fn account_of(execution_arn: &str) -> &str {
    execution_arn.split(':').nth(4).unwrap_or_default()
}

/// The ARN of the instance `id` if it is in `region` and belongs to `account`.
fn arn_in(region: Region, account: &str, id: &str) -> InstanceArn {
    InstanceArn {
        partition: region.partition().to_owned(),
        region,
        account: account.to_owned(),
        instance_id: id.to_owned(),
    }
}

async fn sweep(ledger: &impl Ledger, id: &SweepId) -> Result<SweepRow, FunctionError> {
    let row = ledger::load(ledger, sweep_key(id)).await?;
    row.ok_or_else(|| {
        FunctionError::NotFound(format!(
            "there is no sweep `{id}`; accepted: the id of a sweep, such as hyperparam-20260122-abc123, which spawn-list \
             shows"
        ))
    })
}

async fn members(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    name: &MemberName,
) -> Result<Vec<MemberRow>, FunctionError> {
    let last = sweep.members.saturating_sub(1);
    match name {
        MemberName::Indices(indices) => {
            let missing: Vec<String> = indices
                .iter()
                .filter(|index| *index > last)
                .take(5)
                .map(|index| index.to_string())
                .collect();
            if !missing.is_empty() {
                return Err(FunctionError::NotFound(format!(
                    "sweep {} has no member {}; accepted: 0 to {last}",
                    sweep.sweep_id,
                    missing.join(", ")
                )));
            }
            let keys = indices.iter().map(|index| sweep.member_key(index));
            Ok(ledger::require_all(ledger, keys.collect()).await?)
        }
        MemberName::Name(name) => {
            let all = all_members(ledger, sweep).await?;
            let named = all
                .into_iter()
                .filter(|member| member.name.as_deref() == Some(name))
                .collect::<Vec<_>>();
            if named.is_empty() {
                return Err(FunctionError::NotFound(format!(
                    "no member of sweep {} is called `{name}`; accepted: an index from 0 to {last}, or the name that the \
                     document gives a member",
                    sweep.sweep_id
                )));
            }
            Ok(named)
        }
    }
}

/// All members of a sweep that are written, by index.
///
/// # Errors
/// When the ledger does not answer.
pub async fn all_members(
    ledger: &impl Ledger,
    sweep: &SweepRow,
) -> Result<Vec<MemberRow>, LedgerError> {
    let mut members = Vec::new();
    for shard in 0..sweep.shards {
        let pk = shard_pk(&sweep.sweep_id, shard);
        members.extend(ledger::load_all::<MemberRow>(ledger, &pk, "MEMBER#").await?);
    }
    members.sort_by_key(|member| member.index);
    Ok(members)
}

async fn of_instance(
    ledger: &impl Ledger,
    arns: Vec<InstanceArn>,
    id: &str,
) -> Result<Found, FunctionError> {
    let keys: Vec<_> = arns.iter().map(instance_key).collect();
    let row = ledger.get(&keys).await?.into_iter().flatten().next();
    let Some(row) = row else {
        return Err(FunctionError::NotFound(format!(
            "the ledger knows no instance {id}; accepted: an instance that a sweep has launched in this account, by its \
             id, or in another account, by its ARN"
        )));
    };
    let row = InstanceRow::from_row(row)?;
    let sweep: SweepRow = ledger::require(ledger, sweep_key(&row.sweep_id)).await?;
    let member: MemberRow = ledger::require(ledger, sweep.member_key(row.member_index)).await?;
    Ok(Found {
        sweep,
        members: Some(vec![member]),
        instance: Some(row),
    })
}
