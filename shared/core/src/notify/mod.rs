//! Notices: who is told of what happens to a sweep, once.
//!
//! ```text
//! facts of a sweep -- holds  --> which occasions there are
//! with what was told -- decide --> notices to write: raised, raised again, resolved
//! notice -- row, then an execution of spawn-notify named after it, then the message, then delivered
//! ```
//!
//! A notice is a row of its own with a condition, so an occasion is raised once however often a sweep is looked at. Its delivery
//! is an execution whose name follows from the row: it is started once, and tried again by Step Functions.

mod decide;
mod message;
mod occasion;
mod row;
mod target;

pub use decide::{COOL_DOWN_MS, Raise, decide};
pub use message::{Message, message};
pub use occasion::{Facts, OVERDUE_MS, holds, is_condition, key_of, overdue};
pub use row::{NoticeRow, PENDING, PendingRow, notice_prefix, pending_prefix};
pub use target::{Target, TargetError, webhook_url};
