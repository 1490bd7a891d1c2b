//! A machine that boots, for the tests of what runs on it: every command that the scripts call is a stub.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a helper of tests, of which each uses a part"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const RUNNER: &str = concat!(
    include_str!("../../../../infra/instance/monitor.sh"),
    include_str!("../../../../infra/instance/runner.sh")
);

/// Longer than any run here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Answers for the ledger, S3 and EventBridge.
const AWS: &str = r#"#!/bin/sh
while :; do case $1 in --region | --cli-*) shift 2 ;; *) break ;; esac; done
case "$*" in # the monitor's calls come when they come: they are kept apart
*report_heartbeat_at*)
	for argument; do case $argument in '{":at"'*) printf '%s\n' "$argument" >>"$STUB/beats" ;; esac; done
	exit ;;
*'ttl_deadline, warning'*)
	: >"$STUB/rows-asked"
	[ ! -e "$STUB/row-fails" ] || exit 254
	cat "$STUB/row" 2>/dev/null || printf 'None\tNone\n'
	exit ;;
esac
case "$*" in *report_metrics_note*)
	for argument; do case $argument in '{":note"'*) printf '%s\n' "$argument" >"$STUB/metrics-note" ;; esac; done
	exit ;;
esac
echo "aws $1 $2" >>"$STUB/calls"
fails() { # a file holds how many of the next calls fail
	left=$(cat "$STUB/$1-failures" 2>/dev/null || echo 0)
	[ "$left" -gt 0 ] || return 1
	echo $((left - 1)) >"$STUB/$1-failures"
	echo >&2
	echo "An error occurred ($2) when calling the operation: slow down" >&2
}
value_of() { # value_of OPTION ARGUMENT...
	option=$1
	while shift; do [ "${1:-}" != "$option" ] || { printf '%s' "$2"; return; }; done
}
case "$1 $2" in
'dynamodb get-item')
	value_of --key "$@" >"$STUB/key"
	fails get-item ThrottlingException && exit 254
	cat "$STUB/assignment" 2>/dev/null || echo None ;;
'dynamodb update-item')
	fails update-item ThrottlingException && exit 254
	value_of --condition-expression "$@" >"$STUB/condition"
	value_of --update-expression "$@" >"$STUB/expression"
	value_of --expression-attribute-values "$@" >"$STUB/values" ;;
'logs create-log-stream')
	fails create-log-stream ResourceNotFoundException && exit 254
	value_of --log-stream-name "$@" >"$STUB/stream" ;;
'logs put-log-events')
	fails put-log-events ThrottlingException && exit 254
	value_of --log-group-name "$@" >"$STUB/group"
	events=$(value_of --log-events "$@")
	tr -d '\n' <"${events#file://}" >>"$STUB/lines"
	echo >>"$STUB/lines" ;;
'events put-events')
	fails put-events InternalException && exit 254
	value_of --entries "$@" >"$STUB/event" ;;
's3 cp')
	case $3 in
	s3://*/)
		fails download SlowDown && exit 1
		from=$STUB/s3/${3#s3://}
		[ -d "$from" ] || exit 0
		cp -R "$from." "$4" && echo "download: $3" ;;
	s3://*)
		fails download SlowDown && exit 1
		[ -f "$STUB/s3/${3#s3://}" ] || { echo 'fatal error: An error occurred (404) when calling HeadObject' >&2; exit 1; }
		cp "$STUB/s3/${3#s3://}" "$4" && echo "download: $3" ;;
	*)
		fails upload SlowDown && exit 1
		mkdir -p "$STUB/s3/${4#s3://}" && cp -RL "$3/." "$STUB/s3/${4#s3://}" ;;
	esac ;;
*) exit 252 ;;
esac
"#;

/// The instance metadata service: no answer without the token.
const CURL: &str = r#"#!/bin/sh
for argument; do last=$argument; done
case $last in */v1/metrics) ;; *) echo "curl ${last#*/latest/}" >>"$STUB/calls" ;; esac
case "$*" in
*/v1/metrics) # the CloudWatch agent's port
	while [ "$1" != -d ]; do shift; done
	printf '%s\n' "$2" >>"$STUB/rates"
	echo "$last" >"$STUB/rates-to"
	exit ;;
*' PUT '*'/latest/api/token') echo the-token; exit ;;
*'X-aws-ec2-metadata-token: the-token'*) ;;
*) exit 22 ;;
esac
case $last in
*/latest/dynamic/instance-identity/document) cat "$STUB/identity" ;;
*/latest/meta-data/services/partition) cat "$STUB/partition" 2>/dev/null || exit 22 ;;
*/latest/meta-data/instance-life-cycle) echo spot ;;
*/latest/meta-data/spot/instance-action) cat "$STUB/spot" 2>/dev/null || exit 22 ;;
*) exit 22 ;;
esac
"#;

const SHUTDOWN: &str = r#"#!/bin/sh
echo "shutdown $*" >>"$STUB/calls"
[ ! -e "$STUB/shutdown-refuses" ] || case $1 in -P) exit 1 ;; esac
"#;

/// What must never be called here.
pub const FORBIDDEN: &str = "#!/bin/sh\necho \"forbidden ${0##*/} $*\" >>\"$STUB/calls\"\n";

pub const IDENTITY: &str = r#"{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "instanceId" : "i-0abc",
  "region" : "eu-west-1",
  "version" : "2017-09-30"
}"#;
pub const ARN: &str = "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc";

/// A machine that boots.
pub struct Machine {
    pub home: PathBuf,
    pub shell: &'static str,
    pub kill_after_s: &'static str,
    pub poll_s: &'static str,
    pub assignment: String,
    pub child: Option<Child>,
}

impl Machine {
    pub fn new(shell: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("runner-{}-{number}", std::process::id()));
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::create_dir_all(home.join("stub")).unwrap();
        for (name, text) in [
            ("aws", AWS),
            ("curl", CURL),
            ("shutdown", SHUTDOWN),
            ("systemctl", FORBIDDEN),
            ("systemd-run", FORBIDDEN),
            ("poweroff", FORBIDDEN),
        ] {
            let path = home.join("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(home.join("stub/identity"), IDENTITY).unwrap();
        Self {
            home,
            shell,
            kill_after_s: "3600",
            poll_s: "1",
            assignment: String::new(),
            child: None,
        }
        .put("sweep_id", "demo-20260101-abcdef")
        .put("member_index", "7")
        .put("on_complete", "terminate")
        .put("results_bucket", "results")
        .put("results_prefix", "sweeps/demo-20260101-abcdef/7")
        .put("result_file", "result.json")
    }

    /// Adds to the assignment, or replaces what it says.
    pub fn put(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let repeats = key == "input";
        let line = format!("{key} {}\n", STANDARD.encode(value));
        self.assignment = self
            .assignment
            .split_inclusive('\n')
            .filter(|old| repeats || !old.starts_with(&format!("{key} ")))
            .chain([line.as_str()])
            .collect();
        self
    }

    pub fn command(self, command: &str) -> Self {
        self.put("command", command)
    }

    /// Writes a file that a stub answers from.
    pub fn stub(self, name: &str, text: &str) -> Self {
        let path = self.home.join("stub").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Puts a command of its own before those of the machine.
    pub fn install(&self, name: &str, text: &str) {
        let path = self.home.join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn assign(&self) {
        let path = self.home.join("stub/assignment");
        fs::write(path.with_extension("new"), &self.assignment).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// The runner as cloud-init would start it.
    pub fn runner(&self, arguments: &[&str]) -> Command {
        let script = self.home.join("user-data");
        let header = format!(
            "#!/bin/sh\nSPAWN_TABLE='spawn-sweeps'\nSPAWN_HOME_REGION='us-east-1'\nSPAWN_KILL_AFTER_S='{}'\n",
            self.kill_after_s
        );
        fs::write(&script, header + RUNNER).unwrap();
        let path = format!(
            "{}:{}",
            self.home.join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut command = Command::new(self.shell);
        command
            .arg(script)
            .args(arguments)
            .current_dir(&self.home)
            .env("PATH", path)
            .env("STUB", self.home.join("stub"))
            .env("SPAWN_ROOT", &self.home)
            .env("SPAWN_PATIENCE_S", "3")
            .env("SPAWN_POLL_S", self.poll_s)
            .env("SPAWN_PROC", self.home.join("fake/proc"))
            .env("SPAWN_SYS", self.home.join("fake/sys"))
            .env(
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                "http://127.0.0.1:9/imds/i-0abc",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.home.join("stderr")).unwrap())
            .process_group(0);
        command
    }

    /// Boots and does not wait.
    pub fn boot(&mut self) {
        self.child = Some(self.runner(&[]).spawn().unwrap());
    }

    pub fn wait(&mut self) {
        let began = Instant::now();
        let child = self.child.as_mut().unwrap();
        while child.try_wait().unwrap().is_none() {
            assert!(
                began.elapsed() < PATIENCE,
                "{} still runs: {}",
                self.shell,
                fs::read_to_string(self.home.join("stderr")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Boots with its assignment in the ledger, and waits for the runner's end.
    pub fn run(mut self) -> Self {
        self.assign();
        self.boot();
        self.wait();
        self
    }

    pub fn wait_for(&self, file: &str) {
        let began = Instant::now();
        while !self.home.join(file).exists() {
            assert!(began.elapsed() < PATIENCE, "{}: no {file}", self.shell);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: &str, process: &str) {
        Command::new("kill")
            .args([signal, "--", process])
            .stderr(Stdio::null())
            .status()
            .unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home.join("stub/calls")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub fn shutdowns(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| call.starts_with("shutdown"));
        calls
    }

    pub fn report(&self) -> Report {
        let read = |name: &str| fs::read_to_string(self.home.join("stub").join(name)).ok();
        let values: Value = serde_json::from_str(&read("values").unwrap_or_else(|| {
            panic!(
                "{} has not reported: {}",
                self.shell,
                fs::read_to_string(self.home.join("stderr")).unwrap()
            )
        }))
        .unwrap();
        let text = |name: &str, kind: &str| values[name][kind].as_str().map(str::to_owned);
        Report {
            exit_code: text(":code", "N").map(|code| code.parse().unwrap()),
            result_key: text(":key", "S"),
            at: text(":at", "N").unwrap().parse().unwrap(),
            reason: text(":reason", "S").unwrap_or_default(),
            interrupted: values[":i"]["BOOL"] == Value::Bool(true),
            expression: read("expression").unwrap(),
            condition: read("condition").unwrap(),
        }
    }

    /// An object among the member's results.
    pub fn result(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(
            self.home
                .join("stub/s3/results/sweeps/demo-20260101-abcdef/7")
                .join(name),
        )
        .ok()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.result(name).unwrap_or_default()).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .stderr(Stdio::null())
                .status()
                .unwrap();
            child.wait().unwrap();
        }
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.home).unwrap();
        }
    }
}

#[derive(Debug)]
pub struct Report {
    pub exit_code: Option<i64>,
    pub result_key: Option<String>,
    pub at: u128,
    pub reason: String,
    pub interrupted: bool,
    pub expression: String,
    pub condition: String,
}

/// The different shells of this machine.
pub fn shells() -> Vec<&'static str> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for name in ["sh", "dash", "bash"] {
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .find_map(|directory| fs::canonicalize(directory.join(name)).ok());
        if let Some(real) = real
            && !seen.contains(&real)
        {
            seen.push(real);
            found.push(name);
        }
    }
    assert!(!found.is_empty());
    found
}

pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

pub fn seconds_from_now(seconds: u64) -> String {
    (now().as_secs() + seconds).to_string()
}
