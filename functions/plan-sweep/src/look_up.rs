//! Asks EC2 and Systems Manager what a plan needs to know, all places at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use spawn_core::account::{AccountId, Place};
use spawn_core::document::{Fault, Faults, RegionOrder, Sweep};
use spawn_core::errors::FunctionError;
use spawn_core::plan::{Candidates, Facts, Questions, QuotaFacts, RegionFacts};
use spawn_core::ports::{DescribeOffers, InAccounts, LocateBuckets, ReadParameters, ReadQuotas};
use spawn_core::region::Region;

/// Regions that are asked at a time: as many as there are without opting in, within a second's worth of EC2's bucket of
/// describing calls.
const REGIONS_AT_ONCE: usize = 17;

/// The answers to the questions of every place. Parameters are the home account's own, and AWS's. Places that may not be asked, or do
/// not answer, are taken out of `candidates` if a pattern brought them in.
///
/// # Errors
/// When a service does not answer of a place that the document names; that something does not exist is an answer. As faults of the
/// document, which may name others: all accounts that cannot be entered, or all regions that may not be used.
pub(crate) async fn answers(
    ec2: &(impl DescribeOffers + InAccounts),
    parameters: &impl ReadParameters,
    questions: BTreeMap<Place, Questions>,
    candidates: &mut Candidates,
) -> Result<Facts, FunctionError> {
    let places = questions.into_iter().map(|(place, questions)| async move {
        let ec2 = ec2.of(place.account);
        let facts = of_region(&ec2, parameters, &place.region, questions).await;
        (place, facts)
    });
    let mut facts = Facts::new();
    let mut silent: BTreeMap<Place, String> = BTreeMap::new();
    for (place, answer) in join_all(places).await {
        match answer {
            Ok(of_place) => drop(facts.insert(place, of_place)),
            Err(FunctionError::Config(text)) => drop(silent.insert(place, text)),
            Err(FunctionError::Transient(text)) if !candidates.names(place) => {
                drop(silent.insert(place, text));
            }
            Err(error) => return Err(error.at(&place)),
        }
    }
    refuse_closed_accounts(&facts, &silent)?;
    if !silent.is_empty() {
        candidates.leave_out(&silent)?;
    }
    Ok(facts)
}

/// Refuses accounts of which no region may be asked: they do not let spawn in.
fn refuse_closed_accounts(
    facts: &Facts,
    silent: &BTreeMap<Place, String>,
) -> Result<(), FunctionError> {
    let open: BTreeSet<Option<AccountId>> = facts.keys().map(|place| place.account).collect();
    let mut refusals: BTreeMap<AccountId, &String> = BTreeMap::new();
    for (place, text) in silent
        .iter()
        .filter(|(place, _)| !open.contains(&place.account))
    {
        if let Some(account) = place.account {
            refusals.entry(account).or_insert(text);
        }
    }
    if refusals.is_empty() {
        return Ok(());
    }
    let faults: Vec<Fault> = refusals
        .into_iter()
        .map(|(account, text)| Fault {
            path: "accounts".to_owned(),
            problem: format!("account {account}: {text}"),
            accepted: "accounts in which infra/member-account.yaml is deployed with the external id of this deployment"
                .to_owned(),
            hint: None,
        })
        .collect();
    Err(FunctionError::from(Faults::from(faults)))
}

async fn of_region(
    ec2: &impl DescribeOffers,
    parameters: &impl ReadParameters,
    region: &Region,
    questions: Questions,
) -> Result<RegionFacts, FunctionError> {
    let mut facts = RegionFacts::default();
    let names: Vec<String> = questions.types.into_iter().collect();
    for one in ec2.instance_types(region, &names).await? {
        facts.types.insert(one.name.clone(), one);
    }
    facts.zones = ec2.zones(region, &names).await?;
    for name in questions.groups {
        if ec2.has_placement_group(region, &name).await? {
            facts.groups.insert(name);
        }
    }
    let architectures: BTreeSet<&String> = facts
        .types
        .values()
        .filter_map(|one| one.architectures.first())
        .collect();
    let mut images = questions.images;
    for template in &questions.parameters {
        for architecture in &architectures {
            let name = template.replace("{arch}", architecture);
            if facts.parameters.contains_key(&name) {
                continue;
            }
            if let Some(image) = parameters.parameter(region, &name).await? {
                images.insert(image.clone());
                facts.parameters.insert(name, image);
            }
        }
    }
    for id in images {
        if let Some(image) = ec2.image(region, &id).await? {
            facts.images.insert(id, image);
        }
    }
    Ok(facts)
}

/// Looks up where types are offered that a place does not have, so that the fault can say so. Regions that do not answer are
/// left out: the fault stands without them.
pub(crate) async fn elsewhere(
    ec2: &(impl DescribeOffers + InAccounts),
    missing: BTreeMap<Place, BTreeSet<String>>,
    facts: &mut Facts,
) {
    for (place, names) in missing {
        let names: Vec<String> = names.into_iter().collect();
        let ec2 = &ec2.of(place.account);
        let names = &names;
        let asked = Region::all()
            .filter(|region| !region.is_opt_in() && *region != place.region)
            .map(|region| async move { (region, ec2.zones(&region, names).await) });
        let answers = stream::iter(asked)
            .buffer_unordered(REGIONS_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let Some(of_place) = facts.get_mut(&place) else {
            continue;
        };
        for (region, answer) in answers {
            for name in answer.unwrap_or_default().into_keys() {
                of_place.elsewhere.entry(name).or_default().insert(region);
            }
        }
    }
}

/// What the quotas of each place are, and how much of them is in use. What is not known is an answer, too.
pub(crate) async fn quotas(
    ec2: &(impl ReadQuotas + InAccounts),
    questions: BTreeMap<Place, BTreeSet<&'static str>>,
) -> BTreeMap<Place, QuotaFacts> {
    let places = questions.into_iter().map(|(place, codes)| {
        let ec2 = ec2.of(place.account);
        async move {
            let region = &place.region;
            let limits = codes.into_iter().map(|code| {
                let ec2 = &ec2;
                async move { (code, ec2.vcpu_quota(region, code).await) }
            });
            let limits: BTreeMap<&'static str, Result<u64, String>> =
                join_all(limits).await.into_iter().collect();
            // What runs matters only beside a quota that is known.
            let running = if limits.values().any(Result::is_ok) {
                ec2.running_vcpus(region).await
            } else {
                Ok(Vec::new())
            };
            (place, QuotaFacts { limits, running })
        }
    });
    stream::iter(places)
        .buffer_unordered(REGIONS_AT_ONCE)
        .collect()
        .await
}

/// The regions of the sweep's data, when the order of its regions depends on them.
///
/// # Errors
/// That no bucket's region is known: an order by distance would be made up.
pub(crate) async fn data_regions(
    objects: &impl LocateBuckets,
    sweep: &Sweep,
) -> Result<Vec<Region>, FunctionError> {
    if sweep.region_order != RegionOrder::Distance {
        return Ok(Vec::new());
    }
    let mut regions = Vec::new();
    for bucket in &sweep.data_buckets {
        regions.extend(objects.bucket_region(bucket).await?);
    }
    if regions.is_empty() {
        return Err(FunctionError::from(Faults::from(Fault {
            path: "region_order".to_owned(),
            problem: format!(
                "S3 does not tell the region of {}, from which distances are measured",
                sweep.data_buckets.join(", ")
            ),
            accepted: "document or price, or inputs in buckets that spawn's role may read"
                .to_owned(),
            hint: None,
        })));
    }
    Ok(regions)
}
