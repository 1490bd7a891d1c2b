//! The launch protocol: what a lane does next, and the writes that make each step safe to repeat.
//!
//! ```text
//! begin   intent written: members leave the batch, slots are taken, the token is fixed      (one transaction)
//!   |     a death here: the next step finds the open attempt and makes the call
//! call    EC2 launches up to n instances for the token
//!   |     a death here: the next step repeats the call, and EC2 answers the same instances
//! record  member by member: instance, launching; instance by instance: its assignment       (a transaction a chunk)
//!   |     a death here: the repeat finds the recorded ones and pairs the rest
//! close   attempt done; members that got no instance go back to the batch, their slots too  (one transaction)
//! ```

mod attempt;
mod ladder;
mod step;

pub use attempt::{
    Closing, begin, close, give_up, launched, pair, record, template_name, template_of, to_give_up,
};
pub(crate) use attempt::{slot_change, while_launching};
pub use ladder::{ROUNDS_MAX, after_no_capacity, ladder};
pub use step::{Step, backoff_s, next_step};

/// The most members of one launch call.
///
/// EC2 asks to split large requests: five of 100 launch faster than one of 500 (Amazon EC2 API Reference, RunInstances).
pub const BATCH_MEMBERS_MAX: u32 = 100;
