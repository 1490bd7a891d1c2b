//! Ctrl-C and its relatives: they ask, the loops of this program answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};

static ASKED_TO_STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on SIGINT, SIGTERM and SIGHUP end nothing by themselves: [`asked_to_stop`] tells of them.
pub fn catch() -> Result<()> {
    let asked = ASKED_TO_STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(asked)).map_err(|source| Error::Io {
            doing: format!("catch signal {signal}"),
            source,
        })?;
    }
    Ok(())
}

/// Whether someone asked this program to stop.
pub fn asked_to_stop() -> bool {
    ASKED_TO_STOP
        .get()
        .is_some_and(|asked| asked.load(Ordering::Relaxed))
}

/// An error as soon as someone has asked this program to stop.
pub(crate) fn go_on() -> Result<()> {
    if asked_to_stop() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}
