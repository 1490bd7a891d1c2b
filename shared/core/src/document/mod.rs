//! The sweep document.
