//! Names in DNS: what members are called, what follows from that for a hosted zone, and what of the zone is spawn's.
//!
//! ```text
//! member row changed -> a mark -> the one drainer: members, records -> wanted -> changes -> batches -> Route 53
//!                                                  ledger's records (intents first, exact values) <- outcome
//! ```
//!
//! The ledger owns what spawn created: a record is deleted with the values that are stored of it, and never otherwise.

mod batch;
mod check;
mod names;
#[cfg(test)]
mod names_tests;
mod naming;
mod pace;
mod record;
mod refusal;
mod register;
mod rows;
mod wanted;

pub use batch::{BATCH_CHARS_MAX, BATCH_RECORDS_MAX, fitting};
pub use check::{PlannedNames, check, refuse_taken};
pub use names::{NamesRow, Owned, Refusal, RefusedRecord, Standing, names_key};
pub use naming::{AddressKind, Naming, NamingError, base36, label};
pub use pace::{Bucket, CHANGES, Pace, REGISTRATIONS, REQUESTS};
pub use record::{Action, Change, Record, RecordId, RecordType};
pub use refusal::culprits;
pub use register::{Caller, RegistrationError, Request, caller_of, judge};
pub use rows::{
    ClaimRow, DrainerRow, GROUP_MEMBERS_MAX, GroupRow, MarkRow, SHARDS, TurnRow, claim_key,
    drainer_key, group_key, mark_key, mark_pk, names_pk, turn_key,
};
pub use wanted::{has_names, lacks_address, wanted};
