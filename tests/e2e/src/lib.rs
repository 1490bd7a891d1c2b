//! Stories told by plain AWS clients on the local stack, and the boot runner by itself: see `tests/` and `stories/`.
