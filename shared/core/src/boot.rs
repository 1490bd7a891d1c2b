//! What an instance gets at boot: its user data, the same for a whole lane, and its assignment, its own row in the ledger.
//!
//! The assignment is lines of `key value` whose values are base64, so that the boot runner, a POSIX shell script, can take
//! them apart without ever evaluating one.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};

use crate::account::AccountId;
use crate::instance_metrics;
use crate::reap::{IdleRules, idle};
use crate::rows::{MemberRow, ProgramRow, SweepRow};

/// The boot runner with its monitor before it, a POSIX shell script.
const RUNNER: &str = concat!(
    include_str!("../../../infra/instance/monitor.sh"),
    include_str!("../../../infra/instance/runner.sh")
);

/// EC2's limit of user data before base64 (Amazon EC2 User Guide, "Run commands when you launch an EC2 instance").
pub const USER_DATA_BYTES_MAX: usize = 16_384;

/// Where an instance finds the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The ledger's table.
    pub table: String,
    /// The region of the ledger.
    pub region: String,
    /// The account of the ledger.
    pub account: String,
}

impl Home {
    /// The table as instances of `account` name it: by its ARN where it is another account's (Amazon DynamoDB Developer
    /// Guide, "Cross-account access with resource-based policies").
    fn table_for(&self, account: Option<AccountId>) -> String {
        let Self {
            table,
            region,
            account: own,
        } = self;
        match account {
            Some(_) => format!("arn:aws:dynamodb:{region}:{own}:table/{table}"),
            None => table.clone(),
        }
    }

    /// The event bus in the same way.
    fn bus_for(&self, account: Option<AccountId>) -> String {
        match account {
            Some(_) => format!(
                "arn:aws:events:{}:{}:event-bus/default",
                self.region, self.account
            ),
            None => "default".to_owned(),
        }
    }
}

/// The user data of all instances of a lane in `account` whose longest ttl is `ttl_s`.
///
/// It arms the kill switch at the longest ttl before anything else; the runner tightens it to the member's own. The runner
/// itself is packed, since EC2 takes no more than [`USER_DATA_BYTES_MAX`]: `sed -n 's/^packed=//p' | base64 -d | gzip -d`
/// shows it.
#[must_use]
pub fn user_data(home: &Home, account: Option<AccountId>, ttl_s: Option<u64>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let kill_after = ttl_s.map_or_else(String::new, |ttl| ttl.to_string());
    format!(
        "#!/bin/sh\nSPAWN_TABLE={}\nSPAWN_BUS={}\nSPAWN_HOME_REGION={}\nSPAWN_KILL_AFTER_S={}\n{UNPACK_FIRST}packed={}\n{UNPACK}",
        quoted(&home.table_for(account)),
        quoted(&home.bus_for(account)),
        quoted(&home.region),
        quoted(&kill_after),
        packed(RUNNER),
    )
}

/// The kill switch needs nothing that is packed. Only the first boot counts from here: later calls bring an argument.
const UNPACK_FIRST: &str = r#"[ -z "$SPAWN_KILL_AFTER_S" ] || [ -n "${1:-}${SPAWN_DETACHED:-}" ] || shutdown -P "+$(((SPAWN_KILL_AFTER_S + 59) / 60))"
"#;

const UNPACK: &str = r#"eval "$(printf %s "$packed" | base64 -d | gzip -d)"
"#;

/// A script as base64 of gzip, the same for the same script.
fn packed(script: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory cannot fail.
    let written = gzip.write_all(script.as_bytes());
    let bytes = written.and_then(|()| gzip.finish()).unwrap_or_default();
    STANDARD.encode(bytes)
}

/// The assignment of a member.
///
/// # Errors
/// When the member's parameters are not readable.
pub fn assignment(
    sweep: &SweepRow,
    member: &MemberRow,
    program: &ProgramRow,
) -> Result<String, serde_json::Error> {
    let mut lines = Lines::default();
    lines.put("sweep_id", sweep.sweep_id.as_str());
    lines.put("sweep_name", &sweep.name);
    lines.put("member_index", &member.index.to_string());
    if let Some(name) = &member.name {
        lines.put("member_name", name);
    }
    if let Some(command) = &program.command {
        lines.put("command", command);
    }
    if let Some(user_data) = &program.user_data {
        lines.put("user_data", user_data);
    }
    if let Some(deadline_ms) = member.ttl_deadline {
        lines.put("ttl_deadline", &(deadline_ms / 1000).to_string());
    }
    if let Some(hook) = &program.on_interruption {
        lines.put("on_interruption", hook);
    }
    lines.put("idle_rules", &idle_rules(member, &program.idle));
    lines.put("on_complete", program.on_complete.as_str());
    if let Some(file) = &program.completion_file {
        lines.put("completion_file", file);
        lines.put(
            "completion_delay_s",
            &program.completion_delay_s.to_string(),
        );
    }
    // A log group takes lines of its own account only.
    if let Some(group) = sweep
        .log_group
        .as_ref()
        .filter(|_| member.lane.account.is_none())
    {
        lines.put("log_group", group);
    }
    let has_accelerator = instance_type_has_accelerator(member);
    for (key, value) in
        instance_metrics::lines(&sweep.instance_metrics, &sweep.sweep_id, has_accelerator)
    {
        lines.put(key, &value);
    }
    lines.put("results_bucket", &sweep.results_bucket);
    lines.put(
        "results_prefix",
        &results_prefix(sweep.sweep_id.as_str(), member.index),
    );
    lines.put("result_file", &program.result_file);
    for input in &program.inputs {
        lines.put("input", input);
    }
    for (name, value) in environment(sweep, member)? {
        lines.put(&format!("env {name}"), &value);
    }
    Ok(lines.0)
}

/// What counts as idle, as the monitor reads it: limits of processors, network, disks, GPUs and users, `-` where the signal
/// is not looked at; seconds of a window, windows, how many must agree, and the grace after boot.
///
/// GPUs are looked at on types that have accelerators: there, one that cannot be read leaves the activity unknown.
fn idle_rules(member: &MemberRow, rules: &IdleRules) -> String {
    let has_gpu = instance_type_has_accelerator(member);
    let limits = [
        rules.cpu_percent,
        rules.network_kib_per_s,
        rules.disk_kib_per_s,
        rules.gpu_percent.filter(|_| has_gpu),
        rules.users,
    ];
    let limits = limits.map(|limit| limit.map_or("-".to_owned(), |limit| limit.to_string()));
    format!(
        "{} {} {} {} {}",
        limits.join(" "),
        rules.window_s,
        rules.windows,
        rules.agree,
        rules.grace_s
    )
}

/// Whether the member's instance has an accelerator, by its type.
fn instance_type_has_accelerator(member: &MemberRow) -> bool {
    let name = member.instance_type.as_deref();
    name.is_some_and(idle::has_accelerator)
}

/// The log group of the output of a sweep's members.
#[must_use]
pub fn log_group(sweep_id: &str) -> String {
    format!("/spawn/sweeps/{sweep_id}")
}

/// The S3 prefix of what a member leaves.
#[must_use]
pub fn results_prefix(sweep_id: &str, index: u32) -> String {
    format!("sweeps/{sweep_id}/{index}")
}

/// The environment of a member's program: spawn's own names, and those that programs written for its ancestor read.
///
/// # Errors
/// When the member's parameters are not readable.
pub fn environment(
    sweep: &SweepRow,
    member: &MemberRow,
) -> Result<Vec<(String, String)>, serde_json::Error> {
    let params = member.params()?;
    let index = member.index.to_string();
    let mut environment: Vec<(String, String)> = [
        ("SPAWN_SWEEP_ID", sweep.sweep_id.as_str()),
        ("SPAWN_SWEEP_NAME", sweep.name.as_str()),
        ("SPAWN_MEMBER_INDEX", index.as_str()),
        ("SPAWN_PARAMS", member.params.as_str()),
        ("SWEEP_ID", sweep.sweep_id.as_str()),
        ("SWEEP_NAME", sweep.name.as_str()),
        ("SWEEP_INDEX", index.as_str()),
        ("SWEEP_PARAMS", member.params.as_str()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let number = member.try_number().to_string();
    environment.push(("SPAWN_ATTEMPT".to_owned(), number));
    let size = sweep.members.to_string();
    environment.push(("SPAWN_SWEEP_SIZE".to_owned(), size.clone()));
    environment.push(("SWEEP_SIZE".to_owned(), size));
    if let Some(name) = &member.name {
        environment.push(("SPAWN_MEMBER_NAME".to_owned(), name.clone()));
    }
    environment.extend(parameter_variables(&params));
    Ok(environment)
}

/// `SPAWN_PARAM_<name>` and `PARAM_<name>` of every parameter.
fn parameter_variables(params: &Map<String, Value>) -> Vec<(String, String)> {
    params
        .iter()
        .flat_map(|(name, value)| {
            let name = variable_name(name);
            let value = parameter_text(value);
            [
                (format!("SPAWN_PARAM_{name}"), value.clone()),
                (format!("PARAM_{name}"), value),
            ]
        })
        .collect()
}

/// The part of a variable's name that stands for a parameter: what no variable name can hold becomes `_`.
#[must_use]
pub fn variable_name(parameter: &str) -> String {
    parameter
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// A parameter as a program reads it: text as it is, everything else as JSON.
#[must_use]
pub fn parameter_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push(' ');
        self.0.push_str(&STANDARD.encode(value));
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home {
            table: "spawn-sweeps".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    #[test]
    fn user_data_fits_ec2_and_holds_the_runner() {
        let text = user_data(&home(), None, Some(31_536_000));
        assert!(text.len() <= USER_DATA_BYTES_MAX, "{} bytes", text.len());
        let packed = text.lines().find_map(|line| line.strip_prefix("packed="));
        let bytes = STANDARD.decode(packed.unwrap()).unwrap();
        let mut script = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut script)
            .unwrap();
        assert_eq!(script, RUNNER);
        assert_eq!(
            text,
            user_data(&home(), None, Some(31_536_000)),
            "a template is made once"
        );
        assert!(text.starts_with("#!/bin/sh\nSPAWN_TABLE='spawn-sweeps'\n"));
        assert!(text.contains("SPAWN_KILL_AFTER_S='31536000'\n"));
        assert!(user_data(&home(), None, None).contains("SPAWN_KILL_AFTER_S=''\n"));
    }

    #[test]
    fn instances_of_another_account_name_the_ledger_by_its_arn() {
        let other: AccountId = "111122223333".parse().unwrap();
        let text = user_data(&home(), Some(other), None);
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/spawn-sweeps";
        assert!(text.contains(&format!("\nSPAWN_TABLE='{arn}'\n")));
        let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
        assert!(text.contains(&format!("\nSPAWN_BUS='{bus}'\n")));
        assert!(user_data(&home(), None, None).contains("\nSPAWN_BUS='default'\n"));
    }

    #[test]
    fn a_value_of_the_header_cannot_leave_its_quotes() {
        let home = Home {
            table: "a'; rm -rf /; '".to_owned(),
            ..home()
        };
        assert!(user_data(&home, None, None).contains(r"SPAWN_TABLE='a'\''; rm -rf /; '\'''"));
    }

    #[test]
    fn parameters_reach_the_program_as_written() {
        assert_eq!(parameter_text(&Value::from("$(x) `y`\n")), "$(x) `y`\n");
        assert_eq!(parameter_text(&serde_json::json!([1, "a"])), r#"[1,"a"]"#);
        assert_eq!(parameter_text(&Value::Bool(true)), "true");
        assert_eq!(variable_name("learning-rate.0"), "learning_rate_0");
    }
}
