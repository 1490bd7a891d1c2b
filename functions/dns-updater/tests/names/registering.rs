//! What an instance may ask for through the function's URL, and what not.

use dns_updater::Input;
use serde_json::{Value, json};
use spawn_core::dns::AddressKind;
use spawn_core::ids::SweepId;
use spawn_core::rows::Addresses;

use crate::world::{SUFFIX, World, arn};

const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/spawn-instance-role";

fn ask(world: &World, caller: &str, body: &Value) -> (u64, Value) {
    let event = json!({
        "version": "2.0",
        "requestContext": {"authorizer": {"iam": {"userArn": caller, "accountId": "123456789012"}}},
        "body": body.to_string(),
        "isBase64Encoded": false,
    });
    let answer = world.call(Input::parse(&event).unwrap());
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

fn session(sweep: &SweepId, index: u32) -> String {
    format!("{ROLE}/{}", arn(sweep, index).instance_id)
}

fn two_sweeps() -> (World, SweepId, SweepId) {
    let world = World::new(AddressKind::Public);
    let ours = world.running("ours", 2);
    let theirs = world.running("theirs", 1);
    for (sweep, index, last) in [(&ours, 0, 1), (&ours, 1, 2), (&theirs, 0, 3)] {
        let addresses = Addresses {
            private_ip: Some([10, 0, 0, last].into()),
            public_ip: Some([198, 51, 100, last].into()),
            ipv6: None,
        };
        world.ec2.show(&arn(sweep, index), addresses);
    }
    (world, ours, theirs)
}

#[test]
fn an_instance_registers_its_own_address_under_its_own_name() {
    let (world, ours, _) = two_sweeps();
    let body = json!({
        "region": "us-east-1", "name": format!("0.ours.{SUFFIX}"), "address": "198.51.100.1",
    });
    let (status, answer) = ask(&world, &session(&ours, 0), &body);
    assert_eq!(status, 200, "{answer}");
    let own = format!("0.ours.{SUFFIX}");
    assert_eq!(
        answer["records"],
        json!([{"name": own, "type": "A", "values": ["198.51.100.1"]}])
    );
    assert!(world.shown().contains(&format!("{own} A 198.51.100.1")));
    // Its address moves, and it says so.
    let moved = Addresses {
        public_ip: Some([203, 0, 113, 7].into()),
        ..world.member_row(&ours, 0).addresses
    };
    world.ec2.show(&arn(&ours, 0), moved);
    let (status, _) = ask(&world, &session(&ours, 0), &json!({"region": "us-east-1"}));
    assert_eq!(status, 200);
    assert!(world.shown().contains(&format!("{own} A 203.0.113.7")));
    assert_eq!(world.shown().len(), 2);
}

#[test]
fn what_is_not_its_own_is_refused_and_changes_nothing() {
    let (world, ours, theirs) = two_sweeps();
    let name = |name: &str| json!({"region": "us-east-1", "name": format!("{name}.{SUFFIX}")});
    let address = |ip: &str| json!({"region": "us-east-1", "address": ip});
    for (number, (body, status)) in [
        (name("1.ours"), 403),
        (name("0.theirs"), 403),
        (name("ours"), 403),
        (name("anything"), 403),
        (address("198.51.100.3"), 403),
        (address("192.0.2.1"), 403),
        (address("10.0.0.1"), 400),
        (json!({"region": "eu-west-1"}), 403),
        (json!({"region": "nowhere"}), 400),
        (json!({"region": "us-east-1", "action": "DELETE"}), 400),
        (json!("words"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let (found, answer) = ask(&world, &session(&ours, 0), &body);
        assert_eq!(found, status, "{number} {body} {answer}");
        assert!(answer["error"].is_string());
        world.time.advance(60_000);
    }
    for caller in [
        format!("{ROLE}/somebody"),
        "arn:aws:sts::123456789012:assumed-role/admin/i-0123456789abcdef0".to_owned(),
        "arn:aws:iam::123456789012:user/somebody".to_owned(),
        // Of another account, and of no member.
        session(&theirs, 0).replace("123456789012", "210987654321"),
        format!("{ROLE}/i-0123456789abcdef0"),
        String::new(),
    ] {
        let (status, answer) = ask(&world, &caller, &json!({"region": "us-east-1"}));
        assert_eq!(status, 403, "{caller} {answer}");
    }
    assert_eq!(world.zone.asked().change_calls, 0);
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn an_unsigned_request_is_nobodys() {
    let (world, ..) = two_sweeps();
    let event = json!({"requestContext": {"http": {"method": "POST"}}, "body": "{}"});
    let answer = world.call(Input::parse(&event).unwrap());
    assert_eq!(answer["statusCode"], 403);
}

#[test]
fn an_instance_that_asks_too_often_is_refused_and_others_are_not() {
    let (world, ours, _) = two_sweeps();
    let body = json!({"region": "us-east-1"});
    let statuses: Vec<u64> = (0..8)
        .map(|_| ask(&world, &session(&ours, 0), &body).0)
        .collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert_eq!(statuses[5..], [429; 3]);
    assert_eq!(ask(&world, &session(&ours, 1), &body).0, 200);
    world.time.advance(60_000);
    assert_eq!(ask(&world, &session(&ours, 0), &body).0, 200);
}

#[test]
fn a_member_that_has_ended_registers_nothing() {
    let (world, ours, _) = two_sweeps();
    let ended = world.ended(&ours, [0]);
    world.stream(ended);
    let (status, answer) = ask(&world, &session(&ours, 0), &json!({"region": "us-east-1"}));
    assert_eq!(status, 403, "{answer}");
    assert_eq!(world.shown(), Vec::<String>::new());
}
