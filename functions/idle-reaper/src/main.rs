//! Wires idle-reaper to AWS.

use idle_reaper::{Ports, handle};
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::sfn::Executions;
use spawn_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            executions: &Executions::new(&sdk),
            limit: config.reaper_limit,
            home: config.home_region,
            measure: &telemetry::publish,
        };
        lambda::run(async |input, now, _| Box::pin(handle(input, &ports, now)).await).await
    })
    .await
}
