//! What is accepted, and what it means.

use std::sync::Arc;

use serde_json::json;

use super::{operator, params, sweep};
use crate::document::{
    Ami, Distribution, InstanceTypes, Occasion, OnComplete, Spot, Sweep, Ttl, parse_table,
    table_uri,
};
use crate::money::MicroDollars;

#[test]
fn a_full_document_is_read_whole() {
    let sweep = sweep(
        r#"
$schema: ./sweep.schema.json
x-note: anything
name: hyperparam
owner: ada@example.org
project: ml training
budget: 100 USD
max_concurrent: 10
max_concurrent_per_region: 5
launch_delay: 10s
regions: [us-east-1, eu-west-1]
results: {bucket: my-results, file: out/metrics.json}
inputs: [s3://data-bucket/set.csv, s3://data-bucket/images/]
notify:
  topics: arn:aws:sns:us-east-1:123456789012:mine
  on: [end, first_failure, {cost_share: 50}, overdue]
dry_run: true
ttl: 8h
defaults:
  instance_type: [c5.4xlarge, c6i.4xlarge]
  spot: fallback
  idle_timeout: 30m
  completion_delay: 0
  epochs: 10
params:
  - {name: first, lr: 0.10}
  - {lr: 1e-3, ttl: none, spot: false, epochs: 20, on_complete: stop}
"#,
    );
    assert_eq!(
        (
            sweep.name.as_str(),
            sweep.owner.as_str(),
            sweep.project.as_str()
        ),
        ("hyperparam", "ada@example.org", "ml training")
    );
    assert_eq!(sweep.budget, Some(MicroDollars(100_000_000)));
    assert_eq!(
        (sweep.max_concurrent, sweep.max_concurrent_per_region),
        (Some(10), Some(5))
    );
    assert_eq!((sweep.launch_delay_s, sweep.dry_run), (10, true));
    assert_eq!(sweep.results.bucket.as_deref(), Some("my-results"));
    assert_eq!(sweep.results.file, "out/metrics.json");
    assert_eq!(
        sweep
            .inputs
            .iter()
            .map(|uri| uri.is_prefix())
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(
        sweep.notify.occasions,
        [
            Occasion::End,
            Occasion::FirstFailure,
            Occasion::CostShare(50),
            Occasion::Overdue
        ]
    );
    assert_eq!(
        params(&sweep),
        [r#"{"epochs":10,"lr":0.10}"#, r#"{"epochs":20,"lr":1e-3}"#]
    );
    let [first, second] = sweep.members.as_slice() else {
        panic!("two members")
    };
    assert_eq!(
        (first.index, first.name.as_deref(), second.name.as_deref()),
        (0, Some("first"), None)
    );
    assert_eq!(first.settings.ttl, Ttl::Seconds(28_800));
    assert_eq!(first.settings.spot, Spot::SpotThenOnDemand);
    assert_eq!(first.settings.idle_timeout_s, Some(1_800));
    assert_eq!(first.settings.completion_delay_s, 0);
    assert_eq!(
        first.settings.iam_role.as_deref(),
        Some("spawn-instance-profile")
    );
    assert_eq!(
        first.settings.instance_types,
        InstanceTypes::Exact(vec!["c5.4xlarge".into(), "c6i.4xlarge".into()])
    );
    assert_eq!(
        (second.settings.ttl, second.settings.on_complete),
        (Ttl::None, OnComplete::Stop)
    );
}

#[test]
fn shapes_found_in_the_wild_are_read() {
    let wild = sweep(
        "sweep_name: wild\nparameters: {lr: [0.1, 0.2], layers: [2, 3]}\nbase_command: ./train\nkey_pair: mine\naz: us-east-1b\nttl: 1h\ndns: box\nresult_bucket: my-bucket\nresult_file: r.json\ncompletion_file: /tmp/SPAWN_COMPLETE\nregions: us-east-1\n",
    );
    assert_eq!(wild.name, "wild");
    assert_eq!(
        params(&wild),
        [
            r#"{"lr":0.1,"layers":2}"#,
            r#"{"lr":0.1,"layers":3}"#,
            r#"{"lr":0.2,"layers":2}"#,
            r#"{"lr":0.2,"layers":3}"#
        ]
    );
    let settings = &wild.members[0].settings;
    assert_eq!(settings.command.as_deref(), Some("./train"));
    assert_eq!(settings.key_name.as_deref(), Some("mine"));
    assert_eq!(settings.availability_zone.as_deref(), Some("us-east-1b"));
    assert_eq!(
        settings.region.map(crate::region::Region::as_str),
        Some("us-east-1")
    );
    assert_eq!(
        (
            settings.completion_file.as_deref(),
            settings.completion_delay_s
        ),
        (Some("/tmp/SPAWN_COMPLETE"), 30)
    );
    assert_eq!(
        (wild.results.bucket.as_deref(), wild.results.file.as_str()),
        (Some("my-bucket"), "r.json")
    );

    let listed = sweep("parameters: [{lr: [1, 2]}]\nuser_command: x\nttl: 1h\n");
    assert_eq!(params(&listed), [r#"{"lr":1}"#, r#"{"lr":2}"#]);
    // Under its own name it is a list of members, one of them, whose parameter is a list.
    assert_eq!(
        params(&sweep("params: [{lr: [1, 2]}]\nttl: 1h\n")),
        [r#"{"lr":[1,2]}"#]
    );
    assert_eq!(
        params(&sweep("parameters: [{lr: 1}, {lr: [2]}]\nttl: 1h\n")).len(),
        2
    );
    // The same name twice with the same value is no fault.
    assert_eq!(
        sweep("command: x\nbase_command: x\nttl: 1h\n")
            .members
            .len(),
        1
    );
}

#[test]
fn the_number_of_members_follows_from_what_is_given() {
    for (text, members) in [
        ("command: x", 1),
        ("user_data: x", 1),
        ("count: 7", 7),
        ("count: 3\nparams: [{a: 1}, {a: 2}]", 6),
        ("grid: {a: [1, 2], b: [1, 2, 3]}", 6),
        ("grid: {a: [1, 2]}\nparams: [{b: 1}, {b: 2}, {b: 3}]", 6),
        ("grid: {a: [1, 2]}\ncount: 2", 4),
        (
            "count: 200\nregions:\n  - us-east-1: 100\n  - us-west-2: 100",
            200,
        ),
        (
            "count: 10000\nregions:\n  - us-east-1: 3000\n  - us-west-2: 3000\n  - eu-west-1: 2000\n  - ap-southeast-1: 2000",
            10_000,
        ),
        (
            "count: 4\nregions: {us-east-1: 4}\nparams: [{a: 1}, {a: 2}]",
            4,
        ),
        (
            "count: 4\nregions: {us-east-1: 8}\nparams: [{a: 1}, {a: 2}]",
            8,
        ),
        ("command: x\nregions: {us-east-1: 2, us-west-2: 1}", 3),
        ("count: 5\nregions: [us-east-1: 2, us-west-2]", 5),
        ("count: 100000", 100_000),
    ] {
        let sweep = sweep(&format!("ttl: 1h\n{text}\n"));
        assert_eq!(sweep.members.len(), members, "{text}");
        assert!(
            sweep
                .members
                .iter()
                .map(|member| member.index)
                .eq(0..u32::try_from(members).unwrap())
        );
    }
}

#[test]
fn repeats_follow_each_point_and_get_names_of_their_own() {
    let sweep = sweep("ttl: 1h\ncount: 2\nparams: [{name: a, x: 1}, {x: 2}]\n");
    assert_eq!(
        params(&sweep),
        [r#"{"x":1}"#, r#"{"x":1}"#, r#"{"x":2}"#, r#"{"x":2}"#]
    );
    let names: Vec<_> = sweep
        .members
        .iter()
        .map(|member| member.name.as_deref())
        .collect();
    assert_eq!(names, [Some("a-0"), Some("a-1"), None, None]);
}

#[test]
fn a_grid_sweeps_settings_as_well_as_parameters() {
    let sweep = sweep(
        "ttl: 1h\ngrid: {instance_type: [c5.large, m5.large], x: [1, 2], params: {ttl: [a]}}\n",
    );
    let seen: Vec<_> = sweep
        .members
        .iter()
        .map(|member| {
            (
                member.settings.instance_types.names()[0],
                member.params["x"].to_string(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("c5.large", "1".into()),
            ("c5.large", "2".into()),
            ("m5.large", "1".into()),
            ("m5.large", "2".into())
        ]
    );
    assert_eq!(sweep.members[0].params["ttl"], "a");
    assert!(Arc::ptr_eq(
        &sweep.members[0].settings,
        &sweep.members[1].settings
    ));
}

#[test]
fn a_higher_level_wins() {
    let sweep = sweep(
        "spot: true\nttl: 1h\ncommand: top\nidle_timeout: 10m\ndefaults: {ttl: 2h, command: defaults}\nparams: [{}, {ttl: 3h, command: null, idle_timeout: none}]\n",
    );
    let seen: Vec<_> = sweep
        .members
        .iter()
        .map(|member| {
            (
                member.settings.ttl,
                member.settings.command.as_deref(),
                member.settings.idle_timeout_s,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Ttl::Seconds(7_200), Some("defaults"), Some(600)),
            (Ttl::Seconds(10_800), Some("defaults"), None)
        ]
    );
}

#[test]
fn a_parameter_may_have_any_name_in_a_nested_object() {
    let sweep = sweep(
        "ttl: 1h\nparams: [{count: 3, distribution: normal, params: {ttl: 5, budget: x, idle_timout: 1}}]\n",
    );
    assert_eq!(
        params(&sweep),
        [r#"{"count":3,"distribution":"normal","ttl":5,"budget":"x","idle_timout":1}"#]
    );
}

#[test]
fn parameters_keep_whatever_they_are() {
    let sweep = sweep(
        "ttl: 1h\nparams:\n  - {a: null, b: [1, {c: 007}], d: yes, e: \"$(x) `y` 'z' \\n ü\", f: 123456789012345678901234567890}\n",
    );
    assert_eq!(
        params(&sweep),
        [
            r#"{"a":null,"b":[1,{"c":"007"}],"d":"yes","e":"$(x) `y` 'z' \n ü","f":123456789012345678901234567890}"#
        ]
    );
}

#[test]
fn a_table_stands_for_params() {
    let doc = json!({"parameters": "s3://tables/t.csv", "ttl": "1h", "name": "t"});
    let uri = table_uri(&doc, &serde_json::Map::new()).unwrap().unwrap();
    let rows = parse_table(
        &uri,
        "name,lr,ttl,instance_type\n1,0.10,,c5.*|m5.large\nb,1e-3,2h,\n",
    )
    .unwrap();
    let sweep =
        Sweep::from_document(&doc, Some(Ok(rows)), &serde_json::Map::new(), &operator()).unwrap();
    assert_eq!(params(&sweep), [r#"{"lr":0.10}"#, r#"{"lr":1e-3}"#]);
    assert_eq!(sweep.members[0].name.as_deref(), Some("1"));
    assert_eq!(
        sweep.members[0].settings.instance_types,
        InstanceTypes::Pattern(vec!["c5.*".into(), "m5.large".into()])
    );
    assert_eq!(sweep.members[1].settings.ttl, Ttl::Seconds(7_200));
    assert_eq!(
        table_uri(&json!({"params": [{}]}), &serde_json::Map::new()),
        Ok(None)
    );
}

#[test]
fn images_are_given_in_three_ways() {
    let by_region = sweep(
        "ttl: 1h\ncommand: x\nregions: [us-east-1]\nami: {us-east-1: ami-0abc123def456789}\n",
    );
    assert!(
        matches!(&by_region.members[0].settings.ami, Some(Ami::ByRegion(images)) if images.len() == 1)
    );
    let one = sweep("ttl: 1h\ncommand: x\nami: ami-12345678\n");
    assert_eq!(
        one.members[0].settings.ami,
        Some(Ami::Id("ami-12345678".into()))
    );
    let by_operator = sweep("ttl: 1h\ncommand: x\n");
    assert!(
        matches!(&by_operator.members[0].settings.ami, Some(Ami::Parameter(name)) if name.ends_with("{arch}"))
    );
}

#[test]
fn members_without_a_region_go_home_and_others_stay_where_they_are() {
    let sweep = sweep("ttl: 1h\nparams: [{}, {region: eu-west-1}]\n");
    assert_eq!(sweep.regions.len(), 1);
    assert_eq!(sweep.regions[0].region.as_str(), "us-east-1");
    assert_eq!(sweep.members[0].settings.region, None);
    assert_eq!(
        sweep.members[1]
            .settings
            .region
            .map(crate::region::Region::as_str),
        Some("eu-west-1")
    );
    assert_eq!(sweep.distribution, Distribution::Balanced);
}

#[test]
fn a_hundred_thousand_members_share_their_settings() {
    let sweep = sweep("ttl: 1h\ncount: 100000\ncommand: x\n");
    let first = &sweep.members[0].settings;
    assert!(
        sweep
            .members
            .iter()
            .all(|member| Arc::ptr_eq(&member.settings, first))
    );
}

#[test]
fn regions_are_named_by_pattern_and_geography_and_taken_out_again() {
    let regions = |text: &str| -> Vec<(String, bool)> {
        let sweep = sweep(&format!("ttl: 1h\ncommand: x\nregions: {text}\n"));
        let shares = sweep.regions.into_iter();
        shares
            .map(|share| (share.region.to_string(), share.is_named))
            .collect()
    };
    let by_pattern = |names: &[&str]| -> Vec<(String, bool)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), false))
            .collect()
    };
    let us = ["us-east-1", "us-east-2", "us-west-1", "us-west-2"];
    assert_eq!(regions("us"), by_pattern(&us));
    assert_eq!(regions("[us-*]"), by_pattern(&us));
    assert_eq!(
        regions("{include: [us-*], exclude: [us-west-1]}"),
        by_pattern(&["us-east-1", "us-east-2", "us-west-2"])
    );
    let mut named = by_pattern(&us[2..]);
    named[1].1 = true;
    assert_eq!(regions("{include: [us-west-*, us-west-2]}"), named);
    assert_eq!(regions("[us-west-2, us-west-*]").len(), 2);
    let all = crate::region::Region::all().count();
    assert_eq!(regions("{exclude: eu}").len(), all - 8);
}

#[test]
fn requirements_take_the_place_of_types_and_the_other_way_round() {
    let types = |text: &str| {
        let sweep = sweep(&format!("ttl: 1h\ncommand: x\n{text}\n"));
        sweep.members[0].settings.instance_types.clone()
    };
    let of_defaults = types(
        "instance_type: c5.large\ndefaults: {instance_requirements: {vcpu_count: {min: 4}, memory: {max: 16 GiB}, gpu_name: A10G}}",
    );
    let InstanceTypes::Requirements(wanted) = of_defaults else {
        panic!("{of_defaults:?}");
    };
    assert_eq!(wanted.vcpu_count.min, Some(4));
    assert_eq!(wanted.memory_mib.max, Some(16_384));
    assert_eq!(wanted.accelerator_names, ["a10g"]);
    let of_member =
        types("instance_requirements: {workload: cpu}\nparams: [{instance_type: c5.large}]");
    assert_eq!(of_member.names(), ["c5.large"]);
}
