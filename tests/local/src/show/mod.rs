//! What the user sees.

mod plot;
mod printed;
mod progress;
mod style;
mod table;

pub use plot::{Point, bars, heat_map};
pub use printed::Printed;
pub(crate) use printed::{flush, seconds};
pub use progress::{Progress, Tally};
pub use style::Style;
pub use table::Table;
