//! notify: tells people of what happens to sweeps, each occasion once.
//!
//! It looks at sweeps (every minute at all that live, and at one when its machine has come to its end), writes what is to be
//! told into rows, and starts a delivery for each. A delivery is an execution of spawn-notify, which calls it again to send that
//! one message, with Step Functions' retries around it.

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::control::all_members;
use spawn_core::cost;
use spawn_core::document::Occasion;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Key, Ledger, LedgerError, Stored as _, Versioned as _};
use spawn_core::notify::{
    Facts, NoticeRow, PENDING, PendingRow, Raise, Target, decide, message, notice_prefix, overdue,
    pending_prefix, webhook_url,
};
use spawn_core::ports::{PostWebhooks, PublishTopics, ReadSecrets, ServiceError, StartDeliveries};
use spawn_core::rows::{SweepRow, sweep_key, sweep_pk};
use spawn_core::state::SweepStatus;

/// What the handler needs of the outside.
pub struct Ports<'a, L, T, S, H, E> {
    /// The ledger.
    pub ledger: &'a L,
    /// SNS.
    pub topics: &'a T,
    /// Parameter Store.
    pub secrets: &'a S,
    /// Webhooks.
    pub webhooks: &'a H,
    /// Step Functions.
    pub executions: &'a E,
    /// Who is told of every sweep, beside those whom its document names.
    pub standing: &'a Standing,
    /// Whether this is the local stack, where a webhook may be served by this machine.
    pub is_local: bool,
}

/// Who is told of every sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Topics and webhooks.
    pub targets: Vec<Target>,
    /// The occasions.
    pub occasions: Vec<Occasion>,
}

/// Why the function is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Look whether there is something to tell.
    Look(Look),
    /// Deliver a message.
    Deliver(Deliver),
}

/// Where to look.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Look {
    /// At this sweep; without one, at all that live or have just ended.
    pub sweep_id: Option<SweepId>,
    /// What the sweep's machine says of its end.
    pub news: Option<Value>,
}

/// Which message.
#[derive(Clone, Debug, Deserialize)]
pub struct Deliver {
    /// The partition key of its notice.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// Does what is asked at `now` (ms since 1970).
///
/// # Errors
/// When the ledger or Step Functions does not answer, or a message cannot be delivered. Repeatable: nobody is told twice but
/// when the process dies between sending a message and noting that.
pub async fn handle<L, T, S, H, E>(
    input: Input,
    ports: &Ports<'_, L, T, S, H, E>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    T: PublishTopics,
    S: ReadSecrets,
    H: PostWebhooks,
    E: StartDeliveries,
{
    match input {
        Input::Look(Look {
            sweep_id: Some(sweep_id),
            news,
        }) => {
            let told = look_at(&sweep_id, news.as_ref(), ports, now).await?;
            Ok(json!({"notified": told}))
        }
        Input::Look(Look { sweep_id: None, .. }) => look_at_all(ports, now).await,
        Input::Deliver(deliver) => deliver_one(&deliver, ports).await,
    }
}

/// Looks at every sweep that lives or has just ended. One that cannot be looked at delays no other.
async fn look_at_all<L: Ledger, T, S, H, E: StartDeliveries>(
    ports: &Ports<'_, L, T, S, H, E>,
    now: u64,
) -> Result<Value, FunctionError> {
    let mut sweeps: Vec<SweepId> = Vec::new();
    for status in SweepStatus::LIVE {
        let mut from = None;
        loop {
            let page = ports.ledger.sweeps_by_status(status.as_str(), from).await?;
            let ids = page
                .rows
                .iter()
                .filter_map(|row| row.key.pk.strip_prefix("SWEEP#"));
            sweeps.extend(ids.map(SweepId::from));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let ended: Vec<PendingRow> = ledger::load_all(ports.ledger, PENDING, "").await?;
    sweeps.extend(ended.iter().map(|row| row.sweep_id.clone()));
    sweeps.sort();
    sweeps.dedup();
    let mut failure = None;
    let mut messages = 0;
    for sweep_id in &sweeps {
        match look_at(sweep_id, None, ports, now).await {
            Ok(told) => messages += told.len(),
            Err(error) => {
                tracing::error!(%sweep_id, %error, "sweep could not be looked at");
                failure = failure.or(Some(error));
            }
        }
    }
    tracing::info!(sweeps = sweeps.len(), messages, "looked for occasions");
    match failure {
        Some(error) => Err(error),
        None => Ok(json!({"sweeps": sweeps.len(), "messages": messages})),
    }
}

/// Looks at one sweep: writes what is to be told, and starts the deliveries. Answers who is told of what.
async fn look_at<L: Ledger, T, S, H, E: StartDeliveries>(
    sweep_id: &SweepId,
    news: Option<&Value>,
    ports: &Ports<'_, L, T, S, H, E>,
    now: u64,
) -> Result<Vec<Value>, FunctionError> {
    let Some(sweep) = ledger::load::<SweepRow>(ports.ledger, sweep_key(sweep_id)).await? else {
        return Ok(Vec::new());
    };
    let wanted = wanted(&sweep, ports.standing);
    let is_ended = sweep.status.is_ended();
    let mut facts = facts(sweep, &wanted, ports.ledger, now).await?;
    facts.drain_failed = !is_ended && news.is_some_and(|news| news.get("drain_error").is_some());
    let pk = sweep_pk(sweep_id);
    let told: Vec<NoticeRow> = ledger::load_all(ports.ledger, &pk, notice_prefix()).await?;
    for raise in decide(&facts, &wanted, &told, now) {
        let row = raised(&facts, raise, news, now);
        let write = match row.version {
            0 if row.messages == 1 => row.create()?,
            _ => row.replace()?,
        };
        match ports.ledger.commit(vec![write]).await {
            // Another pass was faster: it tells.
            Ok(()) | Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Those too that an earlier pass has raised and died over.
    let due: Vec<NoticeRow> = ledger::load_all(ports.ledger, &pk, notice_prefix()).await?;
    let mut answers = Vec::new();
    for row in due.into_iter().filter(NoticeRow::is_due) {
        let key = row.key();
        let name = row.delivery_name();
        ports
            .executions
            .start_delivery(&name, &key.pk, &key.sk)
            .await?;
        answers.push(json!({"target": row.target, "subject": row.subject}));
    }
    if is_ended {
        forget(sweep_id, ports.ledger).await?;
    }
    Ok(answers)
}

/// Who is told of a sweep, and of what. Shares of its budget are told to webhooks, whatever its occasions; to its topics
/// spawn-cost-check tells them with what it does about them. Of several the last that was reached.
fn wanted(sweep: &SweepRow, standing: &Standing) -> Vec<(Target, Vec<Occasion>)> {
    let own = sweep.topics.iter().cloned().map(Target::Topic);
    let hooks = sweep.webhooks.iter().cloned().map(Target::Webhook);
    let mut wanted: Vec<(Target, Vec<Occasion>)> = own
        .chain(hooks)
        .map(|target| (target, sweep.occasions.clone()))
        .collect();
    let spent = spent_percent(sweep).filter(|_| !sweep.status.is_ended());
    let reached = |level: &u8| spent.is_some_and(|spent| spent >= u64::from(*level));
    if let Some(level) = cost::LEVELS.into_iter().rev().find(reached) {
        let share = Occasion::CostShare(level);
        for (target, occasions) in &mut wanted {
            if matches!(target, Target::Webhook(_)) && !occasions.contains(&share) {
                occasions.push(share);
            }
        }
    }
    for target in &standing.targets {
        if wanted.iter().all(|(other, _)| other != target) {
            wanted.push((target.clone(), standing.occasions.clone()));
        }
    }
    wanted
}

/// What is known of a sweep. Its members are read only when somebody wants to know of those that are overdue.
async fn facts(
    sweep: SweepRow,
    wanted: &[(Target, Vec<Occasion>)],
    ledger: &impl Ledger,
    now: u64,
) -> Result<Facts, FunctionError> {
    let is_asked = wanted
        .iter()
        .any(|(_, occasions)| occasions.contains(&Occasion::Overdue));
    let overdue = if is_asked && sweep.live > 0 {
        overdue(&all_members(ledger, &sweep).await?, now)
    } else {
        Vec::new()
    };
    Ok(Facts {
        spent_percent: spent_percent(&sweep),
        overdue,
        drain_failed: false,
        sweep,
    })
}

/// How much of its budget a sweep has spent, in percent: what cost-guard saw last, or the bills since, whichever is more; of one that
/// is over the bills, for what was seen while it ran may not be billed.
fn spent_percent(sweep: &SweepRow) -> Option<u64> {
    let budget = u64::try_from(sweep.budget?.0).ok().filter(|b| *b > 0)?;
    let seen = sweep.cost.as_ref().map_or(0, |cost| cost.accrued.0);
    let spent = if sweep.status.is_ended() {
        sweep.billed
    } else {
        seen.max(sweep.billed)
    };
    let spent = u64::try_from(spent).ok()?;
    Some(spent.saturating_mul(100) / budget)
}

/// The row of a message that is raised or resolved.
fn raised(facts: &Facts, raise: Raise, news: Option<&Value>, now: u64) -> NoticeRow {
    let message = message(raise.occasion, raise.is_resolved, facts, news, now);
    let before = raise.before.as_ref();
    NoticeRow {
        sweep_id: facts.sweep.sweep_id.clone(),
        occasion: raise.occasion,
        target: raise.target,
        messages: before.map_or(0, |row| row.messages) + 1,
        raised_at: match before {
            Some(row) if raise.is_resolved => row.raised_at,
            _ => now,
        },
        resolved_at: raise.is_resolved.then_some(now),
        subject: message.subject,
        text: message.text,
        body: message.body,
        delivered: before.map_or(0, |row| row.delivered),
        version: before.map_or(0, |row| row.version),
    }
}

/// A sweep that has ended is not looked at again once its deliveries are started.
async fn forget(sweep_id: &SweepId, ledger: &impl Ledger) -> Result<(), FunctionError> {
    let ends: Vec<PendingRow> =
        ledger::load_all(ledger, PENDING, &pending_prefix(sweep_id)).await?;
    for end in ends {
        ledger::forget(ledger, end.key(), end.version).await?;
    }
    Ok(())
}

/// Sends one message, and notes that it was sent.
async fn deliver_one<L, T, S, H, E>(
    deliver: &Deliver,
    ports: &Ports<'_, L, T, S, H, E>,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    T: PublishTopics,
    S: ReadSecrets,
    H: PostWebhooks,
{
    let key = Key::new(deliver.pk.as_str(), deliver.sk.as_str());
    let row: NoticeRow = ledger::require(ports.ledger, key).await?;
    let answer = json!({"target": row.target, "subject": row.subject});
    if !row.is_due() {
        return Ok(answer);
    }
    match &row.target {
        Target::Topic(arn) => {
            ports.topics.publish(arn, &row.subject, &row.body).await?;
        }
        Target::Webhook(name) => {
            let refused = |message: String| ServiceError::Refused {
                service: "Parameter Store",
                message,
            };
            let secret = ports.secrets.secret(name).await?.ok_or_else(|| {
                refused(format!(
                    "there is no parameter {name}, which holds the webhook's address"
                ))
            })?;
            let url = webhook_url(&secret, ports.is_local)
                .map_err(|problem| refused(format!("the parameter {name}: {problem}")))?;
            // What Slack takes, and whoever takes the same.
            let body = json!({"text": row.text}).to_string();
            ports.webhooks.post(url, body).await?;
        }
    }
    tracing::info!(sweep_id = %row.sweep_id, target = %row.target, subject = row.subject, "notice was delivered");
    let mut delivered = row;
    delivered.delivered = delivered.messages;
    match ports.ledger.commit(vec![delivered.replace()?]).await {
        // Raised or resolved meanwhile: that is another message, with another execution.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(answer),
        Err(error) => Err(error.into()),
    }
}
