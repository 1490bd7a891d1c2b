//! Every order of the launch protocol: the real launch-batch, run by several launchers at once, explored exhaustively.
//!
//! The handlers are the program itself, not a paraphrase. Each of their calls to the outside stops at a gate; the explorer
//! chooses which one passes next, which process dies, whose answer is lost, which instance is terminated, when a sleeper
//! wakes. A state is what the ledger, EC2 and the clock hold, and what each process has seen so far; a state that was met
//! before is not explored again. How often a launcher stands still in favour of another is bounded, as are the faults. When all launchers have ended or died, one more brings the lane to its end, and then the
//! world must be as it is after a launch without faults.

mod gate;
mod search;
mod state;

pub use search::{Bounds, Explored, explore};
