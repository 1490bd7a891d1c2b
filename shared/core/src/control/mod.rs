//! Controls: what a person asks of sweeps that are there already, and what may be done about it.
//!
//! ```text
//! input -- parse --> Request | every fault at once
//!          find  --> the sweep and the members that are meant | NotFound
//!          decide_... --> what to do with each of them, and why | NotAllowed
//! ```
//!
//! Each control is a state machine, `spawn-NAME`. All are safe to repeat: they look at how things are and do what is left to
//! do, and they are recorded under the execution that asked.

mod act;
mod admit;
mod again;
mod extend;
mod find;
mod input;
mod list;
mod name;
mod order;
mod outcome;
mod read;
mod record;
mod reserve;
mod status;
mod view;

pub use act::{Decision, Step, decide};
pub use admit::{Way, admit};
pub use again::{
    AGAIN_MEMBERS_MAX, Replacement, is_resumed, lane_again, lanes_to_launch, launch_again,
    no_room_for_another, plan_again, reopen, replace_ended, replacement, resumable,
};
pub use extend::{ExtendedRow, extended, extension_block, extension_key};
pub use find::{Found, account_of, all_members, find};
pub use input::{Extension, MemberName, Request, Target, parse};
pub use list::{ListRequest, list, parse_list};
pub use name::Control;
pub use order::{CalledRow, Later, called_key};
pub use outcome::{Group, Outcome, Outcomes};
pub use read::{Reader, shown};
pub use record::{ControlRow, control_key};
pub use reserve::{reserve_longer, reserve_start};
pub use status::{status_of_instance, status_of_member, status_of_sweep};
