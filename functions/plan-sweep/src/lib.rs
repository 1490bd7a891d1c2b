//! plan-sweep: from a document to the rows of the ledger. It reads and checks the document, asks EC2 what it needs to know,
//! places every member, and writes the plan; with `dry_run` it answers the plan and writes nothing to the ledger.

mod document;
mod limits;
mod look_up;
mod names;
mod prices;
mod record;
mod resume;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spawn_core::account::AccountId;
use spawn_core::budget;
use spawn_core::clock;
use spawn_core::dns::Naming;
use spawn_core::document::{Fault, Faults, OperatorDefaults, Sweep};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::Ledger;
use spawn_core::plan::{self, Classes, Context, Plan};
use spawn_core::ports::{
    AskPrices, DescribeOffers, InAccounts, InspectZones, LocateBuckets, Objects, ReadParameters,
    ReadQuotas, ServiceError,
};
use spawn_core::prices::PriceBook;

/// What the state machine asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The execution that submits the sweep.
    pub execution_arn: String,
    /// When it started, in ISO 8601.
    pub started_at: String,
    /// Its input.
    pub input: Value,
    /// The trace that it began, where that is sampled. The invocation knows it, not the state machine.
    #[serde(skip)]
    pub trace: Option<String>,
}

/// What an operator has set for all sweeps.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Defaults of documents.
    pub defaults: OperatorDefaults,
    /// The bucket of results.
    pub results_bucket: String,
    /// The instance profile of members.
    pub instance_profile: String,
    /// The account of the deployment.
    pub home_account: AccountId,
    /// The topic to tell of a sweep's end.
    pub notify_topic: Option<String>,
    /// The S3 URI of the price book, if there is one.
    pub price_book: Option<String>,
    /// How old AWS's prices may be, in ms.
    pub price_age_ms_max: u64,
    /// How members are named, if they are.
    pub naming: Option<Naming>,
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, P, O, A, Z> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Systems Manager.
    pub parameters: &'a P,
    /// S3.
    pub objects: &'a O,
    /// AWS's prices.
    pub prices: &'a A,
    /// Route 53.
    pub zones: &'a Z,
    /// The operator's settings.
    pub deployment: &'a Deployment,
}

/// The answer to the state machine: ids and counts, never lists of members.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// The sweep.
    pub sweep_id: SweepId,
    /// Its name.
    pub sweep_name: String,
    /// Whether nothing is to be launched.
    pub dry_run: bool,
    /// How many members it has.
    pub members: u32,
    /// Its lanes.
    pub lanes: Vec<LaneId>,
    /// The log group to make for the output of its members, if it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// Seconds after which the sweep cannot be alive.
    pub timeout_s: u64,
    /// The plan, for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// Where the whole plan, and later the outcome of every member, is.
    pub manifest: String,
}

/// Plans a sweep at `now` (ms since 1970).
///
/// # Errors
/// Every fault of the document at once; or that the execution was cancelled, that another planner is at work, or that a
/// service does not answer. Repeatable: the same execution plans one sweep.
pub async fn handle<L, E, P, O, A, Z>(
    input: Input,
    ports: &Ports<'_, L, E, P, O, A, Z>,
    now: u64,
) -> Result<Output, FunctionError>
where
    L: Ledger,
    E: DescribeOffers + ReadQuotas + InAccounts,
    P: ReadParameters,
    O: Objects + LocateBuckets,
    A: AskPrices,
    Z: InspectZones,
{
    let started_at = clock::parse_iso(&input.started_at).ok_or_else(|| {
        FunctionError::Bug(format!("`{}` is not an ISO 8601 time", input.started_at))
    })?;
    let naming = ports.deployment.naming.as_ref();
    if let Some(asked) = resume::asked(&input.input) {
        let (execution, trace) = (&input.execution_arn, input.trace.as_deref());
        return resume::resume(&asked, execution, trace, ports.ledger, naming, now).await;
    }
    let defaults = &ports.deployment.defaults;
    let sweep = document::read(&input.input, ports.objects, defaults).await?;
    let sweep_id = SweepId::new(&sweep.name, &input.started_at, &input.execution_arn);
    let context = Context {
        sweep_id: sweep_id.clone(),
        execution_arn: input.execution_arn,
        started_at,
        results_bucket: ports.deployment.results_bucket.clone(),
        instance_profile: ports.deployment.instance_profile.clone(),
        notify_topic: ports.deployment.notify_topic.clone(),
        price_book: None,
    };
    let names = names::planned(ports.zones, naming, &sweep).await;
    let chosen = Box::pin(chosen(&sweep, ports, context, now)).await;
    let (names, (mut plan, context)) = match (names, chosen) {
        (Err(FunctionError::InvalidSweep(one)), Err(FunctionError::InvalidSweep(other))) => {
            return Err(one.and(other).into());
        }
        (names, chosen) => (names?, chosen?),
    };
    plan.sweep.trace = input.trace;
    plan.sweep.dns_label = names.as_ref().map(|names| names.label.clone());
    if let (Some(naming), Some(names)) = (naming, &names) {
        let mode = names::Mode::of(sweep.dry_run);
        names::claim(ports.ledger, naming, names, &sweep_id, mode, now).await?;
    }
    let bucket = plan.sweep.results_bucket.clone();
    let key = format!("sweeps/{sweep_id}/plan.json");
    put_plan(ports.objects, &bucket, &key, &plan).await?;
    let manifest = format!("s3://{bucket}/{key}");
    if !sweep.dry_run {
        let home = (ports.deployment.home_account, defaults.home_region);
        let places = plan.lanes.iter().map(|lane| lane.lane.place()).collect();
        limits::refresh(ports.ledger, ports.ec2, home, places, now).await?;
        record::record(ports.ledger, &plan, now).await?;
    }
    for warning in &plan.report.warnings {
        tracing::warn!(%sweep_id, warning, "sweep planned with a warning");
    }
    tracing::info!(
        %sweep_id,
        members = plan.sweep.members,
        lanes = plan.lanes.len(),
        dry_run = sweep.dry_run,
        "sweep planned"
    );
    output(&sweep, &plan, manifest, context.price_book.as_ref(), now)
}

/// Asks what can be launched where, and chooses.
async fn chosen<L, E, P, O, A, Z>(
    sweep: &Sweep,
    ports: &Ports<'_, L, E, P, O, A, Z>,
    mut context: Context,
    now: u64,
) -> Result<(Plan, Context), FunctionError>
where
    L: Ledger,
    E: DescribeOffers + ReadQuotas + InAccounts,
    P: ReadParameters,
    O: Objects + LocateBuckets,
    A: AskPrices,
{
    let home = ports.deployment.defaults.home_region;
    let enabled = if plan::asks_for_regions(sweep) {
        Some(ports.ec2.enabled_regions(&home).await?)
    } else {
        None
    };
    let data = look_up::data_regions(ports.objects, sweep).await?;
    let mut candidates = plan::candidates(
        sweep,
        ports.deployment.home_account,
        enabled.as_ref(),
        &data,
    )?;
    let classes = Classes::of(sweep);
    let questions = plan::questions(&classes, &candidates);
    let mut facts =
        look_up::answers(ports.ec2, ports.parameters, questions, &mut candidates).await?;
    let missing = plan::missing_types(&classes, &candidates, &facts);
    look_up::elsewhere(ports.ec2, missing, &mut facts).await;
    let able = plan::able(&classes, &candidates, &facts);
    context.price_book = Some(prices::book(ports, &able, now).await?);
    let options = plan::options(sweep, &classes, candidates, &facts, &context)?;
    let quotas = look_up::quotas(ports.ec2, options.quota_questions()).await;
    let mut plan = plan::plan(sweep, &classes, options, &quotas, &context)?;
    if let Some(book) = &context.price_book {
        let accounts: BTreeSet<_> = plan.lanes.iter().map(|lane| lane.lane.account).collect();
        let mut standing = BTreeMap::new();
        for account in accounts {
            let budgets = budget::shown(ports.ledger, &plan.sweep, account, now).await?;
            standing.insert(account, budgets);
        }
        plan::note_standing(&mut plan, book, &standing).map_err(Faults::from)?;
    }
    Ok((plan, context))
}

/// Writes the whole plan, member by member, to S3.
async fn put_plan(
    objects: &impl Objects,
    bucket: &str,
    key: &str,
    plan: &Plan,
) -> Result<(), FunctionError> {
    let members: Result<Vec<Value>, _> = plan
        .members
        .iter()
        .zip(&plan.shapes)
        .map(|(member, shape)| plan::member_summary(plan, member, *shape))
        .collect();
    let body = members
        .and_then(|members| {
            serde_json::to_vec(&json!({
                "sweep_id": plan.sweep.sweep_id,
                "report": plan.report,
                "lanes": plan.lanes,
                "members": members,
            }))
        })
        .map_err(|error| FunctionError::Bug(error.to_string()))?;
    let put = objects.put_object(bucket, key, "application/json", body);
    match put.await {
        Ok(()) => Ok(()),
        // It is the first thing that is written there: better now than when there are results.
        Err(ServiceError::Refused { message, .. }) => Err(Faults::from(Fault::new(
            "results.bucket",
            format!("nothing can be written to {bucket}: {message}"),
            "a bucket that exists and that the deployment may write to (its parameter OtherResultsBucketArns)",
        ))
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn output(
    sweep: &Sweep,
    plan: &Plan,
    manifest: String,
    book: Option<&PriceBook>,
    now: u64,
) -> Result<Output, FunctionError> {
    let summary = if sweep.dry_run {
        let summary = plan::summary(plan, &manifest, book, now);
        Some(summary.map_err(|error| FunctionError::Bug(error.to_string()))?)
    } else {
        None
    };
    Ok(Output {
        sweep_id: plan.sweep.sweep_id.clone(),
        sweep_name: sweep.name.clone(),
        dry_run: sweep.dry_run,
        members: plan.sweep.members,
        lanes: plan.sweep.lanes.clone(),
        log_group: plan.sweep.log_group.clone(),
        timeout_s: plan.timeout_s,
        plan: summary,
        manifest,
    })
}
