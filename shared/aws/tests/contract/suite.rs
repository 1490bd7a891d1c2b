//! What every ledger promises. Each case uses partitions of its own.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spawn_core::ledger::{
    self, Attributes, Condition, Expect, Key, Ledger, LedgerError, Row, Stored,
    TRANSACTION_ITEMS_MAX, Versioned, Write, path,
};

/// All of it.
pub(crate) async fn run(ledger: &impl Ledger) {
    promises(ledger).await;
    refusals(ledger).await;
}

/// What is done, and what is not done because a condition does not hold.
pub(crate) async fn promises(ledger: &impl Ledger) {
    a_row_is_created_once(ledger).await;
    a_typed_row_reads_back_what_was_written(ledger).await;
    a_changed_row_is_put_back_only_by_the_first_writer(ledger).await;
    an_update_sets_adds_removes_and_counts(ledger).await;
    an_update_happens_only_on_its_conditions(ledger).await;
    an_update_needs_its_row(ledger).await;
    a_row_is_deleted_only_in_the_expected_version(ledger).await;
    changes_happen_together_or_not_at_all(ledger).await;
    a_transaction_takes_a_hundred_changes(ledger).await;
    rows_come_in_the_order_of_their_keys(ledger).await;
    a_partition_is_read_page_by_page(ledger).await;
    many_rows_are_put_without_conditions(ledger).await;
    additions_at_the_same_time_are_not_lost(ledger).await;
    sweeps_are_found_by_their_status(ledger).await;
}

/// How wrong requests are answered, where emulators differ most.
async fn refusals(ledger: &impl Ledger) {
    a_text_is_not_a_small_number(ledger).await;
    a_number_that_is_not_there_is_not_added_to(ledger).await;
    a_transaction_has_its_limits(ledger).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    name: String,
    version: u64,
    count: i64,
    note: Option<String>,
    list: Vec<u64>,
    by_region: Value,
}

impl Sample {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: 0,
            count: 0,
            note: None,
            list: vec![0, 9_007_199_254_740_993],
            by_region: json!({"us-east-1": 1, "eu-west-1": -2}),
        }
    }
}

impl Stored for Sample {
    fn key(&self) -> Key {
        Key::new(format!("SAMPLE#{}", self.name), "SAMPLE")
    }
}

impl Versioned for Sample {
    fn version(&self) -> u64 {
        self.version
    }

    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}

fn row(key: &Key, attributes: &Value) -> Row {
    Row {
        key: key.clone(),
        attributes: attributes.as_object().unwrap().clone(),
    }
}

fn put(key: &Key, attributes: &Value) -> Write {
    Write::Put {
        row: row(key, attributes),
        expect: Expect::Absent,
    }
}

fn update(key: &Key) -> Update {
    Update {
        key: key.clone(),
        set: Vec::new(),
        remove: Vec::new(),
        add: Vec::new(),
        when: Vec::new(),
    }
}

struct Update {
    key: Key,
    set: Vec<(ledger::Path, Value)>,
    remove: Vec<ledger::Path>,
    add: Vec<(ledger::Path, i64)>,
    when: Vec<Condition>,
}

impl Update {
    fn set(mut self, parts: &[&str], value: Value) -> Self {
        self.set.push((path(parts), value));
        self
    }

    fn remove(mut self, parts: &[&str]) -> Self {
        self.remove.push(path(parts));
        self
    }

    fn add(mut self, parts: &[&str], by: i64) -> Self {
        self.add.push((path(parts), by));
        self
    }

    fn when(mut self, condition: Condition) -> Self {
        self.when.push(condition);
        self
    }

    fn write(self) -> Write {
        let Self {
            key,
            set,
            remove,
            add,
            when,
        } = self;
        Write::Update {
            key,
            set,
            remove,
            add,
            when,
        }
    }
}

async fn attributes(ledger: &impl Ledger, key: &Key) -> Option<Attributes> {
    let rows = ledger.get(std::slice::from_ref(key)).await.unwrap();
    rows.into_iter().next().unwrap().map(|row| row.attributes)
}

async fn fails_at(ledger: &impl Ledger, writes: Vec<Write>, keys: &[&Key]) {
    match ledger.commit(writes).await {
        Err(LedgerError::Condition { failed }) => {
            let failed: BTreeSet<&Key> = failed.iter().collect();
            assert_eq!(failed, keys.iter().copied().collect());
        }
        other => panic!("{other:?}"),
    }
}

async fn is_refused(ledger: &impl Ledger, writes: Vec<Write>) {
    let result = ledger.commit(writes).await;
    assert!(matches!(result, Err(LedgerError::Refused(_))), "{result:?}");
}

async fn a_row_is_created_once(ledger: &impl Ledger) {
    let sample = Sample::new("once");
    let key = sample.key();
    ledger.commit(Vec::new()).await.unwrap();
    ledger.commit(vec![sample.create().unwrap()]).await.unwrap();
    fails_at(ledger, vec![sample.create().unwrap()], &[&key]).await;
}

async fn a_typed_row_reads_back_what_was_written(ledger: &impl Ledger) {
    let mut sample = Sample::new("typed");
    sample.note = Some(String::new());
    ledger.commit(vec![sample.create().unwrap()]).await.unwrap();
    let read: Sample = ledger::require(ledger, sample.key()).await.unwrap();
    assert_eq!(read, sample);
    // A value that is put without an attribute has it no longer.
    sample.note = None;
    ledger
        .commit(vec![sample.clone().replace().unwrap()])
        .await
        .unwrap();
    let read: Sample = ledger::require(ledger, sample.key()).await.unwrap();
    assert_eq!((read.note, read.version), (None, 1));
    let absent: Option<Sample> = ledger::load(ledger, Key::new("SAMPLE#nobody", "SAMPLE"))
        .await
        .unwrap();
    assert_eq!(absent, None);
}

async fn a_changed_row_is_put_back_only_by_the_first_writer(ledger: &impl Ledger) {
    let sample = Sample::new("race");
    let key = sample.key();
    ledger.commit(vec![sample.create().unwrap()]).await.unwrap();
    let writers = (1..=8).map(|count| {
        let mut sample = sample.clone();
        sample.count = count;
        let write = sample.replace().unwrap();
        async move { ledger.commit(vec![write]).await.map(|()| count) }
    });
    let results = join_all(writers).await;
    let winners: Vec<i64> = results.into_iter().filter_map(Result::ok).collect();
    let [winner] = winners[..] else {
        panic!("{winners:?}");
    };
    let read: Sample = ledger::require(ledger, key).await.unwrap();
    assert_eq!((read.count, read.version), (winner, 1));
}

async fn an_update_sets_adds_removes_and_counts(ledger: &impl Ledger) {
    let key = Key::new("UPDATE#all", "ROW");
    let before =
        json!({"status": "planning", "token": "t", "count": 5, "by": {"us-east-1": 3, "x.y": 1}});
    ledger.commit(vec![put(&key, &before)]).await.unwrap();
    let change = update(&key)
        .set(&["status"], json!("running"))
        .set(&["by", "eu-west-1"], json!({"new": [1, "a", true]}))
        .remove(&["token"])
        .add(&["count"], -7)
        .add(&["by", "us-east-1"], 2)
        .add(&["by", "x.y"], 1);
    ledger.commit(vec![change.write()]).await.unwrap();
    let after = json!({
        "status": "running", "count": -2, "version": 1,
        "by": {"us-east-1": 5, "x.y": 2, "eu-west-1": {"new": [1, "a", true]}},
    });
    assert_eq!(
        attributes(ledger, &key).await.map(Value::Object),
        Some(after)
    );
    ledger.commit(vec![update(&key).write()]).await.unwrap();
    assert_eq!(attributes(ledger, &key).await.unwrap()["version"], json!(2));
}

async fn an_update_happens_only_on_its_conditions(ledger: &impl Ledger) {
    let key = Key::new("UPDATE#when", "ROW");
    let before = json!({"status": "launching", "live": 97, "by": {"us-east-1": 3}, "version": 4});
    ledger.commit(vec![put(&key, &before)]).await.unwrap();
    let equals = |parts: &[&str], value| Condition::Equals(path(parts), value);
    let one_of = |values: &[&str]| {
        let values = values.iter().map(|&value| Value::from(value)).collect();
        Condition::In(path(&["status"]), values)
    };
    let cases = [
        (equals(&["status"], json!("launching")), true),
        (equals(&["status"], json!("running")), false),
        (equals(&["by", "us-east-1"], json!(3)), true),
        (equals(&["by", "us-east-1"], json!("3")), false),
        (equals(&["nothing"], json!(1)), false),
        (one_of(&["planning", "launching"]), true),
        (one_of(&["running"]), false),
        (one_of(&[]), false),
        (Condition::AtMost(path(&["live"]), 97), true),
        (Condition::AtMost(path(&["live"]), 96), false),
        (Condition::AtMost(path(&["by", "us-east-1"]), 3), true),
        (Condition::AtMost(path(&["nothing"]), 9), false),
        (Condition::Missing(path(&["drain"])), true),
        (Condition::Missing(path(&["live"])), false),
        (Condition::Missing(path(&["by", "eu-west-1"])), true),
        (Condition::Missing(path(&["by", "us-east-1"])), false),
    ];
    let mut version = 4;
    for (condition, holds) in cases {
        let change = update(&key)
            .set(&["seen"], json!(true))
            .when(condition.clone());
        if holds {
            ledger.commit(vec![change.write()]).await.unwrap();
            version += 1;
        } else {
            fails_at(ledger, vec![change.write()], &[&key]).await;
        }
        let read = attributes(ledger, &key).await.unwrap();
        assert_eq!(read["version"], json!(version), "{condition:?}");
    }
    let both = update(&key)
        .when(Condition::AtMost(path(&["live"]), 97))
        .when(Condition::Missing(path(&["live"])));
    fails_at(ledger, vec![both.write()], &[&key]).await;
}

async fn an_update_needs_its_row(ledger: &impl Ledger) {
    let absent = Key::new("UPDATE#absent", "ROW");
    let change = update(&absent).set(&["a"], json!(1));
    fails_at(ledger, vec![change.write()], &[&absent]).await;
    assert_eq!(attributes(ledger, &absent).await, None);
}

async fn a_text_is_not_a_small_number(ledger: &impl Ledger) {
    let key = Key::new("UPDATE#text", "ROW");
    ledger
        .commit(vec![put(&key, &json!({"status": "1"}))])
        .await
        .unwrap();
    let change = update(&key).when(Condition::AtMost(path(&["status"]), 9));
    fails_at(ledger, vec![change.write()], &[&key]).await;
}

async fn a_number_that_is_not_there_is_not_added_to(ledger: &impl Ledger) {
    let key = Key::new("UPDATE#numbers", "ROW");
    ledger
        .commit(vec![put(&key, &json!({"a": 1}))])
        .await
        .unwrap();
    is_refused(ledger, vec![update(&key).add(&["b"], 1).write()]).await;
    assert_eq!(
        attributes(ledger, &key).await.map(Value::Object),
        Some(json!({"a": 1}))
    );
}

async fn a_row_is_deleted_only_in_the_expected_version(ledger: &impl Ledger) {
    let key = Key::new("DELETE", "ROW");
    let delete = |version| Write::Delete {
        key: key.clone(),
        expect: Expect::Version(version),
    };
    ledger
        .commit(vec![put(&key, &json!({"version": 3}))])
        .await
        .unwrap();
    fails_at(ledger, vec![delete(2)], &[&key]).await;
    ledger.commit(vec![delete(3)]).await.unwrap();
    assert_eq!(attributes(ledger, &key).await, None);
    fails_at(ledger, vec![delete(3)], &[&key]).await;
}

async fn changes_happen_together_or_not_at_all(ledger: &impl Ledger) {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|sk| Key::new("TOGETHER", sk));
    ledger
        .commit(vec![
            put(&a, &json!({"n": 1})),
            put(&b, &json!({"version": 1})),
        ])
        .await
        .unwrap();
    let delete_b = |version| Write::Delete {
        key: b.clone(),
        expect: Expect::Version(version),
    };
    let writes = |b_version, c_exists: bool| {
        let c = if c_exists { &a } else { &c };
        vec![update(&d).write(), delete_b(b_version), put(c, &json!({}))]
    };
    fails_at(ledger, writes(1, false), &[&d]).await;
    fails_at(ledger, writes(9, true), &[&a, &b, &d]).await;
    assert_eq!(
        attributes(ledger, &a).await.map(Value::Object),
        Some(json!({"n": 1}))
    );
    assert!(attributes(ledger, &b).await.is_some());
    assert_eq!(attributes(ledger, &c).await, None);

    let all = vec![
        update(&a).add(&["n"], 1).write(),
        delete_b(1),
        put(&c, &json!({"n": 0})),
    ];
    ledger.commit(all).await.unwrap();
    let rows = ledger.get(&[a, b, c]).await.unwrap();
    let numbers: Vec<_> = rows
        .iter()
        .map(|row| row.as_ref().map(|row| &row.attributes["n"]))
        .collect();
    assert_eq!(numbers, [Some(&json!(2)), None, Some(&json!(0))]);
}

fn puts(pk: &str, count: usize) -> Vec<Write> {
    let key = |number| Key::new(pk, format!("{number:03}"));
    (0..count)
        .map(|number| put(&key(number), &json!({"n": number})))
        .collect()
}

async fn a_transaction_takes_a_hundred_changes(ledger: &impl Ledger) {
    ledger
        .commit(puts("HUNDRED", TRANSACTION_ITEMS_MAX))
        .await
        .unwrap();
    let page = ledger.query("HUNDRED", "099", None).await.unwrap();
    assert_eq!(page.rows.len(), 1);
}

async fn a_transaction_has_its_limits(ledger: &impl Ledger) {
    is_refused(ledger, puts("LIMITS", TRANSACTION_ITEMS_MAX + 1)).await;
    let key = Key::new("LIMITS", "twice");
    is_refused(ledger, vec![put(&key, &json!({})), put(&key, &json!({}))]).await;
    assert_eq!(ledger.query("LIMITS", "", None).await.unwrap().rows, []);
}

async fn rows_come_in_the_order_of_their_keys(ledger: &impl Ledger) {
    let key = |number: usize| Key::new(format!("MANY#{}", number % 7), format!("{number:05}"));
    let rows = (0..250)
        .map(|number| row(&key(number), &json!({"n": number})))
        .collect();
    ledger.put_all(rows).await.unwrap();
    // Backwards, with keys of no row among them, and some twice.
    let wanted: Vec<usize> = (0..300).rev().chain([5, 5, 299]).collect();
    let keys: Vec<Key> = wanted.iter().map(|&number| key(number)).collect();
    let found = ledger.get(&keys).await.unwrap();
    assert_eq!(found.len(), wanted.len());
    for (number, row) in wanted.into_iter().zip(found) {
        let expected = (number < 250).then(|| json!(number));
        assert_eq!(
            row.map(|row| row.attributes["n"].clone()),
            expected,
            "{number}"
        );
    }
    assert_eq!(ledger.get(&[]).await.unwrap(), []);
}

async fn a_partition_is_read_page_by_page(ledger: &impl Ledger) {
    // Almost 3 MB: a page of DynamoDB ends at 1 MB.
    let text = "x".repeat(30_000);
    let key = |kind: &str, number: usize| Key::new("PAGES", format!("{kind}#{number:03}"));
    let rows =
        (0..90).map(|number| row(&key("MEMBER", number), &json!({"text": text, "n": number})));
    let others = (0..3).flat_map(|number| {
        let other = |key: &Key| row(key, &json!({"n": number}));
        [other(&key("LANE", number)), other(&key("MEMBERS", number))]
    });
    ledger.put_all(rows.chain(others).collect()).await.unwrap();

    let all = async |prefix: &str, mut from: Option<Key>| {
        let mut keys = Vec::new();
        loop {
            let page = ledger.query("PAGES", prefix, from).await.unwrap();
            keys.extend(page.rows.into_iter().map(|row| row.key));
            from = page.next;
            if from.is_none() {
                return keys;
            }
        }
    };
    let members: Vec<Key> = (0..90).map(|number| key("MEMBER", number)).collect();
    assert_eq!(all("MEMBER#", None).await, members);
    assert_eq!(all("MEMBER#", Some(key("MEMBER", 80))).await, members[81..]);
    assert_eq!(all("MEMBER", None).await.len(), 93);
    assert_eq!(all("", None).await.len(), 96);
    assert_eq!(all("NOTHING#", None).await, []);
}

async fn many_rows_are_put_without_conditions(ledger: &impl Ledger) {
    let rows = |value: u64| -> Vec<Row> {
        let key = |number| Key::new(format!("BULK#{}", number % 3), format!("{number:05}"));
        (0..1_000)
            .map(|number| row(&key(number), &json!({"n": number, "value": value})))
            .collect()
    };
    ledger.put_all(Vec::new()).await.unwrap();
    ledger.put_all(rows(1)).await.unwrap();
    // A row that comes twice is put once, and the last one stays.
    ledger.put_all([rows(2), rows(3)].concat()).await.unwrap();
    let expected = rows(3);
    let keys: Vec<Key> = expected.iter().map(|row| row.key.clone()).collect();
    let found: Vec<Row> = ledger
        .get(&keys)
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(found, expected);
}

/// Tries until the ledger is not busy.
async fn surely(ledger: &impl Ledger, writes: Vec<Write>) {
    loop {
        match ledger.commit(writes.clone()).await {
            Ok(()) => return,
            Err(LedgerError::Busy(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn additions_at_the_same_time_are_not_lost(ledger: &impl Ledger) {
    let shared = Key::new("SHARED", "ROW");
    ledger
        .commit(vec![put(&shared, &json!({"count": 0, "by": {"a": 0}}))])
        .await
        .unwrap();
    let shared = &shared;
    let writers = (0..12).map(|writer| async move {
        for turn in 0..5 {
            let own = Key::new("SHARED#own", format!("{writer}-{turn}"));
            let add = update(shared).add(&["count"], 1).add(&["by", "a"], 2);
            // Half of them alone, half together with another row.
            let mut writes = vec![add.write()];
            if writer % 2 == 0 {
                writes.push(put(&own, &json!({})));
            }
            surely(ledger, writes).await;
        }
    });
    join_all(writers).await;
    let expected = json!({"count": 60, "by": {"a": 120}, "version": 60});
    assert_eq!(
        attributes(ledger, shared).await.map(Value::Object),
        Some(expected)
    );
}

async fn sweeps_are_found_by_their_status(ledger: &impl Ledger) {
    let key = |number: u64| Key::new(format!("SWEEP#s{number}"), "META");
    for number in 0..5 {
        let meta = json!({"status": "running", "started_at": 1_000 + number, "version": 0});
        ledger.commit(vec![put(&key(number), &meta)]).await.unwrap();
    }
    let change = update(&key(3)).set(&["status"], json!("completed"));
    ledger.commit(vec![change.write()]).await.unwrap();
    let found = async |status: &str, from: Option<Key>| {
        let page = ledger.sweeps_by_status(status, from).await.unwrap();
        assert_eq!(page.next, None);
        page.rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(found("running", None).await, [0, 1, 2, 4].map(key));
    assert_eq!(found("running", Some(key(1))).await, [2, 4].map(key));
    assert_eq!(found("completed", None).await, [key(3)]);
    assert_eq!(found("failed", None).await, []);
}
