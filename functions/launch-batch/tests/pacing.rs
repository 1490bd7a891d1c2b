//! EC2's token buckets, `launch_delay` and limits of instances, kept by launchers that run at the same time.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{LANE, input_of, ports, run_lane, step, step_of};
use futures_util::future::join_all;
use launch_batch::{Next, Ports, handle};
use simulation::{Death, When, World, sweep};
use spawn_core::ledger::{self, Stored as _, Versioned as _};
use spawn_core::limits::{Book, Bucket, LimitRow, QuotaRow, Reserved, Sizes, limit_key};
use spawn_core::ports::{Clock as _, Ec2Error};
use spawn_core::rows::{LaneRow, LaunchApi, lane_key};

const ACCOUNT: &str = "000000000000";

async fn limit(world: &World, bucket: Bucket) -> LimitRow {
    let key = limit_key(ACCOUNT, &"us-east-1".parse().unwrap(), bucket);
    ledger::require(&world.ledger, key).await.unwrap()
}

/// How many instances and requests EC2 was asked for up to every moment, against what its buckets give.
fn assert_within_buckets(world: &World, context: &str) {
    let launches = world.cloud.launches();
    let began = launches.first().map_or(0, |(at, ..)| *at);
    let mut instances = 0;
    let mut runs = 0;
    for (at, request, _) in &launches {
        let elapsed_ms = at - began;
        instances += u64::from(request.count);
        assert!(
            instances <= 1000 + elapsed_ms * 2 / 1000,
            "{context}: {instances} instances within {elapsed_ms} ms"
        );
        if request.rung.api == LaunchApi::RunInstances {
            runs += 1;
            assert!(
                runs <= 5 + elapsed_ms * 2 / 1000,
                "{context}: {runs} requests within {elapsed_ms} ms"
            );
        }
    }
}

/// Makes the lane one of a single type, which RunInstances launches.
async fn one_type(world: &World, change: impl Fn(&mut LaneRow)) {
    let key = lane_key(&world.sweep_id, &simulation::lane(LANE));
    let mut row: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    row.shapes[0].instance_types.truncate(1);
    change(&mut row);
    let write = row.replace().unwrap();
    ledger::Ledger::commit(&world.ledger, vec![write])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_bucket_is_launched_in_the_time_of_one_call() {
    let world = World::new(&sweep(1_000, &[LANE], None)).await;
    one_type(&world, |_| {}).await;
    world.cloud.answer_after(3_000);
    let outputs = run_lane(&world).await;
    let launches = world.cloud.launches();
    assert_eq!(launches.len(), 10);
    // The requests that RunInstances has no tokens for are those of fleets.
    let runs = launches
        .iter()
        .filter(|(_, request, _)| request.rung.api == LaunchApi::RunInstances);
    assert_eq!(runs.count(), 5);
    let last = launches.last().unwrap().0;
    assert_eq!(last, launches[0].0, "{outputs:?}");
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn more_than_a_bucket_holds_is_launched_as_fast_as_it_fills() {
    let world = World::new(&sweep(1_500, &[LANE], None)).await;
    world.cloud.answer_after(700);
    run_lane(&world).await;
    assert_within_buckets(&world, "1,500 members");
    let launches = world.cloud.launches();
    assert_eq!(launches.len(), 15);
    let took_ms = launches.last().unwrap().0 - launches[0].0;
    assert!((250_000..255_000).contains(&took_ms), "{took_ms} ms");
}

/// The times of the lane's launch calls, from the first, when Service Quotas has told `sizes` and the operator `configured`.
async fn call_times(told: &str, configured: &str) -> Vec<u64> {
    let mut sweep = sweep(400, &[LANE], None);
    sweep.max_concurrent = None;
    let world = World::new(&sweep).await;
    one_type(&world, |_| {}).await;
    let row = QuotaRow {
        account: ACCOUNT.to_owned(),
        region: "us-east-1".parse().unwrap(),
        sizes: told.parse().unwrap(),
        read_at: world.clock.now_ms(),
    };
    ledger::Ledger::put_all(&world.ledger, vec![row.row().unwrap()])
        .await
        .unwrap();
    for turn in 0..100 {
        let ports = Ports {
            limits: configured.parse().unwrap(),
            ..ports(&world)
        };
        let process = handle(input_of(&world, LANE), &ports, turn);
        let output = world.clock.drive(&world.faults, process).await.unwrap();
        if output.next == Next::Done {
            break;
        }
        let wait_ms = output.wait_s * 1000;
        world.clock.set(world.clock.now_ms() + wait_ms);
    }
    let launches = world.cloud.launches();
    assert_eq!(world.cloud.instances().len(), 400);
    let first = launches.first().unwrap().0;
    launches.iter().map(|(at, ..)| at - first).collect()
}

#[tokio::test]
async fn quotas_that_service_quotas_tells_set_the_rate_and_an_operator_comes_before_them() {
    // By EC2's defaults four calls of a hundred pass at once.
    assert_eq!(call_times("", "").await, [0; 4]);
    let one_a_second = "RunInstances=1+1/s, CreateFleet=1+0.1/s";
    let times = call_times(one_a_second, "").await;
    assert_eq!(times.len(), 4);
    // One by RunInstances and one by a fleet at once, then one a second: there is a token of either when it is needed.
    assert_eq!(times[..2], [0, 0]);
    for pair in times[1..].windows(2) {
        let apart_ms = pair[1] - pair[0];
        assert!((1_000..1_100).contains(&apart_ms), "{times:?}");
    }
    let configured = "RunInstances=5+2/s";
    assert_eq!(call_times(one_a_second, configured).await, [0; 4]);
}

/// Fifty launchers take tokens at once, each by a read and a conditional write; none is given twice.
#[tokio::test]
async fn fifty_takers_at_once_take_no_more_than_the_bucket_holds() {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let site = (ACCOUNT.to_owned(), "us-east-1".parse().unwrap());
    let take = || async {
        loop {
            let mut book = Book::load(&world.ledger, Sizes::default(), std::slice::from_ref(&site))
                .await
                .unwrap();
            let reserved = book.reserve(&site, LaunchApi::CreateFleet, 30, 5_000, 0);
            // Others take their turn between the read and the write.
            tokio::task::yield_now().await;
            let Reserved::At(_) = reserved else {
                return 0;
            };
            let writes = book.writes().unwrap();
            if ledger::Ledger::commit(&world.ledger, writes).await.is_ok() {
                return 30;
            }
        }
    };
    let taken: u32 = join_all((0..50).map(|_| take())).await.into_iter().sum();
    assert_eq!(taken, 990, "33 times 30 are what 1,000 have room for");
}

/// Lanes of two sweeps in one region launch at the same time.
#[tokio::test]
async fn sweeps_that_share_a_region_share_its_buckets() {
    let world = World::new(&sweep(1_400, &[LANE, "us-east-1.spot"], None)).await;
    world.cloud.answer_after(900);
    let ports = ports(&world);
    for round in 0..400 {
        let both = join_all(
            [LANE, "us-east-1.spot"]
                .iter()
                .zip([round, round + 1_000])
                .map(|(lane, random)| handle(input_of(&world, lane), &ports, random)),
        );
        let outputs = world.clock.drive(&world.faults, both).await;
        let outputs: Vec<_> = outputs.into_iter().map(Result::unwrap).collect();
        if outputs.iter().all(|output| output.next == Next::Done) {
            break;
        }
        let wait_s = outputs.iter().map(|output| output.wait_s).min().unwrap();
        world.clock.set(world.clock.now_ms() + wait_s.max(1) * 1000);
    }
    assert_eq!(world.cloud.instances().len(), 1_400);
    assert_within_buckets(&world, "two lanes");
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_throttled_call_slows_all_lanes_of_the_region_down_for_a_while() {
    let world = World::new(&sweep(300, &[LANE], None)).await;
    one_type(&world, |_| {}).await;
    let throttled = Ec2Error::Throttled("RequestLimitExceeded: slowly".to_owned());
    world.cloud.fail_next([throttled]);
    step(&world).await;
    let row = limit(&world, Bucket::RunInstances).await;
    assert_eq!(row.throttles, 1);
    let at = row.throttled_at;
    assert_eq!(row.share_now(at), 500);
    assert_eq!(row.share_now(at + 60_000), 1_000, "it comes back by itself");
    run_lane(&world).await;
    assert_eq!(world.cloud.instances().len(), 300);
    assert_eq!(world.violations().await, Vec::<String>::new());
    // What EC2 did not launch was given back: 300 are missing in the bucket, and no more.
    let row = limit(&world, Bucket::Instances).await;
    let size = Sizes::default().of(Bucket::Instances);
    let now = world.clock.now_ms();
    assert_eq!(row.when(size, 700, now), now);
}

#[tokio::test]
async fn launches_are_as_far_apart_as_the_delay_says_whoever_makes_them() {
    let world = World::new(&sweep(6, &[LANE], None)).await;
    one_type(&world, |row| row.launch_delay_s = 7).await;
    world.cloud.answer_after(1_300);
    let ports = ports(&world);
    for round in 0..40 {
        // Three launchers of the lane at once.
        let three = join_all(
            (0..3).map(|number| handle(input_of(&world, LANE), &ports, round * 3 + number)),
        );
        let outputs = world.clock.drive(&world.faults, three).await;
        let outputs: Vec<_> = outputs.into_iter().map(Result::unwrap).collect();
        if outputs.iter().any(|output| output.next == Next::Done) {
            break;
        }
        world.clock.set(world.clock.now_ms() + 1_000);
    }
    run_lane(&world).await;
    let launches = world.cloud.launches();
    assert_eq!(launches.len(), 6);
    for pair in launches.windows(2) {
        let apart_ms = pair[1].0 - pair[0].0;
        assert!(apart_ms >= 7_000, "{apart_ms} ms");
    }
    assert_eq!(world.violations().await, Vec::<String>::new());
}

/// The gaps between the launches of a lane of four members that are to be three seconds apart.
async fn gaps(world: &World) -> Vec<u64> {
    one_type(world, |row| row.launch_delay_s = 3).await;
    run_lane(world).await;
    assert_eq!(world.violations().await, Vec::<String>::new());
    let launches = world.cloud.launches();
    assert_eq!(launches.len(), 4);
    let pairs = launches.windows(2);
    pairs.map(|pair| pair[1].0 - pair[0].0).collect()
}

fn assert_exact(gaps: &[u64]) {
    let is_exact = |gap: &u64| (3_000..3_100).contains(gap);
    assert!(gaps.iter().all(is_exact), "{gaps:?} ms");
}

#[tokio::test]
async fn a_call_that_is_made_again_moves_the_launches_behind_it() {
    for failures in [0, 1, 3] {
        for error in [
            Ec2Error::Transient("InternalError: again".to_owned()),
            Ec2Error::Throttled("RequestLimitExceeded: slowly".to_owned()),
        ] {
            let world = World::new(&sweep(4, &[LANE], None)).await;
            world.cloud.fail_next(vec![error; failures]);
            assert_exact(&gaps(&world).await);
        }
    }
}

/// Whoever makes the call knows when; the lane's next launch is as far from it, though it was planned for earlier.
#[tokio::test]
async fn a_launcher_that_dies_anywhere_brings_no_launch_too_near_to_the_one_before() {
    for call in 0..60 {
        for when in [When::Before, When::After].map(|when| Death { call, when }) {
            let world = World::new(&sweep(4, &[LANE], None)).await;
            one_type(&world, |row| row.launch_delay_s = 3).await;
            world.faults.arm(Some(when));
            world.faults.run(run_lane(&world)).await;
            world.faults.arm(None);
            // Whoever goes on comes later.
            world.clock.set(world.clock.now_ms() + 2_800);
            run_lane(&world).await;
            let launches = world.cloud.launches();
            assert_eq!(launches.len(), 4);
            for pair in launches.windows(2) {
                let apart_ms = pair[1].0 - pair[0].0;
                assert!(apart_ms >= 3_000, "{when:?}: {apart_ms} ms");
            }
        }
    }
}

#[tokio::test]
async fn a_template_that_takes_long_delays_the_launches_behind_the_first_as_well() {
    let world = World::new(&sweep(4, &[LANE], None)).await;
    world.cloud.create_templates_after(2_000);
    assert_exact(&gaps(&world).await);
}

#[tokio::test]
async fn lanes_at_once_never_pass_a_limit_of_the_sweep_or_of_a_region() {
    let lanes = [LANE, "us-east-1.spot", "us-west-2.on-demand"];
    let mut row = sweep(90, &lanes, Some(23));
    row.max_concurrent_per_region = Some(13);
    let world = World::new(&row).await;
    let ports = ports(&world);
    let all = join_all(
        lanes
            .iter()
            .zip(1..)
            .map(|(lane, random)| handle(input_of(&world, lane), &ports, random)),
    );
    for output in world.clock.drive(&world.faults, all).await {
        assert!(matches!(output.unwrap().next, Next::Slot | Next::Wait));
    }
    for lane in lanes {
        step_of(&world, lane, 9).await;
    }
    let sweep = world.sweep().await;
    assert_eq!(sweep.live, 23);
    assert!(sweep.live_in.values().all(|live| *live <= 13), "{sweep:?}");
    assert_eq!(world.cloud.instances().len(), 23);
    assert_eq!(world.violations().await, Vec::<String>::new());
}
