//! The size of EC2.

use super::bucket::{Size, size};
use crate::engine::Ms;

/// What EC2 allows and how fast it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests of RunInstances.
    pub run_requests: Size,
    /// Requests of CreateFleet.
    pub fleet_requests: Size,
    /// Instances that both launch.
    pub launch_instances: Size,
    /// Requests of TerminateInstances.
    pub terminate_requests: Size,
    /// Instances that it terminates.
    pub terminate_instances: Size,
    /// Requests of the Describe calls.
    pub describe_requests: Size,
    /// Other requests that change something.
    pub other_requests: Size,
    /// From pending to running.
    pub pending: (Ms, Ms),
    /// From shutting-down to terminated.
    pub shutdown: (Ms, Ms),
    /// How old the view of Describe calls is.
    pub describe_lag: (Ms, Ms),
    /// How long terminated instances are shown.
    pub terminated_visible: Ms,
    /// To EC2 and back; a call draws its tokens when it arrives.
    pub network: (Ms, Ms),
    /// How long a launch takes in EC2.
    pub launch_call: (Ms, Ms),
    /// How long every other call takes in EC2.
    pub call: (Ms, Ms),
    /// Instances of an account and region, if limited (the vCPU quota, divided by the vCPUs of the one size that is used).
    pub quota: Option<u32>,
    /// Zones of a region.
    pub zones: u32,
    /// Whether it launches anew when a token is repeated: no EC2 does, and the simulation must notice.
    pub forgets_tokens: bool,
}

impl Default for Settings {
    /// The documented limits, with times as they are usual.
    fn default() -> Self {
        Self {
            run_requests: size(5, 2),
            fleet_requests: size(50, 5),
            launch_instances: size(1_000, 2),
            terminate_requests: size(100, 5),
            terminate_instances: size(1_000, 20),
            describe_requests: size(100, 20),
            other_requests: size(50, 5),
            pending: (8_000, 25_000),
            shutdown: (5_000, 40_000),
            describe_lag: (0, 2_000),
            terminated_visible: 60 * 60 * 1_000,
            network: (10, 80),
            launch_call: (900, 1_600),
            call: (40, 200),
            quota: None,
            zones: 3,
            forgets_tokens: false,
        }
    }
}
