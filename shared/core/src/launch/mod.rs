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

mod answer;
mod backoff;
mod begin;
mod close;
mod forgo;
mod lack;
mod ladder;
mod pools;
mod quota;
mod record;
mod select;

pub use answer::{After, Answer, CALLS_MAX, Ended, after_attempt, is_worn_out, judge, settled_at};
pub use backoff::{backoff_ms, wait_s};
pub use begin::{
    CALL_MS_MAX, begin, call_again, give_slot_back, tags, take_slots_again, template_name,
    template_name_at, template_of,
};
pub(crate) use begin::{slot_change, while_going_on};
pub use close::{Aftermath, Closing, close};
pub use forgo::{FORGONE_RETRIES_MAX, Forgone, forgo, forgo_retries, give_up, to_forgo};
pub use ladder::{Step, ladder, rung};
pub use pools::{DRY_MS, DryPools, dried};
pub use record::{pair, record, recorded, rung_words};
pub use select::{Chosen, Facts, HORIZON_MS, LEAD_MS, PARALLEL_MAX, Selection, select, site};

/// The most members of one launch call.
///
/// EC2 asks to split large requests: five of 100 launch faster than one of 500 (Amazon EC2 API Reference, RunInstances).
pub const BATCH_MEMBERS_MAX: u32 = 100;
