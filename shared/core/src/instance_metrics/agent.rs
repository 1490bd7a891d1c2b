//! What a member's boot runner is told of the CloudWatch agent's configuration.
//!
//! The agent reads processors, memory and GPUs itself. Its `diskio` and `net` give bytes of an interval, never a rate, and it
//! can divide by nothing; so the monitor measures MB/s and hands them over by OTLP, the only way in that keeps a unit (`statsd`
//! has none). See `docs/decisions/0045-instance-metrics.md`.
//!
//! The configuration comes in parts, since only the machine knows whether it has `nvidia-smi` and how old its agent is.
//! `@…@` stand for what only the machine knows; no value of a document gets in.

use serde_json::{Map, Value, json};

use super::{InstanceMetric, Wanted};
use crate::ids::SweepId;

/// Sets of dimensions that every metric of the agent's own readings is summed up by, where it has all of a set.
const AGGREGATED_BY: [&[&str]; 4] = [
    &["InstanceId"],
    &["InstanceType"],
    &["SweepID", "InstanceType"],
    // All instances together, which is what an alarm can watch.
    &[],
];

/// The lines of an assignment: `agent`, a configuration in which `@parts@` stands for the parts; `agent_host`, `agent_gpu` and
/// `agent_rates`, its parts; `rates`, the names of what the monitor measures. None when nothing is wanted.
#[must_use]
pub fn lines(
    wanted: &Wanted,
    sweep_id: &SweepId,
    has_accelerator: bool,
) -> Vec<(&'static str, String)> {
    let metrics: Vec<InstanceMetric> = wanted
        .iter()
        .copied()
        .filter(|metric| metric.is_of(has_accelerator))
        .collect();
    if metrics.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![("agent", whole())];
    let mut host = Map::new();
    let mut rates = Vec::new();
    for metric in metrics {
        match metric {
            InstanceMetric::CpuUtilization => {
                let mut cpu = own_reading(metric, "cpu_usage_active", sweep_id);
                // One number for all processors, not one for each.
                cpu["totalcpu"] = json!(true);
                host.insert("cpu".to_owned(), cpu);
            }
            InstanceMetric::MemoryUtilization => {
                let memory = own_reading(metric, "mem_used_percent", sweep_id);
                host.insert("mem".to_owned(), memory);
            }
            InstanceMetric::GpuUtilization => {
                let gpu = own_reading(metric, "utilization_gpu", sweep_id);
                lines.push(("agent_gpu", part("nvidia_gpu", &gpu)));
            }
            InstanceMetric::DiskReadMb
            | InstanceMetric::DiskWriteMb
            | InstanceMetric::NetworkInMb
            | InstanceMetric::NetworkOutMb => rates.push(metric.as_str()),
        }
    }
    if !host.is_empty() {
        let parts: Vec<String> = host.iter().map(|(name, value)| part(name, value)).collect();
        lines.push(("agent_host", parts.join(",")));
    }
    if !rates.is_empty() {
        let otlp = json!({"http_endpoint": "127.0.0.1:@port@"});
        lines.push(("agent_rates", part("otlp", &otlp)));
        lines.push(("rates", rates.join(" ")));
    }
    lines
}

/// All but the parts. The region is the home region: one place has all members' metrics, as it has all else of a sweep.
fn whole() -> String {
    let head = json!({
        "agent": {"region": "@region@", "metrics_collection_interval": 0, "omit_hostname": true},
        "metrics": {
            "namespace": crate::metrics::NAMESPACE,
            "aggregation_dimensions": AGGREGATED_BY,
            "metrics_collected": "@parts@",
        },
    });
    // A number and an object have no quotes around them.
    head.to_string()
        .replace(
            r#""metrics_collection_interval":0"#,
            r#""metrics_collection_interval":@every@"#,
        )
        .replace(r#""@parts@""#, "{@parts@}")
}

/// A reading of the agent's own, under the guide's name. The original, which has all dimensions at once and the reading's own
/// beside them, would be a metric more to pay for.
fn own_reading(metric: InstanceMetric, name: &str, sweep_id: &SweepId) -> Value {
    json!({
        "measurement": [{"name": name, "rename": metric.as_str(), "unit": "Percent"}],
        "drop_original_metrics": [name],
        "append_dimensions": {
            "InstanceId": "@instance@",
            "InstanceType": "@type@",
            "SweepID": sweep_id.as_str(),
        },
    })
}

fn part(name: &str, value: &Value) -> String {
    format!("{}:{value}", Value::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> SweepId {
        SweepId::from("demo-20260101-abcdef")
    }

    fn line(lines: &[(&'static str, String)], name: &str) -> Option<String> {
        let found = lines.iter().find(|(key, _)| *key == name);
        found.map(|(_, text)| text.clone())
    }

    /// The configuration as a machine puts it together.
    fn put_together(lines: &[(&'static str, String)]) -> Value {
        let parts: Vec<String> = ["agent_host", "agent_gpu", "agent_rates"]
            .iter()
            .filter_map(|name| line(lines, name))
            .collect();
        let text = line(lines, "agent").unwrap();
        let text = text
            .replace("@parts@", &parts.join(","))
            .replace("@every@", "60");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_parts_make_a_configuration_under_the_names_of_the_guide() {
        let lines = lines(&InstanceMetric::ALL.into(), &sweep(), true);
        let config = put_together(&lines);
        assert_eq!(config["metrics"]["namespace"], "spawn");
        assert_eq!(config["agent"]["metrics_collection_interval"], 60);
        let collected = &config["metrics"]["metrics_collected"];
        let renamed = |plugin: &str| collected[plugin]["measurement"][0]["rename"].clone();
        assert_eq!(renamed("cpu"), "cpu_utilization");
        assert_eq!(renamed("mem"), "memory_utilization");
        assert_eq!(renamed("nvidia_gpu"), "gpu_utilization");
        let dimensions = &collected["cpu"]["append_dimensions"];
        assert_eq!(dimensions["SweepID"], "demo-20260101-abcdef");
        assert_eq!(
            line(&lines, "rates").unwrap(),
            "disk_read_mb disk_write_mb network_in_mb network_out_mb"
        );
        assert_eq!(
            config["metrics"]["aggregation_dimensions"],
            json!([
                ["InstanceId"],
                ["InstanceType"],
                ["SweepID", "InstanceType"],
                []
            ])
        );
    }

    #[test]
    fn a_machine_is_asked_for_no_more_than_is_wanted_and_it_can_have() {
        assert!(lines(&Wanted::new(), &sweep(), true).is_empty());
        let gpu = Wanted::from([InstanceMetric::GpuUtilization]);
        assert!(lines(&gpu, &sweep(), false).is_empty());
        let cpu = lines(&[InstanceMetric::CpuUtilization].into(), &sweep(), true);
        let collected = put_together(&cpu)["metrics"]["metrics_collected"].clone();
        assert_eq!(collected.as_object().unwrap().len(), 1);
        assert!(line(&cpu, "rates").is_none());
    }
}
