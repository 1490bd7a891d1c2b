//! What X-Ray is told of an invocation beside what Lambda tells: of which sweeps, members and instances it was.
//!
//! Step Functions and Lambda make the trace (`Tracing` in the template); a subsegment with annotations makes it findable:
//! `annotation.sweep_id CONTAINS "hyperparam-20260122-abc123"`. It goes to the daemon that Lambda runs beside a function, by UDP
//! (AWS X-Ray Developer Guide, "Sending trace data to AWS X-Ray with UDP"): that costs no call, waits for nobody, and cannot fail
//! the function. The annotations are the fields of the same names of the lines that were logged meanwhile.
//!
//! What follows from EC2's events is an invocation with a trace of its own, since EC2 begins none. A line with the field `trace`
//! is therefore told to that trace, too, as a segment: so the ends of a sweep's members stand in the trace that its execution
//! began, as long as X-Ray takes more of it.

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

/// The trace of the invocation that is under way, if it is sampled: a process serves one at a time.
static BEGUN: Mutex<Option<String>> = Mutex::new(None);
/// What belongs into other traces.
static ENDS: Mutex<Vec<End>> = Mutex::new(Vec::new());
/// Members with an end of their own in their sweep's trace, by index. A trace holds 500 KB (AWS General Reference, "AWS X-Ray
/// endpoints and quotas": Trace document size), an end takes some 300 bytes of it, and the rest of the sweep needs its room.
const MEMBERS_MAX: u64 = 1_000;

/// The annotations of the invocation that is under way.
static NOTED: Mutex<BTreeMap<&'static str, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Notes fields of events for annotations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotate;

impl<S: Subscriber> Layer<S> for Annotate {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Noting);
        let mut end = End::default();
        event.record(&mut end);
        if end.is_told() {
            ENDS.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(end);
        }
    }
}

/// A member's end, for the trace of its sweep.
#[derive(Debug, Default)]
struct End {
    trace: String,
    member: u64,
    duration_s: u64,
    is_error: bool,
    annotations: BTreeMap<&'static str, String>,
}

impl End {
    fn is_told(&self) -> bool {
        !self.trace.is_empty() && self.member < MEMBERS_MAX
    }

    /// It has ended at `until` (ms since 1970), as far as the trace is concerned: when it was seen.
    fn segment(&self, id: u64, until: u64) -> Value {
        let from = until.saturating_sub(self.duration_s.saturating_mul(1000));
        json!({
            "name": "spawn-member",
            "id": format!("{id:016x}"),
            "trace_id": self.trace,
            "start_time": seconds(from),
            "end_time": seconds(until),
            "error": self.is_error,
            "annotations": self.annotations,
        })
    }

    fn note(&mut self, name: &str, value: &str) {
        match name {
            "trace" => value.clone_into(&mut self.trace),
            "status" => self.is_error = value == "failed",
            _ => {}
        }
        if let Some(name) = NAMES.into_iter().find(|known| *known == name) {
            self.annotations.insert(name, value.to_owned());
        }
    }
}

impl Visit for End {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "member" => self.member = value,
            "duration" => self.duration_s = value,
            _ => {}
        }
        self.note(field.name(), &value.to_string());
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

/// Keeps the trace of an invocation that begins.
pub(crate) fn begin(header: Option<&str>) {
    let root = header.and_then(trace_of).map(|trace| trace.root.to_owned());
    *BEGUN.lock().unwrap_or_else(PoisonError::into_inner) = root;
}

/// The trace of the invocation that is under way, if it is sampled.
#[must_use]
pub fn trace() -> Option<String> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Tells the daemon of an invocation that began at `from` and ended at `until` (ms since 1970), and forgets what was noted.
pub(crate) fn tell(header: Option<&str>, id: u64, from: u64, until: u64) {
    let noted = std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner));
    let ends = std::mem::take(&mut *ENDS.lock().unwrap_or_else(PoisonError::into_inner));
    let Ok(address) = std::env::var(DAEMON) else {
        return;
    };
    // What is lost is a part of a picture.
    if let Some(trace) = header.and_then(trace_of).filter(|_| !noted.is_empty()) {
        drop(send(&address, &subsegment(&trace, id, from, until, &noted)));
    }
    for (number, end) in ends.iter().enumerate() {
        let other = id.wrapping_add(u64::try_from(number).unwrap_or(0) + 1);
        drop(send(&address, &end.segment(other, until)));
    }
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

/// A moment as X-Ray has it: in seconds.
fn seconds(ms: u64) -> f64 {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.parse().unwrap_or_default()
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

    /// What is noted is the process's: tests that note take turns.
    static TURN: Mutex<()> = Mutex::new(());

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
        let _turn = TURN.lock().unwrap();
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

    #[test]
    fn a_members_end_is_told_to_the_trace_of_its_sweep() {
        let _turn = TURN.lock().unwrap();
        let trace = "1-5759e988-bd862e3fe1be46a994272793";
        let subscriber = tracing_subscriber::registry().with(Annotate);
        tracing::subscriber::with_default(subscriber, || {
            let gone = |trace: Option<&str>, member: u32| {
                tracing::info!(
                    trace,
                    sweep_id = "c-1",
                    member,
                    status = "failed",
                    duration = 90_u64,
                    other = "x",
                    "instance is gone"
                );
            };
            gone(Some(trace), 7);
            gone(None, 8);
            gone(Some(trace), 1_000);
        });
        NOTED.lock().unwrap().clear();
        let ends = std::mem::take(&mut *ENDS.lock().unwrap());
        let told: Vec<Value> = ends.iter().map(|end| end.segment(255, 100_500)).collect();
        let expected = json!({
            "name": "spawn-member", "id": "00000000000000ff", "trace_id": trace,
            "start_time": 10.5, "end_time": 100.5, "error": true,
            "annotations": {"sweep_id": "c-1", "member": "7"},
        });
        assert_eq!(told, [expected]);
    }
}
