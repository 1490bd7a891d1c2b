//! What overrides change.

use super::{params, sweep_with};
use crate::document::{Spot, Sweep, Ttl};

const DOC: &str = "name: a\nttl: 1h\nspot: true\nregions: [us-east-1, eu-west-1]\nresults: {bucket: my-bucket, file: r.json}\ndefaults: {ttl: 2h, x: 1}\nparams: [{spot: fallback, region: eu-west-1}, {x: 2}]\n";

fn over(overrides: &str) -> Sweep {
    sweep_with(DOC, overrides).unwrap_or_else(|faults| panic!("{faults}"))
}

fn refused(doc: &str, overrides: &str) -> Vec<String> {
    let faults = sweep_with(doc, overrides).unwrap_err();
    faults.as_slice().iter().map(ToString::to_string).collect()
}

#[test]
fn overrides_win_over_members() {
    let sweep = over("{regions: [us-west-2], spot: false, name: b, dry_run: true}");
    assert_eq!((sweep.name.as_str(), sweep.dry_run), ("b", true));
    assert_eq!(sweep.regions[0].region.as_str(), "us-west-2");
    assert!(
        sweep
            .members
            .iter()
            .all(|member| member.settings.spot == Spot::OnDemand)
    );
    assert!(
        sweep
            .members
            .iter()
            .all(|member| member.settings.region.is_none())
    );
    assert!(
        sweep
            .members
            .iter()
            .all(|member| member.settings.ttl == Ttl::Seconds(7_200))
    );
}

#[test]
fn one_region_replaces_all() {
    let sweep = over("{region: ap-south-1}");
    assert!(sweep.members.iter().all(|member| {
        member
            .settings
            .region
            .is_some_and(|r| r.as_str() == "ap-south-1")
    }));
    let with_zone = sweep_with(
        "ttl: 1h\ncommand: x\naz: us-east-1a\n",
        "{region: us-west-2}",
    )
    .unwrap();
    assert_eq!(with_zone.members[0].settings.availability_zone, None);
}

#[test]
fn one_zone_moves_a_sweep_as_its_region_would() {
    for (doc, overrides) in [
        (DOC, "{az: us-west-2a}"),
        (DOC, "{availability_zone: us-west-2a, region: us-west-2}"),
        (
            "ttl: 1h\ncommand: x\nregions: [us-east-1]\naz: us-east-1a\n",
            "{az: us-west-2a}",
        ),
        (
            "ttl: 1h\ncommand: x\nregion: us-east-1\n",
            "{az: us-west-2a}",
        ),
        (DOC, "{az: us-west-2a, regions: [us-west-2, eu-west-1]}"),
    ] {
        let sweep = sweep_with(doc, overrides).unwrap_or_else(|faults| panic!("{faults}"));
        for member in &sweep.members {
            let zone = member.settings.availability_zone.as_deref();
            assert_eq!(zone, Some("us-west-2a"), "{doc} {overrides}");
            let region = member.settings.region.map(|region| region.to_string());
            assert_eq!(region.as_deref(), Some("us-west-2"), "{doc} {overrides}");
        }
    }
    assert_eq!(
        refused(DOC, "{az: us-west-2a, regions: [us-east-1]}"),
        [
            "availability_zone: us-west-2a does not lie in the sweep's regions; accepted: a zone of us-east-1"
        ]
    );
}

#[test]
fn objects_are_changed_key_by_key_and_null_takes_away() {
    let sweep = over("{results: {file: new.json}, defaults: {x: 5, ttl: 3h}, spot: null}");
    assert_eq!(
        (sweep.results.bucket.as_deref(), sweep.results.file.as_str()),
        (Some("my-bucket"), "new.json")
    );
    assert_eq!(params(&sweep), [r#"{"x":5}"#, r#"{"x":2}"#]);
    assert!(
        sweep
            .members
            .iter()
            .all(|member| member.settings.spot == Spot::OnDemand)
    );
    assert!(
        sweep
            .members
            .iter()
            .all(|member| member.settings.ttl == Ttl::Seconds(10_800))
    );
    let replaced = over("{parameters: [{y: 1}], regions: null}");
    assert_eq!(params(&replaced), [r#"{"x":1,"y":1}"#]);
}

#[test]
fn a_failover_changes_where_members_are_and_not_how_many() {
    let doc = "{command: \"true\", ttl: 1h, regions: [{us-east-1: 2}, {us-west-2: 2}]}";
    let uncounted = "{command: \"true\", ttl: 1h, regions: [us-east-1, {us-west-2: 2}]}";
    let listed = "{command: \"true\", ttl: 1h, regions: {us-east-1: 2}, params: [{a: 1}, {a: 2}]}";
    for (doc, overrides, members) in [
        (doc, "{}", 4),
        (doc, "{regions: [eu-west-1]}", 4),
        (doc, "{region: eu-west-1}", 4),
        (doc, "{availability_zone: eu-west-1b}", 4),
        (doc, "{regions: null}", 4),
        (doc, "{regions: [eu-west-1], count: 3}", 3),
        (doc, "{regions: {eu-west-1: 5}}", 5),
        (doc, "{regions: [eu-west-1], params: [{a: 1}]}", 1),
        (uncounted, "{regions: [eu-west-1]}", 1),
        (listed, "{regions: [eu-west-1]}", 2),
    ] {
        let sweep = sweep_with(doc, overrides).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(sweep.members.len(), members, "{doc} {overrides}");
    }
}

#[test]
fn faults_of_overrides_are_told_as_theirs() {
    assert_eq!(
        refused(DOC, "{regoins: [us-west-2], ttl: 30}"),
        [
            "overrides.regoins: \"regoins\" is not a field of a sweep; accepted: the fields of the reference (did you mean regions?)",
            "overrides.ttl: 30 has no unit; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none (write 30s, 30m or 30h)",
        ]
    );
    assert_eq!(
        refused(DOC, "{params: s3://bucket/t.csv}"),
        [
            "overrides.params: a table can only be named by the document itself; accepted: a list of objects, one for each member"
        ]
    );
}
