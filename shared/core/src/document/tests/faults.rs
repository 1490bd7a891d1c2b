//! Every kind of fault with its exact words, and that all faults of a document are told at once.
//!
//! `faults.txt` holds the documents, each behind `>`, and under each what is told of it. Where a document says nothing of
//! them, it has a ttl and a command. With `SPAWN_BLESS=1` in the environment the file is written anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{faults, operator, sweep_with};
use crate::document::{OperatorDefaults, Reach, Sweep, parse_table, parse_text};

#[test]
fn every_fault_is_told_in_these_words() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/document/tests/faults.txt");
    let kept = std::fs::read_to_string(&path).unwrap();
    let mut told = String::new();
    for line in kept.lines().filter_map(|line| line.strip_prefix("> ")) {
        let mut doc = line.replace("\\n", "\n");
        let has = |key: &str| line.split("\\n").any(|line| line.starts_with(key));
        if !has("ttl") && !has("[") {
            doc.push_str("\nttl: 1h");
        }
        if !["params", "parameters", "grid", "count", "["]
            .into_iter()
            .any(has)
        {
            doc.push_str("\ncommand: x");
        }
        writeln!(told, "> {line}").unwrap();
        let faults = faults(&doc);
        assert!(!faults.is_empty(), "{doc}");
        for fault in faults {
            writeln!(told, "{fault}").unwrap();
        }
        told.push('\n');
    }
    if std::env::var_os("SPAWN_BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    } else {
        assert_eq!(told, kept);
    }
}

#[test]
fn a_missing_ttl_is_told_once_or_where_it_is_missing() {
    let missing = "it is missing: every instance needs an end; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none (write ttl: none for instances that may live for ever)";
    assert_eq!(faults("command: x\n"), [format!("ttl: {missing}")]);
    assert_eq!(
        faults("params: [{a: 1}, {a: 2}]\n"),
        [format!("ttl: {missing}")]
    );
    assert_eq!(
        faults("params: [{ttl: 1h}, {a: 2}]\n"),
        [format!("params[1].ttl: {missing}")]
    );
    assert_eq!(faults("ttl: ~\ncommand: x\n"), [format!("ttl: {missing}")]);
}

#[test]
fn an_empty_sweep_is_refused() {
    for text in ["ttl: 1h\nname: x\n", "ttl: 1h\nregions: [us-east-1]\n"] {
        assert_eq!(
            faults(text),
            [
                "the sweep is empty: it has no params, grid, count or command; accepted: at least one of them"
            ]
        );
    }
}

#[test]
fn no_fault_hides_another() {
    let ttl = "ttl: it is missing: every instance needs an end; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none (write ttl: none for instances that may live for ever)";
    let unless = "ttl: it is missing, unless what could not be read gives it: every instance needs an end; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none (write ttl: none for instances that may live for ever)";
    let naem = "naem: \"naem\" is not a field of a sweep; accepted: the fields of the reference (did you mean name?)";
    let empty = "the sweep is empty: it has no params, grid, count or command; accepted: at least one of them";
    let counts = |taken: u32, members: u32| {
        format!(
            "regions: the counts add up to {taken}, but the sweep has {members} members; accepted: counts that add up to the number of members, or names without counts"
        )
    };
    let many = |path: &str, members: u32| {
        format!("{path}: the sweep would have {members} members; accepted: at most 100000")
    };
    let clash = "params[0]: the parameters \"a-b\" and \"a_b\" would both be the variable SPAWN_PARAM_a_b; accepted: names that differ in letters and digits";
    let mars = "regions[0]: \"mars\" is not an AWS region; accepted: region names, patterns such as us-*, geographies such as eu, an object with include and exclude, or regions with the number of members each gets";
    let same = "params[1].name: \"a\" is the name of params[0], too; accepted: a name of its own for each member";
    for (text, told) in [
        ("naem: 1\nttl: 1h\nregions: {us-east-1: 2}\ncount: 5\n", vec![naem.to_owned(), counts(2, 5)]),
        ("regions: {us-east-1: 2}\ncount: 5\n", vec![ttl.to_owned(), counts(2, 5)]),
        (
            "regions: {us-east-1: 2, us-west-2: 2}\ncount: 5\nttl: x\n",
            vec![
                "ttl: \"x\" is not a duration; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none".to_owned(),
                counts(4, 5),
            ],
        ),
        ("params: [{a: 1}, {a: 2}]\ncount: 100000\n", vec![many("count", 200_000), ttl.to_owned()]),
        (
            "params: [{name: a}, {name: a}]\ncount: 100000\nregions: [mars]\n",
            vec![mars.to_owned(), many("count", 200_000), same.to_owned(), ttl.to_owned()],
        ),
        (
            "params: [{a-b: 1, a_b: 2}]\nregions: {us-east-1: 2}\n",
            vec![clash.to_owned(), ttl.to_owned(), counts(2, 1)],
        ),
        ("name: x\n", vec![empty.to_owned(), ttl.to_owned()]),
        ("naem: x\n", vec![naem.to_owned(), empty.to_owned(), ttl.to_owned()]),
        ("params: []\nnaem: x\n", vec![naem.to_owned(), "params: the list is empty; accepted: at least one member".to_owned(), unless.to_owned()]),
        (
            "distribution: explicit\nregions: [us-east-1]\ncommand: x\n",
            vec![ttl.to_owned(), "distribution: explicit wants a place for every member; accepted: a count for every region, or a region for every member".to_owned()],
        ),
        (
            "placement_group: cluster\ndistribution: spread\ncommand: x\n",
            vec![ttl.to_owned(), "distribution: spread does not go with a cluster placement group, which lies in one availability zone; accepted: another distribution, or no placement_group".to_owned()],
        ),
        (
            "grid: {region: [us-east-1, us-west-2], x: [1, 2, 3]}\ncount: 2\nregions: {us-east-1: 5, us-west-2: 7}\n",
            vec![ttl.to_owned(), "regions.us-east-1: the count is 5, but 6 members name this region as theirs; accepted: at least 6".to_owned()],
        ),
    ] {
        assert_eq!(faults(text), told, "{text}");
    }
}

#[test]
fn a_fault_that_leaves_something_unknown_is_told_alone() {
    for text in [
        // The number of members.
        "ttl: 1h\ncount: -5\nregions: {us-east-1: 2}\n",
        "ttl: 1h\nconut: 2\nregions: {us-east-1: 2}\ncommand: x\n",
        "ttl: 1h\nparams: [{a: 1}, 5]\nregions: {us-east-1: 1}\n",
        "ttl: 1h\ngrid: {a: 1, b: [1, 2]}\nregions: {us-east-1: 3}\n",
        "ttl: 1h\ngrid: {params: 5, b: [1, 2]}\nregions: {us-east-1: 3}\n",
        // What there is to count.
        "ttl: 1h\ncount: 5\nregions: {us-east-1: 2, us-wset-2: 3}\n",
        // Whether there is work.
        "ttl: 1h\ncomand: x\n",
        "ttl: 1h\ncommand: 5\n",
        "ttl: 1h\nregions: {us-east-1: -1}\n",
        // Where the member belongs.
        "ttl: 1h\ndistribution: explicit\nregions: [us-east-1]\nparams: [{region: us-esat-1}]\n",
    ] {
        let told = faults(text);
        assert_eq!(told.len(), 1, "{told:?}\n{text}");
    }
}

#[test]
fn a_table_that_cannot_be_read_is_one_fault_of_many() {
    let doc = parse_text("naem: 1\nregions: [mars]\nparams: s3://bucket/t.csv\n").unwrap();
    let uri = "s3://bucket/t.csv".parse().unwrap();
    let table = parse_table(&uri, "a,a\n1,2\n");
    let faults = Sweep::from_document(&doc, Some(table), &serde_json::Map::new(), &operator());
    let paths: Vec<String> = faults
        .unwrap_err()
        .into_iter()
        .map(|fault| fault.path)
        .collect();
    assert_eq!(
        paths,
        [
            "naem",
            "params (s3://bucket/t.csv) line 1",
            "regions[0]",
            "ttl"
        ]
    );
}

#[test]
fn limits_are_told_with_what_was_given() {
    let long = "x".repeat(16_385);
    assert_eq!(
        faults(&format!("ttl: 1h\nuser_data: {long}\n")),
        ["user_data: it has 16385 bytes; accepted: a text of 1 to 16384 bytes"]
    );
    let name = "n".repeat(61);
    assert_eq!(
        faults(&format!("ttl: 1h\ncommand: x\nname: {name}\n")),
        [format!(
            "name: \"{}...\" has 61 characters; accepted: 1 to 60 letters, digits, \"-\" and \"_\"",
            &name[..60]
        )]
    );
    let owner = "o".repeat(257);
    assert_eq!(
        faults(&format!("ttl: 1h\ncommand: x\nowner: {owner}\n")),
        [
            "owner: it has 257 characters; accepted: 1 to 256 letters, digits, spaces and + - = . _ : / @"
        ]
    );
    let large = "x".repeat(65_536);
    assert_eq!(
        faults(&format!("ttl: 1h\nparams: [{{a: 1}}, {{a: {large}}}]\n")),
        [
            "params[1]: a member's parameters have 65545 bytes as JSON; accepted: at most 65536 bytes; put larger data into S3 and name it in inputs"
        ]
    );
    let many = "x".repeat(1_000);
    assert_eq!(
        faults(&format!(
            "ttl: 1h\ncount: 100000\nparams: [{{a: {many}}}]\n"
        )),
        [
            "params: all members' parameters have 100900000 bytes as JSON; accepted: at most 67108864 bytes; put larger data into S3 and name it in inputs"
        ]
    );
    let rows = "{},".repeat(100_001);
    assert_eq!(
        faults(&format!("ttl: 1h\nparams: [{rows}]\n")),
        ["params: the sweep would have 100001 members; accepted: at most 100000"]
    );
}

#[test]
fn a_grid_too_large_to_count_is_refused_before_it_is_expanded() {
    let axis = format!("[{}]", "1,".repeat(1_000));
    let axes: String = (0..40).map(|n| format!("a{n}: {axis},")).collect();
    let told = faults(&format!("ttl: 1h\ngrid: {{{axes}}}\n"));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("grid: the sweep would have "),
        "{}",
        told[0]
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = sweep_with("naem: x\nbudget: lots\nregions: [us-esat-1]\nparams: [{ttl: 5 parsecs}, {x: 1, spot: \"no\"}]\n", "{dry_run: 1}").unwrap_err();
    assert_eq!(
        faults.to_string(),
        "7 faults in the sweep document:
- naem: \"naem\" is not a field of a sweep; accepted: the fields of the reference (did you mean name?)
- params[0].ttl: \"5 parsecs\" has the unit \"parsecs\", which is not known; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none
- params[1].spot: \"no\" is text, not true, false or fallback; accepted: true, false or fallback (write false: in YAML 1.2 no and off are text)
- regions[0]: \"us-esat-1\" is not an AWS region; accepted: region names, patterns such as us-*, geographies such as eu, an object with include and exclude, or regions with the number of members each gets (did you mean us-east-1?)
- budget: \"lots\" is not an amount of money; accepted: an amount of US dollars above 0 such as 100, 99.50 or \"100 USD\"
- overrides.dry_run: 1 is a number, not true or false; accepted: true or false
- params[1].ttl: it is missing: every instance needs an end; accepted: a duration from 1m to 365d such as 30m, 8h or 4h30m, or none (write ttl: none for instances that may live for ever)"
    );
}

#[test]
fn thousands_of_faults_fit_into_the_cause_of_an_execution() {
    let rows = "{ttl: 5 parsecs},".repeat(5_000);
    let faults = sweep_with(&format!("params: [{rows}]\n"), "").unwrap_err();
    assert_eq!(faults.as_slice().len(), 5_000);
    let text = faults.to_string();
    assert!(text.starts_with("5000 faults in the sweep document:\n- params[0].ttl: "));
    assert!(text.len() < 32_768, "{} bytes", text.len());
    assert!(
        text.lines()
            .last()
            .is_some_and(|line| line.starts_with("- and ") && line.ends_with(" more"))
    );
}

#[test]
fn who_cannot_be_reached_is_not_named() {
    let operator = OperatorDefaults {
        reach: Reach {
            topics: vec!["arn:aws:sns:us-east-1:123456789012:spawn-*".into()],
            webhooks: vec!["/spawn/webhooks/*".into()],
        },
        ..operator()
    };
    let read = |notify: &str| {
        let doc = format!("{{ttl: 1h, command: x, instance_type: t3.micro, notify: {notify}}}");
        let doc = parse_text(&doc).unwrap();
        Sweep::from_document(&doc, None, &serde_json::Map::new(), &operator)
    };
    let own = "{topics: \"arn:aws:sns:us-east-1:123456789012:spawn-team\", webhooks: /spawn/webhooks/team}";
    assert_eq!(read(own).unwrap().notify.webhooks, ["/spawn/webhooks/team"]);
    let foreign = "{webhooks: [/other/hook], topics: [\"arn:aws:sns:us-east-1:123456789012:foo\", \
                   \"arn:aws:sns:eu-west-1:123456789012:spawn-team\", \"arn:aws:sns:us-east-1:210987654321:spawn-team\"]}";
    let faults = read(foreign).unwrap_err().to_string();
    assert!(faults.starts_with("4 faults"), "{faults}");
    let fault = "- notify.webhooks: \"/other/hook\" cannot be told: spawn may not reach it; accepted: /spawn/webhooks/* \
                 (the operator allows others by the template parameter WebhookParameterPath or WebhookSecretPath)";
    assert!(faults.contains(fault), "{faults}");
    assert!(
        faults.contains("accepted: arn:aws:sns:us-east-1:123456789012:spawn-*"),
        "{faults}"
    );
    let alone = read("\"arn:aws:sns:us-east-1:123456789012:foo\"").unwrap_err();
    assert!(alone.to_string().contains("- notify: "), "{alone}");
}

#[test]
fn a_wrong_default_of_the_operator_is_told_as_theirs() {
    let operator = OperatorDefaults {
        instance_type: Some("t3".into()),
        ami: Some(String::new()),
        ..operator()
    };
    let doc = parse_text("ttl: 1h\ncommand: x\n").unwrap();
    let faults = Sweep::from_document(&doc, None, &serde_json::Map::new(), &operator).unwrap_err();
    assert!(
        faults
            .to_string()
            .contains("- the operator's default of instance_type: \"t3\" is not an instance type")
    );
    let bare = OperatorDefaults {
        instance_type: None,
        ..operator
    };
    let faults = Sweep::from_document(&doc, None, &serde_json::Map::new(), &bare).unwrap_err();
    assert!(
        faults
            .to_string()
            .contains("- instance_type: it is missing, and the operator gives no default")
    );
}
