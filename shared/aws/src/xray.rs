//! What X-Ray is told of an invocation beside what Lambda tells: of which sweeps, members and instances it was.
//!
//! Step Functions and Lambda make the trace (`Tracing` in the template); a subsegment with annotations makes it findable:
//! `annotation.sweep_id CONTAINS "hyperparam-20260122-abc123"`. It goes to the daemon that Lambda runs beside a function, by UDP
//! (AWS X-Ray Developer Guide, "Sending trace data to AWS X-Ray with UDP"): that costs no call, waits for nobody, and cannot fail
//! the function. The annotations are the fields of the same names of the lines that were logged meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::UdpSocket;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// What is annotated.
const NAMES: [&str; 5] = ["sweep_id", "member", "instance_id", "lane", "attempt"];
/// Characters of one annotation (the same guide, "X-Ray segment documents": at most 1,000).
const CHARS_MAX: usize = 1000;
/// Where Lambda says how the daemon is reached.
const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// The annotations of the invocation that is under way: a process serves one at a time.
static NOTED: Mutex<BTreeMap<&'static str, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Notes fields of events for annotations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotate;

impl<S: Subscriber> Layer<S> for Annotate {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Noting);
    }
}

struct Noting;

impl Visit for Noting {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        note(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        note(field.name(), value);
    }
}

fn note(name: &str, value: &str) {
    if let Some(name) = NAMES.into_iter().find(|known| *known == name) {
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        noted.entry(name).or_default().insert(value.to_owned());
    }
}

/// What of an input is annotated: the sweep, the lane and the like that it names itself.
pub(crate) fn note_input(input: &Value) {
    // The functions' inputs name them at the top, or one level below: `{"register": {"sweep_id": ...}}`.
    let below = input
        .as_object()
        .into_iter()
        .flat_map(|object| object.values());
    for object in std::iter::once(input)
        .chain(below)
        .filter_map(Value::as_object)
    {
        for name in NAMES {
            if let Some(value) = object.get(name).and_then(Value::as_str) {
                note(name, value);
            }
        }
    }
}

/// The part of a trace that an invocation is.
#[derive(Debug, PartialEq, Eq)]
struct Trace<'a> {
    root: &'a str,
    parent: &'a str,
}

/// Reads a tracing header; `None` when the trace is not sampled.
fn trace_of(header: &str) -> Option<Trace<'_>> {
    let part = |name: &str| {
        let mut parts = header.split(';');
        parts.find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let is_sampled = part("Sampled") == Some("1");
    let (root, parent) = (part("Root")?, part("Parent")?);
    is_sampled.then_some(Trace { root, parent })
}

/// Tells the daemon of an invocation that began at `from` and ended at `until` (ms since 1970), and forgets what was noted.
pub(crate) fn tell(header: Option<&str>, id: u64, from: u64, until: u64) {
    let noted = std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner));
    let Some(trace) = header.and_then(trace_of).filter(|_| !noted.is_empty()) else {
        return;
    };
    let Ok(address) = std::env::var(DAEMON) else {
        return;
    };
    let document = subsegment(&trace, id, from, until, &noted);
    // What is lost is a part of a picture.
    drop(send(&address, &document));
}

fn subsegment(
    trace: &Trace<'_>,
    id: u64,
    from: u64,
    until: u64,
    noted: &BTreeMap<&'static str, BTreeSet<String>>,
) -> Value {
    let annotations: BTreeMap<&str, String> = noted
        .iter()
        .map(|(name, values)| {
            let all: Vec<&str> = values.iter().map(String::as_str).collect();
            (*name, all.join(",").chars().take(CHARS_MAX).collect())
        })
        .collect();
    let seconds = |ms: u64| {
        let text = format!("{}.{:03}", ms / 1000, ms % 1000);
        text.parse::<f64>().unwrap_or_default()
    };
    json!({
        "name": "spawn",
        "type": "subsegment",
        "id": format!("{id:016x}"),
        "trace_id": trace.root,
        "parent_id": trace.parent,
        "start_time": seconds(from),
        "end_time": seconds(until),
        "annotations": annotations,
    })
}

/// Sends a document to the daemon. Lambda writes its address as `HOST:PORT`.
fn send(address: &str, document: &Value) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let text = format!("{{\"format\": \"json\", \"version\": 1}}\n{document}");
    socket.send_to(text.as_bytes(), address).map(drop)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const HEADER: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn only_what_is_sampled_is_traced() {
        let trace = trace_of(HEADER).unwrap();
        assert_eq!(trace.root, "1-5759e988-bd862e3fe1be46a994272793");
        assert_eq!(trace.parent, "53995c3f42cd8ad8");
        assert_eq!(trace_of(&HEADER.replace("Sampled=1", "Sampled=0")), None);
        assert_eq!(trace_of("Root=1-5759e988-bd862e3fe1be46a994272793"), None);
    }

    #[test]
    fn the_daemon_gets_what_was_logged_and_what_the_input_names() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let subscriber = tracing_subscriber::registry().with(Annotate);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(sweep_id = %"b-1", member = 7, other = "x", "instance is gone");
            tracing::info!(sweep_id = "b-1", member = 8, "instance is gone");
        });
        note_input(&json!({"register": {"sweep_id": "a-1", "task_token": "secret"}}));
        let noted = std::mem::take(&mut *NOTED.lock().unwrap());
        let document = subsegment(&trace_of(HEADER).unwrap(), 255, 1_500, 2_750, &noted);
        send(&daemon.local_addr().unwrap().to_string(), &document).unwrap();
        let mut buffer = [0; 4096];
        let size = daemon.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..size].to_vec()).unwrap();
        let (header, body) = text.split_once('\n').unwrap();
        assert_eq!(header, r#"{"format": "json", "version": 1}"#);
        let body: Value = serde_json::from_str(body).unwrap();
        let expected = json!({
            "name": "spawn", "type": "subsegment", "id": "00000000000000ff",
            "trace_id": "1-5759e988-bd862e3fe1be46a994272793", "parent_id": "53995c3f42cd8ad8",
            "start_time": 1.5, "end_time": 2.75,
            "annotations": {"sweep_id": "a-1,b-1", "member": "7,8"},
        });
        assert_eq!(body, expected);
    }
}
