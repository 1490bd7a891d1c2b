//! What a field's value may look like: the words that a fault uses for it, and its part of the JSON Schema.
//!
//! Both come from one place, so that what an editor accepts, what the reference says and what is checked cannot drift apart.

use serde_json::{Value, json};

use super::duration::format_duration;
use crate::instance_metrics::InstanceMetric;
use crate::policy::RETRIES_MAX;
use crate::region::Region;

/// The shape of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Name,
    Tag,
    Whole {
        min: u32,
        max: u32,
    },
    Bool,
    Duration {
        min_s: u64,
        max_s: u64,
        none: bool,
    },
    Money,
    Region,
    Zone,
    InstanceTypes,
    Spot,
    Ami,
    Role,
    Text {
        bytes_max: usize,
    },
    Ids {
        prefix: &'static str,
    },
    OnComplete,
    Idle,
    File,
    Bucket,
    DnsLabel,
    S3Uris,
    Regions,
    Distribution,
    OnBudget,
    RegionOrder,
    InstanceRequirements,
    PlacementGroup,
    Topics,
    Webhooks,
    Occasions,
    Accounts,
    InstanceMetrics,
    Retries,
    OnFailure,
    Tolerated,
    /// Fields that hold other fields.
    Defaults,
    Params,
    Grid,
    Results,
    Notify,
}

/// A duration, for the schema: numbers with units.
const DURATION: &str = r"^\s*([0-9.]+\s*[a-z]+\s*)+$";
/// A type or a pattern of types, for the schema.
const TYPE: &str = r"[a-z*][a-z0-9*-]*\.[a-z0-9*-]+";

impl Shape {
    /// What is accepted, in words.
    pub(super) fn accepted(self) -> String {
        let text = match self {
            Self::Name => "1 to 60 letters, digits, \"-\" and \"_\"",
            Self::Tag => "1 to 256 letters, digits, spaces and + - = . _ : / @",
            Self::Whole { min, max } => return format!("a whole number from {min} to {max}"),
            Self::Bool => "true or false",
            Self::Duration { min_s, max_s, none } => {
                let (min, max) = (format_duration(min_s), format_duration(max_s));
                let none = if none { ", or none" } else { "" };
                return format!("a duration from {min} to {max} such as 30m, 8h or 4h30m{none}");
            }
            Self::Money => "an amount of US dollars above 0 such as 100, 99.50 or \"100 USD\"",
            Self::Region => "an AWS region such as us-east-1",
            Self::Zone => "an availability zone such as us-east-1a",
            Self::InstanceTypes => {
                "an instance type such as c5.4xlarge, a list of them, or a pattern such as c5.* or c5.large|m5.large"
            }
            Self::Spot => "true, false or fallback",
            Self::Ami => {
                "an image id such as ami-0123456789abcdef0, an object of region and image id, or the name of an SSM parameter such as /aws/service/..."
            }
            Self::Role => "the name or ARN of an IAM role or instance profile",
            Self::Text { bytes_max } => {
                return format!("a text of 1 to {bytes_max} bytes");
            }
            Self::Ids { prefix } => {
                return format!("an id such as {prefix}0123456789abcdef0, or a list of them");
            }
            Self::OnComplete => "terminate, stop, hibernate or none",
            Self::Idle => {
                "an object with cpu_percent, network_kib_per_s, disk_kib_per_s, gpu_percent, users (each a number or none), window, windows, agree and grace"
            }
            Self::File => "a path relative to the working directory, without \"..\"",
            Self::Bucket => "the name of an S3 bucket",
            Self::DnsLabel => {
                "1 to 63 lower-case letters, digits and \"-\", a letter or digit at both ends"
            }
            Self::S3Uris => "a list of S3 URIs such as s3://bucket/data.csv or s3://bucket/folder/",
            Self::Regions => {
                "region names, patterns such as us-*, geographies such as eu, an object with include and exclude, or regions with the number of members each gets"
            }
            Self::Distribution => "balanced, cheapest, spread, opportunistic or explicit",
            Self::RegionOrder => "document, price or distance",
            Self::InstanceRequirements => {
                "an object such as {vcpu_count: {min: 4}, memory: {min: 16 GiB}, workload: cpu}"
            }
            Self::PlacementGroup => {
                "cluster for a cluster placement group of the sweep's own, or the name of one that exists"
            }
            Self::OnBudget => "notify, hold or drain",
            Self::Webhooks => {
                "the name of a Parameter Store parameter that holds a webhook's address, such as /spawn/webhooks/team, or a list of them"
            }
            Self::Topics => "the ARN of an SNS topic, or a list of them",
            Self::Occasions => {
                "a list of end, failure, first_failure, overdue and {cost_share: PERCENT}"
            }
            Self::Accounts => "a list of AWS account ids in quotes, each of 12 digits",
            Self::InstanceMetrics => {
                let names = InstanceMetric::ALL.map(InstanceMetric::as_str);
                return format!("true, false or a list of {}", names.join(", "));
            }
            Self::Retries => {
                return format!(
                    "a whole number from 0 to {RETRIES_MAX}, or an object of interruption and failure with such numbers"
                );
            }
            Self::OnFailure => "continue, hold or drain",
            Self::Tolerated => "a number of members, or a share of them from \"0%\" to \"100%\"",
            Self::Defaults => "an object of settings and parameters",
            Self::Params => "a list of objects, one for each member, or the S3 URI of a table",
            Self::Grid => "an object of lists",
            Self::Results => "an object with bucket and file",
            Self::Notify => "an object with topics and occasions",
        };
        text.to_owned()
    }

    /// The JSON Schema of such a value. Shapes that hold other fields are put together by the schema module.
    pub(super) fn schema(self) -> Value {
        let list_of = |item: Value| {
            let single = item.clone();
            json!({"anyOf": [single, {"type": "array", "items": item, "minItems": 1}]})
        };
        let whole = |min: u32, max: u32| json!({"type": "integer", "minimum": min, "maximum": max});
        let regions: Vec<&str> = Region::all().map(Region::as_str).collect();
        let counts = json!({
            "type": "object",
            "propertyNames": {"enum": regions},
            "additionalProperties": whole(0, super::MEMBERS_MAX),
            "minProperties": 1,
        });
        match self {
            Self::Name => json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,60}$"}),
            Self::Tag => json!({"type": "string", "minLength": 1, "maxLength": 256}),
            Self::Whole { min, max } => whole(min, max),
            Self::Bool => json!({"type": "boolean"}),
            Self::Duration { min_s, none, .. } => {
                let mut options = vec![json!({"type": "string", "pattern": DURATION})];
                if none {
                    options.push(json!({"const": "none"}));
                }
                if min_s == 0 {
                    options.push(json!({"const": 0}));
                }
                json!({"anyOf": options})
            }
            Self::Money => json!({"anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": "[0-9]"},
            ]}),
            Self::Region => json!({"enum": regions}),
            Self::Zone => json!({"type": "string", "pattern": "^[a-z]{2}-[a-z]+-[0-9].*[a-z]$"}),
            Self::InstanceTypes => {
                let pattern = format!("^\\s*{TYPE}(\\s*\\|\\s*{TYPE})*\\s*$");
                list_of(json!({"type": "string", "pattern": pattern}))
            }
            Self::Spot => json!({"enum": [true, false, "fallback"]}),
            Self::Ami => {
                let id = json!({"type": "string", "pattern": "^ami-[0-9a-f]{8,17}$"});
                json!({"anyOf": [
                    id,
                    {"type": "string", "pattern": "^/"},
                    {"type": "object", "propertyNames": {"enum": regions}, "additionalProperties": id, "minProperties": 1},
                ]})
            }
            Self::Role => json!({"type": "string", "minLength": 1, "maxLength": 2048}),
            Self::Text { bytes_max } => {
                json!({"type": "string", "minLength": 1, "maxLength": bytes_max})
            }
            Self::Ids { prefix } => {
                list_of(json!({"type": "string", "pattern": format!("^{prefix}[0-9a-f]{{8,17}}$")}))
            }
            Self::OnComplete => json!({"enum": ["terminate", "stop", "hibernate", "none"]}),
            Self::Idle => super::idleness::schema(),
            Self::File => json!({"type": "string", "pattern": "^[^/]", "maxLength": 512}),
            Self::Bucket => {
                json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"})
            }
            Self::DnsLabel => {
                json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"})
            }
            Self::S3Uris => list_of(json!({"type": "string", "pattern": "^s3://[^/]+/.+"})),
            Self::Regions => super::selection::schema(&regions, &counts),
            Self::Distribution => {
                json!({"enum": ["balanced", "cheapest", "spread", "opportunistic", "explicit"]})
            }
            Self::RegionOrder => json!({"enum": ["document", "price", "distance"]}),
            Self::InstanceRequirements => super::requirements::schema(),
            Self::PlacementGroup => json!({"type": "string", "minLength": 1, "maxLength": 255}),
            Self::OnBudget => json!({"enum": ["notify", "hold", "drain"]}),
            Self::Topics => list_of(json!({"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"})),
            Self::Webhooks => list_of(json!({"type": "string", "pattern": "^/[A-Za-z0-9_./-]+$"})),
            Self::Occasions => list_of(json!({"anyOf": [
                {"enum": ["end", "failure", "first_failure", "overdue", "cost_share"]},
                {"type": "object", "properties": {"cost_share": whole(1, 100)}, "required": ["cost_share"], "additionalProperties": false},
            ]})),
            Self::Accounts => list_of(json!({"type": "string", "pattern": "^[0-9]{12}$"})),
            Self::InstanceMetrics => {
                let name = json!({"enum": InstanceMetric::ALL.map(InstanceMetric::as_str)});
                json!({"anyOf": [
                    {"type": "boolean"},
                    name,
                    {"type": "array", "items": name, "minItems": 1},
                ]})
            }
            Self::Retries => {
                let number = whole(0, RETRIES_MAX);
                json!({"anyOf": [
                    number,
                    {
                        "type": "object",
                        "properties": {"interruption": number, "failure": number},
                        "additionalProperties": false,
                    },
                ]})
            }
            Self::OnFailure => json!({"enum": ["continue", "hold", "drain"]}),
            Self::Tolerated => json!({"anyOf": [
                whole(0, super::MEMBERS_MAX),
                {"type": "string", "pattern": "^\\s*(100|[0-9]{1,2})\\s*%\\s*$"},
            ]}),
            Self::Defaults | Self::Results | Self::Notify => json!({"type": "object"}),
            Self::Params => json!({"type": ["array", "object", "string"]}),
            Self::Grid => json!({
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": ["array", "object"]},
            }),
        }
    }
}
