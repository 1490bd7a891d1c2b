//! The boot runner, run as it is by every shell that the machine has, against stubs of the commands it calls.
//!
//! The stubs are found first on `PATH`. They append each call to one file, which gives the order of all of them, and
//! answer from files. Nothing here needs AWS, a network or root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod machine;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use machine::{ARN, IDENTITY, Machine, PATIENCE, now, seconds_from_now, shells};

#[test]
fn a_member_runs_reports_and_shuts_down() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .command("echo hello; echo oops >&2; echo '{\"score\": 1}' >result.json")
            .run();
        let report = machine.report();
        assert_eq!(report.exit_code, Some(0));
        assert_eq!(
            report.result_key.as_deref(),
            Some("sweeps/demo-20260101-abcdef/7/result.json")
        );
        assert_eq!(report.reason, "");
        assert!(now().as_millis() - report.at < PATIENCE.as_millis());
        assert_eq!(report.condition, "attribute_exists(pk)");
        assert_eq!(
            report.expression,
            "SET report_at = :at, report_exit_code = :code, report_result_key = :key"
        );
        assert_eq!(machine.text("log.txt"), "hello\noops\n");
        assert_eq!(machine.text("result.json"), "{\"score\": 1}\n");
        let key = fs::read_to_string(machine.home.join("stub/key")).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&key).unwrap(),
            serde_json::json!({"pk": {"S": format!("INSTANCE#{ARN}")}, "sk": {"S": "INSTANCE"}})
        );
        let event = fs::read_to_string(machine.home.join("stub/event")).unwrap();
        assert_eq!(
            event,
            format!(
                "EventBusName=default,Source=spawn.member,DetailType='Spawn Member Report',Detail='{{\"instance_arn\":\"{ARN}\"}}'"
            )
        );
        let calls = machine.calls();
        let uploads = calls.iter().filter(|call| *call == "aws s3 cp").count();
        assert_eq!(uploads, 1, "one start of the CLI uploads everything");
        assert_eq!(calls.last().unwrap(), "shutdown -h now");
        assert!(!calls.iter().any(|call| call.starts_with("forbidden")));
    }
}

/// The messages of all calls that put log events, a list for each call.
fn logged(machine: &Machine) -> Vec<Vec<String>> {
    let lines = fs::read_to_string(machine.home.join("stub/lines")).unwrap_or_default();
    let call = |line: &str| -> Vec<String> {
        let events: Vec<Value> = serde_json::from_str(line).unwrap();
        let now = i64::try_from(now().as_millis()).unwrap();
        events
            .iter()
            .map(|event| {
                let age = now - event["timestamp"].as_i64().unwrap();
                assert!((0..600_000).contains(&age), "{event}");
                event["message"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    lines.lines().map(call).collect()
}

#[test]
fn what_a_program_says_goes_to_the_log_group_byte_for_byte_where_it_is_text() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("log_group", "/spawn/sweeps/demo-20260101-abcdef")
            .command(
                r#"printf 'plain\n\n"quoted" \\ back\ttab\n'; printf 'caf\303\251 \377\001bad & $(x)\nno newline'"#,
            )
            .run();
        let expected = [
            "plain",
            "\"quoted\" \\ back\ttab",
            "caf\u{e9} bad & $(x)",
            "no newline",
        ];
        assert_eq!(logged(&machine).concat(), expected, "{shell}");
        let text = |name: &str| fs::read_to_string(machine.home.join("stub").join(name)).unwrap();
        assert_eq!(text("group"), "/spawn/sweeps/demo-20260101-abcdef");
        assert_eq!(text("stream"), "i-0abc");
        let calls = machine.calls();
        let at = |call: &str| calls.iter().position(|one| one == call).unwrap();
        assert!(at("aws logs put-log-events") < at("aws dynamodb update-item"));
    }
}

#[test]
fn a_program_that_says_nothing_or_whose_output_is_not_wanted_makes_no_call() {
    let silent = Machine::new("sh")
        .put("log_group", "/spawn/sweeps/x")
        .command("true");
    let unwanted = Machine::new("sh").command("echo hello");
    for machine in [silent.run(), unwanted.run()] {
        assert!(
            !machine
                .calls()
                .iter()
                .any(|call| call.starts_with("aws logs"))
        );
    }
}

#[test]
fn of_too_much_output_the_end_is_logged_in_whole_lines() {
    let machine = Machine::new("sh")
        .put("log_group", "/spawn/sweeps/x")
        .command("i=100000; while [ $i -lt 300000 ]; do echo line $i; i=$((i+1)); done")
        .run();
    let calls = logged(&machine);
    assert!(calls.iter().all(|lines| lines.len() <= 9_000));
    let lines = calls.concat();
    // What the monitor had told while the program ran, and 256 KiB of its end.
    assert!((20_001..100_000).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines.last().unwrap(), "line 299999");
    for (line, number) in lines.iter().rev().take(20_000).zip((0..=299_999).rev()) {
        assert_eq!(*line, format!("line {number}"));
    }
}

#[test]
fn output_that_cannot_be_logged_changes_nothing_for_the_member() {
    let machine = Machine::new("sh")
        .put("log_group", "/spawn/sweeps/x")
        .stub("create-log-stream-failures", "9")
        .command("echo hello; exit 3")
        .run();
    assert_eq!(machine.report().exit_code, Some(3));
    assert_eq!(machine.text("log.txt"), "hello\n");
    assert_eq!(machine.calls().last().unwrap(), "shutdown -h now");
}

#[test]
fn the_partition_is_that_of_the_region() {
    let china = IDENTITY.replace("eu-west-1", "cn-north-1");
    let machine = Machine::new("sh")
        .stub("identity", &china)
        .command("true")
        .run();
    let key = fs::read_to_string(machine.home.join("stub/key")).unwrap();
    assert!(key.contains("arn:aws-cn:ec2:cn-north-1:"), "{key}");
    let machine = Machine::new("sh")
        .stub("partition", "aws-iso")
        .command("true")
        .run();
    let key = fs::read_to_string(machine.home.join("stub/key")).unwrap();
    assert!(key.contains("arn:aws-iso:ec2:eu-west-1:"), "{key}");
}

#[test]
fn the_kill_switch_is_armed_before_anything_else() {
    for shell in shells() {
        let mut machine = Machine::new(shell).command("true");
        machine.kill_after_s = "61";
        let machine = machine.run();
        assert_eq!(machine.calls()[0], "shutdown -P +2");
        assert_eq!(machine.shutdowns(), ["shutdown -P +2", "shutdown -h now"]);
    }
}

#[test]
fn the_kill_switch_is_tightened_to_the_members_own_ttl_and_never_loosened() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("ttl_deadline", seconds_from_now(595))
            .command("true")
            .run();
        assert_eq!(
            machine.shutdowns(),
            ["shutdown -P +60", "shutdown -P +10", "shutdown -h now"]
        );
        let machine = Machine::new(shell)
            .put("ttl_deadline", seconds_from_now(7200))
            .command("true")
            .run();
        assert_eq!(machine.shutdowns(), ["shutdown -P +60", "shutdown -h now"]);
    }
}

#[test]
fn the_kill_switch_survives_a_reboot() {
    for shell in shells() {
        let machine = Machine::new(shell).command("true").run();
        let hook = machine
            .home
            .join("var/lib/cloud/scripts/per-boot/spawn-kill-switch");
        assert_eq!(
            fs::metadata(&hook).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let deadline = machine.home.join("var/lib/spawn/deadline");
        let boots = |expected: &[&str]| {
            fs::remove_file(machine.home.join("stub/calls")).unwrap();
            fs::write(machine.home.join("stub/calls"), "").unwrap();
            let mut hook_run = Command::new(&hook);
            for (name, value) in machine.runner(&[]).get_envs() {
                hook_run.env(name, value.unwrap());
            }
            hook_run.status().unwrap();
            assert_eq!(machine.calls(), expected);
        };
        boots(&["shutdown -P +60"]);
        fs::write(&deadline, format!("{} \n", seconds_from_now(250))).unwrap();
        boots(&["shutdown -P +5"]);
        // It was stopped past its end: the ledger may have moved that on, and there is time to ask.
        fs::write(&deadline, "1000 \n").unwrap();
        boots(&["shutdown -P +3"]);
        // An image made of this machine must not end the next one.
        fs::write(&deadline, "1000 i-another\n").unwrap();
        boots(&[]);
    }
}

#[test]
fn where_shutdown_refuses_a_schedule_the_runner_keeps_the_time_itself() {
    for shell in shells() {
        let mut machine = Machine::new(shell).stub("shutdown-refuses", "");
        machine.kill_after_s = "1";
        machine.boot();
        let began = Instant::now();
        while !machine.home.join("stub/calls").exists()
            || !machine.shutdowns().contains(&"shutdown -h now".to_owned())
        {
            assert!(began.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The environment that a program saw.
fn environment(machine: &Machine) -> Vec<(Vec<u8>, Vec<u8>)> {
    machine
        .result("environment")
        .unwrap()
        .split(|byte| *byte == 0)
        .filter_map(|variable| {
            let equals = variable.iter().position(|byte| *byte == b'=')?;
            Some((variable[..equals].to_vec(), variable[equals + 1..].to_vec()))
        })
        .collect()
}

#[test]
fn values_arrive_byte_for_byte_and_are_never_evaluated() {
    let long = "long 'value' $HOME\n".repeat(6_500);
    let values = [
        "",
        " ",
        "plain",
        "two words  and   three",
        "it's",
        "'",
        "''",
        "\"",
        "say \"hi\"",
        "$(touch pwned)",
        "`touch pwned`",
        "$HOME ${HOME} $$ $? $((1+1)) ${x:=y}",
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "a\nb",
        "\nleading newline",
        "trailing newline\n",
        "trailing newlines\n\n\n",
        "\n",
        "tab\tand\r\ncarriage return\r",
        "back\\slash \\n \\\\ \\$(touch pwned) \\",
        "-n",
        "--help",
        "-e \\t",
        "%s %n %d %%",
        "* ? [a-z] ~ ~root {a,b}",
        "a=b=c",
        "=",
        "# no comment",
        "!! !$ ^a^b",
        "& | ; < > ( )",
        "\u{e9}t\u{e9} \u{4f60}\u{597d} \u{1f680} \u{0}x".trim_end_matches("\u{0}x"),
        "\u{e9}",
        "x",
        "\u{1}\u{7f}\u{1b}[31m",
        "{\"json\": [1, \"two\\n\", null]}",
        "PATH=/nowhere",
        "() { :; }; touch pwned",
        &long,
    ];
    for shell in shells() {
        let mut machine = Machine::new(shell).command("env -0 >\"$SPAWN_OUTPUT_DIR/environment\"");
        for (number, value) in values.iter().enumerate() {
            machine = machine.put(&format!("env SPAWN_PARAM_v{number}"), value);
        }
        let machine = machine.put("env not-a-name", "x").put("env 1st", "x").run();
        assert_eq!(
            machine.report().exit_code,
            Some(0),
            "{}",
            machine.text("log.txt")
        );
        let environment = environment(&machine);
        for (number, value) in values.iter().enumerate() {
            let name = format!("SPAWN_PARAM_v{number}").into_bytes();
            let seen: Vec<_> = environment.iter().filter(|(key, _)| *key == name).collect();
            assert_eq!(seen.len(), 1, "{shell}: {value:?}");
            assert!(
                seen[0].1 == value.as_bytes(),
                "{shell}: {value:?} arrived as {seen:?}"
            );
        }
        let mut files = vec![machine.home.clone()];
        while let Some(path) = files.pop() {
            assert!(!path.ends_with("pwned"), "{shell}");
            if path.is_dir() {
                files.extend(
                    fs::read_dir(path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        }
    }
}

#[test]
fn a_value_that_no_program_can_be_given_fails_the_member() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("env SPAWN_PARAM_huge", "x".repeat(200_000))
            .command("true")
            .run();
        assert_eq!(machine.report().exit_code, Some(126));
        assert!(
            machine.text("log.txt").contains("too long"),
            "{}",
            machine.text("log.txt")
        );
    }
}

#[test]
fn a_programs_environment_is_its_own() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .command("env -0 >\"$SPAWN_OUTPUT_DIR/environment\"; umask >umask; ls -d . >result.json; umask >>result.json")
            .run();
        let environment = environment(&machine);
        for (name, _) in &environment {
            let name = String::from_utf8_lossy(name);
            assert!(
                ![
                    "SPAWN_TABLE",
                    "SPAWN_HOME_REGION",
                    "SPAWN_KILL_AFTER_S",
                    "AWS_MAX_ATTEMPTS",
                    "AWS_PAGER"
                ]
                .contains(&name.as_ref()),
                "{name}"
            );
        }
        assert!(environment.contains(&(b"SPAWN_INSTANCE_ID".to_vec(), b"i-0abc".to_vec())));
        assert!(environment.contains(&(b"SPAWN_REGION".to_vec(), b"eu-west-1".to_vec())));
        assert_eq!(machine.text("result.json"), ".\n0022\n");
        let private = fs::metadata(machine.home.join("var/lib/spawn")).unwrap();
        assert_eq!(private.permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn the_exit_code_is_the_programs() {
    for shell in shells() {
        for code in [0, 1, 2, 3, 64, 127, 128, 255] {
            let machine = Machine::new(shell).command(&format!("exit {code}")).run();
            let report = machine.report();
            assert_eq!(report.exit_code, Some(code), "{shell}");
            assert_eq!(report.reason, "", "{shell}");
        }
        let machine = Machine::new(shell).command("no-such-program").run();
        assert_eq!(machine.report().exit_code, Some(127), "{shell}");
        let machine = Machine::new(shell).command("-x").run();
        assert_eq!(machine.report().exit_code, Some(127), "{shell}");
    }
}

#[test]
fn death_by_signal_is_told() {
    for shell in shells() {
        // Bash itself ignores SIGQUIT, and whoever runs the tests under `nohup` lets nobody hear SIGHUP.
        for signal in [2, 6, 9, 10, 11, 13, 15] {
            let machine = Machine::new(shell)
                .command(&format!("ulimit -c 0; kill -{signal} $$; sleep 5"))
                .run();
            let report = machine.report();
            assert_eq!(report.exit_code, Some(128 + signal), "{shell}");
            assert_eq!(
                report.reason,
                format!("killed by signal {signal}"),
                "{shell}"
            );
        }
    }
}

#[test]
fn a_completion_file_completes_the_member_and_ends_its_program() {
    for shell in shells() {
        let marker = "sleep 300 & trap '' TERM; touch ready; sleep 1; touch done; while :; do sleep 300; done";
        let machine = Machine::new(shell)
            .put("completion_file", "done")
            .put("completion_delay_s", "1")
            .command(
                "echo working >result.json; (sleep 300 & exec sleep 300) & touch done; sleep 300",
            )
            .run();
        let report = machine.report();
        assert_eq!(report.exit_code, Some(0), "{shell}");
        assert_eq!(report.reason, "completion file", "{shell}");
        assert!(report.result_key.is_some(), "{shell}");
        // One that will not hear.
        let machine = Machine::new(shell)
            .put("completion_file", "done")
            .command(marker)
            .run();
        assert_eq!(machine.report().exit_code, Some(0), "{shell}");
    }
}

#[test]
fn a_completion_file_that_was_there_before_completes_nothing() {
    for shell in shells() {
        let machine = Machine::new(shell).stub("old", "");
        let old = machine.home.join("stub/old");
        let machine = machine
            .put("completion_file", old.to_str().unwrap())
            .command("sleep 3; exit 4")
            .run();
        assert_eq!(machine.report().exit_code, Some(4), "{shell}");
    }
}

#[test]
fn without_a_result_file_no_key_is_reported() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .command("mkdir result.json; echo log")
            .run();
        let report = machine.report();
        assert_eq!(
            (report.exit_code, report.result_key),
            (Some(0), None),
            "{shell}"
        );
        assert_eq!(machine.text("log.txt"), "log\n");
    }
}

#[test]
fn results_keep_their_places() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("result_file", "./deep/er/my \"best\" r\u{e9}sult.json")
            .command(
                "mkdir -p deep/er \"$SPAWN_OUTPUT_DIR/plots\"
                echo 1 >'deep/er/my \"best\" r\u{e9}sult.json'; echo 2 >\"$SPAWN_OUTPUT_DIR/plots/a b.svg\"",
            )
            .run();
        assert_eq!(
            machine.report().result_key.as_deref(),
            Some("sweeps/demo-20260101-abcdef/7/deep/er/my \"best\" r\u{e9}sult.json")
        );
        assert_eq!(machine.text("deep/er/my \"best\" r\u{e9}sult.json"), "1\n");
        assert_eq!(machine.text("plots/a b.svg"), "2\n");
        let machine = Machine::new(shell)
            .put("result_file", "../tmp/up.json")
            .command("echo 3 >../tmp/up.json")
            .run();
        assert_eq!(
            machine.report().result_key.as_deref(),
            Some("sweeps/demo-20260101-abcdef/7/up.json")
        );
        assert_eq!(machine.text("up.json"), "3\n");
    }
}

#[test]
fn only_the_tail_of_a_long_log_is_kept() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .command("yes line | head -c 200000; echo the end")
            .run();
        let log = machine.text("log.txt");
        assert_eq!(log.len(), 65_536);
        assert!(log.ends_with("the end\n"));
    }
}

#[test]
fn a_failed_upload_is_told_and_the_exit_code_stays_true() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .stub("upload-failures", "1000")
            .command("echo 1 >result.json; exit 3")
            .run();
        let report = machine.report();
        assert_eq!(
            (report.exit_code, report.result_key),
            (Some(3), None),
            "{shell}"
        );
        assert!(
            report.reason.contains("results could not be uploaded"),
            "{}",
            report.reason
        );
        assert!(report.reason.contains("SlowDown"), "{}", report.reason);
        assert_eq!(machine.shutdowns().last().unwrap(), "shutdown -h now");
    }
}

#[test]
fn what_fails_for_a_moment_is_tried_again() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .stub("get-item-failures", "1")
            .stub("upload-failures", "1")
            .stub("update-item-failures", "1")
            .stub("put-events-failures", "1")
            .stub("download-failures", "1")
            .stub("s3/data/one.txt", "1")
            .put("input", "s3://data/one.txt")
            .command("cp one.txt result.json")
            .run();
        let report = machine.report();
        assert_eq!(
            (report.exit_code, report.reason.as_str()),
            (Some(0), ""),
            "{shell}"
        );
        assert!(report.result_key.is_some(), "{shell}");
        assert_eq!(machine.text("result.json"), "1");
    }
}

#[test]
fn an_assignment_may_come_late() {
    for shell in shells() {
        let mut machine = Machine::new(shell).command("exit 5");
        machine.boot();
        machine.wait_for("stub/key");
        std::thread::sleep(Duration::from_millis(500));
        machine.assign();
        machine.wait();
        assert_eq!(machine.report().exit_code, Some(5), "{shell}");
    }
}

#[test]
fn inputs_are_there_before_the_program() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .stub("s3/data/one.txt", "1")
            .stub("s3/data/all/a.txt", "a")
            .stub("s3/data/all/deep/b c.txt", "b")
            .put("input", "s3://data/one.txt")
            .put("input", "s3://data/all/")
            .command("cat one.txt a.txt 'deep/b c.txt' >result.json")
            .run();
        assert_eq!(machine.text("result.json"), "1ab", "{shell}");
    }
}

#[test]
fn a_missing_input_fails_the_member() {
    for shell in shells() {
        for uri in ["s3://data/missing.txt", "s3://data/missing/"] {
            let machine = Machine::new(shell)
                .put("input", uri)
                .command("touch \"$SPAWN_OUTPUT_DIR/ran\"")
                .run();
            let report = machine.report();
            assert_eq!(report.exit_code, Some(125), "{shell}");
            assert!(
                report
                    .reason
                    .starts_with(&format!("input {uri} could not be copied")),
                "{}",
                report.reason
            );
            assert!(machine.text("log.txt").contains(uri));
            assert!(machine.result("ran").is_none());
            assert_eq!(machine.shutdowns().last().unwrap(), "shutdown -h now");
        }
    }
}

#[test]
fn user_data_runs_before_the_command() {
    for shell in shells() {
        let own = "#!/usr/bin/env -S sh\necho \"own $SPAWN_PARAM_x $0\" | sed 's, /.*, file,' >a\n";
        let machine = Machine::new(shell)
            .put("env SPAWN_PARAM_x", "$(touch pwned)")
            .put("user_data", own)
            .command("echo command >>a; mv a result.json")
            .run();
        assert_eq!(
            machine.text("result.json"),
            "own $(touch pwned) file\ncommand\n",
            "{shell}"
        );
        let machine = Machine::new(shell)
            .put("user_data", "echo plain >result.json\n")
            .run();
        assert_eq!(machine.report().exit_code, Some(0), "{shell}");
        assert_eq!(machine.text("result.json"), "plain\n", "{shell}");
        let machine = Machine::new(shell)
            .put("user_data", "exit 9")
            .command("touch \"$SPAWN_OUTPUT_DIR/ran\"")
            .run();
        assert_eq!(machine.report().exit_code, Some(9), "{shell}");
        assert!(
            machine
                .text("log.txt")
                .contains("user_data ended with exit code 9")
        );
        assert!(machine.result("ran").is_none());
    }
}

#[test]
fn with_user_data_and_a_completion_file_the_file_is_the_end() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("completion_file", "done")
            .put(
                "user_data",
                "(sleep 2; echo late >result.json; touch done) >/dev/null 2>&1 &",
            )
            .run();
        let report = machine.report();
        assert_eq!(report.exit_code, Some(0), "{shell}");
        assert_eq!(report.reason, "completion file", "{shell}");
        assert_eq!(machine.text("result.json"), "late\n", "{shell}");
    }
}

#[test]
fn without_anything_to_run_a_machine_stays_until_it_is_ended() {
    for shell in shells() {
        let mut machine = Machine::new(shell);
        machine.assign();
        machine.boot();
        machine.wait_for("var/lib/spawn/log");
        std::thread::sleep(Duration::from_secs(1));
        assert!(
            machine
                .child
                .as_mut()
                .unwrap()
                .try_wait()
                .unwrap()
                .is_none()
        );
        machine.signal("-TERM", &machine.pid().to_string());
        machine.wait();
        let report = machine.report();
        assert_eq!(report.exit_code, None, "{shell}");
        assert_eq!(report.reason, "the machine was shut down", "{shell}");
    }
}

#[test]
fn a_shutdown_saves_what_there_is_and_is_not_taken_for_the_programs_end() {
    for shell in shells() {
        // A program that ends well when it is asked to has not done its work for that.
        let mut machine = Machine::new(shell).command(
            "trap 'echo saved; exit 0' TERM; echo begun; echo half >result.json; touch ../ready; while :; do sleep 0.1; done",
        );
        machine.assign();
        machine.boot();
        machine.wait_for("var/lib/spawn/ready");
        machine.signal("-TERM", &machine.pid().to_string());
        machine.wait();
        let report = machine.report();
        assert_eq!(report.exit_code, None, "{shell}");
        assert_eq!(report.reason, "the machine was shut down", "{shell}");
        assert!(report.result_key.is_some(), "{shell}");
        let log = machine.text("log.txt");
        assert!(
            log.starts_with("begun\n") && log.ends_with("saved\n"),
            "{shell}: {log}"
        );
        assert_eq!(machine.text("result.json"), "half\n", "{shell}");
    }
}

#[test]
fn a_ttl_that_passes_ends_the_program_and_keeps_its_log() {
    for shell in shells() {
        let machine = Machine::new(shell)
            .put("ttl_deadline", seconds_from_now(3))
            .put("completion_file", "never")
            .command("echo begun; sleep 300")
            .run();
        let report = machine.report();
        assert_eq!(report.exit_code, None, "{shell}");
        assert_eq!(report.reason, "the ttl passed", "{shell}");
        assert!(machine.text("log.txt").starts_with("begun\n"), "{shell}");
        assert_eq!(machine.shutdowns().last().unwrap(), "shutdown -h now");
    }
}

#[test]
fn a_spot_notice_reaches_the_program_and_saves_what_there_is() {
    for shell in shells() {
        let notice = r#"{"action":"terminate","time":"2026-01-01T00:00:00Z"}"#;
        let mut machine = Machine::new(shell).command(
            "echo begun; until [ -s \"$SPAWN_SPOT_NOTICE_FILE\" ]; do sleep 0.1; done
            cat \"$SPAWN_SPOT_NOTICE_FILE\" >result.json; until [ -e ../go-on ]; do sleep 0.1; done; exit 75",
        );
        machine.assign();
        fs::write(machine.home.join("stub/spot"), notice).unwrap();
        machine.boot();
        machine.wait_for("stub/s3/results/sweeps/demo-20260101-abcdef/7/log.txt");
        assert!(!machine.home.join("stub/values").exists(), "it runs on");
        fs::write(machine.home.join("var/lib/spawn/go-on"), "").unwrap();
        machine.wait();
        let report = machine.report();
        assert_eq!(report.exit_code, Some(75), "{shell}");
        assert_eq!(report.reason, "after a spot notice", "{shell}");
        assert_eq!(machine.text("result.json"), notice, "{shell}");
    }
}

#[test]
fn a_hook_saves_what_there_is_before_the_program_is_ended_as_interrupted() {
    for shell in shells() {
        let notice = format!(r#"{{"action":"terminate","time":"{}"}}"#, iso_from_now(120));
        // The hook has the program's directory and environment; the program would go on for ever.
        let hook =
            "sleep 1; cp checkpoint \"$SPAWN_OUTPUT_DIR/saved\"; echo \"saved at $SPAWN_REGION\"";
        let program = "echo precious >checkpoint; while :; do sleep 0.1; done";
        let machine = interrupted(shell, &notice, hook, program);
        let report = machine.report();
        assert!(report.interrupted, "{shell}");
        assert_eq!(report.reason, "after a spot notice", "{shell}");
        assert_eq!(machine.text("saved"), "precious\n", "{shell}");
        let log = machine.text("log.txt");
        // The shell may have a word to say of its end.
        assert!(log.contains("saved at eu-west-1\n"), "{shell}: {log}");
    }
}

#[test]
fn a_hook_that_takes_too_long_is_ended_and_what_there_is_is_uploaded() {
    for shell in shells() {
        let notice = format!(r#"{{"action":"terminate","time":"{}"}}"#, iso_from_now(30));
        let hook = "echo begun >>hook; sleep 300; echo ended >>hook";
        let program = "echo half >result.json; while :; do sleep 0.1; done";
        let machine = interrupted(shell, &notice, hook, program);
        assert!(machine.report().interrupted, "{shell}");
        assert_eq!(machine.text("result.json"), "half\n", "{shell}");
        let told = machine.home.join("var/lib/spawn").join("work").join("hook");
        assert_eq!(fs::read_to_string(told).unwrap(), "begun\n", "{shell}");
    }
}

#[test]
fn a_program_that_ends_while_the_hook_runs_has_the_last_word() {
    for shell in shells() {
        let notice = format!(r#"{{"action":"terminate","time":"{}"}}"#, iso_from_now(120));
        let program =
            "until [ -s \"$SPAWN_SPOT_NOTICE_FILE\" ]; do sleep 0.1; done; echo all >result.json";
        let machine = interrupted(shell, &notice, "sleep 300", program);
        let report = machine.report();
        assert_eq!(
            (report.exit_code, report.interrupted),
            (Some(0), false),
            "{shell}"
        );
        assert_eq!(machine.text("result.json"), "all\n", "{shell}");
    }
}

/// A machine whose spot notice comes while the program runs, when all is over.
fn interrupted(shell: &'static str, notice: &str, hook: &str, program: &str) -> Machine {
    let program = format!("touch ../ready; {program}");
    let mut machine = Machine::new(shell)
        .put("on_interruption", hook)
        .command(&program);
    machine.assign();
    machine.boot();
    machine.wait_for("var/lib/spawn/ready");
    fs::write(machine.home.join("stub/spot"), notice).unwrap();
    machine.wait();
    machine
}

/// A time as EC2 writes it in a spot notice.
fn iso_from_now(seconds: u64) -> String {
    let date = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("{seconds} seconds"))
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_machine_that_is_to_stay_is_left_alone() {
    for shell in shells() {
        for on_complete in ["none", "stop", "hibernate"] {
            let machine = Machine::new(shell)
                .put("on_complete", on_complete)
                .command("true")
                .run();
            assert_eq!(machine.report().exit_code, Some(0), "{shell}");
            assert_eq!(machine.shutdowns(), ["shutdown -P +60"], "{shell}");
        }
    }
}
