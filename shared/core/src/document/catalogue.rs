//! Every field of the document: its name, its other names, its shape, what it is for.
//!
//! The reader, the suggestions for misspelt keys and the JSON Schema all work from these two tables.

use super::fields::{Field, Setting, Top};
use super::shape::Shape;

/// A year: longer than any sweep, short enough that no deadline overflows.
const TTL_MAX_S: u64 = 365 * 86_400;
const HOUR_S: u64 = 3_600;
const MINUTE_S: u64 = 60;

/// EC2's limit of user data before base64 (Amazon EC2 User Guide, "Run commands when you launch an EC2 instance").
const USER_DATA_BYTES_MAX: usize = 16_384;

/// The longest command. It is kept in one row of the ledger with all else that a member runs, and a row holds 400 KiB.
const COMMAND_BYTES_MAX: usize = 65_536;

const fn field<T>(
    id: T,
    name: &'static str,
    aliases: &'static [&'static str],
    shape: Shape,
    doc: &'static str,
) -> Field<T> {
    Field {
        id,
        name,
        aliases,
        shape,
        doc,
    }
}

const MANY: Shape = Shape::Whole {
    min: 1,
    max: super::MEMBERS_MAX,
};
const UP_TO_AN_HOUR: Shape = Shape::Duration {
    min_s: 0,
    max_s: HOUR_S,
    none: false,
};
const LIFETIME: Shape = Shape::Duration {
    min_s: MINUTE_S,
    max_s: TTL_MAX_S,
    none: true,
};

/// The fields of the sweep as a whole.
pub(super) const TOP: [Field<Top>; 28] = [
    field(
        Top::Name,
        "name",
        &["sweep_name"],
        Shape::Name,
        "The sweep's name: part of its id, of tags, S3 keys and DNS names. Default: sweep.",
    ),
    field(
        Top::Owner,
        "owner",
        &[],
        Shape::Tag,
        "Who answers for the sweep (tag spawn:owner). Default: the operator's, else unknown.",
    ),
    field(
        Top::Project,
        "project",
        &[],
        Shape::Tag,
        "What the sweep is paid from (tag spawn:project). Default: default.",
    ),
    field(
        Top::Defaults,
        "defaults",
        &[],
        Shape::Defaults,
        "Settings and parameters of every member; a member's own win.",
    ),
    field(
        Top::Params,
        "params",
        &["parameters"],
        Shape::Params,
        "The members: one object each, or the S3 URI of a table (JSON, JSON Lines, CSV). Keys that are no settings are the member's parameters. An object of lists is read as a grid.",
    ),
    field(
        Top::Grid,
        "grid",
        &[],
        Shape::Grid,
        "An object of lists: a member for each combination, the last key changing fastest. With params, for each of those.",
    ),
    field(
        Top::Count,
        "count",
        &[],
        MANY,
        "How often each member is repeated; without params and grid, how many members there are. Default: 1.",
    ),
    field(
        Top::Regions,
        "regions",
        &[],
        Shape::Regions,
        "Where members may run: names, patterns such as us-*, geographies such as eu, an object with include and exclude, or names with the number of members. Default: the operator's home region.",
    ),
    field(
        Top::Distribution,
        "distribution",
        &[],
        Shape::Distribution,
        "How members without a place are distributed: balanced evenly over the regions, cheapest to the region with the lowest price, spread evenly over regions and their availability zones, opportunistic to whichever region has capacity first; explicit wants a place for every member. Default: balanced.",
    ),
    field(
        Top::RegionOrder,
        "region_order",
        &[],
        Shape::RegionOrder,
        "Which regions are preferred where there is a choice: document as they are given, price the cheapest first, distance those next to the data of inputs and params. Default: price with cheapest, else document.",
    ),
    field(
        Top::MaxConcurrent,
        "max_concurrent",
        &[],
        MANY,
        "The most instances at a time. Default: no limit.",
    ),
    field(
        Top::MaxConcurrentPerRegion,
        "max_concurrent_per_region",
        &[],
        MANY,
        "The most instances at a time in each region. Default: no limit.",
    ),
    field(
        Top::LaunchDelay,
        "launch_delay",
        &[],
        UP_TO_AN_HOUR,
        "The pause between two launches of a lane. Default: 0s.",
    ),
    field(
        Top::Budget,
        "budget",
        &[],
        Shape::Money,
        "What the sweep may cost in US dollars. Default: the operator's, else no limit.",
    ),
    field(
        Top::OnBudget,
        "on_budget",
        &[],
        Shape::OnBudget,
        "What happens at 50, 80 and 100 % of the budget: notify tells, hold also launches nothing more after 80 %, drain also ends all at 100 %. Default: drain.",
    ),
    field(
        Top::Results,
        "results",
        &[],
        Shape::Results,
        "Where results go: bucket (default: the operator's) and file, the result's path in the working directory (default: result.json).",
    ),
    field(
        Top::ResultBucket,
        "result_bucket",
        &["results_bucket"],
        Shape::Bucket,
        "The same as results.bucket.",
    ),
    field(
        Top::ResultFile,
        "result_file",
        &["results_file"],
        Shape::File,
        "The same as results.file.",
    ),
    field(
        Top::Inputs,
        "inputs",
        &[],
        Shape::S3Uris,
        "S3 objects, and prefixes that end in /, copied into every member's working directory before its command starts.",
    ),
    field(
        Top::Notify,
        "notify",
        &[],
        Shape::Notify,
        "Who is told, and of what: topics (default: the operator's) and occasions (default: end and failure).",
    ),
    field(
        Top::Naming,
        "naming",
        &[],
        Shape::Bool,
        "false: the members get no names in DNS. Default: true, where the operator has a domain for them.",
    ),
    field(
        Top::Logs,
        "logs",
        &[],
        Shape::Bool,
        "false: the output of the members' programs is not sent to CloudWatch Logs. Default: true.",
    ),
    field(
        Top::InstanceMetrics,
        "instance_metrics",
        &[],
        Shape::InstanceMetrics,
        "What the members' machines report to CloudWatch each minute, as custom metrics that cost money: true for all, or some of them. Default: false.",
    ),
    field(
        Top::DryRun,
        "dry_run",
        &[],
        Shape::Bool,
        "Show the plan and launch nothing. Default: false.",
    ),
    field(
        Top::Accounts,
        "accounts",
        &[],
        Shape::Accounts,
        "The AWS accounts over which the members of each region are spread. Default: the one that spawn is deployed in.",
    ),
    field(
        Top::Retries,
        "retries",
        &[],
        Shape::Retries,
        "How often a member is tried again after an interruption of its spot instance (default: 1), and after a failure (default: 0). A number is both.",
    ),
    field(
        Top::OnFailure,
        "on_failure",
        &[],
        Shape::OnFailure,
        "What happens past tolerated_failures: hold launches no more, drain ends what runs, too. Default: continue.",
    ),
    field(
        Top::ToleratedFailures,
        "tolerated_failures",
        &[],
        Shape::Tolerated,
        "How many members, or which share of them, may end without success before on_failure. Default: 0.",
    ),
];

/// The settings of a member.
pub(super) const SETTINGS: [Field<Setting>; 23] = [
    field(
        Setting::Region,
        "region",
        &[],
        Shape::Region,
        "The region that the member is pinned to.",
    ),
    field(
        Setting::AvailabilityZone,
        "availability_zone",
        &["az"],
        Shape::Zone,
        "The availability zone that the member is pinned to.",
    ),
    field(
        Setting::InstanceType,
        "instance_type",
        &["instance_types"],
        Shape::InstanceTypes,
        "The instance types that will do, in order of preference. Default: the operator's.",
    ),
    field(
        Setting::InstanceRequirements,
        "instance_requirements",
        &[],
        Shape::InstanceRequirements,
        "What an instance type must have, in place of instance_type: the cheapest types that have it are taken.",
    ),
    field(
        Setting::Spot,
        "spot",
        &[],
        Shape::Spot,
        "true for the spot market, false for on demand, fallback for spot and on demand where there is none. Default: false.",
    ),
    field(
        Setting::Ami,
        "ami",
        &[],
        Shape::Ami,
        "The image: an id, an id for each region, or an SSM parameter, in which {arch} stands for x86_64 or arm64. Default: the operator's.",
    ),
    field(
        Setting::KeyName,
        "key_name",
        &["key_pair"],
        Shape::Text { bytes_max: 255 },
        "The key pair to log in with. Default: the operator's.",
    ),
    field(
        Setting::IamRole,
        "iam_role",
        &[],
        Shape::Role,
        "The role or instance profile that the instance gets. Default: the operator's.",
    ),
    field(
        Setting::SecurityGroupIds,
        "security_group_ids",
        &[],
        Shape::Ids { prefix: "sg-" },
        "The instance's security groups. Default: its network's default one.",
    ),
    field(
        Setting::SubnetIds,
        "subnet_ids",
        &[],
        Shape::Ids { prefix: "subnet-" },
        "The subnets that the instance may stand in. Default: the default ones of its region.",
    ),
    field(
        Setting::PlacementGroup,
        "placement_group",
        &[],
        Shape::PlacementGroup,
        "cluster for a cluster placement group of the sweep's own in each region, or the name of one that exists. Default: none.",
    ),
    field(
        Setting::Efa,
        "efa",
        &[],
        Shape::Bool,
        "Whether the instance has an Elastic Fabric Adapter; only types that support one are taken. Default: false.",
    ),
    field(
        Setting::UserData,
        "user_data",
        &[],
        Shape::Text {
            bytes_max: USER_DATA_BYTES_MAX,
        },
        "A script that runs at boot, before the command.",
    ),
    field(
        Setting::Command,
        "command",
        &["base_command", "user_command"],
        Shape::Text {
            bytes_max: COMMAND_BYTES_MAX,
        },
        "The program to run, as a shell command. Without one, the instance runs until it is ended.",
    ),
    field(
        Setting::Ttl,
        "ttl",
        &[],
        LIFETIME,
        "How long the instance may live. Required; none says that it may live for ever.",
    ),
    field(
        Setting::IdleTimeout,
        "idle_timeout",
        &[],
        LIFETIME,
        "How long the instance may be idle. Default: none.",
    ),
    field(
        Setting::Idle,
        "idle",
        &[],
        Shape::Idle,
        "What counts as idle: limits of signals, and how many windows must agree.",
    ),
    field(
        Setting::HibernateOnIdle,
        "hibernate_on_idle",
        &[],
        Shape::Bool,
        "Hibernate, rather than terminate, an instance that has been idle for too long. Default: false.",
    ),
    field(
        Setting::OnComplete,
        "on_complete",
        &[],
        Shape::OnComplete,
        "What becomes of the instance when its work is done. Default: terminate.",
    ),
    field(
        Setting::CompletionFile,
        "completion_file",
        &[],
        Shape::Text { bytes_max: 1024 },
        "A file whose appearance says that the work is done.",
    ),
    field(
        Setting::CompletionDelay,
        "completion_delay",
        &[],
        UP_TO_AN_HOUR,
        "How long the instance stays up once that file has appeared. Default: 30s.",
    ),
    field(
        Setting::OnInterruption,
        "on_interruption",
        &[],
        Shape::Text {
            bytes_max: COMMAND_BYTES_MAX,
        },
        "A shell command that saves what there is when EC2 takes the spot instance back; it has up to two minutes.",
    ),
    field(
        Setting::DnsName,
        "dns_name",
        &["dns"],
        Shape::DnsLabel,
        "A name in DNS beside the member's own, directly below the account's: a label that no other member has.",
    ),
];
