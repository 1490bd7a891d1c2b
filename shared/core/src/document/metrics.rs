//! What members' machines report: `instance_metrics`.

use serde_json::Value;

use super::read::{Problem, Read, each, truth_hint, word, wrong_type};
use crate::instance_metrics::{InstanceMetric, Wanted};

/// Reads `instance_metrics`: all, none, one, or a list.
pub(super) fn instance_metrics(value: &Value) -> Read<Wanted> {
    match value {
        Value::Bool(true) => Ok(InstanceMetric::ALL.into()),
        Value::Bool(false) => Ok(Wanted::new()),
        Value::Number(_) | Value::Object(_) => {
            Err(wrong_type(value, "true, false or a list").into())
        }
        Value::Null | Value::String(_) | Value::Array(_) => {
            let wanted = each(value, |value| {
                let names = InstanceMetric::ALL.map(InstanceMetric::as_str);
                let name = word(value, &names).map_err(|problems| hinted(problems, value))?;
                let found = InstanceMetric::ALL
                    .into_iter()
                    .find(|metric| metric.as_str() == name);
                found.ok_or_else(|| Problem::new(format!("{name} is not known")).into())
            })?;
            Ok(wanted.into_iter().collect())
        }
    }
}

/// `yes` is meant as a truth value.
fn hinted(problems: Vec<Problem>, value: &Value) -> Vec<Problem> {
    let Some(hint) = truth_hint(value) else {
        return problems;
    };
    let hinted = problems.into_iter().map(|problem| problem.or_hint(&hint));
    hinted.collect()
}
