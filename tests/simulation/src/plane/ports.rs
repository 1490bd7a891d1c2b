//! EC2, Step Functions, S3 and Systems Manager as a function reaches them.

use std::sync::Arc;

use spawn_core::account::{AccountId, Place};
use spawn_core::ids::{ClientToken, SweepId};
use spawn_core::ports::{
    BadEnd, Clock, CloudInstance, Ec2Error, EndInstances, InAccounts, LaunchInstances,
    LaunchRequest, Launched, ListInstances, Objects, ServiceError, StopInstances, Template,
    WakeExecutions, WatchExecutions,
};
use spawn_core::region::Region;
use spawn_core::rows::{Drain, LaunchApi, Location, Pool, SweepRow};

use super::client::Client;
use super::{Fault, Plane, executions};
use crate::ec2::{Answer, Api, Choice, Launch, Refusal, Refusals};
use crate::engine::Ms;

/// How old EC2's view is when it is stale.
const STALE: (Ms, Ms) = (10_000, 30_000);

/// The error that the adapter makes of EC2's code.
fn sorted(refusal: &Refusal) -> Ec2Error {
    let text = format!("{}: {}", refusal.code, refusal.words);
    match refusal.code {
        "RequestLimitExceeded" => Ec2Error::Throttled(text),
        "InsufficientInstanceCapacity" => Ec2Error::NoCapacity(text),
        "VcpuLimitExceeded" | "MaxSpotInstanceCountExceeded" => Ec2Error::Quota(text),
        "IdempotentInstanceTerminated" | "IdempotentParameterMismatch" => {
            Ec2Error::TokenSpent(text)
        }
        _ => Ec2Error::Refused(text),
    }
}

/// The seconds of the kill switch in a boot script.
fn kill_after_s(user_data: &str) -> Option<u64> {
    let (_, rest) = user_data.split_once("SPAWN_KILL_AFTER_S='")?;
    rest.split_once('\'')?.0.parse().ok()
}

impl Clock for Client {
    fn now_ms(&self) -> u64 {
        self.plane.clock.now()
    }

    async fn sleep_ms(&self, ms: u64) {
        self.plane.clock.sleep(ms).await;
    }
}

impl InAccounts for Client {
    fn of(&self, account: Option<AccountId>) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }
}

impl Client {
    pub(super) fn place(&self, region: &Region) -> Place {
        Place {
            account: self.account,
            region: *region,
        }
    }

    /// A call to EC2: `effect` happens, unless EC2 throttles or does not answer.
    pub(super) async fn ec2<T>(
        &self,
        name: &'static str,
        latency: (Ms, Ms),
        effect: impl FnOnce(&Arc<Plane>, Ms) -> Result<T, Refusal>,
    ) -> Result<T, Ec2Error> {
        let plane = &self.plane;
        let network = plane.settings.ec2.network;
        self.begin(name, network).await;
        if plane.fault(Fault::Ec2Throttled) {
            self.end(network).await;
            return Err(Ec2Error::Throttled("RequestLimitExceeded".to_owned()));
        }
        if plane.fault(Fault::Ec2Unanswered) {
            self.end(latency).await;
            return Err(Ec2Error::Transient("no answer".to_owned()));
        }
        plane.note(|| format!("#{} {name}", self.invocation.number));
        let result = effect(plane, plane.clock.now());
        if let Err(refusal) = &result {
            plane.note(|| format!("  {}", refusal.code));
        }
        // A refusal comes at once, everything else when it is done.
        let work = if result.is_ok() { latency } else { (0, 0) };
        plane.clock.sleep(plane.clock.between(work)).await;
        self.end(network).await;
        if plane.fault(Fault::Ec2AnswerLost) {
            return Err(Ec2Error::Transient("the answer is lost".to_owned()));
        }
        result.map_err(|refusal| sorted(&refusal))
    }

    /// Describes instances by a tag.
    pub(super) async fn describe(
        &self,
        region: &Region,
        tag: (&'static str, String),
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        let place = self.place(region);
        self.ec2("DescribeInstances", latency, |plane, now| {
            let lag = if plane.fault(Fault::StaleView) {
                plane.clock.between(STALE)
            } else {
                plane.clock.between(plane.settings.ec2.describe_lag)
            };
            let mut state = plane.state();
            state.ec2.describe(place, (tag.0, &tag.1), lag, now)
        })
        .await
    }

    async fn end_instances(
        &self,
        name: &'static str,
        region: &Region,
        instance_ids: &[String],
        end: impl Fn(&Arc<Plane>, usize),
    ) -> Result<(), Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        let place = self.place(region);
        for ids in instance_ids.chunks(1_000) {
            self.ec2(name, latency, |plane, now| {
                let numbers: Vec<usize> = {
                    let mut state = plane.state();
                    state.ec2.take_endings(place, ids.len(), now)?;
                    ids.iter()
                        .filter_map(|id| state.ec2.number_of_id(place, id))
                        .collect()
                };
                numbers.into_iter().for_each(|number| end(plane, number));
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

impl LaunchInstances for Client {
    async fn ensure_template(&self, region: &Region, template: &Template) -> Result<(), Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        let place = self.place(region);
        self.ec2("CreateLaunchTemplate", latency, |plane, now| {
            let kill = kill_after_s(&template.user_data);
            let mut state = plane.state();
            state.ec2.create_template(place, &template.name, kill, now)
        })
        .await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, Ec2Error> {
        let latency = self.plane.settings.ec2.launch_call;
        let place = self.place(&request.region);
        let rung = &request.rung;
        let api = match rung.api {
            LaunchApi::RunInstances => Api::RunInstances,
            LaunchApi::CreateFleet => Api::CreateFleet,
        };
        let (instances, refusals) = self
            .ec2(rung.api.as_str(), latency, |plane, now| {
                if plane.fault(Fault::Ec2Refused) {
                    return Err(Refusal::new(
                        "UnauthorizedOperation",
                        "You are not authorized to perform this operation.",
                    ));
                }
                let choice = |pool: &Pool| Choice {
                    instance_type: pool.instance_type.clone(),
                    market: rung.market,
                    zone: match &pool.location {
                        Location::Zone(zone) => Some(zone.clone()),
                        Location::Any | Location::Subnet(_) => None,
                    },
                };
                let call = Launch {
                    api,
                    place,
                    token: request.token.as_str().to_owned(),
                    parameters: format!("{request:?}"),
                    template: request.template.clone(),
                    choices: rung.pools.iter().map(choice).collect(),
                    count: request.count,
                    tags: request.tags.clone(),
                };
                plane.launch(call, now)
            })
            .await?;
        let now = self.plane.clock.now();
        self.plane.state().last_launch = now;
        let refused = |(choice, refusal): (usize, Refusal)| {
            let pool = rung.pools.get(choice)?.clone();
            let error = sorted(&refusal);
            Some(spawn_core::ports::Refusal { pool, error })
        };
        Ok(Launched {
            instances,
            refusals: refusals.into_iter().filter_map(refused).collect(),
        })
    }

    async fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.describe(region, ("spawn:attempt", token.as_str().to_owned()))
            .await
    }
}

impl ListInstances for Client {
    async fn list(&self, region: &Region, sweep: &SweepId) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.describe(region, ("spawn:sweep-id", sweep.to_string()))
            .await
    }
}

impl EndInstances for Client {
    async fn terminate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.end_instances(
            "TerminateInstances",
            region,
            instance_ids,
            |plane, number| {
                plane.shut_down(number, "Client.UserInitiatedShutdown");
            },
        )
        .await
    }

    /// Placement groups are nothing here: no document of the simulation has one.
    async fn delete_placement_group(&self, _region: &Region, _name: &str) -> Result<(), Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        self.ec2("DeletePlacementGroup", latency, |_, _| Ok(()))
            .await
    }

    async fn delete_template(&self, region: &Region, name: &str) -> Result<(), Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        let place = self.place(region);
        self.ec2("DeleteLaunchTemplate", latency, |plane, now| {
            plane.state().ec2.delete_template(place, name, now)
        })
        .await
    }
}

impl StopInstances for Client {
    async fn stop(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.end_instances("StopInstances", region, instance_ids, |plane, number| {
            plane.stop(number);
        })
        .await
    }
}

impl Client {
    /// A call to another service.
    pub(super) async fn service<T>(
        &self,
        service: &'static str,
        name: &'static str,
        effect: impl FnOnce(&Arc<Plane>) -> T,
    ) -> Result<T, ServiceError> {
        let silence = || ServiceError::Transient {
            service,
            message: "no answer".to_owned(),
        };
        let latency = self.plane.settings.latencies.service;
        self.begin(name, latency).await;
        if self.plane.fault(Fault::ServiceUnanswered) {
            return Err(silence());
        }
        self.plane
            .note(|| format!("#{} {name}", self.invocation.number));
        let answer = effect(&self.plane);
        self.end(latency).await;
        if self.plane.fault(Fault::ServiceUnanswered) {
            return Err(silence());
        }
        Ok(answer)
    }
}

impl WakeExecutions for Client {
    async fn wake(&self, task_token: &str, answer: &serde_json::Value) -> Result<(), ServiceError> {
        self.service("Step Functions", "SendTaskSuccess", |plane| {
            plane.state().executions.answer(task_token, answer.clone());
        })
        .await
    }
}

impl WatchExecutions for Client {
    async fn bad_end(&self, execution_arn: &str) -> Result<Option<BadEnd>, ServiceError> {
        self.service("Step Functions", "DescribeExecution", |plane| {
            plane.state().executions.bad_end(execution_arn)
        })
        .await
    }

    async fn start_drain(
        &self,
        sweep: &SweepRow,
        drain: &Drain,
        hour: u64,
    ) -> Result<(), ServiceError> {
        self.service("Step Functions", "StartExecution", |plane| {
            executions::start_drain_of_sweep(plane, sweep, drain, hour);
        })
        .await
    }
}

impl Objects for Client {
    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        _bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let name = format!("{bucket}/{key}");
        self.service("S3", "GetObject", |plane| {
            let mut state = plane.state();
            state.stats.objects_got += 1;
            state.objects.get(&name).cloned()
        })
        .await
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        _content_type: &str,
        body: Vec<u8>,
    ) -> Result<(), ServiceError> {
        let name = format!("{bucket}/{key}");
        self.service("S3", "PutObject", |plane| {
            let mut state = plane.state();
            state.stats.objects_put += 1;
            state.objects.insert(name, body);
        })
        .await
    }
}

impl Plane {
    /// Launches, and lets the instances begin their lives. Answers them, and which choices of a fleet gave less, and why.
    fn launch(
        self: &Arc<Self>,
        call: Launch,
        now: Ms,
    ) -> Result<(Vec<CloudInstance>, Refusals), Refusal> {
        let sweep = call
            .tags
            .iter()
            .find(|(key, _)| key == "spawn:sweep-id")
            .map_or_else(String::new, |(_, value)| value.clone());
        let answer = {
            let mut state = self.state();
            let answer = state.ec2.launch(call, now)?;
            if answer.is_new {
                state.check_limits(&sweep, now);
            }
            answer
        };
        self.note(|| format!("  launched {:?}, new: {}", answer.instances, answer.is_new));
        if answer.is_new {
            let born = answer.instances.clone();
            born.for_each(|number| self.begin_life(number));
        }
        let state = self.state();
        let shown = |number| {
            let instance = state.ec2.instance(number);
            crate::ec2::shown(instance, instance.state(), now)
        };
        let Answer {
            instances,
            refusals,
            ..
        } = answer;
        Ok((instances.map(shown).collect(), refusals))
    }
}
