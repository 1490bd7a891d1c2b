//! Whole documents, good and bad.

mod faults;
mod good;
mod overrides;
mod properties;
mod reference;
mod submissions;

use serde_json::{Map, Value};

use super::{Faults, OperatorDefaults, Sweep, parse_text};

/// An operator who has set what a document can do without.
fn operator() -> OperatorDefaults {
    OperatorDefaults {
        ami: Some(
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{arch}".to_owned(),
        ),
        instance_type: Some("t3.micro".to_owned()),
        key_name: None,
        instance_profile: Some("spawn-instance-profile".to_owned()),
        budget: None,
        owner: None,
        home_region: "us-east-1".parse().unwrap(),
        reach: crate::document::Reach::default(),
    }
}

fn sweep_with(text: &str, overrides: &str) -> Result<Sweep, Faults> {
    let overrides = match parse_text(overrides) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    Sweep::from_document(&parse_text(text)?, None, &overrides, &operator())
}

/// The sweep of a good document.
fn sweep(text: &str) -> Sweep {
    sweep_with(text, "").unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// The faults of a bad one, a line each.
fn faults(text: &str) -> Vec<String> {
    match sweep_with(text, "") {
        Ok(_) => Vec::new(),
        Err(faults) => faults.as_slice().iter().map(ToString::to_string).collect(),
    }
}

/// The parameters of all members as JSON.
fn params(sweep: &Sweep) -> Vec<String> {
    sweep
        .members
        .iter()
        .map(|member| Value::Object(member.params.clone()).to_string())
        .collect()
}
