//! Who is told what, and that nobody is told twice.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use notify::{Input, Ports, Standing, handle};
use serde_json::{Value, json};
use simulation::{World, sweep};
use spawn_core::document::Occasion;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Ledger as _, Stored as _};
use spawn_core::money::MicroDollars;
use spawn_core::notify::{COOL_DOWN_MS, OVERDUE_MS, PendingRow, Target};
use spawn_core::ports::{PostWebhooks, PublishTopics, ReadSecrets, ServiceError, StartDeliveries};
use spawn_core::rows::{CostSoFar, SweepRow};
use spawn_core::state::{MemberState, SweepStatus};

const LANE: &str = "us-east-1.on-demand";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:spawn-team";
const HOOK: &str = "/spawn/webhooks/team";
const URL: &str = "https://hooks.example.com/services/secret";

/// SNS, Parameter Store, a webhook and Step Functions, as far as this function sees them.
#[derive(Debug, Default)]
struct Outside {
    published: Mutex<Vec<(String, String)>>,
    posted: Mutex<Vec<(String, String)>>,
    secrets: Mutex<BTreeMap<String, String>>,
    started: Mutex<BTreeSet<String>>,
    due: Mutex<Vec<(String, String)>>,
    refuses: Mutex<bool>,
}

impl PublishTopics for Outside {
    async fn publish(&self, arn: &str, subject: &str, _: &str) -> Result<(), ServiceError> {
        let message = (arn.to_owned(), subject.to_owned());
        self.published.lock().unwrap().push(message);
        Ok(())
    }
}

impl ReadSecrets for Outside {
    async fn secret(&self, name: &str) -> Result<Option<String>, ServiceError> {
        Ok(self.secrets.lock().unwrap().get(name).cloned())
    }
}

impl PostWebhooks for Outside {
    async fn post(&self, url: &str, body: String) -> Result<(), ServiceError> {
        if *self.refuses.lock().unwrap() {
            return Err(ServiceError::Transient {
                service: "the webhook",
                message: "it answered with HTTP status 503".to_owned(),
            });
        }
        self.posted.lock().unwrap().push((url.to_owned(), body));
        Ok(())
    }
}

impl StartDeliveries for Outside {
    async fn start_delivery(&self, name: &str, pk: &str, sk: &str) -> Result<(), ServiceError> {
        if self.started.lock().unwrap().insert(name.to_owned()) {
            let key = (pk.to_owned(), sk.to_owned());
            self.due.lock().unwrap().push(key);
        }
        Ok(())
    }
}

struct Scene {
    world: World,
    outside: Outside,
    standing: Standing,
}

impl Scene {
    async fn of(change: impl FnOnce(&mut SweepRow)) -> Self {
        let mut row = sweep(4, &[LANE], None);
        row.status = SweepStatus::Running;
        row.topics = vec![TOPIC.to_owned()];
        row.occasions = vec![Occasion::End, Occasion::Failure];
        change(&mut row);
        let outside = Outside::default();
        let secret = (HOOK.to_owned(), URL.to_owned());
        outside.secrets.lock().unwrap().extend([secret]);
        Self {
            world: World::new(&row).await,
            outside,
            standing: Standing::default(),
        }
    }

    async fn call(&self, input: Value, now: u64) -> Result<Value, FunctionError> {
        let input: Input = serde_json::from_value(input).unwrap();
        let ports = Ports {
            ledger: &self.world.ledger,
            topics: &self.outside,
            secrets: &self.outside,
            webhooks: &self.outside,
            executions: &self.outside,
            standing: &self.standing,
            is_local: false,
        };
        handle(input, &ports, now).await
    }

    /// A pass of the schedule, and every delivery that it started.
    async fn pass(&self, now: u64) {
        self.call(json!({"look": {}}), now).await.unwrap();
        self.deliver(now).await.unwrap();
    }

    async fn deliver(&self, now: u64) -> Result<(), FunctionError> {
        let due: Vec<_> = std::mem::take(&mut *self.outside.due.lock().unwrap());
        for (pk, sk) in due {
            self.call(json!({"deliver": {"pk": pk, "sk": sk}}), now)
                .await?;
        }
        Ok(())
    }

    async fn change(&self, change: impl FnOnce(&mut SweepRow)) {
        let mut row = self.world.sweep().await;
        change(&mut row);
        let mut rows = vec![row.row().unwrap()];
        if row.status.is_ended() {
            let pending = PendingRow {
                sweep_id: row.sweep_id.clone(),
                ended_at: row.ended_at.unwrap_or(1),
                version: 0,
            };
            rows.push(pending.row().unwrap());
        }
        self.world.ledger.put_all(rows).await.unwrap();
    }

    fn subjects(&self) -> Vec<String> {
        let published = self.outside.published.lock().unwrap();
        published
            .iter()
            .map(|(_, subject)| subject.clone())
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        let posted = self.outside.posted.lock().unwrap();
        let text = |body: &String| {
            let body: Value = serde_json::from_str(body).unwrap();
            body["text"].as_str().unwrap().to_owned()
        };
        posted.iter().map(|(_, body)| text(body)).collect()
    }
}

#[tokio::test]
async fn an_end_is_told_once_however_often_the_sweep_is_looked_at() {
    let scene = Scene::of(|_| {}).await;
    scene.pass(1_000).await;
    assert!(scene.subjects().is_empty());
    scene
        .change(|row| row.status = SweepStatus::Completed)
        .await;
    for now in [2_000, 3_000] {
        scene.pass(now).await;
        let look =
            json!({"look": {"sweep_id": scene.world.sweep_id, "news": {"status": "completed"}}});
        scene.call(look, now).await.unwrap();
        scene.deliver(now).await.unwrap();
    }
    assert_eq!(scene.subjects(), ["spawn: test-20260101-abcdef completed"]);
}

#[tokio::test]
async fn a_sweep_that_is_resumed_has_another_end_to_tell() {
    let scene = Scene::of(|_| {}).await;
    let end =
        |status, ended_at| scene.change(move |row| (row.status, row.ended_at) = (status, ended_at));
    end(SweepStatus::Cancelled, Some(1_000)).await;
    scene.pass(2_000).await;
    end(SweepStatus::Running, None).await;
    scene.pass(3_000).await;
    end(SweepStatus::Completed, Some(4_000)).await;
    scene.pass(5_000).await;
    scene.pass(6_000).await;
    let id = "test-20260101-abcdef";
    let expected = ["cancelled", "completed"].map(|status| format!("spawn: {id} {status}"));
    assert_eq!(scene.subjects(), expected);
}

#[tokio::test]
async fn who_wants_to_know_of_failures_only_hears_of_no_success() {
    let scene = Scene::of(|row| row.occasions = vec![Occasion::Failure]).await;
    scene
        .change(|row| row.status = SweepStatus::Completed)
        .await;
    scene.pass(1_000).await;
    assert!(scene.subjects().is_empty());
    let scene = Scene::of(|row| row.occasions = vec![Occasion::Failure]).await;
    scene.change(|row| row.status = SweepStatus::Failed).await;
    scene.pass(1_000).await;
    assert_eq!(scene.subjects(), ["spawn: test-20260101-abcdef failed"]);
}

#[tokio::test]
async fn the_first_failure_is_told_to_a_webhook_while_the_sweep_runs() {
    let scene = Scene::of(|row| {
        row.topics = Vec::new();
        row.webhooks = vec![HOOK.to_owned()];
        row.occasions = vec![Occasion::FirstFailure];
    })
    .await;
    scene.pass(1_000).await;
    for failed in 1..3 {
        scene
            .change(|row| {
                let states = [MemberState::Running; 3].into_iter();
                let failures = std::iter::repeat_n(MemberState::Failed, failed);
                row.counts = spawn_core::state::Counts::tally(states.chain(failures));
            })
            .await;
        scene.pass(2_000).await;
    }
    let texts = scene.texts();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("first member failed: 3 running, 1 failed of 4 members"),
        "{texts:?}"
    );
    let posted = scene.outside.posted.lock().unwrap();
    assert_eq!(posted[0].0, URL);
}

#[tokio::test]
async fn what_is_overdue_is_told_resolved_and_told_again_after_the_cool_down_only() {
    let scene = Scene::of(|row| row.occasions = vec![Occasion::Overdue]).await;
    scene.world.launch_first_batch().await;
    let end = scene.world.members().await[0].ttl_deadline.unwrap();
    scene.pass(end).await;
    assert!(scene.subjects().is_empty(), "not yet");
    let late = end + OVERDUE_MS + 1;
    scene.pass(late).await;
    scene.pass(late + 1).await;
    let live = |live: bool| {
        let world = &scene.world;
        async move {
            for mut member in world.members().await {
                member.live = live;
                world
                    .ledger
                    .put_all(vec![member.row().unwrap()])
                    .await
                    .unwrap();
            }
        }
    };
    live(false).await;
    scene.pass(late + 2_000).await;
    live(true).await;
    scene.pass(late + 3_000).await;
    assert_eq!(scene.subjects().len(), 2, "{:?}", scene.subjects());
    scene.pass(late + 2_000 + COOL_DOWN_MS).await;
    let subjects = scene.subjects();
    let id = "test-20260101-abcdef";
    let raised = format!("spawn: {id} overdue (members 0, 1, 2, 3)");
    let expected = [
        raised.clone(),
        format!("spawn: resolved: {id} overdue"),
        raised,
    ];
    assert_eq!(subjects, expected);
}

#[tokio::test]
async fn a_share_of_the_budget_is_told_once_by_what_cost_guard_saw_or_by_bills() {
    for by_bills in [false, true] {
        let scene = Scene::of(|row| {
            row.budget = Some(MicroDollars(2_000_000));
            row.occasions = vec![Occasion::CostShare(50), Occasion::CostShare(80)];
        })
        .await;
        let spend = |amount: i64| {
            scene.change(move |row| {
                if by_bills {
                    row.billed = amount;
                } else {
                    row.cost = Some(CostSoFar {
                        accrued: MicroDollars(amount),
                        ..CostSoFar::default()
                    });
                }
            })
        };
        for (amount, told) in [(999_999, 0), (1_000_000, 1), (1_500_000, 1), (1_600_000, 2)] {
            spend(amount).await;
            scene.pass(1_000).await;
            assert_eq!(
                scene.subjects().len(),
                told,
                "{amount}: {:?}",
                scene.subjects()
            );
        }
        let first = "spawn: test-20260101-abcdef has spent 50 % of its budget";
        assert_eq!(scene.subjects()[0], first);
    }
}

/// A document that names a webhook alone has nobody else who would hear that it is held.
#[tokio::test]
async fn a_webhook_is_told_of_each_share_of_a_budget_that_was_reached() {
    let scene = Scene::of(|row| {
        row.topics = Vec::new();
        row.webhooks = vec![HOOK.to_owned()];
        row.occasions = vec![Occasion::End];
        row.budget = Some(MicroDollars(2_000_000));
    })
    .await;
    for (amount, told) in [(900_000, 0), (1_000_000, 1), (1_990_000, 2), (1_999_999, 2)] {
        scene
            .change(move |row| {
                row.billed = amount;
                row.held = (amount > 1_600_000).then(|| "99 % of it are spent".to_owned());
            })
            .await;
        scene.pass(1_000).await;
        assert_eq!(scene.texts().len(), told, "{amount}: {:?}", scene.texts());
    }
    let texts = scene.texts();
    assert!(
        texts[0].contains("has spent 50 % of its budget"),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("has spent 80 % of its budget"),
        "{texts:?}"
    );
    assert!(texts[1].contains("Nothing more is launched, because 99 % of it are spent."));
    // What is over has its end told, and no share.
    scene
        .change(|row| {
            row.status = SweepStatus::Completed;
            row.billed = 2_000_000;
        })
        .await;
    scene.pass(2_000).await;
    assert_eq!(scene.texts().len(), 3);
}

/// Spot that EC2 took back in its first hour had run something up, and is not billed.
#[tokio::test]
async fn a_sweep_that_is_over_has_spent_what_was_billed() {
    for (billed, told) in [(127, 0), (1_000_000, 1)] {
        let scene = Scene::of(|row| {
            row.budget = Some(MicroDollars(2_000_000));
            row.occasions = vec![Occasion::CostShare(50)];
        })
        .await;
        scene
            .change(move |row| {
                row.status = SweepStatus::Completed;
                row.billed = billed;
                row.cost = Some(CostSoFar {
                    accrued: MicroDollars(1_900_000),
                    ..CostSoFar::default()
                });
            })
            .await;
        scene.pass(1_000).await;
        assert_eq!(scene.subjects().len(), told, "{:?}", scene.subjects());
    }
}

#[tokio::test]
async fn standing_targets_are_told_of_every_sweep() {
    let mut scene = Scene::of(|row| row.topics = Vec::new()).await;
    scene.standing = Standing {
        targets: vec![Target::Webhook(HOOK.to_owned()), TOPIC.parse().unwrap()],
        occasions: vec![Occasion::Failure],
    };
    scene
        .change(|row| row.status = SweepStatus::OverBudget)
        .await;
    scene.pass(1_000).await;
    let texts = scene.texts();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("over_budget"), "{texts:?}");
    assert_eq!(scene.subjects().len(), 1, "the standing topic is told, too");
}

#[tokio::test]
async fn a_message_that_is_not_taken_stays_due_and_is_told_when_it_is() {
    let scene = Scene::of(|row| {
        row.topics = Vec::new();
        row.webhooks = vec![HOOK.to_owned()];
    })
    .await;
    scene
        .change(|row| row.status = SweepStatus::Completed)
        .await;
    *scene.outside.refuses.lock().unwrap() = true;
    scene.call(json!({"look": {}}), 1_000).await.unwrap();
    let key = scene.outside.due.lock().unwrap()[0].clone();
    let error = scene.deliver(1_000).await.unwrap_err();
    assert_eq!(error.error_type(), "Spawn.Transient");
    assert!(!error.to_string().contains("secret"), "{error}");
    *scene.outside.refuses.lock().unwrap() = false;
    let again = json!({"deliver": {"pk": key.0, "sk": key.1}});
    for _ in 0..2 {
        scene.call(again.clone(), 2_000).await.unwrap();
    }
    assert_eq!(scene.texts().len(), 1);
}

#[tokio::test]
async fn a_webhook_without_a_safe_address_is_refused_by_the_name_of_its_parameter() {
    for (secret, part) in [
        (None, "there is no parameter /spawn/webhooks/team"),
        (
            Some("http://hooks.example.com/secret"),
            "does not begin with https://",
        ),
    ] {
        let scene = Scene::of(|row| {
            row.topics = Vec::new();
            row.webhooks = vec![HOOK.to_owned()];
        })
        .await;
        let mut secrets = BTreeMap::new();
        secrets.extend(secret.map(|url| (HOOK.to_owned(), url.to_owned())));
        *scene.outside.secrets.lock().unwrap() = secrets;
        scene
            .change(|row| row.status = SweepStatus::Completed)
            .await;
        scene.call(json!({"look": {}}), 1_000).await.unwrap();
        let error = scene.deliver(1_000).await.unwrap_err();
        assert_eq!(error.error_type(), "Spawn.Config");
        let words = error.to_string();
        assert!(words.contains(part) && !words.contains("secret"), "{words}");
    }
}

/// The process dies after a notice was written and before its delivery was started.
#[tokio::test]
async fn a_notice_whose_delivery_was_not_started_is_found_by_the_next_pass() {
    let scene = Scene::of(|_| {}).await;
    scene
        .change(|row| row.status = SweepStatus::Completed)
        .await;
    scene.call(json!({"look": {}}), 1_000).await.unwrap();
    scene.outside.due.lock().unwrap().clear();
    scene.outside.started.lock().unwrap().clear();
    scene.change(|_| {}).await;
    scene.pass(2_000).await;
    assert_eq!(scene.subjects().len(), 1);
}
