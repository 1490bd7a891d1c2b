//! The rows of notices.

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::document::Occasion;
use crate::ids::{ClientToken, SweepId};
use crate::ledger::{Key, Stored};
use crate::rows::{sweep_pk, versioned};

/// The partition of sweeps that have ended and whose end may not be told yet.
pub const PENDING: &str = "NOTIFY";

/// That somebody is told of an occasion (`SWEEP#id` / `NOTICE#occasion#target`). Written by the function `notify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The occasion.
    pub occasion: Occasion,
    /// Who is told.
    pub target: Target,
    /// Messages in all: raised and resolved, each time.
    pub messages: u32,
    /// When it was raised last, in ms since 1970.
    pub raised_at: u64,
    /// When it had passed, in ms since 1970; `None` while it is there.
    pub resolved_at: Option<u64>,
    /// The subject of the last message.
    pub subject: String,
    /// Its text, for people.
    pub text: String,
    /// Its body, for programs, as JSON text.
    pub body: String,
    /// How many of the messages have been delivered.
    pub delivered: u32,
    /// Counts the changes.
    pub version: u64,
}

/// The prefix of the sort keys of a sweep's notices.
#[must_use]
pub fn notice_prefix() -> &'static str {
    "NOTICE#"
}

impl Stored for NoticeRow {
    fn key(&self) -> Key {
        let token = ClientToken::of(&[&self.target.to_string()]);
        let occasion = super::key_of(self.occasion);
        let sk = format!("{}{occasion}#{}", notice_prefix(), &token.as_str()[..12]);
        Key::new(sweep_pk(&self.sweep_id), sk)
    }
}
versioned!(NoticeRow);

impl NoticeRow {
    /// Whether its last message is still to be delivered.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.delivered < self.messages
    }

    /// The name of the execution that delivers its last message. Another message has another name.
    #[must_use]
    pub fn delivery_name(&self) -> String {
        let key = self.key();
        let token = ClientToken::of(&[&key.pk, &key.sk, &self.messages.to_string()]);
        format!("notice-{}", &token.as_str()[..40])
    }
}

/// That a sweep has ended (`NOTIFY` / `sweep#when`; one that is resumed ends again): the function `notify` looks at it with its next pass and deletes the row when
/// everybody is told. Created in the transaction that gives the sweep its final status, so that no end is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// When it ended, in ms since 1970.
    pub ended_at: u64,
    /// Counts the changes.
    pub version: u64,
}

/// What the sort keys of a sweep's ends begin with.
#[must_use]
pub fn pending_prefix(sweep: &SweepId) -> String {
    format!("{sweep}#")
}

impl Stored for PendingRow {
    fn key(&self) -> Key {
        Key::new(
            PENDING,
            format!("{}{}", pending_prefix(&self.sweep_id), self.ended_at),
        )
    }
}
versioned!(PendingRow);
