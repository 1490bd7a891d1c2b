//! The running simulator: the world behind a lock, its clock, its server, and the hands that carry out its effects.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::clock::now_ms;
use crate::config::{Mode, Settings};
use crate::events::{Event, send_events};
use crate::gateway::Gateway;
use crate::hollow::{Hollow, HollowMembers};
use crate::process::Processes;
use crate::server;
use crate::world::{Effect, World};

/// Why a simulator did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The work directory or the guard of processes cannot be made.
    #[error("cannot prepare the processes of instances")]
    Processes(#[source] std::io::Error),
    /// Hollow mode reports through the gateway.
    #[error("hollow mode needs a gateway")]
    HollowWithoutGateway,
}

/// The world with its surroundings, shared by all tasks.
#[derive(Debug)]
pub(crate) struct Sim {
    world: Mutex<World>,
    effects: mpsc::UnboundedSender<Effect>,
    sooner: Notify,
}

impl Sim {
    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic inside a call leaves the world usable: better a test that goes on than a server that answers nothing.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes the world as it is now. Effects leave in the order in which they came about.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World, u64) -> R) -> R {
        let mut world = self.lock();
        let due_before = world.next_due_ms();
        let now_ms = now_ms();
        world.advance(now_ms);
        let result = act(&mut world, now_ms);
        for effect in world.take_effects() {
            // Fails only when the simulator is stopping, and then nothing is to be done any more.
            let _stopping = self.effects.send(effect);
        }
        let due_after = world.next_due_ms();
        drop(world);
        if due_after.is_some_and(|after| due_before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
        result
    }

    /// Lets things happen when they are due.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let wait_ms = self
                .with(|world, now_ms| world.next_due_ms().map(|due| due.saturating_sub(now_ms)));
            match wait_ms {
                Some(ms) => {
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(ms.max(1))) => {}
                        () = self.sooner.notified() => {}
                    }
                }
                None => self.sooner.notified().await,
            }
        }
    }
}

/// What plays the part of the instances.
#[derive(Debug)]
enum Machines {
    Idle,
    Process(Arc<Processes>),
    Hollow(HollowMembers),
}

/// Carries out effects in order.
async fn carry_out(
    mut effects: mpsc::UnboundedReceiver<Effect>,
    events: Option<mpsc::UnboundedSender<Event>>,
    machines: Machines,
) {
    while let Some(effect) = effects.recv().await {
        match (effect, &machines) {
            (Effect::Send(event), _) => {
                if let Some(events) = &events {
                    // The sender lives as long as the simulator.
                    let _stopping = events.send(event);
                }
            }
            (_, Machines::Idle) => {}
            (Effect::Boot(boot), Machines::Process(processes)) => processes.boot(boot),
            (Effect::Stop { instance_id }, Machines::Process(processes)) => {
                processes.stop(&instance_id)
            }
            (Effect::Kill { instance_id }, Machines::Process(processes)) => {
                processes.kill(&instance_id)
            }
            (Effect::Freeze { instance_id }, Machines::Process(processes)) => {
                processes.freeze(&instance_id)
            }
            (Effect::Thaw { instance_id }, Machines::Process(processes)) => {
                processes.thaw(&instance_id)
            }
            (Effect::Boot(boot), Machines::Hollow(members)) => members.add(boot),
            (
                Effect::Stop { instance_id } | Effect::Kill { instance_id },
                Machines::Hollow(members),
            ) => {
                members.remove(&instance_id);
            }
            (Effect::Freeze { .. } | Effect::Thaw { .. }, Machines::Hollow(_)) => {}
        }
    }
}

/// A simulator that serves until it is stopped or dropped; either way no process of an instance stays.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    tasks: JoinSet<()>,
    processes: Option<Arc<Processes>>,
}

impl Simulator {
    /// Starts a simulator on 127.0.0.1.
    pub async fn start(mut settings: Settings) -> Result<Self, StartError> {
        let address = SocketAddr::from(([127, 0, 0, 1], settings.port));
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let processes = match settings.mode {
            Mode::Process => {
                std::fs::create_dir_all(&settings.work_dir).map_err(StartError::Processes)?;
                settings.work_dir = settings
                    .work_dir
                    .canonicalize()
                    .map_err(StartError::Processes)?;
                Some(Arc::new(
                    Processes::new(&settings, &url).map_err(StartError::Processes)?,
                ))
            }
            Mode::Hollow | Mode::Idle => None,
        };
        let gateway = settings
            .gateway
            .as_ref()
            .map(|url| Arc::new(Gateway::new(url, &settings.home_region)));
        let mut tasks = JoinSet::new();
        let events = gateway.clone().map(|gateway| {
            let (events, queue) = mpsc::unbounded_channel();
            tasks.spawn(send_events(gateway, queue));
            events
        });
        let (effects, effects_queue) = mpsc::unbounded_channel();
        let seed = settings.seed.unwrap_or_else(now_ms);
        let sim = Arc::new(Sim {
            world: Mutex::new(World::new(settings.clone(), seed)),
            effects,
            sooner: Notify::new(),
        });
        let machines = match (&processes, settings.mode, gateway) {
            (Some(processes), ..) => Machines::Process(Arc::clone(processes)),
            (None, Mode::Hollow, Some(gateway)) => {
                let (members, hollow) = Hollow::new(&settings, gateway, Arc::clone(&sim));
                tasks.spawn(hollow.run());
                Machines::Hollow(members)
            }
            (None, Mode::Hollow, None) => return Err(StartError::HollowWithoutGateway),
            (None, ..) => Machines::Idle,
        };
        tasks.spawn(carry_out(effects_queue, events, machines));
        tasks.spawn(Arc::clone(&sim).keep_time());
        tasks.spawn(server::serve(listener, sim));
        Ok(Self {
            url,
            tasks,
            processes,
        })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops serving and ends all processes of instances.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Some(processes) = &self.processes {
            processes.end_all().await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(processes) = &self.processes {
            processes.kill_all_now();
        }
    }
}
