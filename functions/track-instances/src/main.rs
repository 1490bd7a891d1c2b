//! Wires track-instances to AWS.

use serde_json::Value;
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::sfn::Executions;
use spawn_aws::telemetry;
use track_instances::{Input, Ports, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            measure: &|measured| telemetry::publish(measured, lambda::now_ms()),
            executions: &Executions::new(&sdk).with_drain(config.drain_machine),
        };
        lambda::run(async |event: Value, now, _| {
            Box::pin(handle(Input::parse(&event)?, &ports, now)).await
        })
        .await
    })
    .await
}
