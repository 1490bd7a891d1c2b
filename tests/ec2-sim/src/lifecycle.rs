//! How instances move through their states, and the events that tell of it.
//!
//! Source: "Amazon EC2 instance state changes", EC2 user guide; "Spot Instance interruption notices" and "EC2 instance
//! rebalance recommendations" for the two warnings.

use crate::events::Event;
use crate::faults::FaultKind;
use crate::model::{Cause, Change, ShutdownBehavior, SpotNotice, State};
use crate::world::{Boot, Effect, Timer, World};

/// Notice before a spot instance is reclaimed, in seconds.
pub(crate) const SPOT_NOTICE_S: u64 = 120;

impl World {
    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        while let Some((at_ms, timer)) = self.pop_due(now_ms) {
            match timer {
                Timer::Progress { seq, epoch } => self.progress(seq, epoch, at_ms),
                Timer::Shutdown {
                    seq,
                    shutdown_epoch,
                } => {
                    if self.instances.get(&seq).is_some_and(|one| {
                        one.shutdown_epoch == shutdown_epoch && one.shutdown_at_ms.is_some()
                    }) {
                        self.shut_down_from_inside(seq, at_ms);
                    }
                }
                Timer::Reclaim { seq } => self.reclaim(seq, at_ms),
                Timer::Forget { seq } => self.remove(seq),
                Timer::Send(event) => self.effect(Effect::Send(event)),
            }
        }
    }

    /// Puts an instance into a state, with all that follows of it.
    pub(crate) fn change(
        &mut self,
        seq: u64,
        state: State,
        cause: Cause,
        caused_ms: u64,
        now_ms: u64,
    ) {
        let timing = self.timing.clone();
        let Some(instance) = self.instances.get_mut(&seq) else {
            return;
        };
        let from = instance.last().map(|change| change.state);
        instance.epoch += 1;
        let epoch = instance.epoch;
        instance.history.push(Change {
            state,
            at_ms: now_ms,
            cause,
            caused_ms,
        });
        let instance_id = instance.id.clone();
        let place = instance.place.clone();
        let was_hibernated = instance.hibernated;
        let first_boot = instance
            .history
            .iter()
            .filter(|change| change.state == State::Running)
            .count()
            == 1;
        let hibernates = cause == Cause::UserHibernated;
        match state {
            State::Pending => instance.launched_ms = now_ms,
            State::Running => instance.hibernated = false,
            State::Stopping if hibernates => instance.hibernated = true,
            State::Stopping | State::ShuttingDown => {
                instance.shutdown_at_ms = None;
                instance.hibernated = false;
            }
            State::Stopped | State::Terminated => instance.notice = None,
        }
        let boot = Boot {
            instance_id: instance_id.clone(),
            arn: instance.arn(),
            region: place.region.name.to_owned(),
            instance_type: instance.spec.instance_type,
            user_data: instance.spec.user_data.clone(),
        };
        let arn = instance.arn();
        if let Some(instance) = self.instances.get(&seq) {
            self.peaks.step(instance, from, state);
        }
        match state {
            State::Pending => {
                self.set_timer(now_ms + timing.pending_ms, Timer::Progress { seq, epoch })
            }
            State::Running if first_boot => self.effect(Effect::Boot(boot)),
            State::Running if was_hibernated => self.effect(Effect::Thaw {
                instance_id: instance_id.clone(),
            }),
            // User data runs at the first boot only ("Run commands when you launch an EC2 instance with user data input").
            State::Running => {}
            State::Stopping | State::ShuttingDown => {
                self.effect(if state == State::Stopping && hibernates {
                    Effect::Freeze {
                        instance_id: instance_id.clone(),
                    }
                } else {
                    Effect::Stop {
                        instance_id: instance_id.clone(),
                    }
                });
                self.set_timer(now_ms + timing.shutdown_ms, Timer::Progress { seq, epoch });
            }
            State::Stopped if !hibernates => self.effect(Effect::Kill {
                instance_id: instance_id.clone(),
            }),
            State::Stopped => {}
            State::Terminated => {
                self.effect(Effect::Kill {
                    instance_id: instance_id.clone(),
                });
                self.set_timer(
                    now_ms + timing.terminated_visible_s * 1000,
                    Timer::Forget { seq },
                );
            }
        }
        self.emit(
            &place,
            Event::state_change(
                &self.settings.event_source,
                &arn,
                &instance_id,
                state.as_str(),
                now_ms,
            ),
        );
    }

    /// The state after the one an instance passes through.
    fn progress(&mut self, seq: u64, epoch: u64, now_ms: u64) {
        let Some(instance) = self
            .instances
            .get(&seq)
            .filter(|instance| instance.epoch == epoch)
        else {
            return;
        };
        let Some(last) = instance.last().cloned() else {
            return;
        };
        match last.state {
            State::Pending => self.change(seq, State::Running, Cause::Progress, now_ms, now_ms),
            State::ShuttingDown => {
                self.change(seq, State::Terminated, last.cause, last.caused_ms, now_ms)
            }
            State::Stopping => self.change(seq, State::Stopped, last.cause, last.caused_ms, now_ms),
            State::Running | State::Stopped | State::Terminated => {}
        }
    }

    /// Ends an instance; one that has ended stays as it is ("Terminating an instance again succeeds", API TerminateInstances).
    pub(crate) fn terminate(&mut self, seq: u64, cause: Cause, now_ms: u64) {
        if self
            .instances
            .get(&seq)
            .is_some_and(|instance| !instance.state().is_ended())
        {
            self.change(seq, State::ShuttingDown, cause, now_ms, now_ms);
        }
    }

    /// Stops a running instance.
    pub(crate) fn stop(&mut self, seq: u64, cause: Cause, now_ms: u64) {
        if self
            .instances
            .get(&seq)
            .is_some_and(|instance| instance.state() == State::Running)
        {
            self.change(seq, State::Stopping, cause, now_ms, now_ms);
        }
    }

    /// Starts a stopped instance.
    pub(crate) fn start(&mut self, seq: u64, now_ms: u64) {
        if self
            .instances
            .get(&seq)
            .is_some_and(|instance| instance.state() == State::Stopped)
        {
            self.change(seq, State::Pending, Cause::UserStarted, now_ms, now_ms);
        }
    }

    /// The operating system powers off: the shutdown behaviour decides. A one-time spot request cannot be stopped, so
    /// its instance is terminated.
    pub(crate) fn shut_down_from_inside(&mut self, seq: u64, now_ms: u64) {
        let Some(instance) = self.instances.get(&seq) else {
            return;
        };
        if instance.state() != State::Running {
            return;
        }
        match instance.shutdown_behavior {
            ShutdownBehavior::Stop if !instance.spec.market.is_one_time_spot() => {
                self.stop(seq, Cause::InstanceShutdown, now_ms);
            }
            ShutdownBehavior::Stop | ShutdownBehavior::Terminate => {
                self.terminate(seq, Cause::InstanceShutdown, now_ms);
            }
        }
    }

    /// Sets the boot timer inside an instance, replacing an earlier one; returns when it will go off.
    pub(crate) fn schedule_shutdown(&mut self, seq: u64, minutes: u64, now_ms: u64) -> Option<u64> {
        let at_ms = now_ms + minutes * 60_000 / u64::from(self.timing.time_scale);
        let instance = self.instances.get_mut(&seq)?;
        instance.shutdown_epoch += 1;
        instance.shutdown_at_ms = Some(at_ms);
        let shutdown_epoch = instance.shutdown_epoch;
        self.set_timer(
            at_ms,
            Timer::Shutdown {
                seq,
                shutdown_epoch,
            },
        );
        Some(at_ms)
    }

    /// Cancels the boot timer.
    pub(crate) fn cancel_shutdown(&mut self, seq: u64) {
        if let Some(instance) = self.instances.get_mut(&seq) {
            instance.shutdown_epoch += 1;
            instance.shutdown_at_ms = None;
        }
    }

    /// Announces that a spot instance will be reclaimed after a notice; returns when.
    pub(crate) fn interrupt(&mut self, seq: u64, notice_s: u64, now_ms: u64) -> Option<u64> {
        let at_ms = now_ms + notice_s * 1000 / u64::from(self.timing.time_scale);
        let instance = self.instances.get_mut(&seq)?;
        let crate::model::Market::Spot { kind, .. } = instance.spec.market else {
            return None;
        };
        let action = kind.interruption_action();
        instance.notice = Some(SpotNotice { action, at_ms });
        let (place, arn, id) = (instance.place.clone(), instance.arn(), instance.id.clone());
        // Hibernation begins at once: its notice comes when it starts ("Spot Instance interruption notices").
        let due_ms = if action == "hibernate" { now_ms } else { at_ms };
        self.set_timer(due_ms, Timer::Reclaim { seq });
        self.emit(
            &place,
            Event::spot_warning(&self.settings.event_source, &arn, &id, action, now_ms),
        );
        Some(due_ms)
    }

    fn reclaim(&mut self, seq: u64, now_ms: u64) {
        let Some(action) = self
            .instances
            .get(&seq)
            .and_then(|one| one.notice.as_ref())
            .map(|notice| notice.action)
        else {
            return;
        };
        match action {
            "stop" => self.stop(seq, Cause::SpotReclaimed, now_ms),
            "hibernate" => self.stop(seq, Cause::UserHibernated, now_ms),
            _ => self.terminate(seq, Cause::SpotReclaimed, now_ms),
        }
    }

    /// An instance's status checks fail from `since_ms` on. EC2 sends no event of that.
    pub(crate) fn impair(&mut self, seq: u64, since_ms: u64) {
        if let Some(instance) = self.instances.get_mut(&seq) {
            instance.impaired_ms = Some(since_ms);
        }
    }

    /// Sends a rebalance recommendation.
    pub(crate) fn recommend_rebalance(&mut self, seq: u64, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&seq) else {
            return;
        };
        instance.rebalance_ms = Some(now_ms);
        let (place, arn, id) = (instance.place.clone(), instance.arn(), instance.id.clone());
        self.emit(
            &place,
            Event::rebalance(&self.settings.event_source, &arn, &id, now_ms),
        );
    }

    /// Sends an event, unless a fault loses, doubles or delays it: all EC2 events are best effort ("Automate Amazon EC2
    /// using EventBridge", EC2 user guide).
    fn emit(&mut self, place: &crate::model::Place, event: Event) {
        let state = event
            .detail
            .get("state")
            .and_then(|state| state.as_str())
            .unwrap_or_default()
            .to_owned();
        let mut strikes = |kind| {
            self.faults
                .strike_event(kind, place, event.detail_type, &state, &mut self.random)
        };
        if strikes(FaultKind::LostEvent).is_some() {
            return;
        }
        let copies = if strikes(FaultKind::DuplicateEvent).is_some() {
            2
        } else {
            1
        };
        let late = strikes(FaultKind::LateEvent);
        for _ in 0..copies {
            match &late {
                Some(fault) => {
                    self.set_timer(
                        event.time_ms + fault.ms.unwrap_or(1_000),
                        Timer::Send(event.clone()),
                    );
                }
                None => self.effect(Effect::Send(event.clone())),
            }
        }
    }
}
