//! An instance asks for its names: through the function's URL, as whom IAM says it is.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::clock::DAY_MS;
use spawn_core::dns::{
    Caller, Naming, REGISTRATIONS, RegistrationError, Request, TurnRow, caller_of, judge, turn_key,
    wanted,
};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned};
use spawn_core::ports::{Clock, FindInstances, InAccounts};
use spawn_core::rows::{InstanceRow, MemberRow, SweepRow, instance_key, sweep_key};

use crate::facts::addresses_write;
use crate::{Ports, marks};

/// A request as the function's URL passes it on (AWS Lambda Developer Guide, "Invoking Lambda function URLs").
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlRequest {
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Context {
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Clone, Debug, Deserialize)]
struct Authorizer {
    #[serde(default)]
    iam: Option<Iam>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: String,
}

impl UrlRequest {
    /// Who asks; empty when nobody has signed the request.
    fn user_arn(&self) -> &str {
        self.request_context
            .authorizer
            .as_ref()
            .and_then(|authorizer| authorizer.iam.as_ref())
            .map_or("", |iam| iam.user_arn.as_str())
    }

    fn read(&self) -> Result<Request, RegistrationError> {
        let malformed = |problem: String| RegistrationError::Malformed(problem);
        let body = self.body.clone().unwrap_or_default();
        let body = if self.is_base64_encoded {
            base64::engine::general_purpose::STANDARD
                .decode(body)
                .map_err(|error| malformed(error.to_string()))?
        } else {
            body.into_bytes()
        };
        serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))
    }
}

/// The answer to an instance.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// As the function's URL takes it.
    pub(crate) response: Value,
    /// Whether the member was marked.
    pub(crate) is_accepted: bool,
}

/// A refusal as the function's URL takes it.
pub(crate) fn refused(status: u16, words: &str) -> Value {
    http(status, &json!({"error": words}))
}

fn http(status: u16, body: &Value) -> Value {
    json!({
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": body.to_string(),
    })
}

/// What a request comes to.
enum Outcome {
    Accepted(Value),
    Refused(RegistrationError),
}

/// Answers a request. An address that EC2 confirms is noted in the member's row, and the member is marked; the names follow
/// from that as from every other change.
///
/// # Errors
/// When the ledger or EC2 does not answer.
pub(crate) async fn answer<L, Z, E, C>(
    request: &UrlRequest,
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    random: u64,
) -> Result<Answer, FunctionError>
where
    L: Ledger,
    E: FindInstances + InAccounts,
    C: Clock,
{
    let asked = request.read();
    let caller = caller_of(request.user_arn(), &ports.deployment.member_role);
    let outcome = match &caller {
        Ok(caller) => decide(caller, &asked, ports, naming, random).await?,
        Err(error) => Outcome::Refused(error.clone()),
    };
    match outcome {
        Outcome::Accepted(body) => {
            tracing::info!(
                caller = request.user_arn(),
                "an instance has registered its addresses"
            );
            Ok(Answer {
                response: http(200, &body),
                is_accepted: true,
            })
        }
        Outcome::Refused(error) => {
            let asked = asked.ok();
            tracing::warn!(
                caller = request.user_arn(),
                name = asked.as_ref().and_then(|asked| asked.name.as_deref()),
                address = asked
                    .as_ref()
                    .and_then(|asked| asked.address)
                    .map(|address| address.to_string()),
                reason = %error,
                "a request for a name was refused"
            );
            Ok(Answer {
                response: refused(error.status(), &error.to_string()),
                is_accepted: false,
            })
        }
    }
}

async fn decide<L, Z, E, C>(
    caller: &Caller,
    asked: &Result<Request, RegistrationError>,
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    random: u64,
) -> Result<Outcome, FunctionError>
where
    L: Ledger,
    E: FindInstances + InAccounts,
    C: Clock,
{
    let now = ports.clock.now_ms();
    // Before anything else is looked up: refused requests count, too.
    if let Err(error) = take_turn(ports.ledger, caller, now).await? {
        return Ok(Outcome::Refused(error));
    }
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return Ok(Outcome::Refused(error.clone())),
    };
    let arn = caller.arn(asked.region);
    let nobody = || {
        Ok(Outcome::Refused(RegistrationError::NoMember(
            arn.to_string(),
        )))
    };
    let instance: Option<InstanceRow> = ledger::load(ports.ledger, instance_key(&arn)).await?;
    let Some(instance) = instance else {
        return nobody();
    };
    let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(&instance.sweep_id)).await?;
    let Some(label) = &sweep.dns_label else {
        return nobody();
    };
    let member: MemberRow =
        ledger::require(ports.ledger, sweep.member_key(instance.member_index)).await?;
    let ids = [arn.instance_id.clone()];
    let ec2 = ports.ec2.of(member.lane.account);
    let instances = ec2.find_instances(&arn.region, &ids).await?;
    let Some(shown) = instances.into_iter().find(|shown| shown.arn == arn) else {
        return nobody();
    };
    let addresses = match judge(asked, &shown, &member, label, naming) {
        Ok(addresses) => addresses,
        Err(error) => return Ok(Outcome::Refused(error)),
    };
    if addresses != member.addresses {
        match ports
            .ledger
            .commit(vec![addresses_write(&member, &addresses)])
            .await
        {
            Ok(()) => {}
            Err(LedgerError::Condition { .. }) => return nobody(),
            Err(error) => return Err(error.into()),
        }
    }
    let place = BTreeSet::from([(member.sweep_id.clone(), member.index)]);
    marks::put(ports.ledger, &place, now, random).await?;
    let there = MemberRow {
        addresses,
        ..member
    };
    let records: Vec<Value> = wanted(&there, label, false, naming)
        .into_iter()
        .map(|record| json!({"name": record.id.name, "type": record.id.kind.as_str(), "values": record.values}))
        .collect();
    Ok(Outcome::Accepted(
        json!({"instance": arn.instance_id, "records": records}),
    ))
}

/// Counts a request of the caller; refuses it when it has asked too often.
async fn take_turn(
    ledger: &impl Ledger,
    caller: &Caller,
    now: u64,
) -> Result<Result<(), RegistrationError>, FunctionError> {
    let key = turn_key(&caller.counted_as());
    let stored: Option<TurnRow> = ledger::load(ledger, key).await?;
    let is_new = stored.is_none();
    let mut row = stored.unwrap_or(TurnRow {
        caller: caller.counted_as(),
        requests: Default::default(),
        expires_at: 0,
        version: 0,
    });
    let wait = row.requests.wait_ms(REGISTRATIONS, 1, now);
    let too_many = |ms: u64| RegistrationError::TooMany {
        retry_after_s: ms.div_ceil(1000).max(1),
    };
    if wait > 0 {
        return Ok(Err(too_many(wait)));
    }
    row.requests.take(REGISTRATIONS, 1, now);
    row.expires_at = (now + DAY_MS) / 1000;
    let write = if is_new {
        row.create()?
    } else {
        row.replace()?
    };
    match ledger.commit(vec![write]).await {
        Ok(()) => Ok(Ok(())),
        // Two requests of one instance at the same moment: one of them is served.
        Err(LedgerError::Condition { .. }) => Ok(Err(too_many(1000))),
        Err(error) => Err(error.into()),
    }
}
