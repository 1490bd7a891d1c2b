//! A world with its launchers, at one moment.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use launch_batch::{Input, Next, Output, Ports, handle};
use spawn_core::errors::FunctionError;
use spawn_core::limits::Sizes;
use spawn_core::metrics::Measured;
use spawn_core::ports::{Clock as _, InstanceState};

use super::gate::{Gates, Kind, Pass};
use super::search::Bounds;
use crate::world::{World, lane, sweep};

const LANE: &str = "us-east-1.on-demand";

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Choice {
    /// A call of a process passes.
    Pass(usize, u32, Pass),
    /// A process dies.
    Die(usize),
    /// The first instance that lives is terminated.
    Terminate,
}

impl Choice {
    /// Whether it is a fault: a run has only so many.
    pub(super) fn is_fault(self) -> bool {
        !matches!(self, Self::Pass(_, _, Pass::Through))
    }
}

type Process = Pin<Box<dyn Future<Output = Result<Output, FunctionError>>>>;

/// A world with its launchers.
pub(super) struct Running {
    world: Arc<World>,
    gates: Vec<Gates>,
    processes: Vec<Option<Process>>,
    faults_left: u32,
    /// The process that went on last, and how often one may still be stopped in favour of another.
    last: usize,
    switches_left: u32,
}

fn start(world: &Arc<World>, random: u64) -> (Gates, Process) {
    let gates = Gates::new(world);
    let world = Arc::clone(world);
    let own = gates.clone();
    let process = Box::pin(async move {
        let ports = Ports {
            ledger: &own,
            ec2: &own,
            clock: &own,
            home: &world.home,
            limits: Sizes::default(),
            publish: &|_: &Measured, _| {},
        };
        let input = Input {
            sweep_id: world.sweep_id.clone(),
            lane: lane(LANE),
            execution_arn: None,
        };
        handle(input, &ports, random).await
    });
    (gates, process)
}

impl Running {
    /// The world at the start.
    pub(super) fn new(bounds: Bounds) -> Self {
        let sweep = sweep(bounds.members, &[LANE], bounds.max_concurrent);
        let world = Arc::new(now_or_never(World::new(&sweep)));
        world.clock.set(1_000);
        let (gates, processes): (Vec<_>, Vec<_>) = (0..bounds.launchers)
            .map(|number| start(&world, u64::from(number)))
            .unzip();
        let mut running = Self {
            world,
            gates,
            processes: processes.into_iter().map(Some).collect(),
            faults_left: bounds.faults,
            last: 0,
            switches_left: bounds.switches,
        };
        for process in 0..running.processes.len() {
            running.poll(process);
        }
        running
    }

    /// Lets a process go on until it waits at its gates, or has ended.
    fn poll(&mut self, number: usize) {
        let mut context = Context::from_waker(Waker::noop());
        if let Some(process) = &mut self.processes[number]
            && process.as_mut().poll(&mut context).is_ready()
        {
            self.processes[number] = None;
        }
    }

    /// All that may happen next, what is usual first. Nothing when no process is left.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let mut faults = Vec::new();
        let mut sleeps = Vec::new();
        let may_go_on = self.may_go_on(self.last);
        for (number, gates) in self.gates.iter().enumerate() {
            if self.processes[number].is_none() {
                continue;
            }
            if may_go_on && number != self.last && self.switches_left == 0 {
                continue;
            }
            faults.push(Choice::Die(number));
            for (call, kind) in gates.waiting() {
                let through = Choice::Pass(number, call, Pass::Through);
                match kind {
                    Kind::Sleep(until) => {
                        sleeps.push((until, through));
                        continue;
                    }
                    Kind::Read => {}
                    Kind::Write => faults.extend([
                        Choice::Pass(number, call, Pass::AnswerLost),
                        Choice::Pass(number, call, Pass::TurnedAway),
                    ]),
                    Kind::Ec2 => faults.push(Choice::Pass(number, call, Pass::TurnedAway)),
                    Kind::Launch => faults.extend([
                        Choice::Pass(number, call, Pass::AnswerLost),
                        Choice::Pass(number, call, Pass::TurnedAway),
                        Choice::Pass(number, call, Pass::NoCapacity),
                    ]),
                }
                choices.push(through);
            }
        }
        // Sleepers wake in their order; one that wakes while another stands still is a choice like any other.
        sleeps.sort();
        choices.extend(sleeps.first().map(|(_, wake)| *wake));
        if choices.is_empty() {
            return choices;
        }
        if self.faults_left > 0 {
            choices.extend(faults);
            let mut instances = self.world.cloud.instances().into_iter();
            if instances.any(|instance| !instance.state.is_ending()) {
                choices.push(Choice::Terminate);
            }
        }
        choices
    }

    /// Whether a process lives, and does not only sleep.
    fn may_go_on(&self, process: usize) -> bool {
        let awake = |(_, kind): &(u32, Kind)| !matches!(kind, Kind::Sleep(_));
        self.processes[process].is_some() && self.gates[process].waiting().iter().any(awake)
    }

    /// Does one of [`Running::choices`].
    pub(super) fn take(&mut self, choice: Choice) {
        if choice.is_fault() {
            self.faults_left -= 1;
        }
        if let Choice::Pass(process, ..) = choice
            && process != self.last
        {
            if self.may_go_on(self.last) {
                self.switches_left -= 1;
            }
            self.last = process;
        }
        match choice {
            Choice::Pass(process, call, pass) => {
                self.gates[process].open(call, pass);
                self.poll(process);
            }
            Choice::Die(process) => self.processes[process] = None,
            Choice::Terminate => {
                let instances = self.world.cloud.instances();
                if let Some(first) = instances.iter().find(|one| !one.state.is_ending()) {
                    self.world
                        .cloud
                        .put(&first.arn, InstanceState::Terminated, None);
                }
            }
        }
    }

    /// The state as a number: the same number is the same future.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for row in self.world.ledger.dump() {
            row.key.hash(&mut hash);
            format!("{:?}", row.attributes).hash(&mut hash);
        }
        // Templates are in the lane's row once they are made; making one twice changes nothing.
        format!("{:?}", self.world.cloud.launches()).hash(&mut hash);
        format!("{:?}", self.world.cloud.instances()).hash(&mut hash);
        self.world.clock.now_ms().hash(&mut hash);
        (self.faults_left, self.last, self.switches_left).hash(&mut hash);
        for (gates, process) in self.gates.iter().zip(&self.processes) {
            process.is_some().hash(&mut hash);
            if process.is_some() {
                gates.seen().hash(&mut hash);
                gates.waiting().hash(&mut hash);
            }
        }
        hash.finish()
    }

    /// What must hold at every moment.
    pub(super) fn violations_now(&self, bounds: Bounds) -> Vec<String> {
        let instances = self.world.cloud.instances();
        let living = instances
            .iter()
            .filter(|one| !one.state.is_ending())
            .count();
        let most = bounds.max_concurrent.unwrap_or(bounds.members);
        if living > usize::try_from(most).unwrap_or(usize::MAX) {
            return vec![format!("{living} instances live, {most} may")];
        }
        Vec::new()
    }

    /// Brings the lane to its end by a launcher that nothing happens to; answers what is wrong with the world then.
    pub(super) fn violations_at_the_end(self) -> Vec<String> {
        let world = self.world;
        for turn in 0..200 {
            let (gates, mut process) = start(&world, 1_000 + turn);
            let mut context = Context::from_waker(Waker::noop());
            let output = loop {
                match process.as_mut().poll(&mut context) {
                    Poll::Ready(Ok(output)) => break output,
                    Poll::Ready(Err(error)) => return vec![format!("the last launcher: {error}")],
                    Poll::Pending => {}
                }
                for (call, _) in gates.waiting() {
                    gates.open(call, Pass::Through);
                }
            };
            let later = world.clock.now_ms() + 100 + output.wait_s * 1_000;
            world.clock.set(later);
            if matches!(output.next, Next::Done | Next::Slot) {
                return now_or_never(world.violations());
            }
        }
        vec!["the lane did not come to its end".to_owned()]
    }
}

/// The value of a future that waits for nothing.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the world in memory does not wait"),
    }
}
