//! Whether names can be given, for whoever asks with `{"test": true}`.

use serde_json::{Value, json};
use spawn_core::dns::Naming;
use spawn_core::ledger::Ledger;
use spawn_core::ports::InspectZones;

use crate::{Ports, marks};

/// Marks that are counted; more are "that many or more".
const MARKS_MAX: usize = 1_000;

/// What works and what does not. Nothing is changed.
pub(crate) async fn check<L: Ledger, Z: InspectZones, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
) -> Value {
    let mut problems = Vec::new();
    let zone = match ports.zones.zone(&naming.zone).await {
        Ok((name, capacity)) => {
            let domain = naming.domain();
            let is_below = domain == name || domain.ends_with(&format!(".{name}"));
            if !is_below {
                problems.push(format!(
                    "the domain {domain} does not lie in the hosted zone {}, which is {name}",
                    naming.zone
                ));
            }
            json!({
                "id": naming.zone,
                "name": name,
                "records": capacity.records,
                "records_max": capacity.records_max,
            })
        }
        Err(error) => {
            problems.push(error.to_string());
            json!({"id": naming.zone})
        }
    };
    let waiting = match marks::some(ports.ledger, MARKS_MAX).await {
        Ok(marks) => json!(marks.len()),
        Err(error) => {
            problems.push(error.to_string());
            Value::Null
        }
    };
    if !problems.is_empty() {
        tracing::error!(problems = problems.join("; "), "names cannot be given");
    }
    json!({
        "healthy": problems.is_empty(),
        "problems": problems,
        "suffix": naming.suffix(),
        "address": naming.address.to_string(),
        "zone": zone,
        "members_waiting": waiting,
    })
}
