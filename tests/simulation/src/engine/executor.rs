//! Tasks, timers and chance.
//!
//! Everything runs on one thread. When several tasks could go on, chance chooses; when none can, time jumps to the next
//! timer. So the order of what happens follows from the seed, and an hour of waiting costs nothing.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::Ms;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type TaskId = u64;

thread_local! {
    /// Tasks that were spawned and not yet taken over by the executor of this thread. Handlers' futures need not be `Send`,
    /// so they cannot lie in the shared state.
    static SPAWNED: RefCell<Vec<(TaskId, Task)>> = const { RefCell::new(Vec::new()) };
}

/// What a timer does when its time has come.
enum Action {
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
}

struct Timer {
    at: Ms,
    /// Timers of the same moment go off in the order in which they were set.
    number: u64,
    action: Action,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

struct Core {
    now: Ms,
    random: fastrand::Rng,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_set: u64,
    tasks_spawned: TaskId,
    ready: Vec<TaskId>,
    aborted: Vec<TaskId>,
    hash: u64,
    trace: Vec<String>,
}

/// The clock, the dice and the timers, shared by all that happens in a run.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Core>>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// FNV-1a, 64 bits: its offset basis and its prime.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0100_0000_01b3);

impl Clock {
    /// A clock that shows `start`, with the dice of `seed`.
    pub(crate) fn new(start: Ms, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Core {
            now: start,
            random: fastrand::Rng::with_seed(seed),
            timers: BinaryHeap::new(),
            timers_set: 0,
            tasks_spawned: 0,
            ready: Vec::new(),
            aborted: Vec::new(),
            hash: FNV.0,
            trace: Vec::new(),
        })))
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present, in ms since 1970.
    #[must_use]
    pub fn now(&self) -> Ms {
        self.core().now
    }

    /// A number below `end` (0 when `end` is 0).
    pub(crate) fn below(&self, end: u64) -> u64 {
        if end == 0 {
            return 0;
        }
        self.core().random.u64(0..end)
    }

    /// A number from `range.0` to `range.1`.
    pub(crate) fn between(&self, range: (u64, u64)) -> u64 {
        range.0 + self.below(range.1.saturating_sub(range.0) + 1)
    }

    /// Whether an event of this many in 10,000 happens.
    pub(crate) fn happens(&self, in_ten_thousand: u32) -> bool {
        in_ten_thousand > 0 && self.below(10_000) < u64::from(in_ten_thousand)
    }

    /// Notes that something happened: in the hash of the run, and in its trace.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        let mut core = self.core();
        let line = format!("{:>10} {}", core.now % 1_000_000_000, what());
        for byte in line.bytes() {
            core.hash = (core.hash ^ u64::from(byte)).wrapping_mul(FNV.1);
        }
        core.trace.push(line);
    }

    /// The hash of all that happened so far.
    pub(crate) fn hash(&self) -> u64 {
        self.core().hash
    }

    /// The lines of the trace.
    pub(crate) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.core().trace)
    }

    /// Waits.
    pub(crate) fn sleep(&self, ms: Ms) -> Sleep {
        Sleep {
            clock: self.clone(),
            until: self.now() + ms,
            set: false,
        }
    }

    /// Calls `action` after so long.
    pub(crate) fn after(&self, ms: Ms, action: impl FnOnce() + Send + 'static) {
        let mut core = self.core();
        let at = core.now + ms;
        core.set(at, Action::Call(Box::new(action)));
    }

    /// Starts a task; the number aborts it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) -> u64 {
        let id = {
            let mut core = self.core();
            core.tasks_spawned += 1;
            let id = core.tasks_spawned;
            core.ready.push(id);
            id
        };
        SPAWNED.with_borrow_mut(|spawned| spawned.push((id, Box::pin(task))));
        id
    }

    /// Drops a task where it stands, as the death of a process does.
    pub(crate) fn abort(&self, task: u64) {
        self.core().aborted.push(task);
    }
}

impl Core {
    fn set(&mut self, at: Ms, action: Action) {
        self.timers_set += 1;
        let number = self.timers_set;
        self.timers.push(Reverse(Timer { at, number, action }));
    }
}

/// A wait of [`Clock::sleep`].
pub(crate) struct Sleep {
    clock: Clock,
    until: Ms,
    set: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let clock = self.clock.clone();
        let mut core = clock.core();
        if core.now >= until {
            return Poll::Ready(());
        }
        if !self.set {
            self.set = true;
            core.set(until, Action::Wake(context.waker().clone()));
        }
        Poll::Pending
    }
}

struct TaskWaker {
    task: TaskId,
    clock: Clock,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut core = self.clock.core();
        if !core.ready.contains(&self.task) {
            core.ready.push(self.task);
        }
    }
}

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What was waited for is there.
    Done,
    /// The time was over.
    TimeIsOver,
    /// Nobody can go on, and no timer is set.
    NothingToDo,
}

/// Runs tasks.
pub(crate) struct Simulator {
    clock: Clock,
    tasks: BTreeMap<TaskId, (Task, Waker)>,
}

impl Simulator {
    pub(crate) fn new(clock: &Clock) -> Self {
        // What an earlier run on this thread left is not ours.
        SPAWNED.with_borrow_mut(Vec::clear);
        Self {
            clock: clock.clone(),
            tasks: BTreeMap::new(),
        }
    }

    /// Runs until `done` says so, or until `end`.
    pub(crate) fn run(&mut self, end: Ms, mut done: impl FnMut() -> bool) -> Stop {
        loop {
            self.take_over();
            if done() {
                return Stop::Done;
            }
            if let Some(task) = self.next_ready() {
                self.poll(task);
            } else if let Some(stop) = self.advance(end) {
                return stop;
            }
        }
    }

    /// Takes over tasks that were spawned, and drops those that were aborted.
    fn take_over(&mut self) {
        let spawned = SPAWNED.with_borrow_mut(std::mem::take);
        for (id, task) in spawned {
            let waker = Waker::from(Arc::new(TaskWaker {
                task: id,
                clock: self.clock.clone(),
            }));
            self.tasks.insert(id, (task, waker));
        }
        let aborted = std::mem::take(&mut self.clock.core().aborted);
        for task in aborted {
            self.tasks.remove(&task);
        }
    }

    fn next_ready(&self) -> Option<TaskId> {
        let mut core = self.clock.core();
        let count = core.ready.len();
        if count == 0 {
            return None;
        }
        let index = core.random.usize(0..count);
        Some(core.ready.swap_remove(index))
    }

    fn poll(&mut self, id: TaskId) {
        let Some((task, waker)) = self.tasks.get_mut(&id) else {
            return;
        };
        let mut context = Context::from_waker(waker);
        if task.as_mut().poll(&mut context).is_ready() {
            self.tasks.remove(&id);
        }
    }

    /// Lets time jump to the next timer.
    fn advance(&self, end: Ms) -> Option<Stop> {
        let mut core = self.clock.core();
        let at = match core.timers.peek() {
            None => return Some(Stop::NothingToDo),
            Some(Reverse(timer)) if timer.at > end => {
                core.now = core.now.max(end);
                return Some(Stop::TimeIsOver);
            }
            Some(Reverse(timer)) => timer.at,
        };
        core.now = core.now.max(at);
        while core.timers.peek().is_some_and(|Reverse(t)| t.at <= at) {
            let Some(Reverse(timer)) = core.timers.pop() else {
                break;
            };
            drop(core);
            match timer.action {
                Action::Wake(waker) => waker.wake(),
                Action::Call(action) => action(),
            }
            core = self.clock.core();
        }
        None
    }
}

/// Timers hold what holds the clock, which holds the timers: without this no run would ever give its memory back.
impl Drop for Simulator {
    fn drop(&mut self) {
        let timers = std::mem::take(&mut self.clock.core().timers);
        // Not while the clock is held: what is dropped may ask for it.
        drop(timers);
        self.tasks.clear();
        SPAWNED.with_borrow_mut(Vec::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_over_leaves_nothing_in_memory() {
        let clock = Clock::new(0, 1);
        let mut simulator = Simulator::new(&clock);
        let inner = clock.clone();
        clock.spawn(async move { inner.sleep(500).await });
        let inner = clock.clone();
        clock.after(600, move || inner.note(String::new));
        assert_eq!(simulator.run(100, || false), Stop::TimeIsOver);
        assert!(Arc::strong_count(&clock.0) > 2);
        drop(simulator);
        assert_eq!(Arc::strong_count(&clock.0), 1);
    }

    #[test]
    fn time_jumps_and_tasks_go_on_in_an_order_that_the_seed_decides() {
        let order = |seed| {
            let clock = Clock::new(0, seed);
            let mut simulator = Simulator::new(&clock);
            for name in ["a", "b", "c", "d"] {
                let clock = clock.clone();
                clock.clone().spawn(async move {
                    clock.sleep(1_000).await;
                    clock.note(|| name.to_owned());
                });
            }
            assert_eq!(simulator.run(3_600_000, || false), Stop::NothingToDo);
            assert_eq!(clock.now(), 1_000);
            (clock.hash(), clock.take_trace())
        };
        assert_eq!(order(1), order(1));
        assert!((2..20).any(|seed| order(seed) != order(1)));
    }

    #[test]
    fn an_aborted_task_never_goes_on() {
        let clock = Clock::new(0, 1);
        let mut simulator = Simulator::new(&clock);
        let inner = clock.clone();
        let task = clock.spawn(async move {
            inner.sleep(10).await;
            panic!("it went on");
        });
        let outer = clock.clone();
        clock.after(5, move || outer.abort(task));
        assert_eq!(simulator.run(100, || false), Stop::NothingToDo);
    }
}
