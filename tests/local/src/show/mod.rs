//! What the user sees.

mod plot;
mod printed;
mod progress;
mod say;
mod style;
mod table;

pub use plot::{Point, bars, heat_map};
pub use printed::Printed;
pub(crate) use printed::{flush, seconds};
pub use progress::{Progress, Tally};
pub(crate) use say::{line, say};
pub use style::Style;
pub use table::Table;
