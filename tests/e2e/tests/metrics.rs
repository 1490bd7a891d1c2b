//! What the boot runner does about the metrics of its machine: the agent's configuration, the rates, and what it says when there
//! can be none. The assignment is the one that launch-batch writes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod machine;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use machine::{IDENTITY, Machine, PATIENCE, now, shells};
use serde_json::{Value, json};
use spawn_core::ids::SweepId;
use spawn_core::instance_metrics::{self, InstanceMetric, Wanted};

/// The agent's control script: keeps what it is given. A file `agent-refuses` holds a word that it takes no configuration with.
const AGENT: &str = r#"#!/bin/sh
echo "agent $*" >>"$STUB/agent"
case "$*" in *append-config*)
	while [ "$1" != -c ]; do shift; done
	cp "${2#file:}" "$STUB/agent-config"
	[ ! -e "$STUB/agent-refuses" ] || ! grep -q "$(cat "$STUB/agent-refuses")" "$STUB/agent-config" || {
		echo 'Configuration validation first phase failed'
		exit 1
	} ;;
esac
"#;

const NO_PACKAGE: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>\"$STUB/installs\"\nexit 1\n";

/// A machine of a sweep that wants these metrics, on a type with an accelerator.
fn machine_of(shell: &'static str, wanted: &Wanted) -> Machine {
    let identity = IDENTITY.replace(
        "\"version\"",
        "\"instanceType\" : \"g5.xlarge\",\n  \"version\"",
    );
    let mut machine = Machine::new(shell).stub("identity", &identity);
    for (key, value) in
        instance_metrics::lines(wanted, &SweepId::from("demo-20260101-abcdef"), true)
    {
        machine = machine.put(key, value);
    }
    for tool in ["dnf", "yum"] {
        machine.install(tool, NO_PACKAGE);
    }
    counters(&machine, 0);
    machine
}

/// All of them.
fn all() -> Wanted {
    InstanceMetric::ALL.into()
}

/// What goes through the machine's devices: in and out of two cards and of its loopback, read from and written to two disks.
fn counters(machine: &Machine, bytes: u64) {
    let write = |name: &str, text: String| {
        let path = machine.home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    };
    let card = |name: &str, into: u64, out: u64| {
        format!("{name}: {into} 1 0 0 0 0 0 0 {out} 1 0 0 0 0 0 0\n")
    };
    write(
        "fake/proc/net/dev",
        [
            "Inter-|   Receive  |  Transmit\n face |bytes packets\n".to_owned(),
            card("  lo", 9 * bytes, 9 * bytes),
            card("docker0", 9 * bytes, 9 * bytes),
            card("ens5", 123_456_789 + bytes, 1),
            card("ens6", 77 + bytes, 5 + bytes),
        ]
        .concat(),
    );
    let sectors = bytes / 512;
    let disk = |read: u64, written: u64| format!("5 0 {read} 1 5 0 {written} 1 0 1 1\n");
    write("fake/sys/block/nvme0n1/stat", disk(7 + 3 * sectors, 1_000));
    write("fake/sys/block/nvme1n1/stat", disk(0, 4 * sectors));
    write("fake/sys/block/loop0/stat", disk(9 * sectors, 9 * sectors));
}

fn stub_text(machine: &Machine, name: &str) -> Option<String> {
    fs::read_to_string(machine.home.join("stub").join(name)).ok()
}

/// The configuration that the agent has.
fn configuration(machine: &Machine) -> Value {
    let text = stub_text(machine, "agent-config");
    let text = text.unwrap_or_else(|| panic!("{}: no configuration", machine.shell));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", machine.shell))
}

/// The rates that were sent: name, ms, MB/s.
fn rates(machine: &Machine) -> Vec<(String, u64, f64)> {
    let text = stub_text(machine, "rates").unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let body: Value = serde_json::from_str(line).unwrap();
        let metrics = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        for metric in metrics.as_array().unwrap() {
            assert_eq!(metric["unit"], "Megabytes/Second");
            let point = &metric["gauge"]["dataPoints"][0];
            assert_eq!(
                point["attributes"],
                json!([{"key": "InstanceId", "value": {"stringValue": "i-0abc"}}])
            );
            let nanos: u64 = point["timeUnixNano"].as_str().unwrap().parse().unwrap();
            let name = metric["name"].as_str().unwrap().to_owned();
            found.push((name, nanos / 1_000_000, point["asDouble"].as_f64().unwrap()));
        }
    }
    found
}

/// Boots, with a reading of the counters each second.
fn boot(machine: &mut Machine) {
    machine.assign();
    let runner = machine.runner(&[]).env("SPAWN_METRICS_S", "1").spawn();
    machine.child = Some(runner.unwrap());
}

fn until(machine: &Machine, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{}: {what}", machine.shell);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_agent_gets_a_whole_configuration_and_the_rates_are_those_of_the_kernels_counters() {
    for shell in shells() {
        let mut machine = machine_of(shell, &all())
            .put("idle_rules", "5 10 20 - 0 1 3 2 0")
            .command("while [ ! -e go ]; do sleep 0.1; done");
        machine.install("amazon-cloudwatch-agent-ctl", AGENT);
        machine.install("nvidia-smi", "#!/bin/sh\necho 50\n");
        boot(&mut machine);
        until(&machine, "rates", || rates(&machine).len() >= 4);
        let quiet = rates(&machine).len();
        counters(&machine, 64_000_000);
        until(&machine, "more rates", || {
            rates(&machine).len() > quiet
                && rates(&machine)[quiet..].iter().any(|rate| rate.2 > 0.0)
        });
        let seen = rates(&machine).len();
        until(&machine, "rates of a quiet second", || {
            rates(&machine).len() >= seen + 4
        });
        fs::write(machine.home.join("var/lib/spawn/work").join("go"), "").unwrap();
        machine.wait();

        let config = configuration(&machine);
        assert_eq!(config["agent"]["region"], "us-east-1", "the home region");
        assert_eq!(config["agent"]["metrics_collection_interval"], 1);
        let collected = &config["metrics"]["metrics_collected"];
        let plugins: Vec<&String> = collected.as_object().unwrap().keys().collect();
        assert_eq!(plugins, ["cpu", "mem", "nvidia_gpu", "otlp"]);
        for plugin in ["cpu", "mem", "nvidia_gpu"] {
            assert_eq!(
                collected[plugin]["append_dimensions"],
                json!({"InstanceId": "i-0abc", "InstanceType": "g5.xlarge", "SweepID": "demo-20260101-abcdef"})
            );
        }
        // 0x0abc is 2748.
        assert_eq!(collected["otlp"]["http_endpoint"], "127.0.0.1:22748");
        assert_eq!(
            stub_text(&machine, "rates-to").unwrap(),
            "http://127.0.0.1:22748/v1/metrics\n"
        );
        let called = stub_text(&machine, "agent").unwrap();
        assert!(
            called.starts_with("agent -m ec2 -a append-config -s -c file:"),
            "{called}"
        );
        assert!(stub_text(&machine, "metrics-note").is_none());

        // Rates times their seconds are what went through.
        let sent = rates(&machine);
        for (name, expected) in [
            ("disk_read_mb", 192.0),
            ("disk_write_mb", 256.0),
            ("network_in_mb", 128.0),
            ("network_out_mb", 64.0),
        ] {
            let mut of_metric = sent.iter().filter(|rate| rate.0 == name);
            let mut last = of_metric.next().unwrap().1;
            let mut megabytes = 0.0;
            for (_, at, rate) in of_metric {
                megabytes += rate * (*at - last) as f64 / 1000.0;
                last = *at;
            }
            assert!(
                (megabytes - expected).abs() < 0.01,
                "{shell}: {name} {megabytes} {sent:?}"
            );
        }
        let age = now().as_millis() - u128::from(sent.last().unwrap().1);
        assert!(age < PATIENCE.as_millis());
        assert_eq!(machine.report().exit_code, Some(0));
    }
}

#[test]
fn without_an_agent_the_member_says_so_and_goes_on() {
    for shell in shells() {
        let mut machine = machine_of(shell, &all()).command("sleep 1; exit 3");
        boot(&mut machine);
        until(&machine, "a note", || {
            stub_text(&machine, "metrics-note").is_some()
        });
        machine.wait();
        let note = stub_text(&machine, "metrics-note").unwrap();
        let words = "all: the image has no CloudWatch agent, and its distribution no package of it";
        assert_eq!(note, format!("{{\":note\":{{\"S\":\"{words}\"}}}}\n"));
        assert!(machine.text("log.txt").contains(words));
        let asked = "dnf install -y -q amazon-cloudwatch-agent\nyum install -y -q amazon-cloudwatch-agent\n";
        assert_eq!(stub_text(&machine, "installs").unwrap(), asked);
        assert_eq!(machine.report().exit_code, Some(3));
        assert!(rates(&machine).is_empty());
        assert_eq!(machine.calls().last().unwrap(), "shutdown -h now");
    }
}

#[test]
fn an_agent_that_the_distribution_has_is_installed() {
    let mut machine = machine_of("sh", &[InstanceMetric::CpuUtilization].into()).command("sleep 1");
    let agent = machine
        .home
        .join("opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    let parked = machine.home.join("agent");
    fs::write(&parked, AGENT).unwrap();
    machine.install(
        "dnf",
        &format!(
            "#!/bin/sh\ncp '{}' '{}'\nchmod 755 '{1}'\n",
            parked.display(),
            agent.display()
        )
        .replace("{1}", &agent.display().to_string()),
    );
    boot(&mut machine);
    until(&machine, "a configuration", || {
        stub_text(&machine, "agent-config").is_some()
    });
    machine.wait();
    let collected = configuration(&machine)["metrics"]["metrics_collected"].clone();
    assert_eq!(
        collected.as_object().unwrap().len(),
        1,
        "only what is wanted"
    );
    assert!(stub_text(&machine, "metrics-note").is_none());
}

#[test]
fn an_old_agent_gets_what_it_understands_and_what_is_missing_is_said() {
    for shell in shells() {
        let mut machine = machine_of(shell, &all())
            .stub("agent-refuses", "otlp")
            .command("sleep 2");
        machine.install("amazon-cloudwatch-agent-ctl", AGENT);
        boot(&mut machine);
        until(&machine, "a note", || {
            stub_text(&machine, "metrics-note").is_some()
        });
        machine.wait();
        let collected = configuration(&machine)["metrics"]["metrics_collected"].clone();
        let plugins: Vec<&String> = collected.as_object().unwrap().keys().collect();
        assert_eq!(plugins, ["cpu", "mem"], "there is no nvidia-smi either");
        let note = stub_text(&machine, "metrics-note").unwrap();
        assert!(
            note.contains("gpu_utilization: there is no nvidia-smi; disk_read_mb disk_write_mb"),
            "{note}"
        );
        assert!(note.contains("1.300048"), "{note}");
        assert!(rates(&machine).is_empty(), "nobody would take them");
    }
}

#[test]
fn an_agent_that_takes_nothing_does_not_fail_the_member() {
    let mut machine = machine_of("sh", &all())
        .stub("agent-refuses", "spawn")
        .command("sleep 1");
    machine.install("amazon-cloudwatch-agent-ctl", AGENT);
    boot(&mut machine);
    until(&machine, "a note", || {
        stub_text(&machine, "metrics-note").is_some()
    });
    machine.wait();
    let note = stub_text(&machine, "metrics-note").unwrap();
    assert!(
        note.contains(
            "did not take its configuration: Configuration validation first phase failed"
        ),
        "{note}"
    );
    assert_eq!(machine.report().exit_code, Some(0));
}

#[test]
fn a_sweep_that_wants_no_metrics_leaves_the_agent_alone_unless_the_image_has_a_members() {
    let machine = machine_of("sh", &Wanted::new()).command("sleep 1");
    machine.install("amazon-cloudwatch-agent-ctl", AGENT);
    let machine = machine.run();
    assert!(stub_text(&machine, "agent").is_none());

    let machine = machine_of("sh", &Wanted::new()).command("sleep 1");
    machine.install("amazon-cloudwatch-agent-ctl", AGENT);
    let left = Path::new("opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d");
    fs::create_dir_all(machine.home.join(left)).unwrap();
    fs::write(machine.home.join(left).join("file_spawn.json"), "{}").unwrap();
    let machine = machine.run();
    let called = stub_text(&machine, "agent").unwrap();
    assert!(
        called.starts_with("agent -m ec2 -a remove-config -c file:"),
        "{called}"
    );
    assert!(called.contains("agent -m ec2 -a stop\n"), "{called}");
}
