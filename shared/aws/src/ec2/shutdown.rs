//! Terminating and stopping instances.
//!
//! EC2 refuses a whole call for one instance that it does not know or may not end. Such a call is halved until the culprits
//! stand alone: they must not keep the others alive.

use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::Client;
use spawn_core::ports::{Ec2Error, EndInstances, HibernateInstances, InstanceState, StopInstances};
use spawn_core::region::Region;

use super::instances::described;
use super::launch::TEMPLATE_ABSENT;
use super::{Ec2, errors};
use crate::sdk::Failure;

/// Instances of one call. EC2 takes 1,000 but counts each against a bucket (Amazon EC2 Developer Guide, "Request throttling
/// for the Amazon EC2 API"); a smaller call that is throttled loses less.
const CALL_INSTANCES_MAX: usize = 100;

/// There is no such instance, or no longer.
pub(super) const GONE: [&str; 2] = ["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"];
/// The instance is in a state in which it cannot be stopped.
const WRONG_STATE: &str = "IncorrectInstanceState";
/// The instance is protected, or cannot do this at all: its own fault, not that of the call.
const NOT_THIS_ONE: [&str; 3] = [
    "OperationNotPermitted",
    "UnsupportedHibernationConfiguration",
    "UnsupportedOperation",
];

/// There is no such placement group, or no longer (DeletePlacementGroup).
const GROUP_ABSENT: &str = "InvalidPlacementGroup.Unknown";
/// Instances of the group are not terminated yet.
const GROUP_IN_USE: &str = "InvalidPlacementGroup.InUse";
/// How often a group in use is tried, and the pause between two tries: a minute in all.
const GROUP_TRIES: u32 = 13;
const GROUP_WAIT: Duration = Duration::from_secs(5);

impl EndInstances for Ec2 {
    async fn terminate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        let terminate = Terminate {
            client: self.client(*region),
        };
        for_all(instance_ids, &terminate).await
    }

    /// Waits for the last instances to be terminated, which takes EC2 up to a minute from where they are ending.
    async fn delete_placement_group(&self, region: &Region, name: &str) -> Result<(), Ec2Error> {
        let client = self.client(*region);
        let mut tries = 1;
        loop {
            let request = client.delete_placement_group().group_name(name);
            let failure = match request.send().await {
                Ok(_) => return Ok(()),
                Err(error) => Failure::of(&error),
            };
            match failure.code() {
                Some(GROUP_ABSENT) => return Ok(()),
                Some(GROUP_IN_USE) if tries < GROUP_TRIES => {
                    tries += 1;
                    tokio::time::sleep(GROUP_WAIT).await;
                }
                _ => return Err(errors::of_failure(failure)),
            }
        }
    }

    async fn delete_template(&self, region: &Region, name: &str) -> Result<(), Ec2Error> {
        let client = self.client(*region);
        match client
            .delete_launch_template()
            .launch_template_name(name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure
                    .code()
                    .is_some_and(|code| TEMPLATE_ABSENT.contains(&code))
                {
                    return Ok(());
                }
                Err(errors::of_failure(failure))
            }
        }
    }
}

impl StopInstances for Ec2 {
    async fn stop(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        let stop = Stop {
            client: self.client(*region),
            region: *region,
            hibernate: false,
        };
        for_all(instance_ids, &stop).await
    }
}

impl HibernateInstances for Ec2 {
    async fn hibernate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        let hibernate = Stop {
            client: self.client(*region),
            region: *region,
            hibernate: true,
        };
        for_all(instance_ids, &hibernate).await
    }
}

/// A call on several instances that fails as a whole.
pub(super) trait Call: Sync {
    /// Makes the call.
    fn all(&self, ids: Vec<String>) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Judges the failure of a call on `id` alone, of which [`is_of_one_instance`] holds.
    fn one(&self, id: &str, failure: Failure) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}

struct Terminate {
    client: Client,
}

impl Call for Terminate {
    async fn all(&self, ids: Vec<String>) -> Result<(), Failure> {
        let request = self
            .client
            .terminate_instances()
            .set_instance_ids(Some(ids));
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| Failure::of(&error))
    }

    async fn one(&self, _: &str, failure: Failure) -> Result<(), Ec2Error> {
        match failure.code() {
            Some(code) if GONE.contains(&code) => Ok(()),
            _ => Err(errors::of_failure(failure)),
        }
    }
}

struct Stop {
    client: Client,
    region: Region,
    hibernate: bool,
}

impl Call for Stop {
    async fn all(&self, ids: Vec<String>) -> Result<(), Failure> {
        let request = self
            .client
            .stop_instances()
            .set_hibernate(self.hibernate.then_some(true))
            .set_instance_ids(Some(ids));
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| Failure::of(&error))
    }

    async fn one(&self, id: &str, failure: Failure) -> Result<(), Ec2Error> {
        match failure.code() {
            Some(code) if GONE.contains(&code) => Ok(()),
            Some(WRONG_STATE) => {
                // EC2 says the same of an instance that is ending as of one that is starting.
                let ids = vec![id.to_owned()];
                let shown = described(&self.client, self.region, "instance-id", ids).await?;
                wrong_state(shown.first().map(|instance| instance.state), failure)
            }
            _ => Err(errors::of_failure(failure)),
        }
    }
}

/// What it means that an instance, shown in `state`, cannot be stopped.
fn wrong_state(state: Option<InstanceState>, failure: Failure) -> Result<(), Ec2Error> {
    match (state, errors::of_failure(failure)) {
        (
            None
            | Some(
                InstanceState::Stopping
                | InstanceState::Stopped
                | InstanceState::ShuttingDown
                | InstanceState::Terminated,
            ),
            _,
        ) => Ok(()),
        (Some(InstanceState::Pending), Ec2Error::Refused(text)) => Err(Ec2Error::Transient(text)),
        (Some(InstanceState::Pending | InstanceState::Running), error) => Err(error),
    }
}

/// Makes a call for all `ids`, in parts. The first error of a single instance is told when all others are done; any other
/// error ends it at once.
pub(super) async fn for_all(ids: &[String], call: &impl Call) -> Result<(), Ec2Error> {
    let mut parts: Vec<&[String]> = ids.chunks(CALL_INSTANCES_MAX).collect();
    let mut first_error = Ok(());
    while let Some(part) = parts.pop() {
        let Err(failure) = call.all(part.to_vec()).await else {
            continue;
        };
        if !is_of_one_instance(&failure) {
            return Err(errors::of_failure(failure));
        }
        if let [id] = part {
            first_error = first_error.and(call.one(id, failure).await);
        } else {
            let (left, right) = part.split_at(part.len() / 2);
            parts.extend([left, right]);
        }
    }
    first_error
}

fn is_of_one_instance(failure: &Failure) -> bool {
    failure.code().is_some_and(|code| {
        GONE.contains(&code) || NOT_THIS_ONE.contains(&code) || code == WRONG_STATE
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;

    fn failure(code: &str) -> Failure {
        Failure::Answer {
            code: code.to_owned(),
            text: code.to_owned(),
            server: false,
        }
    }

    /// EC2's manners: none of a call is ended when one of `bad` is in it.
    #[derive(Default)]
    struct Fake {
        bad: Vec<(&'static str, &'static str)>,
        ended: Mutex<BTreeSet<String>>,
        calls: Mutex<usize>,
    }

    impl Call for Fake {
        async fn all(&self, ids: Vec<String>) -> Result<(), Failure> {
            *self.calls.lock().unwrap() += 1;
            assert!(ids.len() <= CALL_INSTANCES_MAX);
            match self
                .bad
                .iter()
                .find(|(id, _)| ids.iter().any(|other| other == id))
            {
                Some((_, code)) => Err(failure(code)),
                None => {
                    self.ended.lock().unwrap().extend(ids);
                    Ok(())
                }
            }
        }

        async fn one(&self, _: &str, failure: Failure) -> Result<(), Ec2Error> {
            match failure.code() {
                Some(code) if GONE.contains(&code) => Ok(()),
                _ => Err(errors::of_failure(failure)),
            }
        }
    }

    /// Ends `count` instances; the result, how many were ended, and the calls it took.
    async fn end(
        count: usize,
        bad: &[(&'static str, &'static str)],
    ) -> (Result<(), Ec2Error>, usize, usize) {
        let ids: Vec<String> = (0..count).map(|number| format!("i-{number:03}")).collect();
        let fake = Fake {
            bad: bad.to_vec(),
            ..Fake::default()
        };
        let result = for_all(&ids, &fake).await;
        let ended = fake.ended.into_inner().unwrap().len();
        (result, ended, fake.calls.into_inner().unwrap())
    }

    #[tokio::test]
    async fn instances_are_ended_a_hundred_at_a_time() {
        assert_eq!(end(250, &[]).await, (Ok(()), 250, 3));
        assert_eq!(end(0, &[]).await, (Ok(()), 0, 0));
    }

    #[tokio::test]
    async fn an_instance_that_is_gone_does_not_keep_the_others_alive() {
        let (result, ended, calls) = end(100, &[("i-042", GONE[0])]).await;
        assert_eq!((result, ended), (Ok(()), 99));
        assert!(calls < 20, "{calls}");
    }

    #[tokio::test]
    async fn an_instance_that_may_not_be_ended_is_told_after_all_others_are() {
        let (result, ended, _) = end(100, &[("i-099", NOT_THIS_ONE[0]), ("i-001", GONE[1])]).await;
        assert_eq!(result, Err(Ec2Error::Refused(NOT_THIS_ONE[0].to_owned())));
        assert_eq!(ended, 98);
    }

    #[tokio::test]
    async fn a_throttled_call_is_not_halved() {
        let (result, _, calls) = end(100, &[("i-000", "RequestLimitExceeded")]).await;
        assert!(matches!(result, Err(Ec2Error::Throttled(_))));
        assert_eq!(calls, 1);
    }

    #[test]
    fn an_instance_that_is_starting_is_stopped_later() {
        let of = |state| wrong_state(state, failure(WRONG_STATE));
        assert_eq!(of(Some(InstanceState::Terminated)), Ok(()));
        assert_eq!(of(Some(InstanceState::Stopping)), Ok(()));
        assert_eq!(of(None), Ok(()));
        assert!(matches!(
            of(Some(InstanceState::Pending)),
            Err(Ec2Error::Transient(_))
        ));
        assert!(matches!(
            of(Some(InstanceState::Running)),
            Err(Ec2Error::Refused(_))
        ));
    }
}
