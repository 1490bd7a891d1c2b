//! The boot runner's monitor: what it says of the machine's activity, and how the ledger's word reaches the kill switch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod machine;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use machine::{Machine, PATIENCE, now, seconds_from_now, shells};
use serde_json::Value;

/// Windows of a second: three, two of which must agree, and no grace. No GPU.
const QUICK: &str = "5 10 20 - 0 1 3 2 0";

/// A machine whose counters stand where they stood at boot, with large totals.
fn quiet(shell: &'static str, rules: &str) -> Machine {
    let machine = Machine::new(shell)
        .put("idle_rules", rules)
        .command("while [ ! -e go ]; do sleep 0.1; done");
    counters(&machine, 0);
    machine
}

/// Writes the kernel's counters, `work` above what they were at boot.
fn counters(machine: &Machine, work: u64) {
    let write = |name: &str, text: String| {
        let path = machine.home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    };
    // The idle ticks go on by themselves: a clock that stands still tells nothing.
    let ticks = now().as_millis();
    write(
        "fake/proc/stat",
        format!(
            "cpu  {} 0 5 {ticks} 7 0 0 0 0 0\ncpu0 1 1 1\n",
            900_000 + work
        ),
    );
    write("fake/proc/uptime", "100000.00 1.00\n".to_owned());
    write(
        "fake/proc/net/dev",
        format!(
            "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: {work}999 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
             \x20 eth0: 123456789{work:04} 1 0 0 0 0 0 0 9876543210 1 0 0 0 0 0 0\n"
        ),
    );
    write(
        "fake/sys/block/nvme0n1/stat",
        "5 0 123456789 1 5 0 987654321 1 0 1 1\n".to_owned(),
    );
}

/// What the machine has said of itself so far, change by change.
fn said(machine: &Machine) -> Vec<(String, u64, u64)> {
    let text = fs::read_to_string(machine.home.join("stub/beats")).unwrap_or_default();
    let number = |value: &Value| value["N"].as_str().unwrap().parse().unwrap();
    text.lines()
        .map(|line| {
            let values: Value = serde_json::from_str(line).unwrap();
            let activity = values[":activity"]["S"].as_str().unwrap().to_owned();
            (activity, number(&values[":since"]), number(&values[":at"]))
        })
        .collect()
}

fn until(machine: &Machine, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < PATIENCE,
            "{}: {what}, {:?}, {}",
            machine.shell,
            said(machine),
            fs::read_to_string(machine.home.join("stderr")).unwrap()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Lets the idle ticks go on while `holds` is waited for.
fn until_said(machine: &Machine, activity: &str, work: &mut dyn FnMut() -> u64) {
    until(machine, activity, || {
        counters(machine, work());
        said(machine).last().is_some_and(|last| last.0 == activity)
    });
}

#[test]
fn large_totals_since_boot_are_not_work_and_changes_are_reported_once() {
    for shell in shells() {
        let mut machine = quiet(shell, QUICK);
        machine.assign();
        machine.boot();
        until_said(&machine, "idle", &mut || 0);
        let first = said(&machine);
        let told: Vec<&str> = first.iter().map(|beat| beat.0.as_str()).collect();
        assert_eq!(told, ["busy", "idle"], "{shell}");
        // Idle since the first of the windows that agree, not since the last.
        assert!(first[1].1 < first[1].2, "{first:?}");
        let mut work = 0;
        until_said(&machine, "busy", &mut || {
            work += 5_000;
            work
        });
        assert_eq!(said(&machine).len(), 3, "{shell}");
        fs::write(machine.home.join("var/lib/spawn/work").join("go"), "").unwrap();
        machine.wait();
    }
}

#[test]
fn a_missing_reading_is_unknown_and_never_idle() {
    for shell in shells() {
        // A GPU type without nvidia-smi, and a machine without disks that can be read.
        for (rules, without_disk) in [("5 10 20 5 0 1 3 2 0", false), (QUICK, true)] {
            let mut machine = quiet(shell, rules);
            if without_disk {
                fs::remove_dir_all(machine.home.join("fake/sys/block")).unwrap();
            }
            machine.assign();
            machine.boot();
            let disks = machine.home.join("fake/sys/block");
            until(&machine, "unknown", || {
                counters(&machine, 0);
                if without_disk {
                    fs::remove_dir_all(&disks).unwrap();
                }
                said(&machine)
                    .last()
                    .is_some_and(|last| last.0 == "unknown")
            });
            assert!(
                said(&machine).iter().all(|beat| beat.0 != "idle"),
                "{shell}"
            );
        }
    }
}

#[test]
fn a_gpu_at_work_is_work() {
    for shell in shells() {
        let mut machine = quiet(shell, "5 10 20 5 0 1 3 2 0");
        machine.install("nvidia-smi", "#!/bin/sh\ncat \"$STUB/gpu\"\n");
        let machine_stub = machine.home.join("stub/gpu");
        fs::write(&machine_stub, "0\n2\n").unwrap();
        machine.assign();
        machine.boot();
        until_said(&machine, "idle", &mut || 0);
        fs::write(&machine_stub, "0\n97\n").unwrap();
        until_said(&machine, "busy", &mut || 0);
    }
}

#[test]
fn nothing_is_idle_within_the_grace_after_boot() {
    for shell in shells() {
        let mut machine = quiet(shell, "5 10 20 - 0 1 2 1 1000000");
        machine.assign();
        machine.boot();
        let began = Instant::now();
        until(&machine, "four windows", || {
            counters(&machine, 0);
            began.elapsed() > Duration::from_secs(4)
        });
        assert!(
            said(&machine).iter().all(|beat| beat.0 == "busy"),
            "{shell}"
        );
    }
}

#[test]
fn an_extended_deadline_reaches_the_kill_switch_and_a_ledger_out_of_reach_changes_nothing() {
    for shell in shells() {
        let mut machine = quiet(shell, QUICK).put("ttl_deadline", seconds_from_now(900));
        machine = machine.stub("row-fails", "");
        machine.assign();
        machine.boot();
        until(&machine, "the ledger was asked", || {
            machine.home.join("stub/rows-asked").exists()
        });
        assert_eq!(
            machine.shutdowns(),
            ["shutdown -P +60", "shutdown -P +15"],
            "{shell}"
        );
        let later = now().as_secs() + 7200;
        fs::write(machine.home.join("stub/row"), format!("{later}000\tNone\n")).unwrap();
        fs::remove_file(machine.home.join("stub/row-fails")).unwrap();
        until(&machine, "the switch moved", || {
            machine.shutdowns().len() == 3
        });
        assert!(
            machine.shutdowns()[2].starts_with("shutdown -P +1"),
            "{:?}",
            machine.shutdowns()
        );
        let kept = fs::read_to_string(machine.home.join("var/lib/spawn/deadline")).unwrap();
        assert!(kept.starts_with(&later.to_string()), "{kept}");
        // The same word again is no news.
        fs::remove_file(machine.home.join("stub/rows-asked")).unwrap();
        until(&machine, "the ledger was asked again", || {
            machine.home.join("stub/rows-asked").exists()
        });
        assert_eq!(machine.shutdowns().len(), 3, "{shell}");
    }
}

#[test]
fn a_deadline_that_is_brought_forward_ends_the_program_and_saves_what_there_is() {
    for shell in shells() {
        let mut machine = Machine::new(shell)
            .put("ttl_deadline", seconds_from_now(900))
            .command("echo half >result.json; while :; do sleep 0.1; done");
        machine.assign();
        machine.boot();
        machine.wait_for("var/lib/spawn/work/result.json");
        let past = now().as_secs() - 1;
        fs::write(machine.home.join("stub/row"), format!("{past}000\tNone\n")).unwrap();
        machine.wait();
        let report = machine.report();
        assert_eq!(
            (report.exit_code, report.reason.as_str()),
            (None, "the ttl passed"),
            "{shell}"
        );
        assert_eq!(machine.text("result.json"), "half\n", "{shell}");
    }
}

/// The monitor asks once a minute: what is moved after its last look is seen by the watcher.
#[test]
fn a_deadline_that_is_moved_in_the_last_minute_is_seen_before_it_passes() {
    for shell in shells() {
        let mut machine = Machine::new(shell)
            .put("ttl_deadline", seconds_from_now(27))
            .command("while [ ! -e go ]; do sleep 0.1; done");
        machine.poll_s = "60";
        machine.assign();
        machine.boot();
        until(&machine, "the ledger was asked", || {
            machine.home.join("stub/rows-asked").exists()
        });
        let later = now().as_secs() + 600;
        fs::write(machine.home.join("stub/row"), format!("{later}000\tNone\n")).unwrap();
        until(&machine, "the end was moved", || {
            let kept = fs::read_to_string(machine.home.join("var/lib/spawn/deadline"));
            kept.is_ok_and(|kept| kept.starts_with(&later.to_string()))
        });
        let asked = machine.home.join("var/lib/spawn/watch-error");
        assert!(
            asked.exists(),
            "{shell}: the monitor asked, not the watcher"
        );
    }
}

#[test]
fn where_shutdown_refuses_a_schedule_an_extended_deadline_holds_too() {
    for shell in shells() {
        let mut machine = quiet(shell, QUICK)
            .put("ttl_deadline", seconds_from_now(4))
            .stub("shutdown-refuses", "");
        let later = now().as_secs() + 600;
        machine = machine.stub("row", &format!("{later}000\tNone\n"));
        machine.assign();
        machine.boot();
        let began = Instant::now();
        until(&machine, "the old deadline passed", || {
            began.elapsed() > Duration::from_secs(7)
        });
        let ended = machine
            .shutdowns()
            .iter()
            .any(|call| call.contains("-h now"));
        assert!(!ended, "{shell}: {:?}", machine.shutdowns());
    }
}

#[test]
fn whoever_is_logged_in_is_warned_once() {
    for shell in shells() {
        let mut machine = quiet(shell, QUICK);
        machine.install("wall", "#!/bin/sh\ncat >>\"$STUB/wall\"\n");
        machine = machine.stub("row", "None\tspawn ends this instance soon\n");
        machine.assign();
        machine.boot();
        for _ in 0..2 {
            let _gone = fs::remove_file(machine.home.join("stub/rows-asked"));
            until(&machine, "the ledger was asked", || {
                machine.home.join("stub/rows-asked").exists()
            });
        }
        let told = fs::read_to_string(machine.home.join("stub/wall")).unwrap();
        assert_eq!(told, "spawn ends this instance soon\n", "{shell}");
    }
}

#[test]
fn time_stands_still_while_a_machine_hibernates_and_the_switch_stays_armed() {
    for shell in shells() {
        let machine = Machine::new(shell).command("true").run();
        let deadline = machine.home.join("var/lib/spawn/deadline");
        let end = now().as_secs() + 600;
        fs::write(&deadline, format!("{end} \n")).unwrap();
        let hook = machine
            .home
            .join("usr/lib/systemd/system-sleep/spawn-kill-switch");
        let call = |argument: &str| {
            let mut run = Command::new(&hook);
            run.args([argument, "hibernate"]);
            for (name, value) in machine.runner(&[]).get_envs() {
                run.env(name, value.unwrap());
            }
            run.status().unwrap();
            let text = fs::read_to_string(&deadline).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(call("pre"), end + 60 * 24 * 3600, "{shell}");
        // It slept for an hour.
        let asleep = machine.home.join("var/lib/spawn/asleep");
        fs::write(&asleep, format!("{} {end}\n", now().as_secs() - 3600)).unwrap();
        let after = call("post");
        assert!(
            (end + 3600..end + 3603).contains(&after),
            "{shell}: {after} {end}"
        );
        // Whether it slept or not, a switch is armed.
        let armed = machine.shutdowns();
        assert!(
            armed.last().unwrap().starts_with("shutdown -P +7"),
            "{armed:?}"
        );
    }
}
