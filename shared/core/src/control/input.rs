//! What is asked: which sweep, members or instance, and with what.

use std::fmt;

use serde_json::Value;

use super::name::{Control, Field};
use super::read::{Reader, shown};
use crate::clock;
use crate::document::{format_duration, parse_duration};
use crate::errors::FunctionError;
use crate::ids::{InstanceArn, SweepId};
use crate::ranges::Indices;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// Characters of a sweep's id: a name of at most 40, the day, six digits; more is no id.
const SWEEP_ID_CHARS_MAX: usize = 100;
/// Characters of a member's name or list of indices.
const MEMBER_CHARS_MAX: usize = 4_000;
/// The longest extension of a member's time: a sweep's execution lives no longer than a year (AWS Step Functions Developer
/// Guide, "Service quotas").
const EXTENSION_S_MAX: u64 = 364 * 24 * 3600;
/// The shortest: the boot runner looks at its deadline once a minute.
const EXTENSION_S_MIN: u64 = 60;

/// How a member is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberName {
    /// By indices.
    Indices(Indices),
    /// By the name that its document gives it.
    Name(String),
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indices(indices) if indices.len() == 1 => write!(f, "member {indices}"),
            Self::Indices(indices) => write!(f, "members {indices}"),
            Self::Name(name) => write!(f, "member `{name}`"),
        }
    }
}

/// What a control is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A whole sweep.
    Sweep(SweepId),
    /// Members of a sweep.
    Members(SweepId, MemberName),
    /// The member of this instance, named by its id (the control looks in its own account) or by its ARN.
    InstanceId(String),
    /// The same, by its ARN.
    InstanceArn(InstanceArn),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sweep(_) => f.write_str("the sweep"),
            Self::Members(_, members) => members.fmt(f),
            Self::InstanceId(id) => write!(f, "instance {id}"),
            Self::InstanceArn(arn) => write!(f, "instance {}", arn.instance_id),
        }
    }
}

/// How much more time members get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// So many seconds more than they have.
    By(u64),
    /// Until this time, in ms since 1970.
    Until(u64),
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(seconds) => write!(f, "by {}", format_duration(*seconds)),
            Self::Until(ms) => write!(f, "until {}", clock::format_iso(*ms)),
        }
    }
}

/// What is asked of a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The control.
    pub control: Control,
    /// What it is about.
    pub target: Target,
    /// Why, in the words of who asks.
    pub reason: Option<String>,
    /// Whether protected instances are ended, too.
    pub force: bool,
    /// How much more time, for [`Control::Extend`].
    pub extension: Option<Extension>,
}

/// Reads the input of a control that was asked for at `now` (ms since 1970).
///
/// # Errors
/// [`FunctionError::InvalidInput`] with every fault.
pub fn parse(control: Control, input: &Value, now: u64) -> Result<Request, FunctionError> {
    let names: Vec<&str> = control.fields().iter().map(|field| field.name()).collect();
    let mut reader = Reader::new(&format!("spawn-{control}"), input, &names);
    let target = target(control, &mut reader);
    let has = |field: Field| control.fields().contains(&field);
    let reason = if has(Field::Reason) {
        let accepted = format!("a text of at most {REASON_CHARS_MAX} characters");
        reader.text("reason", REASON_CHARS_MAX, &accepted)
    } else {
        None
    };
    let force = has(Field::Force) && reader.flag("force");
    let extension = if has(Field::By) {
        extension(&mut reader, now)
    } else {
        None
    };
    let request = target.map(|target| Request {
        control,
        target,
        reason: reason.map(str::to_owned),
        force,
        extension,
    });
    reader.finish(request)
}

const SWEEP_ID: &str = "the id of a sweep, such as hyperparam-20260122-abc123";
const INSTANCE_ID: &str = "the id of an instance, such as i-0123456789abcdef0, or its ARN";
const MEMBER: &str =
    "the index of a member, several such as \"0-9,12\", or a member's name, beside `sweep_id`";
const ONE_MEMBER: &str = "the index of one member, or its name, beside `sweep_id`";

/// What the input is about.
fn target(control: Control, reader: &mut Reader<'_>) -> Option<Target> {
    let has = |field: Field| control.fields().contains(&field);
    let sweep = sweep_id(reader);
    let member = if has(Field::Member) {
        member(control, reader)
    } else {
        None
    };
    let instance = if has(Field::InstanceId) {
        instance(reader)
    } else {
        None
    };
    let given = |name: &str, reader: &Reader<'_>| reader.value(name).is_some();
    if given("instance_id", reader) && has(Field::InstanceId) {
        for name in ["sweep_id", "member"] {
            if given(name, reader) && (name != "member" || has(Field::Member)) {
                let problem = "stands beside `instance_id`, which says it all";
                reader.fault(name, problem, "one of them");
            }
        }
        return instance;
    }
    match (sweep, member) {
        (Some(sweep), None) if control == Control::Replace && !given("member", reader) => {
            drop(sweep);
            reader.fault("member", "is missing", ONE_MEMBER);
            None
        }
        (Some(sweep), None) => Some(Target::Sweep(sweep)),
        (Some(sweep), Some(member)) => Some(Target::Members(sweep, member)),
        (None, _) => {
            if !given("sweep_id", reader) {
                let accepted = if has(Field::InstanceId) {
                    format!("{SWEEP_ID}, or `instance_id` instead: {INSTANCE_ID}")
                } else {
                    SWEEP_ID.to_owned()
                };
                reader.fault("sweep_id", "is missing", &accepted);
            }
            None
        }
    }
}

fn sweep_id(reader: &mut Reader<'_>) -> Option<SweepId> {
    let text = reader.text("sweep_id", SWEEP_ID_CHARS_MAX, SWEEP_ID)?;
    let is_id = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if is_id {
        return Some(SweepId::from(text));
    }
    reader.fault("sweep_id", &format!("\"{text}\" is no id"), SWEEP_ID);
    None
}

fn member(control: Control, reader: &mut Reader<'_>) -> Option<MemberName> {
    let value = reader.value("member")?;
    let is_one = matches!(control, Control::Status | Control::Replace);
    let accepted = if is_one { ONE_MEMBER } else { MEMBER };
    let name = match value {
        Value::Number(number) => {
            let index = number.as_u64().and_then(|index| u32::try_from(index).ok());
            match index {
                Some(index) => MemberName::Indices([index].into_iter().collect()),
                None => {
                    let problem = format!("{number} is no index");
                    reader.fault("member", &problem, accepted);
                    return None;
                }
            }
        }
        _ => {
            let text = reader.text("member", MEMBER_CHARS_MAX, accepted)?;
            // A name may hold digits and hyphens, but no sweep has members whose names are lists of indices: those win.
            match text.parse::<Indices>() {
                Ok(indices) if !indices.is_empty() => MemberName::Indices(indices),
                _ => MemberName::Name(text.to_owned()),
            }
        }
    };
    if let MemberName::Indices(indices) = &name
        && is_one
        && indices.len() != 1
    {
        let problem = format!("{} names {} members", shown(value), indices.len());
        reader.fault("member", &problem, accepted);
        return None;
    }
    Some(name)
}

fn instance(reader: &mut Reader<'_>) -> Option<Target> {
    let text = reader.text("instance_id", 200, INSTANCE_ID)?;
    if let Ok(arn) = text.parse() {
        return Some(Target::InstanceArn(arn));
    }
    // Eight or seventeen hex digits (Amazon EC2 User Guide, "Resource IDs").
    let digits = text.strip_prefix("i-").unwrap_or_default();
    if matches!(digits.len(), 8 | 17) && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Some(Target::InstanceId(text.to_owned()));
    }
    let problem = format!("\"{text}\" names no instance");
    reader.fault("instance_id", &problem, INSTANCE_ID);
    None
}

fn extension(reader: &mut Reader<'_>, now: u64) -> Option<Extension> {
    const BY: &str = "a duration from 1m to 364d, such as 2h or 90m";
    const UNTIL: &str = "a time to come, such as 2026-01-22T18:00:00Z";
    let is_given = |name: &str, reader: &Reader<'_>| reader.value(name).is_some();
    if is_given("by", reader) && is_given("until", reader) {
        reader.fault("until", "stands beside `by`", "one of them");
    }
    if !is_given("by", reader) && !is_given("until", reader) {
        let accepted = format!("{BY}; or `until` instead: {UNTIL}");
        reader.fault("by", "is missing", &accepted);
        return None;
    }
    if let Some(text) = reader.text("by", 40, BY) {
        match parse_duration(text) {
            Ok(seconds) if (EXTENSION_S_MIN..=EXTENSION_S_MAX).contains(&seconds) => {
                return Some(Extension::By(seconds));
            }
            Ok(_) => reader.fault("by", &format!("\"{text}\" is out of range"), BY),
            Err(error) => reader.fault("by", &format!("\"{text}\" {error}"), BY),
        }
    }
    if let Some(text) = reader.text("until", 40, UNTIL) {
        match clock::parse_iso(text) {
            Some(until) if until >= now + EXTENSION_S_MIN * 1000 => {
                if until <= now + EXTENSION_S_MAX * 1000 {
                    return Some(Extension::Until(until));
                }
                let problem = format!("\"{text}\" is more than 364d away");
                reader.fault("until", &problem, UNTIL);
            }
            Some(_) => {
                let problem = format!(
                    "\"{text}\" is past, or less than a minute away: now is {}",
                    clock::format_iso(now)
                );
                reader.fault("until", &problem, UNTIL);
            }
            None => reader.fault("until", &format!("\"{text}\" is no time"), UNTIL),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn words(control: Control, input: &Value) -> String {
        parse(control, input, NOW).unwrap_err().to_string()
    }

    fn read(control: Control, input: &Value) -> Request {
        parse(control, input, NOW).unwrap()
    }

    #[test]
    fn a_sweep_members_of_it_or_an_instance_are_named() {
        let sweep = SweepId::from("a-20260101-abcdef");
        let indices = |text: &str| MemberName::Indices(text.parse().unwrap());
        let of = |members| Target::Members(sweep.clone(), members);
        for (input, target) in [
            (json!({"sweep_id": sweep}), Target::Sweep(sweep.clone())),
            (json!({"sweep_id": sweep, "member": 3}), of(indices("3"))),
            (
                json!({"sweep_id": sweep, "member": "0-4,7"}),
                of(indices("0-4,7")),
            ),
            (
                json!({"sweep_id": sweep, "member": "baseline"}),
                of(MemberName::Name("baseline".to_owned())),
            ),
            (
                json!({"instance_id": "i-0123456789abcdef0"}),
                Target::InstanceId("i-0123456789abcdef0".to_owned()),
            ),
        ] {
            assert_eq!(read(Control::Stop, &input).target, target);
        }
        let arn = "arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0";
        let of_arn = read(Control::Status, &json!({"instance_id": arn}));
        assert_eq!(of_arn.target, Target::InstanceArn(arn.parse().unwrap()));
    }

    #[test]
    fn every_fault_is_told_at_once_with_what_is_accepted() {
        let input = json!({"sweep": "x", "member": -1, "force": "yes", "reason": ""});
        assert_eq!(
            words(Control::Terminate, &input),
            "5 faults in the input of spawn-terminate:\n\
             - sweep: is not known; accepted: sweep_id, member, instance_id, force, reason\n\
             - member: -1 is no index; accepted: the index of a member, several such as \"0-9,12\", or a member's name, \
             beside `sweep_id`\n\
             - sweep_id: is missing; accepted: the id of a sweep, such as hyperparam-20260122-abc123, or `instance_id` \
             instead: the id of an instance, such as i-0123456789abcdef0, or its ARN\n\
             - reason: is empty; accepted: a text of at most 500 characters\n\
             - force: \"yes\" is neither true nor false; accepted: true, false"
        );
    }

    #[test]
    fn slips_and_contradictions_are_told() {
        for (control, input, part) in [
            (
                Control::Cancel,
                json!({"sweepid": "x"}),
                "did you mean sweep_id?",
            ),
            (Control::Cancel, json!([1]), "not a JSON object"),
            (
                Control::Cancel,
                json!({"sweep_id": "a", "member": 1}),
                "member: is not known; accepted: sweep_id, force, reason",
            ),
            (
                Control::Stop,
                json!({"sweep_id": "a", "instance_id": "i-01234567"}),
                "stands beside",
            ),
            (
                Control::Stop,
                json!({"instance_id": "i-xyz"}),
                "names no instance",
            ),
            (
                Control::Replace,
                json!({"sweep_id": "a"}),
                "member: is missing",
            ),
            (
                Control::Replace,
                json!({"sweep_id": "a", "member": "1-2"}),
                "names 2 members",
            ),
            (
                Control::Status,
                json!({"sweep_id": "a b"}),
                "\"a b\" is no id",
            ),
            (Control::Stop, json!({"sweep_id": 7}), "7 is no text"),
        ] {
            let words = words(control, &input);
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn an_extension_is_a_duration_or_a_time_to_come() {
        let with = |more: Value| {
            let mut input = json!({"sweep_id": "a"});
            input
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            input
        };
        let by = read(Control::Extend, &with(json!({"by": "2h"})));
        assert_eq!(by.extension, Some(Extension::By(7200)));
        let until = read(
            Control::Extend,
            &with(json!({"until": "2027-02-01T00:00:00Z"})),
        );
        assert_eq!(
            until.extension,
            clock::parse_iso("2027-02-01T00:00:00Z").map(Extension::Until)
        );
        for (more, part) in [
            (json!({}), "by: is missing"),
            (
                json!({"by": "2h", "until": "2027-02-01T00:00:00Z"}),
                "stands beside `by`",
            ),
            (json!({"by": "2"}), "has no unit"),
            (json!({"by": "1s"}), "out of range"),
            (json!({"by": "2y"}), "which is not known"),
            (json!({"until": "2020-01-01T00:00:00Z"}), "is past"),
            (json!({"until": "2100-01-01T00:00:00Z"}), "364d away"),
            (json!({"until": "tomorrow"}), "is no time"),
        ] {
            let words = words(Control::Extend, &with(more));
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn what_another_machine_adds_to_an_input_is_no_fault() {
        let input = json!({"sweep_id": "a", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn"});
        assert_eq!(read(Control::Cancel, &input).reason, None);
    }
}
