//! Asks EC2 and Systems Manager what a plan needs to know, all places at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::plan::{Facts, Questions, RegionFacts};
use spawn_core::ports::{DescribeOffers, InAccounts, ReadParameters};
use spawn_core::region::Region;

/// The answers to the questions of every place. Parameters are the home account's own, and AWS's.
///
/// # Errors
/// When a service does not answer. That something does not exist is an answer.
pub(crate) async fn answers(
    ec2: &(impl DescribeOffers + InAccounts),
    parameters: &impl ReadParameters,
    questions: BTreeMap<Place, Questions>,
) -> Result<Facts, FunctionError> {
    let places = questions.into_iter().map(|(place, questions)| async move {
        let ec2 = ec2.of(place.account);
        let facts = of_region(&ec2, parameters, &place.region, questions).await?;
        Ok::<_, FunctionError>((place, facts))
    });
    Ok(try_join_all(places).await?.into_iter().collect())
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
