//! Wires plan-sweep to AWS.

use plan_sweep::{Deployment, Input, Ports, handle};
use spawn_aws::config::Config;
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::prices::Prices;
use spawn_aws::route53::Zones;
use spawn_aws::s3::Buckets;
use spawn_aws::ssm::Parameters;
use spawn_core::document::OperatorDefaults;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            parameters: &Parameters::new(&sdk),
            objects: &Buckets::new(&sdk),
            prices: &Prices::new(&sdk),
            zones: &Zones::new(&sdk),
            deployment: &deployment(&config),
        };
        lambda::run(async |mut input: Input, now, _| {
            input.trace = lambda::trace();
            Box::pin(handle(input, &ports, now)).await
        })
        .await
    })
    .await
}

/// The settings that planning needs.
fn deployment(config: &Config) -> Deployment {
    Deployment {
        defaults: OperatorDefaults {
            ami: Some(config.default_ami.clone()),
            instance_type: Some(config.default_instance_type.clone()),
            key_name: config.default_key_name.clone(),
            instance_profile: Some(config.instance_profile.clone()),
            budget: config.default_budget,
            owner: None,
            home_region: config.home_region,
            reach: config.reach.clone(),
        },
        results_bucket: config.results_bucket.clone(),
        instance_profile: config.instance_profile.clone(),
        home_account: config.account,
        notify_topic: config.notify_topic.clone(),
        price_book: config.price_book.clone(),
        price_age_ms_max: config.price_age_ms_max,
        naming: config.naming.clone(),
    }
}
