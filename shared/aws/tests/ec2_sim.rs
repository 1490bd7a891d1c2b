//! The EC2 adapter, and the Rust SDK itself, against the simulator: what it answers must parse, and what the adapter asks must
//! be what EC2 knows.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, Filter, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest, FleetType,
    InstanceType, LocationType, TargetCapacitySpecificationRequest,
};
use ec2_sim::{Settings, Simulator};
use spawn_aws::ec2::Ec2;
use spawn_core::ids::{ClientToken, Market, SweepId};
use spawn_core::ports::{
    DescribeOffers as _, Ec2Error, EndInstances as _, InstanceState, LaunchInstances as _,
    LaunchRequest, ListInstances as _, StopInstances as _, Template,
};
use spawn_core::region::Region;
use spawn_core::rows::{LaunchApi, Rung, Shape};

const IMAGE: &str = "ami-0c2023a1b2c3d4e5f";

async fn simulator() -> (Simulator, SdkConfig) {
    let settings = Settings {
        pending_ms: 20,
        shutdown_ms: 20,
        launch_ms: 0,
        // Its token buckets have tests of their own; here their refill would decide what is answered.
        throttling: false,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await.unwrap();
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(simulator.url())
        .region(SdkRegion::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    (simulator, config)
}

fn region() -> Region {
    "us-west-2".parse().unwrap()
}

fn template() -> Template {
    Template {
        name: "spawn-test-on-demand-0".to_owned(),
        shape: Shape {
            instance_types: vec!["t3.micro".to_owned()],
            ami: IMAGE.to_owned(),
            instance_profile: "spawn-instance-profile".to_owned(),
            ..Shape::default()
        },
        user_data: "#!/bin/sh\ntrue\n".to_owned(),
        tags: vec![("spawn:managed".to_owned(), "true".to_owned())],
    }
}

fn request(token: &str, count: u32, market: Market) -> LaunchRequest {
    let token = ClientToken::of(&[token]);
    LaunchRequest {
        region: region(),
        template: template().name,
        account: "000000000000".to_owned(),
        rung: Rung {
            api: LaunchApi::RunInstances,
            market,
            pools: vec!["t3.micro@*".parse().unwrap()],
            is_one_zone: false,
        },
        count,
        tags: vec![
            ("spawn:managed".to_owned(), "true".to_owned()),
            ("spawn:sweep-id".to_owned(), "test".to_owned()),
            ("spawn:attempt".to_owned(), token.as_str().to_owned()),
        ],
        token,
    }
}

#[tokio::test]
async fn an_attempt_is_launched_once_found_by_its_tag_and_ended() {
    let (simulator, config) = simulator().await;
    let ec2 = Ec2::new(&config);
    ec2.ensure_template(&region(), &template()).await.unwrap();
    ec2.ensure_template(&region(), &template()).await.unwrap();
    for market in [Market::OnDemand, Market::Spot] {
        let request = request(market.as_str(), 3, market);
        let first = ec2.launch(&request).await.unwrap().instances;
        let second = ec2.launch(&request).await.unwrap().instances;
        let ids = |found: &[spawn_core::ports::CloudInstance]| {
            found
                .iter()
                .map(|i| i.arn.to_string())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(first.len(), 3);
        assert_eq!(ids(&first), ids(&second));
        assert!(
            first
                .iter()
                .all(|i| i.market == market && i.arn.region == region())
        );
        let tagged = ec2.launched_by(&region(), &request.token).await.unwrap();
        assert_eq!(ids(&tagged), ids(&first));
    }
    let sweep = SweepId::from("test");
    let listed = ec2.list(&region(), &sweep).await.unwrap();
    assert_eq!(listed.len(), 6);
    assert_eq!(
        ec2.list(&"us-east-1".parse().unwrap(), &sweep).await,
        Ok(Vec::new())
    );

    let stopped = listed
        .iter()
        .find(|i| i.market == Market::OnDemand)
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    ec2.stop(&region(), std::slice::from_ref(&stopped.arn.instance_id))
        .await
        .unwrap();
    let mut all: Vec<String> = listed.iter().map(|i| i.arn.instance_id.clone()).collect();
    // One that is gone keeps none of the others alive.
    all.push("i-0123456789abcdef0".to_owned());
    ec2.terminate(&region(), &all).await.unwrap();
    ec2.terminate(&region(), &all).await.unwrap();
    let states: Vec<InstanceState> = ec2
        .list(&region(), &sweep)
        .await
        .unwrap()
        .iter()
        .map(|i| i.state)
        .collect();
    assert!(states.iter().all(|state| state.is_ending()), "{states:?}");
    let spent = ec2.launch(&request("on-demand", 3, Market::OnDemand)).await;
    assert!(matches!(spent, Err(Ec2Error::TokenSpent(_))), "{spent:?}");
    let changed = ec2.launch(&request("on-demand", 4, Market::OnDemand)).await;
    assert!(
        matches!(changed, Err(Ec2Error::TokenSpent(_))),
        "{changed:?}"
    );
    ec2.delete_template(&region(), &template().name)
        .await
        .unwrap();
    ec2.delete_template(&region(), &template().name)
        .await
        .unwrap();
    simulator.stop().await;
}

#[tokio::test]
async fn a_fleet_launches_from_its_pools_and_its_instances_are_found_by_their_tag() {
    let (simulator, config) = simulator().await;
    let ec2 = Ec2::new(&config);
    ec2.ensure_template(&region(), &template()).await.unwrap();
    for market in [Market::OnDemand, Market::Spot] {
        let mut request = request(&format!("fleet {market}"), 5, market);
        request.rung.api = LaunchApi::CreateFleet;
        request.rung.pools = [
            "t3.micro@us-west-2a",
            "t3.micro@us-west-2b",
            "t3.small@us-west-2a",
        ]
        .map(|pool| pool.parse().unwrap())
        .to_vec();
        let first = ec2.launch(&request).await.unwrap();
        let second = ec2.launch(&request).await.unwrap();
        assert_eq!(first.instances.len(), 5, "{first:?}");
        let ids = |found: &[spawn_core::ports::CloudInstance]| {
            found
                .iter()
                .map(|i| i.arn.to_string())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(ids(&first.instances), ids(&second.instances));
        let zones = ["us-west-2a", "us-west-2b"];
        for instance in &first.instances {
            assert_eq!(instance.market, market);
            let zone = instance.availability_zone.as_str();
            assert!(zones.contains(&zone), "{zone}");
        }
        let tagged = ec2.launched_by(&region(), &request.token).await.unwrap();
        assert_eq!(ids(&tagged), ids(&first.instances));
    }
    simulator.stop().await;
}

#[tokio::test]
async fn offers_are_described_and_what_is_not_there_is_left_out() {
    let (simulator, config) = simulator().await;
    let ec2 = Ec2::new(&config);
    let names = ["c5.4xlarge", "c7g.*", "c5.47xlarge"].map(str::to_owned);
    let types = ec2.instance_types(&region(), &names).await.unwrap();
    let found: BTreeSet<&str> = types.iter().map(|t| t.name.as_str()).collect();
    assert!(
        found.contains("c5.4xlarge") && found.contains("c7g.large"),
        "{found:?}"
    );
    assert!(!found.contains("c5.47xlarge"));
    let c5 = types.iter().find(|t| t.name == "c5.4xlarge").unwrap();
    assert_eq!((c5.vcpus, c5.memory_mib, c5.spot), (16, 32_768, true));
    let image = ec2.image(&region(), IMAGE).await.unwrap().unwrap();
    assert_eq!(
        (image.architecture.as_str(), image.available),
        ("x86_64", true)
    );
    assert_eq!(
        ec2.image(&region(), "ami-00000000000000000").await,
        Ok(None)
    );
    simulator.stop().await;
}

/// What the adapter does not use yet parses in the SDK, too.
#[tokio::test]
async fn the_sdk_understands_the_simulators_other_answers() {
    let (simulator, config) = simulator().await;
    let client = Client::new(&config);
    Ec2::new(&config)
        .ensure_template(&"us-east-1".parse().unwrap(), &template())
        .await
        .unwrap();
    let fleet = client
        .create_fleet()
        .r#type(FleetType::Instant)
        .launch_template_configs(
            FleetLaunchTemplateConfigRequest::builder()
                .launch_template_specification(
                    FleetLaunchTemplateSpecificationRequest::builder()
                        .launch_template_name(template().name)
                        .version("1")
                        .build(),
                )
                .overrides(
                    FleetLaunchTemplateOverridesRequest::builder()
                        .instance_type(InstanceType::C5Large)
                        .build(),
                )
                .build(),
        )
        .target_capacity_specification(
            TargetCapacitySpecificationRequest::builder()
                .total_target_capacity(2)
                .default_target_capacity_type(DefaultTargetCapacityType::Spot)
                .build(),
        )
        .send()
        .await
        .unwrap();
    let ids: Vec<String> = fleet
        .instances()
        .iter()
        .flat_map(|set| set.instance_ids().to_vec())
        .collect();
    assert_eq!(ids.len(), 2);
    let templates = client.describe_launch_templates().send().await.unwrap();
    assert_eq!(templates.launch_templates().len(), 1);
    let statuses = client
        .describe_instance_status()
        .include_all_instances(true)
        .send()
        .await
        .unwrap();
    assert_eq!(statuses.instance_statuses().len(), 2);
    let volumes = client.describe_volumes().send().await.unwrap();
    assert_eq!(volumes.volumes().len(), 2);
    let prices = client
        .describe_spot_price_history()
        .instance_types(InstanceType::C54xlarge)
        .product_descriptions("Linux/UNIX")
        .send()
        .await
        .unwrap();
    assert!(
        prices
            .spot_price_history()
            .iter()
            .all(|p| p.spot_price().is_some())
    );
    let offerings = client
        .describe_instance_type_offerings()
        .location_type(LocationType::AvailabilityZone)
        .filters(
            Filter::builder()
                .name("instance-type")
                .values("c5.large")
                .build(),
        )
        .send()
        .await
        .unwrap();
    assert!(!offerings.instance_type_offerings().is_empty());
    assert!(
        !client
            .describe_regions()
            .send()
            .await
            .unwrap()
            .regions()
            .is_empty()
    );
    assert!(
        !client
            .describe_availability_zones()
            .send()
            .await
            .unwrap()
            .availability_zones()
            .is_empty()
    );
    assert!(
        !client
            .describe_subnets()
            .send()
            .await
            .unwrap()
            .subnets()
            .is_empty()
    );
    assert_eq!(client.describe_vpcs().send().await.unwrap().vpcs().len(), 1);
    assert_eq!(
        client
            .describe_security_groups()
            .send()
            .await
            .unwrap()
            .security_groups()
            .len(),
        1
    );
    let tag = aws_sdk_ec2::types::Tag::builder()
        .key("a")
        .value("b")
        .build();
    client
        .create_tags()
        .resources(&ids[0])
        .tags(tag)
        .send()
        .await
        .unwrap();
    let tags = client
        .describe_tags()
        .filters(Filter::builder().name("key").values("a").build())
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tags().len(), 1);
    let console = client
        .get_console_output()
        .instance_id(&ids[0])
        .send()
        .await
        .unwrap();
    assert_eq!(console.instance_id(), Some(ids[0].as_str()));
    simulator.stop().await;
}
