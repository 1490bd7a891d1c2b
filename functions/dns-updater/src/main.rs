//! Wires dns-updater to AWS.

use dns_updater::{Deployment, Input, Ports, handle};
use serde_json::Value;
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::route53::Zones;
use spawn_aws::{clock, stream, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            zones: &Zones::new(&sdk),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            clock: &clock::Wall,
            deployment: &Deployment {
                naming: config.naming,
                member_role: config.instance_role.unwrap_or_default(),
            },
        };
        lambda::run(async |event: Value, now, random| {
            let input = if event.get("Records").is_some() {
                Input::Stream(stream::changes(event)?)
            } else {
                Input::parse(&event)?
            };
            let (answer, measured) = Box::pin(handle(input, &ports, random)).await?;
            telemetry::publish(&measured, now);
            Ok(answer)
        })
        .await
    })
    .await
}
