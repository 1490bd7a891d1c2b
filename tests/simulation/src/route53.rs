//! Route 53 in memory: hosted zones with the limits that its documents give, and faults.
//!
//! It counts by itself, with none of the core's arithmetic: Amazon Route 53 Developer Guide, "Throttling for Amazon Route 53
//! API requests" and "Quotas"; Amazon Route 53 API Reference, `ChangeResourceRecordSets` and `ListResourceRecordSets`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::dns::{Action, Change, Record, RecordId, RecordType};
use spawn_core::ports::{
    ChangeRecords, Clock, InspectZones, RecordPage, RecordStart, ZoneCapacity, ZoneError,
};

use crate::faults::Faults;
use crate::virtual_time::VirtualTime;

/// Records of one page.
const PAGE: usize = 300;
/// Multivalue answer records of one name and type.
const SET_MAX: usize = 100;

/// Something that goes wrong with the next call that changes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneFault {
    /// It takes effect, and its answer is lost.
    LostAnswer,
    /// It is lost on its way.
    LostRequest,
    /// Somebody else has used up the account's requests.
    Throttling,
    /// Somebody else's change of the zone is not done yet.
    PriorRequestNotComplete,
    /// A refused batch is refused without a word about what is wrong with it.
    Silence,
    /// No permission.
    AccessDenied,
}

/// What may be done to a record by a request: the port knows no UPSERT, the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Refused when the record is there.
    Create,
    /// Refused unless the record is there with these values.
    Delete,
    /// Puts the record over what is there, and counts twice.
    Upsert,
}

/// Tokens in thousandths, refilled by the ms.
#[derive(Debug)]
struct Tokens {
    thousandths: u64,
    max: u64,
    per_s: u64,
    seen: u64,
}

impl Tokens {
    fn full(max: u64, per_s: u64) -> Self {
        Self {
            thousandths: max * 1000,
            max,
            per_s,
            seen: 0,
        }
    }

    fn has(&mut self, count: u64, now: u64) -> bool {
        let back = now.saturating_sub(self.seen) * self.per_s;
        self.thousandths = (self.thousandths + back).min(self.max * 1000);
        self.seen = now;
        self.thousandths >= count * 1000
    }

    fn take(&mut self, count: u64) {
        self.thousandths -= count * 1000;
    }
}

/// What was asked of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Calls that change records.
    pub change_calls: usize,
    /// Those of them that were throttled.
    pub throttled: usize,
    /// Changes that were made.
    pub changes: u64,
    /// Calls that list records.
    pub list_calls: usize,
    /// When the last change was made, in ms since 1970.
    pub last_change_at: u64,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<RecordId, Record>,
    records_max: usize,
    account: Tokens,
    change_calls: Tokens,
    list_calls: Tokens,
    changes: Tokens,
    busy_until: u64,
    latency_ms: u64,
    faults: VecDeque<ZoneFault>,
    rejected: BTreeSet<String>,
    asked: Asked,
}

/// Route 53 with one hosted zone, `example.com`.
#[derive(Debug)]
pub struct Route53 {
    state: Mutex<State>,
    time: VirtualTime,
    deaths: Arc<Faults>,
}

impl Route53 {
    /// A zone without records but its own two. `deaths` counts its calls.
    #[must_use]
    pub fn new(time: VirtualTime, deaths: Arc<Faults>) -> Self {
        let state = State {
            records: BTreeMap::new(),
            records_max: 10_000,
            account: Tokens::full(50, 10),
            change_calls: Tokens::full(50, 10),
            list_calls: Tokens::full(50, 10),
            changes: Tokens::full(1_500, 100),
            busy_until: 0,
            latency_ms: 0,
            faults: VecDeque::new(),
            rejected: BTreeSet::new(),
            asked: Asked::default(),
        };
        Self {
            state: Mutex::new(state),
            time,
            deaths,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the zone's quota.
    pub fn allow(&self, records_max: usize) {
        self.state().records_max = records_max;
    }

    /// From now on a change takes so long, and keeps others from the zone.
    pub fn slow_down(&self, latency_ms: u64) {
        self.state().latency_ms = latency_ms;
    }

    /// The next calls that change records meet these faults, in this order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = ZoneFault>) {
        self.state().faults.extend(faults);
    }

    /// From now on a record with this value is refused.
    pub fn reject(&self, value: &str) {
        self.state().rejected.insert(value.to_owned());
    }

    /// What was asked.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.state().asked.clone()
    }

    /// All records, one a line, in Route 53's order.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let line = |record: &Record| format!("{} {}", record.id, record.values.join(" "));
        self.state().records.values().map(line).collect()
    }

    /// Somebody puts a record by hand.
    pub fn put_by_hand(&self, record: Record) {
        self.state().records.insert(record.id.clone(), record);
    }

    /// Somebody changes the first record of a name by hand; answers whether there was one.
    pub fn change_by_hand(&self, name: &str, value: &str) -> bool {
        let mut state = self.state();
        let found = state.records.values_mut().find(|r| r.id.name == name);
        found.is_some_and(|record| {
            record.values = vec![value.to_owned()];
            true
        })
    }

    /// Somebody deletes all records of a name by hand.
    pub fn delete_by_hand(&self, name: &str) {
        self.state().records.retain(|id, _| id.name != name);
    }

    /// A request to change records, as it is counted and judged now.
    ///
    /// # Errors
    /// As Route 53 would answer.
    pub fn change(&self, changes: &[(Verb, Record)]) -> Result<(), ZoneError> {
        let now = self.time.now_ms();
        let mut state = self.state();
        state.asked.change_calls += 1;
        let fault = state.faults.pop_front();
        match fault {
            Some(ZoneFault::LostRequest) => {
                return Err(ZoneError::Transient("connection reset".to_owned()));
            }
            Some(ZoneFault::AccessDenied) => {
                return Err(ZoneError::Refused("AccessDenied".to_owned()));
            }
            _ => {}
        }
        let cost = changes
            .iter()
            .map(|(verb, _)| if *verb == Verb::Upsert { 2 } else { 1 })
            .sum();
        let has_requests = state.account.has(1, now) & state.change_calls.has(1, now);
        if has_requests {
            state.account.take(1);
            state.change_calls.take(1);
        }
        if !has_requests || !state.changes.has(cost, now) || fault == Some(ZoneFault::Throttling) {
            state.asked.throttled += 1;
            return Err(ZoneError::Throttled("Throttling: Rate exceeded".to_owned()));
        }
        if state.busy_until > now || fault == Some(ZoneFault::PriorRequestNotComplete) {
            let text = "PriorRequestNotComplete: still in progress".to_owned();
            return Err(ZoneError::Throttled(text));
        }
        state.changes.take(cost);
        let faults = too_large(changes);
        let next = match faults {
            Some(fault) => Err(vec![fault]),
            None => applied(&state, changes),
        };
        match next {
            Ok(records) => state.records = records,
            Err(_) if fault == Some(ZoneFault::Silence) => {
                let text = "The request contains an invalid set of changes";
                return Err(ZoneError::Invalid(vec![text.to_owned()]));
            }
            Err(faults) => {
                let text = format!("[{}]", faults.join(", "));
                return Err(ZoneError::Invalid(vec![text]));
            }
        }
        state.busy_until = now + state.latency_ms;
        state.asked.changes += cost;
        state.asked.last_change_at = now;
        if fault == Some(ZoneFault::LostAnswer) {
            return Err(ZoneError::Transient("timed out".to_owned()));
        }
        Ok(())
    }

    fn list(&self, start: &RecordStart) -> Result<RecordPage, ZoneError> {
        let now = self.time.now_ms();
        let mut state = self.state();
        state.asked.list_calls += 1;
        if !(state.account.has(1, now) & state.list_calls.has(1, now)) {
            return Err(ZoneError::Throttled("Throttling: Rate exceeded".to_owned()));
        }
        state.account.take(1);
        state.list_calls.take(1);
        let from = RecordId {
            name: start.name.trim_end_matches('.').to_owned(),
            kind: match start.kind.as_deref() {
                Some("AAAA") => RecordType::Aaaa,
                _ => RecordType::A,
            },
            set: start.set.clone(),
        };
        let mut found = state.records.range(from..).map(|(_, record)| record);
        let records: Vec<Record> = found.by_ref().take(PAGE).cloned().collect();
        Ok(RecordPage {
            records,
            next: found.next().map(|record| RecordStart::from(&record.id)),
        })
    }
}

/// What is wrong with the size of a request.
fn too_large(changes: &[(Verb, Record)]) -> Option<String> {
    let (mut elements, mut characters) = (0, 0);
    for (verb, record) in changes {
        let times = if *verb == Verb::Upsert { 2 } else { 1 };
        elements += times * record.values.len();
        characters += times * record.values.iter().map(String::len).sum::<usize>();
    }
    if elements > 1_000 {
        return Some("Number of records limit of 1000 exceeded.".to_owned());
    }
    (characters > 32_000).then(|| "Number of characters limit of 32000 exceeded.".to_owned())
}

/// The zone after the changes; or everything that is wrong with them.
fn applied(
    state: &State,
    changes: &[(Verb, Record)],
) -> Result<BTreeMap<RecordId, Record>, Vec<String>> {
    let (records, records_max) = (&state.records, state.records_max);
    let mut next = records.clone();
    let mut faults = Vec::new();
    for (verb, record) in changes {
        let kind = record.id.kind.as_str();
        let named = format!(
            "[name='{}.', type='{kind}'{}]",
            record.id.name,
            match &record.id.set {
                Some(set) => format!(", set-identifier='{set}'"),
                None => String::new(),
            }
        );
        let there = next.get(&record.id);
        match verb {
            Verb::Create if there.is_some() => faults.push(format!(
                "Tried to create resource record set {named} but it already exists"
            )),
            Verb::Delete if there.is_none() => faults.push(format!(
                "Tried to delete resource record set {named} but it was not found"
            )),
            Verb::Delete if there != Some(record) => faults.push(format!(
                "Tried to delete resource record set {named} but the values provided do not match the current values"
            )),
            Verb::Delete => {
                next.remove(&record.id);
            }
            Verb::Create | Verb::Upsert => match invalid(record, &state.rejected) {
                Some(fault) => faults.push(fault),
                None => {
                    next.insert(record.id.clone(), record.clone());
                }
            },
        }
    }
    // Two of the zone's records are its own: NS and SOA.
    if next.len() + 2 > records_max && next.len() > records.len() {
        faults.push(format!(
            "Number of records limit of {records_max} exceeded."
        ));
    }
    let mut sets: BTreeMap<(&str, RecordType), usize> = BTreeMap::new();
    for id in next.keys().filter(|id| id.set.is_some()) {
        let count = sets.entry((id.name.as_str(), id.kind)).or_insert(0);
        *count += 1;
        if *count == SET_MAX + 1 {
            faults.push(format!(
                "Number of multivalue records of {} limit of {SET_MAX} exceeded.",
                id.name
            ));
        }
    }
    if faults.is_empty() {
        Ok(next)
    } else {
        Err(faults)
    }
}

fn invalid(record: &Record, rejected: &BTreeSet<String>) -> Option<String> {
    let is_address = |value: &String| match record.id.kind {
        RecordType::A => value.parse::<Ipv4Addr>().is_ok(),
        RecordType::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
    };
    let wrong = record
        .values
        .iter()
        .find(|value| !is_address(value) || rejected.contains(*value))?;
    Some(format!(
        "Invalid Resource Record: 'FATAL problem: IllegalAddress (Value is not a valid address) encountered with '{wrong}''"
    ))
}

impl ChangeRecords for Route53 {
    async fn change_records(&self, _zone: &str, changes: &[Change]) -> Result<(), ZoneError> {
        let changes: Vec<(Verb, Record)> = changes
            .iter()
            .map(|change| {
                let verb = match change.action {
                    Action::Create => Verb::Create,
                    Action::Delete => Verb::Delete,
                };
                (verb, change.record.clone())
            })
            .collect();
        let answer = self.deaths.call(|| self.change(&changes)).await;
        let latency_ms = self.state().latency_ms;
        if latency_ms > 0 {
            self.time.sleep_ms(latency_ms).await;
        }
        answer
    }

    async fn list_records(
        &self,
        _zone: &str,
        start: &RecordStart,
    ) -> Result<RecordPage, ZoneError> {
        self.deaths.call(|| self.list(start)).await
    }
}

impl InspectZones for Route53 {
    async fn zone(&self, _zone: &str) -> Result<(String, ZoneCapacity), ZoneError> {
        let state = self.state();
        let capacity = ZoneCapacity {
            records: u64::try_from(state.records.len() + 2).unwrap_or(u64::MAX),
            records_max: u64::try_from(state.records_max).unwrap_or(u64::MAX),
        };
        Ok(("example.com".to_owned(), capacity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, value: &str) -> Record {
        Record {
            id: RecordId {
                name: name.to_owned(),
                kind: RecordType::A,
                set: None,
            },
            ttl_s: 60,
            values: vec![value.to_owned()],
        }
    }

    fn many(count: usize, from: usize) -> Vec<(Verb, Record)> {
        (from..from + count)
            .map(|n| {
                (
                    Verb::Create,
                    record(&format!("{n}.example.com"), "10.0.0.1"),
                )
            })
            .collect()
    }

    fn zone() -> (Route53, VirtualTime) {
        let time = VirtualTime::starting_at(0);
        (Route53::new(time.clone(), Arc::default()), time)
    }

    fn is_throttled(answer: &Result<(), ZoneError>) -> bool {
        matches!(answer, Err(ZoneError::Throttled(_)))
    }

    #[test]
    fn fifteen_hundred_changes_at_once_and_a_hundred_a_second() {
        let (zone, time) = zone();
        zone.change(&many(1_000, 0)).unwrap();
        zone.change(&many(500, 1_000)).unwrap();
        assert!(is_throttled(&zone.change(&many(1, 1_500))));
        time.advance(1_000);
        zone.change(&many(100, 1_500)).unwrap();
        assert!(is_throttled(&zone.change(&many(1, 1_600))));
    }

    #[test]
    fn an_upsert_counts_twice_against_rate_and_size() {
        let (zone, time) = zone();
        let upserts = |count| -> Vec<_> {
            let creates = many(count, 0).into_iter();
            creates.map(|(_, record)| (Verb::Upsert, record)).collect()
        };
        zone.change(&upserts(500)).unwrap();
        time.advance(60_000);
        assert!(matches!(
            zone.change(&upserts(501)),
            Err(ZoneError::Invalid(_))
        ));
        assert_eq!(zone.asked().changes, 1_000);
    }

    #[test]
    fn fifty_requests_at_once_and_ten_a_second() {
        let (zone, time) = zone();
        for n in 0..50 {
            zone.change(&many(1, n)).unwrap();
        }
        assert!(is_throttled(&zone.change(&many(1, 50))));
        time.advance(100);
        zone.change(&many(1, 50)).unwrap();
    }

    #[test]
    fn a_batch_is_made_whole_or_not_at_all() {
        let (zone, _) = zone();
        zone.change(&many(1, 0)).unwrap();
        let Err(ZoneError::Invalid(messages)) = zone.change(&many(3, 0)) else {
            panic!()
        };
        assert!(messages[0].contains("[name='0.example.com.', type='A'] but it already exists"));
        assert_eq!(zone.shown().len(), 1);
        let delete = |value| zone.change(&[(Verb::Delete, record("0.example.com", value))]);
        assert!(delete("10.0.0.2").is_err());
        delete("10.0.0.1").unwrap();
        assert!(zone.shown().is_empty());
    }

    #[test]
    fn a_zone_holds_as_many_records_as_its_quota() {
        let (zone, _) = zone();
        zone.allow(10);
        assert!(matches!(
            zone.change(&many(9, 0)),
            Err(ZoneError::Invalid(_))
        ));
        zone.change(&many(8, 0)).unwrap();
    }
}
