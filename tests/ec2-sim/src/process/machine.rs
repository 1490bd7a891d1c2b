//! One instance's process from boot to end.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::world::Boot;

use super::Host;
use super::boot::{console_line, prepare};
use super::reaper::{Mark, signal_group};

/// What a machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Terminate,
    Kill,
    Freeze,
    Thaw,
}

/// Runs an instance: waits for a slot, boots, obeys commands, and leaves nothing behind.
pub(super) async fn run_machine(
    host: Arc<Host>,
    boot: Boot,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let Some(slot) = wait_for_slot(&host, &mut commands).await else {
        return;
    };
    let id = boot.instance_id.clone();
    let dir = host.work_dir.join(&id);
    let mut meter = None;
    let child = match prepare(&host, &boot) {
        Ok(Some((mut command, of_instance))) => match command.spawn() {
            Ok(child) => {
                meter = of_instance;
                Some(child)
            }
            Err(error) => {
                console_line(
                    &dir,
                    &format!("ec2-sim: user data could not be started: {error}"),
                );
                None
            }
        },
        Ok(None) => None,
        Err(error) => {
            console_line(
                &dir,
                &format!("ec2-sim: the instance could not be prepared: {error}"),
            );
            None
        }
    };
    let group = child
        .as_ref()
        .and_then(Child::id)
        .and_then(|id| i32::try_from(id).ok());
    if let Some(group) = group {
        host.add_group(&id, group);
    }
    let metered = meter
        .zip(group)
        .map(|(meter, group)| tokio::spawn(meter.run(group)));
    supervise(&host, &id, child, group, slot, &mut commands).await;
    if let Some(metered) = metered {
        metered.abort();
    }
    // Strays that left the group, as `timeout` and `setsid` make them, still carry the instance in their environment.
    let mark = Mark::instance(&host.run, &id);
    if tokio::task::spawn_blocking(move || mark.kill())
        .await
        .is_err()
    {
        console_line(&dir, "ec2-sim: the search for stray processes failed");
    }
    host.remove_group(&id);
}

/// A free slot, or None when the instance ended before it got one. A queued instance has nothing to freeze.
async fn wait_for_slot(
    host: &Host,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Option<OwnedSemaphorePermit> {
    let acquire = Arc::clone(&host.slots).acquire_owned();
    tokio::pin!(acquire);
    loop {
        tokio::select! {
            slot = &mut acquire => return slot.ok(),
            command = commands.recv() => {
                if matches!(command, None | Some(Command::Kill | Command::Terminate)) {
                    return None;
                }
            }
        }
    }
}

/// Obeys commands until the instance is to be killed. The slot is given back when the process has ended by itself: such an
/// instance is running, as in EC2, but needs no share of this machine any more.
async fn supervise(
    host: &Host,
    id: &str,
    mut child: Option<Child>,
    group: Option<i32>,
    slot: OwnedSemaphorePermit,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) {
    let mut slot = Some(slot);
    if child.is_none() {
        slot = None;
    }
    loop {
        let exited = async {
            match child.as_mut() {
                Some(child) => child.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = exited => {
                let words = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                console_line(&host.work_dir.join(id), &format!("ec2-sim: user data ended, {words}"));
                child = None;
                slot = None;
            }
            command = commands.recv() => {
                // Once the leader has been waited for, its number may belong to another process: then only strays are
                // looked for, by their environment.
                let signal = match command {
                    Some(Command::Terminate) => Signal::TERM,
                    Some(Command::Freeze) => Signal::STOP,
                    Some(Command::Thaw) => Signal::CONT,
                    Some(Command::Kill) | None => Signal::KILL,
                };
                match (child.is_some(), group) {
                    (true, Some(group)) => signal_group(group, signal),
                    _ => Mark::instance(&host.run, id).signal(signal),
                }
                if signal == Signal::KILL {
                    console_line(&host.work_dir.join(id), "ec2-sim: all processes of the instance were ended");
                    break;
                }
            }
        }
    }
    if let Some(mut child) = child {
        // It was killed: this only collects it.
        let _status = child.wait().await;
    }
    drop(slot);
}
