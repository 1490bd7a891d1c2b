//! Prices: what an hour of an instance, a month of a volume and an hour of a public address cost, as far as somebody has said
//! so. A price that is not known, or too old, is not there, and nothing is ever guessed in its place.
//!
//! The operator's file comes first (negotiated rates, Savings Plans), then what AWS says: the Price List for prices on demand,
//! the spot price history for spot. AWS's answers are kept in the ledger with their age, and asked for again before they are
//! too old.

mod book;
mod file;
mod look_up;
mod operator;
mod row;

pub use book::{Item, PriceBook, Quote};
pub use file::{PriceBookError, PriceFile};
pub use look_up::{Needs, look_up, refresh};
pub use operator::operators;
pub use row::{PriceRow, price_pk};

/// Where prices on demand come from.
pub const PRICE_LIST: &str = "AWS Price List";

/// Where spot prices come from.
pub const SPOT_HISTORY: &str = "EC2 spot price history";

/// How old a price may be, unless the deployment says otherwise: it is asked for four times a day.
pub const AGE_MS_MAX: u64 = 48 * 3_600_000;
