//! Wires notify to AWS.

use notify::{Ports, Standing, handle};
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::notices::{Topics, Webhooks};
use spawn_aws::sfn::Executions;
use spawn_aws::ssm::Secrets;

/// How the endpoint of the local stack begins.
const LOCAL: &str = "http://127.0.0.1:";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let standing = Standing {
            targets: config.standing_targets.clone(),
            occasions: config.standing_occasions.clone(),
        };
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            topics: &Topics::new(&sdk),
            secrets: &Secrets::new(&sdk),
            webhooks: &Webhooks,
            executions: &Executions::new(&sdk).with_notify(config.notify_machine.clone()),
            standing: &standing,
            is_local: sdk.endpoint_url().is_some_and(|url| url.starts_with(LOCAL)),
        };
        lambda::run(async |input, now, _| Box::pin(handle(input, &ports, now)).await).await
    })
    .await
}
