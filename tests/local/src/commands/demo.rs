//! `cargo demo`: a stack, a sweep with real work, its results, and nothing left.

use std::time::Instant;

use serde_json::Value;

use super::FAILED;
use crate::aws::Client;
use crate::cli::Demo;
use crate::error::Result;
use crate::follow::follow;
use crate::narrator::Narrator;
use crate::outcome::{Outcome, plural, result_lines};
use crate::results::{Measure, Results};
use crate::show::{Printed, Style, bars, heat_map, seconds};
use crate::stack::{Stack, StackOptions};
use crate::submission::submit;
use crate::workspace::Workspace;

/// The sweep that is shown.
const DOCUMENT: &str = "examples/hyperparameter-sweep/sweep.yaml";

/// What its results are sorted by.
const MEASURE: &str = "log_loss:min";

/// Operations that launch instances.
const LAUNCHES: [&str; 2] = ["RunInstances", "CreateFleet"];

/// Runs the demonstration.
pub fn run(demo: &Demo, style: Style) -> Result<u8> {
    let begun = Instant::now();
    let usual = StackOptions::default();
    let options = StackOptions {
        processes: demo.processes.map_or(usual.processes, usize::from),
        ..usual
    };
    println!(
        "{}",
        style.strong("spawn: a parameter sweep on EC2 from one command, here on one machine\n")
    );
    let narrator = Printed::new(style);
    narrator.tells(
        "stack",
        "starting the AWS APIs and an EC2 simulator on 127.0.0.1",
    );
    let stack = Stack::start_narrated(&options, &narrator)?;
    println!(
        "{} the same template, state machines and functions as on AWS, at {}",
        heading("deployed", style),
        stack.endpoint()
    );
    print!("          ");
    narrator.summary(begun.elapsed());

    let code = show(&stack, &options, style)?;
    stack.stop();
    println!(
        "\nEverything was stopped after {}: no process is left.",
        seconds(begun.elapsed())
    );
    println!("{}", style.dim("Next: `cargo local up`, then any AWS client, or `cargo local sweep` with a document of yours."));
    Ok(code)
}

fn show(stack: &Stack, options: &StackOptions, style: Style) -> Result<u8> {
    let client = stack.client();
    let document = Workspace::find()?.root.join(DOCUMENT);
    let submission = submit(&client, &document, None, false)?;
    println!(
        "{} {DOCUMENT}, handed in by StartExecution",
        heading("submitted", style)
    );
    let members = if options.processes == 1 {
        "one member runs".into()
    } else {
        format!("{} members run", options.processes)
    };
    println!(
        "          {}\n",
        style.dim(&format!(
            "{members} at a time, as local processes with the boot script of an instance"
        ))
    );
    let followed = follow(&client, &submission.execution_arn, Some(style))?;
    let outcome = Outcome::of(&followed.execution);
    println!();
    for line in outcome.lines(style) {
        println!("{line}");
    }
    let Some(results) = outcome.results(&client)? else {
        println!("the logs are kept in {}", stack.folder().display());
        return Ok(outcome.exit_code().max(FAILED));
    };
    let measure = results
        .measure(MEASURE)
        .ok()
        .or_else(|| results.guess_measure());
    println!();
    for line in result_lines(&results, measure.as_ref(), style) {
        println!("{line}");
    }
    if let Some(measure) = &measure {
        println!();
        for line in picture(&results, measure, style) {
            println!("{line}");
        }
    }
    println!("\n{}", style.strong("what happened"));
    let are_gone = account(stack, &client, &results, style)?;
    Ok(if are_gone {
        outcome.exit_code()
    } else {
        FAILED
    })
}

/// The measure over two parameters, or of the best members.
fn picture(results: &Results, measure: &Measure, style: Style) -> Vec<String> {
    let ranked = results.ranked(measure);
    if let Some((down, across)) = results.axes() {
        let points: Vec<_> = ranked
            .iter()
            .map(|(member, value)| {
                (
                    member.params[down].clone(),
                    member.params[across].clone(),
                    *value,
                )
            })
            .collect();
        let axes = (
            results.params[down].as_str(),
            results.params[across].as_str(),
        );
        let best = if results.params.len() > 2 {
            ", the best over the other parameters"
        } else {
            ""
        };
        let mut lines = vec![style.strong(&format!(
            "{} by {} and {}{best}",
            measure.field, axes.0, axes.1
        ))];
        lines.extend(heat_map(axes, &points, measure.is_lower_better, style));
        return lines;
    }
    let values: Vec<_> = ranked
        .iter()
        .take(8)
        .map(|(member, value)| (format!("#{}", member.index), *value))
        .collect();
    bars(&values, style)
}

/// What EC2 says about it. Answers whether every instance is gone.
fn account(stack: &Stack, client: &Client, results: &Results, style: Style) -> Result<bool> {
    let instances = client.all_instances()?;
    let alive = instances
        .iter()
        .filter(|instance| instance.is_alive())
        .count();
    let mut regions: Vec<&str> = instances
        .iter()
        .map(|instance| instance.region.as_str())
        .collect();
    regions.sort_unstable();
    regions.dedup();
    let calls = launch_calls(&Client::new(stack.sim_endpoint()).plain("/_sim/calls")?);
    let count = |count: usize, word: &str| format!("{count} {}", plural(count as u64, word));
    println!(
        "  {} ran on {} in {}, launched by {calls} EC2 {}",
        count(results.members.len(), "member"),
        count(instances.len(), "instance"),
        regions.join(" and "),
        plural(calls, "call"),
    );
    if alive == 0 {
        println!(
            "  {} no instance is alive: EC2 shows all {} as terminated",
            style.good("ok"),
            instances.len()
        );
    } else {
        println!(
            "  {} {} still alive",
            style.bad("leak"),
            count(alive, "instance")
        );
    }
    Ok(alive == 0)
}

/// Launching calls in what the simulator counted, however it groups them.
fn launch_calls(calls: &Value) -> u64 {
    match calls {
        Value::Object(entries) => entries
            .iter()
            .map(
                |(name, value)| match (LAUNCHES.contains(&name.as_str()), value) {
                    (true, Value::Number(count)) => count.as_u64().unwrap_or_default(),
                    (true, Value::Object(of)) => of
                        .get("total")
                        .and_then(Value::as_u64)
                        .unwrap_or_else(|| launch_calls(value)),
                    _ => launch_calls(value),
                },
            )
            .sum(),
        Value::Array(entries) => entries.iter().map(launch_calls).sum(),
        _ => 0,
    }
}

fn heading(word: &str, style: Style) -> String {
    style.good(&format!("{word:<9}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn launch_calls_are_counted_wherever_they_stand() {
        let calls = json!({"us-east-1": {"RunInstances": {"total": 3, "ok": 2}, "DescribeInstances": {"total": 9}}, "eu-west-1": {"CreateFleet": 1}});
        assert_eq!(launch_calls(&calls), 4);
        assert_eq!(launch_calls(&json!([])), 0);
    }
}
