//! metrics-rollup against a ledger in memory and a CloudWatch that adds up what it is sent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics_rollup::{Output, Ports, count, note, publish};
use simulation::{Death, MemoryLedger, When, World, sweep};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Key, Ledger, LedgerError, Page, Row, Stored, Write, path};
use spawn_core::metrics::Metric;
use spawn_core::ports::{PublishMetrics, ServiceError};
use spawn_core::rollup::{Datum, RollupRow, Scope, live_key};
use spawn_core::rows::{SweepRow, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::stream::Change;

const MINUTE: u64 = 60_000;

/// What a call does before it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives, and says so.
    Arrives,
    /// It arrives, and the answer is lost.
    AnswerIsLost,
    /// It does not arrive.
    IsLost,
}

struct Cloud {
    data: Mutex<Vec<Datum>>,
    fate: Mutex<Fate>,
}

impl Cloud {
    fn data(&self) -> MutexGuard<'_, Vec<Datum>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> Self {
        Self {
            data: Mutex::new(Vec::new()),
            fate: Mutex::new(Fate::Arrives),
        }
    }

    fn set(&self, fate: Fate) {
        *self.fate() = fate;
    }

    /// What `--statistics Sum` answers over all time.
    fn sum(&self, metric: Metric, scope: &Scope) -> i64 {
        self.data()
            .iter()
            .filter(|datum| datum.metric == metric && datum.scope == *scope)
            .map(|datum| datum.value)
            .sum()
    }

    /// The numbers of one minute.
    fn at(&self, metric: Metric, scope: &Scope, minute: u64) -> Vec<i64> {
        self.data()
            .iter()
            .filter(|d| d.metric == metric && d.scope == *scope && d.at == minute * MINUTE)
            .map(|datum| datum.value)
            .collect()
    }
}

impl PublishMetrics for Cloud {
    async fn send(&self, data: &[Datum]) -> Result<(), ServiceError> {
        let fate = *self.fate();
        if fate != Fate::IsLost {
            self.data().extend_from_slice(data);
        }
        if fate == Fate::Arrives {
            return Ok(());
        }
        Err(ServiceError::Transient {
            service: "CloudWatch",
            message: "no answer".to_owned(),
        })
    }

    async fn has(&self, datum: &Datum) -> Result<bool, ServiceError> {
        Ok(self
            .data()
            .iter()
            .any(|d| d.metric == datum.metric && d.scope == datum.scope && d.at == datum.at))
    }
}

/// The change of a sweep whose row has this version, so many instances in the lane's region, and so many members completed.
fn change(version: u64, live: i64, completed: i64) -> Change {
    let mut sweep = sweep(10, &["us-east-1.on-demand"], None);
    sweep.version = version;
    for count in sweep.live_in.values_mut() {
        *count = live;
    }
    for ended in sweep.ended_in.values_mut() {
        ended.completed = completed;
    }
    changed(&sweep)
}

fn changed(sweep: &SweepRow) -> Change {
    Change {
        sequence_number: format!("{:021}", sweep.version),
        key: sweep.key(),
        old: None,
        new: sweep.row().ok(),
        at: 0,
    }
}

async fn world() -> World {
    World::new(&sweep(10, &["us-east-1.on-demand"], None)).await
}

fn the_sweep() -> Scope {
    Scope::Sweep(sweep(10, &["us-east-1.on-demand"], None).sweep_id)
}

async fn pass(ledger: &MemoryLedger, cloud: &Cloud, minute: u64) -> Result<Output, FunctionError> {
    let ports = Ports {
        ledger,
        metrics: cloud,
    };
    publish(&ports, minute * MINUTE + 17).await
}

#[tokio::test]
async fn replayed_and_duplicated_batches_change_nothing() {
    let (world, cloud) = (world().await, Cloud::new());
    let ledger = &world.ledger;
    let batch = [change(1, 4, 0), change(2, 3, 1), change(3, 2, 2)];
    assert!(note(&batch, ledger).await.is_none());
    pass(ledger, &cloud, 10).await.unwrap();
    assert!(note(&batch, ledger).await.is_none());
    assert!(note(&batch[..1], ledger).await.is_none());
    pass(ledger, &cloud, 11).await.unwrap();
    assert_eq!(cloud.sum(Metric::CompletedInstances, &the_sweep()), 2);
    assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 11), [2]);
}

#[tokio::test]
async fn a_minute_is_told_once_however_often_it_is_asked_for() {
    let (world, cloud) = (world().await, Cloud::new());
    let ledger = &world.ledger;
    note(&[change(1, 4, 1)], ledger).await;
    for _ in 0..3 {
        pass(ledger, &cloud, 10).await.unwrap();
    }
    assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 10), [4]);
    assert_eq!(cloud.sum(Metric::CompletedInstances, &Scope::Fleet), 1);
}

/// Whatever becomes of a call, its numbers are told exactly once in the end.
#[tokio::test]
async fn a_call_whose_answer_is_lost_is_not_repeated_and_one_that_was_lost_is() {
    for fate in [Fate::AnswerIsLost, Fate::IsLost] {
        let (world, cloud) = (world().await, Cloud::new());
        let ledger = &world.ledger;
        note(&[change(1, 4, 1)], ledger).await;
        cloud.set(fate);
        assert!(pass(ledger, &cloud, 10).await.is_err());
        cloud.set(Fate::Arrives);
        note(&[change(2, 3, 2)], ledger).await;
        // CloudWatch may not show yet what it has taken.
        let early = pass(ledger, &cloud, 11).await.unwrap();
        assert_eq!(early.sent, 0);
        pass(ledger, &cloud, 12).await.unwrap();
        assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 10), [4]);
        assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 12), [3]);
        assert_eq!(cloud.sum(Metric::CompletedInstances, &the_sweep()), 2);
        assert_eq!(cloud.sum(Metric::CompletedInstances, &Scope::Fleet), 2);
    }
}

/// A process that dies before or after any of its calls leaves a pass that a later one finishes.
#[tokio::test]
async fn a_death_at_any_call_neither_loses_nor_doubles_a_number() {
    let mut deaths = 0;
    for call in 0..12 {
        for when in [When::Before, When::After] {
            let (world, cloud) = (world().await, Cloud::new());
            note(&[change(1, 4, 1)], &world.ledger).await;
            world.faults.arm(Some(Death { call, when }));
            let run = world.faults.run(pass(&world.ledger, &cloud, 10)).await;
            deaths += usize::from(run.is_none());
            world.faults.arm(None);
            note(&[change(2, 1, 3)], &world.ledger).await;
            for minute in [11, 12, 13] {
                pass(&world.ledger, &cloud, minute).await.unwrap();
            }
            let told = cloud.sum(Metric::CompletedInstances, &the_sweep());
            assert_eq!(told, 3, "{when:?} call {call}");
            assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 13), [1]);
        }
    }
    assert!(deaths >= 8, "{deaths}");
}

#[tokio::test]
async fn the_metrics_of_a_sweep_stop_when_it_has_ended_and_go_on_when_it_is_resumed() {
    let (world, cloud) = (world().await, Cloud::new());
    let ledger = &world.ledger;
    note(&[change(1, 4, 1)], ledger).await;
    pass(ledger, &cloud, 10).await.unwrap();
    let mut row = sweep(10, &["us-east-1.on-demand"], None);
    row.version = 5;
    row.status = SweepStatus::CompletedWithFailures;
    for ended in row.ended_in.values_mut() {
        ended.completed = 8;
        ended.failed = 2;
    }
    note(&[changed(&row)], ledger).await;
    pass(ledger, &cloud, 11).await.unwrap();
    assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 11), [0]);
    assert_eq!(cloud.sum(Metric::CompletedInstances, &the_sweep()), 8);
    pass(ledger, &cloud, 12).await.unwrap();
    assert!(
        cloud
            .at(Metric::ActiveInstances, &the_sweep(), 12)
            .is_empty()
    );
    // An old change that comes late does not bring it back.
    note(&[change(4, 4, 7)], ledger).await;
    let known: Option<RollupRow> = ledger::load(ledger, live_key(&row.sweep_id)).await.unwrap();
    assert_eq!(known, None);
    row.version = 6;
    row.status = SweepStatus::Running;
    for ended in row.ended_in.values_mut() {
        ended.completed = 9;
        ended.failed = 1;
    }
    note(&[changed(&row)], ledger).await;
    pass(ledger, &cloud, 13).await.unwrap();
    assert_eq!(cloud.sum(Metric::CompletedInstances, &the_sweep()), 9);
    assert_eq!(cloud.sum(Metric::FailedInstances, &the_sweep()), 1);
}

#[tokio::test]
async fn a_full_count_notes_what_the_stream_did_not_tell_and_finds_counts_that_are_wrong() {
    let world = world().await;
    let cloud = Cloud::new();
    let ports = Ports {
        ledger: &world.ledger,
        metrics: &cloud,
    };
    let output = count(&ports, 0).await.unwrap();
    assert_eq!((output.sweeps, output.disagreements), (1, 0));
    pass(&world.ledger, &cloud, 10).await.unwrap();
    assert_eq!(cloud.at(Metric::ActiveInstances, &the_sweep(), 10), [0]);

    let sweep_id: SweepId = world.sweep_id.clone();
    let wrong = Write::Update {
        key: sweep_key(&sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: vec![(path(&["counts", "running"]), 1)],
        when: Vec::new(),
    };
    world.ledger.commit(vec![wrong]).await.unwrap();
    let output = count(&ports, 0).await.unwrap();
    assert_eq!(output.disagreements, 1);
    let line = output.measured.lines(0);
    assert_eq!(line[0]["ledger_disagreements"], 1);
}

/// A ledger that does not answer.
struct Silent;

impl Silent {
    fn error<T>() -> Result<T, LedgerError> {
        Err(LedgerError::Unavailable("no answer".to_owned()))
    }
}

impl Ledger for Silent {
    async fn get(&self, _keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        Self::error()
    }

    async fn query(&self, _: &str, _: &str, _: Option<Key>) -> Result<Page, LedgerError> {
        Self::error()
    }

    async fn commit(&self, _writes: Vec<Write>) -> Result<(), LedgerError> {
        Self::error()
    }

    async fn put_all(&self, _rows: Vec<Row>) -> Result<(), LedgerError> {
        Self::error()
    }

    async fn sweeps_by_status(&self, _: &str, _: Option<Key>) -> Result<Page, LedgerError> {
        Self::error()
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_noted_is_asked_for_again_from_its_first_such_change() {
    let batch = [change(1, 4, 0), change(2, 3, 1)];
    let answer = serde_json::to_value(note(&batch, &Silent).await).unwrap();
    assert_eq!(
        answer["batchItemFailures"][0]["itemIdentifier"],
        batch[0].sequence_number
    );
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_that_are_no_sweeps_are_passed_over() {
    let mut member = change(1, 4, 0);
    member.key.sk = "MEMBER#00001".to_owned();
    member.new = member.new.map(|row| Row {
        key: member.key.clone(),
        ..row
    });
    assert!(note(&[member], &Silent).await.is_none());
}
