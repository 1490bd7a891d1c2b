//! What EC2 gets, word for word, and what is made of its answers: no emulator looks at all of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use spawn_aws::ec2::Ec2;
use spawn_core::ids::{ClientToken, Market, SweepId};
use spawn_core::ports::{
    DescribeOffers, Ec2Error, InstanceState, LaunchInstances, LaunchRequest, ListInstances,
    Template,
};
use spawn_core::region::Region;
use spawn_core::rows::{LaunchApi, Rung, Shape};

const LAUNCHED: &str = r#"<RunInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>r</requestId><reservationId>r-1</reservationId><ownerId>000000000000</ownerId><instancesSet><item>
<instanceId>i-0abc</instanceId><instanceState><code>0</code><name>pending</name></instanceState>
<instanceType>c5.large</instanceType><launchTime>2026-01-22T10:00:00.000Z</launchTime>
<placement><availabilityZone>eu-west-1a</availabilityZone></placement><instanceLifecycle>spot</instanceLifecycle>
</item></instancesSet></RunInstancesResponse>"#;

fn error(code: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>words</Message></Error></Errors>\
         <RequestID>r</RequestID></Response>"
    )
}

/// Answers one request after the other with `answers`; the bodies of the requests.
fn serve(answers: Vec<(u16, String)>) -> (SdkConfig, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let bodies = thread::spawn(move || {
        let answer = |(status, body): (u16, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let request = body_of(&stream);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} S\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .unwrap();
            request
        };
        answers.into_iter().map(answer).collect()
    });
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    (config.build(), bodies)
}

fn body_of(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn request(market: Market) -> LaunchRequest {
    LaunchRequest {
        region: region(),
        account: "000000000000".to_owned(),
        token: ClientToken::of(&["one"]),
        template: "spawn-a-0".to_owned(),
        rung: Rung {
            api: LaunchApi::RunInstances,
            market,
            pools: vec!["c5.large@eu-west-1a".parse().unwrap()],
            is_one_zone: false,
        },
        count: 7,
        tags: vec![("spawn:managed".to_owned(), "true".to_owned())],
    }
}

fn has_all(body: &str, parameters: &[&str]) {
    let sent: Vec<&str> = body.split('&').collect();
    for parameter in parameters {
        assert!(sent.contains(parameter), "{parameter} is not in {body}");
    }
}

#[tokio::test]
async fn a_launch_says_all_that_makes_it_repeatable_and_findable() {
    let (config, bodies) = serve(vec![(200, LAUNCHED.to_owned())]);
    let request = request(Market::Spot);
    let instances = Ec2::new(&config).launch(&request).await.unwrap().instances;
    let body = bodies.join().unwrap().remove(0);
    let token = format!("ClientToken={}", request.token.as_str());
    has_all(
        &body,
        &[
            "Action=RunInstances",
            "MinCount=1",
            "MaxCount=7",
            "InstanceType=c5.large",
            "LaunchTemplate.LaunchTemplateName=spawn-a-0",
            "LaunchTemplate.Version=1",
            "Placement.AvailabilityZone=eu-west-1a",
            "InstanceMarketOptions.MarketType=spot",
            "InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time",
            "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate",
            "TagSpecification.1.ResourceType=instance",
            "TagSpecification.1.Tag.1.Key=spawn%3Amanaged",
            &token,
        ],
    );
    assert_eq!(instances.len(), 1);
    assert_eq!(
        instances[0].arn.to_string(),
        "arn:aws:ec2:eu-west-1:000000000000:instance/i-0abc"
    );
    assert_eq!(instances[0].state, InstanceState::Pending);
    assert_eq!(instances[0].market, Market::Spot);
}

#[tokio::test]
async fn a_throttled_launch_is_told_and_not_repeated_by_itself() {
    let (config, bodies) = serve(vec![(503, error("RequestLimitExceeded"))]);
    let result = Ec2::new(&config).launch(&request(Market::OnDemand)).await;
    let text = "RequestLimitExceeded: words".to_owned();
    assert_eq!(result, Err(Ec2Error::Throttled(text)));
    let bodies = bodies.join().unwrap();
    assert!(
        !bodies[0].contains("InstanceMarketOptions"),
        "{}",
        bodies[0]
    );
}

#[tokio::test]
async fn a_fleet_asks_all_its_pools_at_once() {
    let answer = r#"<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>
        <fleetId>fleet-1</fleetId><fleetInstanceSet><item><instanceIds><item>i-0abc</item></instanceIds>
        <instanceType>m5.large</instanceType><lifecycle>spot</lifecycle><launchTemplateAndOverrides><overrides>
        <instanceType>m5.large</instanceType><availabilityZone>eu-west-1b</availabilityZone></overrides>
        </launchTemplateAndOverrides></item></fleetInstanceSet><errorSet><item><errorCode>InsufficientInstanceCapacity</errorCode>
        <errorMessage>words</errorMessage><launchTemplateAndOverrides><overrides><instanceType>c5.large</instanceType>
        <availabilityZone>eu-west-1a</availabilityZone></overrides></launchTemplateAndOverrides></item></errorSet>
        </CreateFleetResponse>"#;
    let (config, bodies) = serve(vec![(200, answer.to_owned())]);
    let mut request = request(Market::Spot);
    request.rung.api = LaunchApi::CreateFleet;
    request.rung.pools = [
        "c5.large@eu-west-1a",
        "m5.large@eu-west-1b",
        "m5.large@subnet-1",
    ]
    .map(|pool| pool.parse().unwrap())
    .to_vec();
    let launched = Ec2::new(&config).launch(&request).await.unwrap();
    let body = bodies.join().unwrap().remove(0);
    let token = format!("ClientToken={}", request.token.as_str());
    has_all(
        &body,
        &[
            "Action=CreateFleet",
            "Type=instant",
            "TargetCapacitySpecification.TotalTargetCapacity=7",
            "TargetCapacitySpecification.DefaultTargetCapacityType=spot",
            "SpotOptions.AllocationStrategy=price-capacity-optimized",
            "SpotOptions.InstanceInterruptionBehavior=terminate",
            "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName=spawn-a-0",
            "LaunchTemplateConfigs.1.Overrides.1.InstanceType=c5.large",
            "LaunchTemplateConfigs.1.Overrides.1.AvailabilityZone=eu-west-1a",
            "LaunchTemplateConfigs.1.Overrides.1.Priority=0.0",
            "LaunchTemplateConfigs.1.Overrides.3.SubnetId=subnet-1",
            "LaunchTemplateConfigs.1.Overrides.3.Priority=1.0",
            "TagSpecification.1.ResourceType=fleet",
            "TagSpecification.2.ResourceType=instance",
            &token,
        ],
    );
    let [instance] = &launched.instances[..] else {
        panic!("{launched:?}");
    };
    assert_eq!(
        instance.arn.to_string(),
        "arn:aws:ec2:eu-west-1:000000000000:instance/i-0abc"
    );
    assert_eq!(instance.availability_zone, "eu-west-1b");
    assert_eq!(launched.refusals[0].pool.to_string(), "c5.large@eu-west-1a");
    let error = &launched.refusals[0].error;
    assert!(matches!(error, Ec2Error::NoCapacity(_)), "{error:?}");
}

#[tokio::test]
async fn a_pool_without_capacity_is_not_asked_again() {
    let (config, bodies) = serve(vec![(400, error("InsufficientInstanceCapacity"))]);
    let result = Ec2::new(&config).launch(&request(Market::OnDemand)).await;
    assert!(matches!(result, Err(Ec2Error::NoCapacity(_))), "{result:?}");
    assert_eq!(bodies.join().unwrap().len(), 1);
}

#[tokio::test]
async fn a_template_holds_what_all_instances_of_a_shape_share() {
    let template = Template {
        name: "spawn-a-0".to_owned(),
        shape: Shape {
            instance_types: vec!["c5.large".to_owned()],
            ami: "ami-1".to_owned(),
            key_name: Some("key".to_owned()),
            instance_profile: "spawn-instance-profile".to_owned(),
            security_group_ids: vec!["sg-1".to_owned()],
            ..Shape::default()
        },
        user_data: "#!/bin/sh\n".to_owned(),
        tags: vec![("spawn:managed".to_owned(), "true".to_owned())],
    };
    let exists = error("InvalidLaunchTemplateName.AlreadyExistsException");
    let (config, bodies) = serve(vec![(400, exists)]);
    assert_eq!(
        Ec2::new(&config)
            .ensure_template(&region(), &template)
            .await,
        Ok(())
    );
    has_all(
        &bodies.join().unwrap()[0],
        &[
            "Action=CreateLaunchTemplate",
            "LaunchTemplateName=spawn-a-0",
            "LaunchTemplateData.ImageId=ami-1",
            "LaunchTemplateData.KeyName=key",
            "LaunchTemplateData.SecurityGroupId.1=sg-1",
            "LaunchTemplateData.UserData=IyEvYmluL3NoCg%3D%3D",
            "LaunchTemplateData.IamInstanceProfile.Name=spawn-instance-profile",
            "LaunchTemplateData.InstanceInitiatedShutdownBehavior=terminate",
            "LaunchTemplateData.TagSpecification.1.ResourceType=volume",
            "LaunchTemplateData.TagSpecification.1.Tag.1.Key=spawn%3Amanaged",
            "LaunchTemplateData.MetadataOptions.HttpTokens=required",
            "LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit=1",
            "LaunchTemplateData.MetadataOptions.HttpEndpoint=enabled",
            "LaunchTemplateData.MetadataOptions.InstanceMetadataTags=disabled",
            "TagSpecification.1.ResourceType=launch-template",
        ],
    );
}

#[tokio::test]
async fn a_listing_is_complete_or_an_error() {
    let page = |id: &str, next: &str| {
        format!(
            "<DescribeInstancesResponse><reservationSet><item><ownerId>000000000000</ownerId>\
             <instancesSet><item><instanceId>{id}</instanceId><instanceState><name>running</name>\
             </instanceState></item></instancesSet></item></reservationSet>{next}\
             </DescribeInstancesResponse>"
        )
    };
    let first = page("i-1", "<nextToken>more</nextToken>");
    let sweep = SweepId::from("a-20260101-000000");
    let (config, bodies) = serve(vec![(200, first.clone()), (200, page("i-2", ""))]);
    let instances = Ec2::new(&config).list(&region(), &sweep).await.unwrap();
    let ids: Vec<&str> = instances
        .iter()
        .map(|shown| shown.arn.instance_id.as_str())
        .collect();
    assert_eq!(ids, ["i-1", "i-2"]);
    let bodies = bodies.join().unwrap();
    has_all(
        &bodies[0],
        &[
            "Filter.1.Name=tag%3Aspawn%3Asweep-id",
            "Filter.1.Value.1=a-20260101-000000",
            "MaxResults=1000",
        ],
    );
    has_all(&bodies[1], &["NextToken=more"]);

    let denied = error("UnauthorizedOperation");
    let (config, bodies) = serve(vec![(200, first), (403, denied)]);
    let result = Ec2::new(&config).list(&region(), &sweep).await;
    assert!(matches!(result, Err(Ec2Error::Refused(_))), "{result:?}");
    bodies.join().unwrap();
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_none() {
    let (config, bodies) = serve(vec![(400, error("InvalidAMIID.NotFound"))]);
    assert_eq!(Ec2::new(&config).image(&region(), "ami-1").await, Ok(None));
    bodies.join().unwrap();
}
