//! What an execution may be started with.

use serde_json::{Value, json};

use crate::document::{Source, Submission};

fn read(input: Value) -> Result<(Source, String), String> {
    Submission::from_execution_input(&input)
        .and_then(|submission| match submission.faults.is_empty() {
            true => Ok((
                submission.source,
                Value::Object(submission.overrides).to_string(),
            )),
            false => Err(submission.faults.into()),
        })
        .map_err(|faults| faults.to_string())
}

#[test]
fn a_document_comes_in_five_ways() {
    let doc = json!({"name": "a", "ttl": "1h"});
    let none = "{}".to_owned();
    let s3 = Source::S3("s3://bucket/sweep.yaml".parse().unwrap());
    let linked =
        json!({"name": "a", "ttl": "1h", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn"});
    for (input, source) in [
        (doc.clone(), Source::Inline(doc.clone())),
        (linked, Source::Inline(doc.clone())),
        (json!({"document": doc}), Source::Inline(doc.clone())),
        (
            json!({"document": "name: a\n"}),
            Source::Text("name: a\n".into()),
        ),
        (json!({"document": " s3://bucket/sweep.yaml"}), s3.clone()),
        (json!("s3://bucket/sweep.yaml"), s3),
        (json!("name: a"), Source::Text("name: a".into())),
    ] {
        assert_eq!(read(input.clone()), Ok((source, none.clone())), "{input}");
    }
}

#[test]
fn overrides_and_dry_run_stand_beside_it() {
    let with = |rest: Value| {
        let mut input = json!({"document": "name: a"});
        for (key, value) in rest.as_object().unwrap() {
            input[key] = value.clone();
        }
        read(input).map(|(_, overrides)| overrides)
    };
    assert_eq!(
        with(json!({"overrides": {"spot": false}})),
        Ok(r#"{"spot":false}"#.into())
    );
    assert_eq!(
        with(json!({"dry_run": true})),
        Ok(r#"{"dry_run":true}"#.into())
    );
    assert_eq!(
        with(json!({"overrides": {"spot": false}, "dry_run": true})),
        Ok(r#"{"spot":false,"dry_run":true}"#.into())
    );
    assert_eq!(
        with(json!({"overrides": null, "dry_run": null})),
        Ok("{}".into())
    );
    assert_eq!(
        with(json!({"dry_run": "yes", "overrides": {"dry_run": 1}})),
        Err("1 fault in the sweep document:\n- dry_run: \"yes\" is text, not true or false; accepted: true or false (write true: in YAML 1.2 yes and on are text)".into())
    );
    assert_eq!(
        with(json!({"overrides": {"dry_run": false}, "dry_run": true})),
        Err("1 fault in the sweep document:\n- overrides.dry_run: it differs from the dry_run beside the document; accepted: one of the two".into())
    );
}

#[test]
fn other_inputs_are_refused() {
    for (input, shown) in [
        (
            json!(null),
            "null is not a sweep document; accepted: an object: the document itself, or {\"document\": ...}",
        ),
        (
            json!([1]),
            "the list is not a sweep document; accepted: an object: the document itself, or {\"document\": ...}",
        ),
        (
            json!({"document": 5}),
            "document: 5 is not a document; accepted: an object, YAML or JSON text, or an S3 URI",
        ),
        (
            json!({"document": "s3://bucket"}),
            "document: \"s3://bucket\" is not an S3 URI: it has no object key of 1 to 1024 bytes behind the bucket; accepted: s3://bucket/key of a document",
        ),
        (
            json!({"document": "s3://bucket/x/"}),
            "document: \"s3://bucket/x/\" names a folder; accepted: s3://bucket/key of a document",
        ),
        (
            json!({"document": "a: 1", "override": {}}),
            "override: \"override\" is not known beside document; accepted: document, overrides, dry_run (did you mean overrides?)",
        ),
        (
            json!({"document": "a: 1", "region": "us-east-1"}),
            "region: \"region\" is not known beside document; accepted: document, overrides, dry_run (a field that changes the document goes into overrides)",
        ),
        (
            json!({"document": "a: 1", "overrides": [1]}),
            "overrides: the list is not an object; accepted: an object of the document's fields",
        ),
    ] {
        assert_eq!(
            read(input),
            Err(format!("1 fault in the sweep document:\n- {shown}"))
        );
    }
    let long = json!({"command": "x".repeat(262_144)});
    assert_eq!(
        read(long),
        Err("1 fault in the sweep document:\n- the execution's input has 262158 bytes; accepted: at most 262144 bytes (put the document into S3, and submit {\"document\": \"s3://bucket/sweep.yaml\"})".into())
    );
}
