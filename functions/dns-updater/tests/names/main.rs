//! Names follow members, whatever Route 53 says and whoever dies.

#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests are not recognised as tests"
)]

mod faults;
mod following;
mod registering;
mod scale;
mod sweeping_up;
mod world;
