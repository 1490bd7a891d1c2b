//! Laws that hold for every document.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::operator;
use crate::document::{Spot, Sweep, format_duration, parse_duration, parse_table, parse_text};
use crate::money::MicroDollars;

fn read(doc: &Value) -> Sweep {
    Sweep::from_document(doc, None, &Map::new(), &operator())
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn spot_of(number: u8) -> (Value, Spot) {
    match number {
        0 => (json!(false), Spot::OnDemand),
        1 => (json!(true), Spot::Spot),
        _ => (json!("fallback"), Spot::SpotThenOnDemand),
    }
}

proptest! {
    #[test]
    fn every_point_becomes_a_member_in_order(
        entries in vec(any::<u16>(), 1..8),
        axes in btree_map("[a-d]", vec(any::<u16>(), 1..4), 0..4),
        count in 1_u32..4,
    ) {
        let params: Vec<Value> = entries.iter().map(|entry| json!({"entry": entry})).collect();
        let mut doc = json!({"ttl": "1h", "params": params, "count": count});
        if !axes.is_empty() {
            doc["grid"] = json!(axes);
        }
        let sweep = read(&doc);
        let mut expected = Vec::new();
        for entry in &entries {
            let mut points = vec![json!({"entry": entry})];
            for (name, values) in &axes {
                points = points
                    .iter()
                    .flat_map(|point| values.iter().map(move |value| {
                        let mut point = point.clone();
                        point[name] = json!(value);
                        point
                    }))
                    .collect();
            }
            expected.extend(points.into_iter().flat_map(|point| std::iter::repeat_n(point, count as usize)));
        }
        let got: Vec<Value> = sweep.members.iter().map(|member| Value::Object(member.params.clone())).collect();
        prop_assert_eq!(got, expected);
        prop_assert!(sweep.members.iter().enumerate().all(|(at, member)| member.index as usize == at));
    }

    #[test]
    fn the_highest_level_that_speaks_is_heard(levels in vec(proptest::option::of(0_u8..3), 4)) {
        let mut doc = json!({"ttl": "1h", "defaults": {}, "params": [{}]});
        let mut overrides = Map::new();
        let mut expected = Spot::OnDemand;
        for (level, spot) in levels.iter().enumerate() {
            let Some(spot) = spot else { continue };
            let (value, spot) = spot_of(*spot);
            expected = spot;
            match level {
                0 => doc["spot"] = value,
                1 => doc["defaults"]["spot"] = value,
                2 => doc["params"][0]["spot"] = value,
                _ => { overrides.insert("spot".into(), value); }
            }
        }
        let sweep = Sweep::from_document(&doc, None, &overrides, &operator()).unwrap();
        prop_assert_eq!(sweep.members[0].settings.spot, expected);
    }

    #[test]
    fn counts_that_add_up_are_accepted_and_others_are_not(counts in vec(0_u32..50, 1..4), off in 0_u32..2) {
        let names = ["us-east-1", "us-west-2", "eu-west-1"];
        let regions: Map<String, Value> = names.iter().zip(&counts).map(|(n, c)| ((*n).to_owned(), json!(c))).collect();
        let total = counts.iter().sum::<u32>() + off;
        prop_assume!(total > 0);
        let doc = json!({"ttl": "1h", "count": total, "regions": regions});
        let read = Sweep::from_document(&doc, None, &Map::new(), &operator());
        prop_assert_eq!(read.is_ok(), off == 0);
    }

    #[test]
    fn durations_read_back_what_they_write(seconds in 0_u64..1_000_000_000) {
        prop_assert_eq!(parse_duration(&format_duration(seconds)), Ok(seconds));
    }

    #[test]
    fn amounts_read_back_what_they_write(micros in any::<i64>()) {
        prop_assume!(micros != i64::MIN);
        prop_assert_eq!(MicroDollars(micros).to_string().parse(), Ok(MicroDollars(micros)));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>(), yaml in "[-{}\\[\\]:,&*!|>'\"%@`#? a-c0-9.\\n\\t<~]{0,60}") {
        for text in [text, yaml] {
            if let Ok(doc) = parse_text(&text) {
                let _read = Sweep::from_document(&doc, None, &Map::new(), &operator());
            }
            for name in ["s3://bucket/t.csv", "s3://bucket/t.jsonl", "s3://bucket/t"] {
                let _read = parse_table(&name.parse().unwrap(), &text);
            }
            let _read = parse_duration(&text);
            let _read = text.parse::<MicroDollars>();
        }
    }

    #[test]
    fn no_value_makes_the_reader_panic(value in json_value(), key in "(ttl|spot|params|grid|regions|notify|results|ami|az|count|name|defaults|inputs|budget|x)") {
        let mut doc = json!({"ttl": "1h", "command": "x"});
        doc[key.as_str()] = value.clone();
        let _read = Sweep::from_document(&doc, None, &Map::new(), &operator());
        let overrides = Map::from_iter([(key, value)]);
        let _read = Sweep::from_document(&json!({"ttl": "1h", "command": "x"}), None, &overrides, &operator());
    }

    #[test]
    fn json_text_is_read_as_it_is(value in json_value()) {
        let doc = json!({"x": value});
        prop_assert_eq!(parse_text(&doc.to_string()), Ok(doc));
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(us-east-1|us-east-1a|c5.large|none|s3://bucket/x|0.5|1h)".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(
                "(us-east-1|ttl|bucket|topics|on|lr|[a-z]{0,3})",
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
