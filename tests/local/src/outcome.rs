//! What became of a sweep, and how it is told.

use serde_json::Value;

use crate::aws::{Client, Execution};
use crate::commands::{DONE, FAILED, REFUSED, WITH_FAILURES};
use crate::error::Result;
use crate::results::{Measure, Member, Results};
use crate::show::{Style, Table};

/// Members that are shown.
const BEST_SHOWN: usize = 8;
const FAILED_SHOWN: usize = 5;

/// How a sweep ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It ran to its end; the output says how.
    Ended(Value),
    /// It was a dry run; this is the plan.
    Planned(Value),
    /// Its document has faults.
    Refused(Vec<String>),
    /// The execution failed or was stopped.
    Broken {
        /// Step Functions' word.
        status: String,
        /// The error's name.
        error: String,
        /// The error's words.
        cause: String,
    },
}

impl Outcome {
    /// Of an execution that has ended.
    pub fn of(execution: &Execution) -> Self {
        let cause = execution.cause.clone().unwrap_or_default();
        match (
            execution.status.as_str(),
            execution.error.as_deref(),
            &execution.output,
        ) {
            ("SUCCEEDED", _, Some(output)) if is_dry_run(output) => Self::Planned(output.clone()),
            ("SUCCEEDED", _, output) => Self::Ended(output.clone().unwrap_or_default()),
            (_, Some("InvalidSweep"), _) => Self::Refused(faults(&cause)),
            // A sweep in which no member completed carries its output as the cause.
            (status, error, _) => match serde_json::from_str::<Value>(&cause) {
                Ok(output) if output["sweep_id"].is_string() => Self::Ended(output),
                _ => Self::Broken {
                    status: status.into(),
                    error: error.unwrap_or_default().into(),
                    cause,
                },
            },
        }
    }

    /// The exit code that tells of it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Ended(output) => match output["status"].as_str() {
                Some("completed") => DONE,
                Some("completed_with_failures") => WITH_FAILURES,
                _ => FAILED,
            },
            Self::Planned(_) => DONE,
            Self::Refused(_) => REFUSED,
            Self::Broken { .. } => FAILED,
        }
    }

    /// The table of results, if there is one.
    pub fn results(&self, client: &Client) -> Result<Option<Results>> {
        let Self::Ended(output) = self else {
            return Ok(None);
        };
        let Some(uri) = output["results"].as_str() else {
            return Ok(None);
        };
        client
            .get_object(uri)?
            .map(|content| Results::parse(&content))
            .transpose()
    }

    /// What it came to, in lines.
    pub fn lines(&self, style: Style) -> Vec<String> {
        match self {
            Self::Ended(output) => ended_lines(output, style),
            Self::Planned(output) => {
                vec![serde_json::to_string_pretty(&output["plan"]).unwrap_or_default()]
            }
            Self::Refused(faults) => {
                let count = if faults.len() == 1 {
                    "1 fault".into()
                } else {
                    format!("{} faults", faults.len())
                };
                let mut lines = vec![style.bad(&format!("the document was refused: {count}"))];
                lines.extend(faults.iter().map(|fault| format!("  {fault}")));
                lines
            }
            Self::Broken {
                status,
                error,
                cause,
            } => {
                let mut lines = vec![style.bad(&format!(
                    "the execution ended {status}{}{error}",
                    if error.is_empty() { "" } else { ": " }
                ))];
                lines.extend(cause.lines().map(|line| format!("  {line}")));
                lines
            }
        }
    }
}

fn is_dry_run(output: &Value) -> bool {
    output["dry_run"] == true && output["plan"].is_object()
}

/// One line each. The cause of a function's error may come as the error's JSON.
fn faults(cause: &str) -> Vec<String> {
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|error| Some(error["errorMessage"].as_str()?.to_owned()));
    message
        .as_deref()
        .unwrap_or(cause)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

fn ended_lines(output: &Value, style: Style) -> Vec<String> {
    let text = |key: &str| output[key].as_str().unwrap_or_default();
    let status = text("status");
    let told = match status {
        "completed" => style.good(status),
        "completed_with_failures" => style.warn(status),
        _ => style.bad(status),
    };
    let counts: Vec<String> = output["counts"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let mut lines = vec![
        format!(
            "{} {told}: {} in {} s",
            style.strong(text("sweep_id")),
            counts.join(", "),
            output["duration_s"]
        ),
        format!("  results   {}", text("results")),
        format!("  manifest  {}", text("manifest")),
    ];
    if let Some(why) = output["drained_because"].as_str() {
        lines.push(format!("  drained   {why}"));
    }
    for reason in output["reasons"].as_array().into_iter().flatten() {
        lines.push(
            match (reason["reason"].as_str(), reason["members"].as_u64()) {
                (Some(words), Some(members)) => format!(
                    "  {} {words} ({members} {})",
                    style.bad("failed:"),
                    plural(members, "member")
                ),
                _ => format!("  {} {reason}", style.bad("failed:")),
            },
        );
    }
    lines
}

/// `member`, or `members` when there are more.
pub(crate) fn plural(count: u64, word: &str) -> String {
    if count == 1 {
        word.into()
    } else {
        format!("{word}s")
    }
}

/// The best members, and those that failed.
pub fn result_lines(results: &Results, measure: Option<&Measure>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    match measure.map(|measure| (measure, results.ranked(measure))) {
        Some((measure, ranked)) if !ranked.is_empty() => {
            let end = if measure.is_lower_better {
                "lowest"
            } else {
                "highest"
            };
            lines.push(style.strong(&format!("{end} {}", measure.field)));
            let members: Vec<&Member> = ranked
                .iter()
                .take(BEST_SHOWN)
                .map(|(member, _)| *member)
                .collect();
            lines.extend(table(results, &members, false).lines(style));
        }
        _ => {
            let members: Vec<&Member> = results
                .members
                .iter()
                .filter(|member| member.state == "completed")
                .take(BEST_SHOWN)
                .collect();
            if !members.is_empty() {
                lines.push(style.strong("members"));
                lines.extend(table(results, &members, false).lines(style));
            }
        }
    }
    let failed: Vec<&Member> = results
        .members
        .iter()
        .filter(|member| member.state != "completed")
        .collect();
    if !failed.is_empty() {
        let shown = failed.len().min(FAILED_SHOWN);
        let first = if shown < failed.len() {
            format!(", the first {shown}")
        } else {
            String::new()
        };
        lines.push(String::new());
        lines.push(style.strong(&format!("not completed: {}{first}", failed.len())));
        lines.extend(table(results, &failed[..shown], true).lines(style));
    }
    lines
}

fn table(results: &Results, members: &[&Member], with_state: bool) -> Table {
    let has_names = members.iter().any(|member| !member.name.is_empty());
    let mut header = vec!["#".to_owned()];
    if has_names {
        header.push("name".into());
    }
    if with_state {
        header.extend(["state".into(), "exit".into()]);
    }
    header.extend(results.params.iter().cloned());
    header.extend(results.fields.iter().cloned());
    let mut table = Table::new(header);
    for member in members {
        let mut row = vec![member.index.clone()];
        if has_names {
            row.push(member.name.clone());
        }
        if with_state {
            row.extend([member.state.clone(), member.exit_code.clone()]);
        }
        row.extend(member.params.iter().cloned());
        row.extend(member.fields.iter().cloned());
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn execution(
        status: &str,
        error: Option<&str>,
        cause: Option<&str>,
        output: Option<Value>,
    ) -> Execution {
        Execution {
            status: status.into(),
            output,
            error: error.map(Into::into),
            cause: cause.map(Into::into),
        }
    }

    #[test]
    fn exit_codes_tell_how_it_ended() {
        let ended = |status: &str| {
            Outcome::of(&execution(
                "SUCCEEDED",
                None,
                None,
                Some(json!({"status": status})),
            ))
            .exit_code()
        };
        assert_eq!(ended("completed"), DONE);
        assert_eq!(ended("completed_with_failures"), WITH_FAILURES);
        let refused = Outcome::of(&execution(
            "FAILED",
            Some("InvalidSweep"),
            Some("ttl: missing\nnames: two alike\n"),
            None,
        ));
        assert_eq!(
            refused,
            Outcome::Refused(vec!["ttl: missing".into(), "names: two alike".into()])
        );
        assert_eq!(refused.exit_code(), REFUSED);
        let cause = json!({"sweep_id": "s-1", "status": "failed"}).to_string();
        assert_eq!(
            Outcome::of(&execution(
                "FAILED",
                Some("SweepFailed"),
                Some(&cause),
                None
            ))
            .exit_code(),
            FAILED
        );
        let aborted = Outcome::of(&execution("ABORTED", None, None, None));
        assert_eq!(aborted.exit_code(), FAILED);
        assert_eq!(
            aborted.lines(Style::plain()),
            ["the execution ended ABORTED"]
        );
        let planned = json!({"dry_run": true, "plan": {"members": []}});
        assert!(matches!(
            Outcome::of(&execution("SUCCEEDED", None, None, Some(planned))),
            Outcome::Planned(_)
        ));
    }

    #[test]
    fn faults_are_read_from_a_functions_error_too() {
        assert_eq!(
            faults(r#"{"errorType":"InvalidSweep","errorMessage":"a\nb"}"#),
            ["a", "b"]
        );
    }

    #[test]
    fn failures_are_told_with_their_reasons() {
        let output = json!({"sweep_id": "s-1", "status": "completed_with_failures", "counts": {"completed": 2, "failed": 1, "reaped": 0},
            "duration_s": 4, "results": "s3://b/r", "manifest": "s3://b/m", "reasons": [{"reason": "exit code 3", "members": 1}]});
        let lines = Outcome::Ended(output).lines(Style::plain());
        assert_eq!(
            lines[0],
            "s-1 completed_with_failures: 2 completed, 1 failed in 4 s"
        );
        assert_eq!(lines[3], "  failed: exit code 3 (1 member)");
    }
}
