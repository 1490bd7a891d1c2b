//! The contract of the ledger: one suite, run on every implementation. And that the other ports are understood by a server.
//!
//! The servers are started here, on free ports of the loopback interface, and end with their test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod listing;
mod server;
mod services;
mod suite;
mod wire;

use std::sync::Arc;

use simulation::MemoryLedger;

use crate::server::Server;

#[tokio::test]
async fn the_ledger_in_memory_keeps_the_contract() {
    let ledger = MemoryLedger::new(Arc::default());
    suite::run(&ledger).await;
    listing::run(&ledger).await;
}

#[tokio::test]
async fn the_ledger_on_ministack_keeps_the_contract() {
    let server = Server::ministack().await;
    let ledger = server.ledger().await;
    suite::run(&ledger).await;
    listing::run(&ledger).await;
}

/// Unlike MiniStack, moto ends a page at 1 MB; unlike DynamoDB, it answers some wrong requests with a failure of its own.
#[tokio::test]
async fn the_ledger_on_moto_keeps_its_promises() {
    let server = Server::moto().await;
    let ledger = server.ledger().await;
    suite::promises(&ledger).await;
    listing::run(&ledger).await;
}

#[tokio::test]
async fn the_other_services_on_ministack_understand_their_adapters() {
    let server = Server::ministack().await;
    services::run(server.config()).await;
}
