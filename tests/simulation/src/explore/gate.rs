//! Where the calls of a process wait to be let through.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use spawn_core::account::AccountId;
use spawn_core::ids::ClientToken;
use spawn_core::ledger::{Key, Ledger, LedgerError, Page, Row, Write};
use spawn_core::ports::{
    Clock, CloudInstance, Ec2Error, InAccounts, LaunchInstances, LaunchRequest, Launched, Template,
};
use spawn_core::region::Region;

use crate::cloud::Cloud;
use crate::world::World;

/// How a call passes its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pass {
    /// It takes effect and is answered.
    Through,
    /// It takes effect, and its answer is lost.
    AnswerLost,
    /// It has no effect: the ledger is busy, EC2 throttles.
    TurnedAway,
    /// It has no effect: EC2 has no capacity. Only for launches.
    NoCapacity,
}

/// What kind of call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Read,
    Write,
    Ec2,
    Launch,
    Sleep(u64),
}

#[derive(Debug)]
struct Waiting {
    kind: Kind,
    pass: Option<Pass>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    next: u32,
    waiting: BTreeMap<u32, Waiting>,
    /// The hash of all that the process has seen: it is what it will do.
    seen: u64,
}

/// The gates of one process.
#[derive(Clone, Debug)]
pub(super) struct Gates {
    world: Arc<World>,
    account: Option<AccountId>,
    state: Arc<Mutex<State>>,
}

impl Gates {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            account: None,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls that wait.
    pub(super) fn waiting(&self) -> Vec<(u32, Kind)> {
        let state = self.state();
        let waiting = state.waiting.iter();
        waiting.map(|(call, one)| (*call, one.kind)).collect()
    }

    /// The hash of what the process has seen.
    pub(super) fn seen(&self) -> u64 {
        self.state().seen
    }

    /// Lets a call pass.
    pub(super) fn open(&self, call: u32, pass: Pass) {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(&call) {
            waiting.pass = Some(pass);
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    async fn wait(&self, kind: Kind) -> Pass {
        let call = {
            let mut state = self.state();
            let call = state.next;
            state.next += 1;
            let waiting = Waiting {
                kind,
                pass: None,
                waker: None,
            };
            state.waiting.insert(call, waiting);
            call
        };
        poll_fn(|context| {
            let mut state = self.state();
            let Some(waiting) = state.waiting.get_mut(&call) else {
                return Poll::Pending;
            };
            match waiting.pass {
                Some(pass) => {
                    state.waiting.remove(&call);
                    Poll::Ready(pass)
                }
                None => {
                    waiting.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Notes what the process sees.
    fn see<T: Debug>(&self, answer: T) -> T {
        let mut state = self.state();
        let mut hash = DefaultHasher::new();
        state.seen.hash(&mut hash);
        format!("{answer:?}").hash(&mut hash);
        state.seen = hash.finish();
        drop(state);
        answer
    }

    /// A call to the ledger.
    async fn ledger<T: Debug>(
        &self,
        kind: Kind,
        effect: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let answer = match self.wait(kind).await {
            Pass::Through => effect.await,
            Pass::AnswerLost => {
                // Whatever it was.
                drop(effect.await);
                Err(LedgerError::Unavailable("the answer is lost".to_owned()))
            }
            Pass::TurnedAway | Pass::NoCapacity => Err(LedgerError::Busy("busy".to_owned())),
        };
        self.see(answer)
    }

    /// A call to EC2.
    async fn ec2<T: Debug>(
        &self,
        kind: Kind,
        effect: impl Future<Output = Result<T, Ec2Error>>,
    ) -> Result<T, Ec2Error> {
        let answer = match self.wait(kind).await {
            Pass::Through => effect.await,
            Pass::AnswerLost => {
                drop(effect.await);
                Err(Ec2Error::Transient("the answer is lost".to_owned()))
            }
            Pass::TurnedAway => Err(Ec2Error::Throttled("RequestLimitExceeded".to_owned())),
            Pass::NoCapacity => Err(Ec2Error::NoCapacity(
                "InsufficientInstanceCapacity".to_owned(),
            )),
        };
        self.see(answer)
    }

    fn cloud(&self) -> Cloud {
        self.world.cloud.of(self.account)
    }
}

impl Ledger for Gates {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        self.ledger(Kind::Read, self.world.ledger.get(keys)).await
    }

    async fn query(&self, pk: &str, prefix: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        self.ledger(Kind::Read, self.world.ledger.query(pk, prefix, from))
            .await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        self.ledger(Kind::Write, self.world.ledger.commit(writes))
            .await
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        self.ledger(Kind::Write, self.world.ledger.put_all(rows))
            .await
    }

    async fn sweeps_by_status(&self, status: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        self.ledger(Kind::Read, self.world.ledger.sweeps_by_status(status, from))
            .await
    }
}

impl InAccounts for Gates {
    fn of(&self, account: Option<AccountId>) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }
}

impl LaunchInstances for Gates {
    async fn ensure_template(&self, region: &Region, template: &Template) -> Result<(), Ec2Error> {
        let cloud = self.cloud();
        self.ec2(Kind::Ec2, cloud.ensure_template(region, template))
            .await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, Ec2Error> {
        let cloud = self.cloud();
        self.ec2(Kind::Launch, cloud.launch(request)).await
    }

    async fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let cloud = self.cloud();
        self.ec2(Kind::Ec2, cloud.launched_by(region, token)).await
    }
}

impl Clock for Gates {
    fn now_ms(&self) -> u64 {
        self.see(self.world.clock.now_ms())
    }

    async fn sleep_ms(&self, ms: u64) {
        let until = self.world.clock.now_ms() + ms;
        self.wait(Kind::Sleep(until)).await;
        self.world.clock.set(until);
    }
}
