use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cost::{Commitment, commitment};

const HOUR: u64 = 3_600_000;
const START: u64 = 1_769_076_000_000; // 2026-01-22T10:00:00Z

fn on_demand(hour: i64, running: Vec<Run>) -> History {
    History {
        name: String::new(),
        market: Market::OnDemand,
        prices: vec![PriceFrom {
            from: START,
            hour: MicroDollars(hour),
        }],
        running,
        volume: None,
        public_ipv4_hour: None,
    }
}

fn spot(hour: i64, running: Vec<Run>) -> History {
    History {
        market: Market::Spot,
        ..on_demand(hour, running)
    }
}

/// A run of so many ms from `START + offset` on.
fn run(offset: u64, ms: u64, ended_by: EndedBy) -> Run {
    Run {
        from: START + offset,
        to: Some(START + offset + ms),
        ended_by,
    }
}

fn instance(history: &History) -> i64 {
    bill(history, u64::MAX / 2).unwrap().instance.0
}

#[test]
fn time_is_billed_by_the_second_and_a_second_begun_is_a_whole_one() {
    // $0.68 an hour: 680000 * s / 3600, rounded up.
    for (ms, seconds, micros) in [
        (3_600_000, 3600, 680_000),
        (3_600_001, 3601, 680_189),
        (61_000, 61, 11_523),
        (60_500, 61, 11_523),
        (7_384_000, 7384, 1_394_756),
    ] {
        let history = on_demand(680_000, vec![run(0, ms, EndedBy::User)]);
        let bill = bill(&history, u64::MAX / 2).unwrap();
        assert_eq!((bill.billed_s, bill.instance.0), (seconds, micros), "{ms}");
    }
}

#[test]
fn a_run_costs_a_minute_at_least_and_each_start_begins_one() {
    let minute = 11_334; // 680000 / 60, rounded up
    let once = on_demand(680_000, vec![run(0, 1, EndedBy::User)]);
    assert_eq!(instance(&once), minute);
    let twice = vec![
        run(0, 5_000, EndedBy::User),
        run(600_000, 59_000, EndedBy::User),
    ];
    // Two minutes: 22666.67
    assert_eq!(instance(&on_demand(680_000, twice)), 22_667);
}

#[test]
fn a_stopped_instance_costs_its_volume_only() {
    let mut history = on_demand(
        680_000,
        vec![
            run(0, HOUR, EndedBy::User),
            run(11 * HOUR, HOUR, EndedBy::User),
        ],
    );
    history.volume = Some(Volume {
        gib: 100,
        gib_month: MicroDollars(80_000),
        from: None,
        to: None,
        month_hours: None,
    });
    history.public_ipv4_hour = Some(MicroDollars(5_000));
    let bill = bill(&history, u64::MAX / 2).unwrap();
    assert_eq!(bill.instance.0, 1_360_000);
    assert_eq!(bill.public_ipv4.0, 10_000);
    // 100 GiB at $0.08 for 12 of January's 744 hours: 8000000 * 12 / 744 = 129032.26
    assert_eq!(bill.volume.0, 129_033);
    assert_eq!(bill.total.0, 1_360_000 + 10_000 + 129_033);
}

#[test]
fn a_volume_costs_a_share_of_each_calendar_month() {
    let mut history = on_demand(0, vec![]);
    let volume = Volume {
        gib: 8,
        gib_month: MicroDollars(80_000),
        from: clock::parse_iso("2026-01-31T23:00:00Z"),
        to: clock::parse_iso("2026-02-01T01:00:00Z"),
        month_hours: None,
    };
    history.volume = Some(volume);
    // 640000/744 + 640000/672 = 860.215 + 952.381
    assert_eq!(bill(&history, u64::MAX / 2).unwrap().volume.0, 1_813);
    history.volume = Some(Volume {
        month_hours: Some(730),
        ..volume
    });
    // 640000 * 2 / 730 = 1753.42
    assert_eq!(bill(&history, u64::MAX / 2).unwrap().volume.0, 1_754);
}

#[test]
fn spot_that_ec2_takes_back_in_the_first_hour_is_free_and_what_the_user_ends_is_not() {
    let of = |ms, by| instance(&spot(200_000, vec![run(0, ms, by)]));
    assert_eq!(of(HOUR - 1, EndedBy::Ec2), 0);
    assert_eq!(of(HOUR, EndedBy::Ec2), 200_000);
    assert_eq!(of(HOUR - 1000, EndedBy::User), 199_945);
    assert_eq!(of(HOUR + 1_800_000, EndedBy::Ec2), 300_000);
    // On demand nobody takes anything back.
    let kept = on_demand(200_000, vec![run(0, 1_800_000, EndedBy::Ec2)]);
    assert_eq!(instance(&kept), 100_000);
}

#[test]
fn volume_and_address_of_spot_that_is_taken_back_are_not_free() {
    let mut history = spot(200_000, vec![run(0, 1_800_000, EndedBy::Ec2)]);
    history.public_ipv4_hour = Some(MicroDollars(5_000));
    let bill = bill(&history, u64::MAX / 2).unwrap();
    assert_eq!((bill.instance.0, bill.public_ipv4.0), (0, 2_500));
    assert_eq!(bill.lines[0].rule, Rule::TakenBackInFirstHour);
}

#[test]
fn spot_keeps_the_price_of_the_beginning_of_each_hour() {
    let mut history = spot(200_000, vec![run(0, 2 * HOUR + 1_800_000, EndedBy::User)]);
    history.prices.push(PriceFrom {
        from: START + 600_000,
        hour: MicroDollars(240_000),
    });
    history.prices.push(PriceFrom {
        from: START + HOUR + 1,
        hour: MicroDollars(300_000),
    });
    // An hour at 0.20, one at 0.24, half an hour at 0.30.
    assert_eq!(instance(&history), 200_000 + 240_000 + 150_000);
}

#[test]
fn on_demand_has_the_price_of_each_moment() {
    let mut history = on_demand(680_000, vec![run(0, 2 * HOUR, EndedBy::User)]);
    history.prices.push(PriceFrom {
        from: START + 900_000,
        hour: MicroDollars(640_000),
    });
    assert_eq!(instance(&history), 170_000 + 1_120_000);
}

#[test]
fn a_bill_goes_as_far_as_its_moment() {
    let open = Run {
        from: START,
        to: None,
        ended_by: EndedBy::User,
    };
    let history = on_demand(680_000, vec![open]);
    let at = |ms| bill(&history, START + ms).unwrap().instance.0;
    assert_eq!(at(0), 11_334);
    assert_eq!(at(HOUR / 2), 340_000);
    assert_eq!(bill(&history, START - 1).unwrap().total, MicroDollars::ZERO);
    // Whether EC2 took it back is not known before it happened.
    let later = spot(200_000, vec![run(0, 1_800_000, EndedBy::Ec2)]);
    assert_eq!(bill(&later, START + 900_000).unwrap().instance.0, 50_000);
}

#[test]
fn a_history_that_contradicts_itself_has_no_bill() {
    let backwards = Run {
        from: START,
        to: Some(START - 1),
        ended_by: EndedBy::User,
    };
    let overlapping = vec![run(0, 1000, EndedBy::User), run(500, 1000, EndedBy::User)];
    let mut no_price = on_demand(1, vec![run(0, 1, EndedBy::User)]);
    no_price.prices.clear();
    for (history, words) in [
        (on_demand(1, vec![backwards]), "before it begins"),
        (on_demand(1, overlapping), "run number 2 begins before"),
        (on_demand(-1, vec![]), "-$0.000001 is no price"),
        (no_price, "no price is given"),
    ] {
        let error = bill(&history, START).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_history_is_read_as_people_write_it() {
    let text = json!({
        "market": "spot",
        "prices": [{"from": "2026-01-22T10:00:00Z", "hour": "0.20"}],
        "running": [{"from": "2026-01-22T10:00:00Z", "to": "2026-01-22T10:30:00Z", "ended_by": "ec2"}],
        "volume": {"gib": 8, "gib_month": 0.08},
        "public_ipv4_hour": "$0.005",
    });
    let history: History = serde_json::from_value(text).unwrap();
    assert_eq!(history.prices[0].hour, MicroDollars(200_000));
    assert_eq!(history.running[0].from, START);
    assert_eq!(history.volume.unwrap().gib_month, MicroDollars(80_000));
    let again: History = serde_json::from_value(json!(history)).unwrap();
    assert_eq!(again, history);
    assert!(serde_json::from_value::<History>(json!({"market": "spot", "price": 1})).is_err());
}

fn histories() -> impl Strategy<Value = History> {
    let prices = proptest::collection::vec((1_u64..HOUR * 3, 0_i64..5_000_000), 1..4);
    let runs = proptest::collection::vec((0_u64..HOUR * 5, 0_u64..HOUR * 5, any::<bool>()), 0..4);
    (any::<bool>(), prices, runs, 0_u32..500).prop_map(|(is_spot, prices, runs, gib)| {
        let mut history = if is_spot {
            spot(0, vec![])
        } else {
            on_demand(0, vec![])
        };
        let mut at = START;
        history.prices = prices
            .into_iter()
            .map(|(after, hour)| {
                at += after;
                PriceFrom {
                    from: at,
                    hour: MicroDollars(hour),
                }
            })
            .collect();
        let mut at = START;
        for (pause, ms, by_ec2) in runs {
            let from = at + pause;
            at = from + ms;
            history.running.push(Run {
                from,
                to: Some(at),
                ended_by: if by_ec2 { EndedBy::Ec2 } else { EndedBy::User },
            });
        }
        history.volume = Some(Volume {
            gib,
            gib_month: MicroDollars(80_000),
            from: None,
            to: None,
            month_hours: None,
        });
        history.public_ipv4_hour = Some(MicroDollars(5_000));
        history
    })
}

proptest! {
    #[test]
    fn the_sum_of_the_parts_is_the_whole(history in histories(), at in START..START + HOUR * 40) {
        let bill = bill(&history, at).unwrap();
        prop_assert_eq!(bill.total.0, bill.instance.0 + bill.volume.0 + bill.public_ipv4.0);
        prop_assert!(bill.instance.0 >= 0 && bill.volume.0 >= 0 && bill.public_ipv4.0 >= 0);
        let seconds: u64 = bill.lines.iter().filter(|l| l.rule != Rule::TakenBackInFirstHour).map(|l| l.ms).sum();
        prop_assert_eq!(seconds, bill.billed_s * 1000);
    }

    #[test]
    fn an_instance_that_runs_never_gets_cheaper(history in histories(), first in 0..HOUR * 20, more in 0..HOUR * 20) {
        // As long as EC2 takes nothing back, which makes free what was not.
        let mut history = history;
        for run in &mut history.running {
            run.ended_by = EndedBy::User;
        }
        let earlier = bill(&history, START + first).unwrap().total;
        let later = bill(&history, START + first + more).unwrap().total;
        prop_assert!(earlier <= later);
    }

    #[test]
    fn a_bill_never_passes_what_was_committed(
        hour in 0_i64..50_000_000, gib in 0_u32..2000, ms in 0_u64..HOUR * 100, offset in 0_u64..HOUR * 900,
    ) {
        let mut history = on_demand(hour, vec![run(offset, ms, EndedBy::User)]);
        history.volume = Some(Volume { gib, gib_month: MicroDollars(80_000), from: None, to: None, month_hours: None });
        history.public_ipv4_hour = Some(MicroDollars(5_000));
        let prices = Commitment {
            hour: MicroDollars(hour), gib, gib_month: MicroDollars(80_000), public_ipv4_hour: MicroDollars(5_000),
        };
        let committed = commitment(&prices, ms.div_ceil(1000)).unwrap();
        prop_assert!(bill(&history, u64::MAX / 2).unwrap().total <= committed);
    }
}
