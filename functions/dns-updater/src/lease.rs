//! One drainer at a time: the lease, and with it what is left of Route 53's token buckets.

use spawn_core::dns::{CHANGES, DrainerRow, REQUESTS, drainer_key};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned};
use spawn_core::ports::Clock;

/// How long a lease holds unless it is renewed. Its holder renews it before each call and each wait; a call to Route 53 ends
/// within 25 s.
const LEASE_MS: u64 = 60_000;

/// Between two calls that are not full: members that start one after the other go into one call together, and nobody waits
/// longer for it than resolvers do for anything.
const APART_MS: u64 = 1_000;

/// The longest wait without a renewal.
const SLEEP_MS_MAX: u64 = 15_000;

/// The lease of who drains.
#[derive(Debug)]
pub(crate) struct Lease {
    row: DrainerRow,
}

impl Lease {
    /// Takes the lease, unless another has it.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub(crate) async fn take(ledger: &impl Ledger, now: u64) -> Result<Option<Self>, LedgerError> {
        let stored: Option<DrainerRow> = ledger::load(ledger, drainer_key()).await?;
        let mut row = stored.clone().unwrap_or_default();
        if row.leased_until > now {
            return Ok(None);
        }
        row.leased_until = now + LEASE_MS;
        let write = match stored {
            Some(_) => row.clone().replace()?,
            None => row.create()?,
        };
        match ledger.commit(vec![write]).await {
            Ok(()) => {
                row.version += u64::from(stored.is_some());
                Ok(Some(Self { row }))
            }
            Err(LedgerError::Condition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the lease anew, to hold until `until`.
    async fn write(&mut self, ledger: &impl Ledger, until: u64) -> Result<(), FunctionError> {
        self.row.leased_until = until;
        ledger.commit(vec![self.row.clone().replace()?]).await?;
        self.row.version += 1;
        Ok(())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// When the ledger does not answer; the lease then runs out by itself.
    pub(crate) async fn release(mut self, ledger: &impl Ledger) -> Result<(), FunctionError> {
        self.write(ledger, 0).await
    }

    /// The ms until `changes` changes may be sent by one call.
    pub(crate) fn wait_ms(&self, changes: u64, now: u64) -> u64 {
        let of_changes = self.row.changes.wait_ms(CHANGES, changes, now);
        of_changes.max(self.row.requests.wait_ms(REQUESTS, 1, now))
    }

    /// The same for a call that others could still go into.
    pub(crate) fn wait_for_others_ms(&self, changes: u64, now: u64) -> u64 {
        let apart = (self.row.sent_at + APART_MS).saturating_sub(now);
        self.wait_ms(changes, now).max(apart)
    }

    /// Waits, and holds the lease meanwhile.
    ///
    /// # Errors
    /// When the lease is lost, or the ledger does not answer.
    pub(crate) async fn sleep(
        &mut self,
        ledger: &impl Ledger,
        clock: &impl Clock,
        ms: u64,
    ) -> Result<(), FunctionError> {
        let mut left = ms;
        while left > 0 {
            let now = clock.now_ms();
            self.write(ledger, now + LEASE_MS).await?;
            let nap = left.min(SLEEP_MS_MAX);
            clock.sleep_ms(nap).await;
            left -= nap;
        }
        Ok(())
    }

    /// Takes the tokens of one call with `changes` changes, and holds the lease while it is made. Tokens are taken before the
    /// call: a death in between costs a short wait, the other order could be throttled.
    ///
    /// # Errors
    /// When the lease is lost, or the ledger does not answer.
    pub(crate) async fn charge(
        &mut self,
        ledger: &impl Ledger,
        changes: u64,
        now: u64,
    ) -> Result<(), FunctionError> {
        self.row.changes.take(CHANGES, changes, now);
        self.row.requests.take(REQUESTS, 1, now);
        if changes > 0 {
            self.row.sent_at = now;
        }
        self.write(ledger, now + LEASE_MS).await
    }
}
