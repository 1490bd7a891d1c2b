//! What every list of sweeps promises.

use serde_json::json;
use spawn_core::ledger::{Key, Ledger, Row};
use spawn_core::ports::{ListSweeps, Listing, SweepsBy};

/// All of it.
pub(crate) async fn run(ledger: &(impl Ledger + ListSweeps)) {
    let key = |number: u64| Key::new(format!("SWEEP#list-{number}"), "META");
    let rows = (0..7_u64).map(|number| Row {
        key: key(number),
        attributes: json!({
            "status": "completed",
            "owner": if number == 3 { "bob" } else { "ada" },
            "project": "lists",
            "started_at": 1_000 + number,
            "version": 0,
        })
        .as_object()
        .unwrap()
        .clone(),
    });
    ledger.put_all(rows.collect()).await.unwrap();
    let found = async |by: SweepsBy, value: &str, until: u64, limit: u32| {
        let mut listing = Listing {
            by,
            value,
            until,
            limit,
            from: None,
        };
        let mut keys = Vec::new();
        loop {
            let page = ledger.newest_sweeps(&listing).await.unwrap();
            assert!(page.rows.len() <= usize::try_from(limit).unwrap());
            keys.extend(page.rows.into_iter().map(|row| row.key));
            listing.from = page.next;
            if listing.from.is_none() {
                return keys;
            }
        }
    };
    let newest = [6, 5, 4, 3, 2, 1, 0].map(key);
    for limit in [1, 3, 100] {
        let listed = found(SweepsBy::Project, "lists", u64::MAX >> 1, limit).await;
        assert_eq!(listed, newest, "{limit} a page");
    }
    let until = found(SweepsBy::Owner, "ada", 1_004, 2).await;
    assert_eq!(until, [4, 2, 1, 0].map(key));
    assert_eq!(found(SweepsBy::Owner, "nobody", 2_000, 2).await, []);
}
