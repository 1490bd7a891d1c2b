//! The EC2 endpoint: from an HTTP request to an action and back, with the faults in between.

use std::time::Duration;

use hyper::http::request::Parts;

use crate::actions::{self, Action, Call};
use crate::faults::FaultKind;
use crate::model::Place;
use crate::sim::Sim;
use crate::wire::{Ec2Error, Params, Scope, error_document, response_document};
use crate::world::World;

use super::{Answer, Dropped, answer, header};

/// What is to be answered, and how.
#[derive(Debug)]
struct Reply {
    status: u16,
    document: String,
    request_id: String,
    delay_ms: u64,
    is_lost: bool,
    hangs: bool,
}

pub(super) async fn handle(sim: &Sim, parts: &Parts, body: &[u8]) -> Result<Answer, Dropped> {
    let mut encoded = parts.uri.query().unwrap_or_default().as_bytes().to_vec();
    encoded.push(b'&');
    encoded.extend_from_slice(body);
    let params = Params::parse(&encoded);
    let reply = sim.with(|world, now_ms| {
        let scope = Scope::read(
            header(parts, "authorization"),
            params.text("X-Amz-Credential"),
            &world.settings.home_region,
        );
        reply(world, now_ms, &params, &scope)
    });
    // The call has taken effect. What follows is only its way back, which may be slow, or end nowhere.
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    if reply.is_lost {
        return Err(Dropped::Fault);
    }
    let mut answer = answer(reply.status, "text/xml;charset=UTF-8", reply.document);
    if let Ok(id) = reply.request_id.parse() {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(answer)
}

fn reply(world: &mut World, now_ms: u64, params: &Params, scope: &Scope) -> Reply {
    let request_id = world.random.uuid();
    let mut reply = Reply {
        status: 200,
        document: String::new(),
        request_id: request_id.clone(),
        delay_ms: 0,
        is_lost: false,
        hangs: false,
    };
    let (name, outcome) = match route(params, scope) {
        Ok((action, place)) if !world.is_enabled(&place) => (action.name, Err(not_enabled(&place))),
        Ok((action, place)) => (
            action.name,
            carry_out(world, now_ms, params, action, &place, &mut reply),
        ),
        Err(error) => ("unknown", Err(error)),
    };
    world.count_call(
        name,
        outcome.as_ref().err().map(|error| error.code.as_ref()),
    );
    match outcome {
        Ok(body) => reply.document = response_document(name, &request_id, &body),
        Err(error) => {
            reply.status = error.status;
            reply.document = error_document(&error, &request_id);
        }
    }
    reply
}

/// What EC2 answers in a region that the account has not enabled: there its credentials are not known.
fn not_enabled(place: &Place) -> Ec2Error {
    Ec2Error::new(
        "AuthFailure",
        format!(
            "AWS was not able to validate the provided access credentials ({} is not enabled in account {})",
            place.region.name, place.account
        ),
    )
}

fn route(params: &Params, scope: &Scope) -> Result<(Action, Place), Ec2Error> {
    let name = params.text("Action").ok_or_else(|| {
        Ec2Error::new(
            "MissingAction",
            "The request is missing an action or a required parameter.",
        )
    })?;
    let action = actions::find(name)?;
    let place = Place::new(&scope.account, &scope.region).ok_or_else(|| {
        Ec2Error::new(
            "AuthFailure",
            format!(
                "Credential should be scoped to a valid region, not '{}'.",
                scope.region
            ),
        )
    })?;
    Ok((action, place))
}

/// Runs an action between the faults that strike it.
fn carry_out(
    world: &mut World,
    now_ms: u64,
    params: &Params,
    action: Action,
    place: &Place,
    reply: &mut Reply,
) -> Result<String, Ec2Error> {
    let name = action.name;
    let mut strikes = |kind| {
        world
            .faults
            .strike_call(kind, place, name, &mut world.random)
    };
    if strikes(FaultKind::Hang).is_some() {
        reply.hangs = true;
        return Ok(String::new());
    }
    if let Some(fault) = strikes(FaultKind::Latency) {
        reply.delay_ms += fault.ms.unwrap_or(1_000);
    }
    if strikes(FaultKind::Throttle).is_some() {
        return Err(Ec2Error::throttled());
    }
    if let Some(fault) = strikes(FaultKind::Error) {
        let code = fault.code.unwrap_or_else(|| "InternalError".to_owned());
        let mut error = Ec2Error::new(
            code,
            fault
                .message
                .unwrap_or_else(|| "An internal error has occurred".to_owned()),
        );
        error.status = fault.status.unwrap_or(error.status);
        return Err(error);
    }
    let id = world.next();
    let mut call = Call {
        world,
        place: place.clone(),
        params,
        action: name,
        now_ms,
        id,
    };
    action.take_request(&mut call)?;
    let outcome = action.run(&mut call);
    world.faults.prune(id);
    if matches!(name, "RunInstances" | "CreateFleet") && outcome.is_ok() {
        reply.delay_ms += world.timing.launch_ms;
    }
    if outcome.is_ok()
        && world
            .faults
            .strike_call(FaultKind::LostResponse, place, name, &mut world.random)
            .is_some()
    {
        reply.is_lost = true;
    }
    outcome
}
