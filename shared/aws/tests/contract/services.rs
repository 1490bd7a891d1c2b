//! What S3, Systems Manager, Step Functions and EC2 answer to the adapters.
//!
//! MiniStack's EC2 knows no launch templates and changes states at once, so launches are proven elsewhere; here is only what
//! it answers as EC2 does.

use aws_config::SdkConfig;
use spawn_aws::ec2::Ec2;
use spawn_aws::s3::Buckets;
use spawn_aws::sfn::Executions;
use spawn_aws::ssm::Parameters;
use spawn_core::ids::SweepId;
use spawn_core::ports::{
    DescribeOffers, EndInstances, ListInstances, Objects, ReadParameters, ServiceError,
    StopInstances, WakeExecutions,
};
use spawn_core::region::Region;

pub(crate) async fn run(config: &SdkConfig) {
    an_object_reads_back_what_was_put(config).await;
    a_parameter_has_a_value_or_is_none(config).await;
    a_token_of_nobody_is_answered(config).await;
    instances_that_are_gone_are_no_error(config).await;
    what_is_offered_is_described(config).await;
}

async fn an_object_reads_back_what_was_put(config: &SdkConfig) {
    let bucket = "spawn-results-000000000000-us-east-1";
    let buckets = Buckets::new(config);
    let refused = buckets.get_object(bucket, "plan.json", 10).await;
    assert!(
        matches!(refused, Err(ServiceError::Refused { .. })),
        "{refused:?}"
    );

    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(builder.build());
    client.create_bucket().bucket(bucket).send().await.unwrap();
    assert_eq!(
        buckets.get_object(bucket, "a/plan.json", 10).await,
        Ok(None)
    );
    for body in ["one", "other"] {
        let put = buckets
            .put_object(bucket, "a/plan.json", "application/json", body.into())
            .await;
        assert_eq!(put, Ok(()));
        let read = buckets.get_object(bucket, "a/plan.json", 5).await;
        assert_eq!(read, Ok(Some(body.into())));
    }
    let too_large = buckets.get_object(bucket, "a/plan.json", 4).await;
    assert!(
        matches!(too_large, Err(ServiceError::Refused { .. })),
        "{too_large:?}"
    );
}

async fn a_parameter_has_a_value_or_is_none(config: &SdkConfig) {
    let region: Region = "eu-west-1".parse().unwrap();
    let parameters = Parameters::new(config);
    assert_eq!(parameters.parameter(&region, "/none").await, Ok(None));
    let builder = aws_sdk_ssm::config::Builder::from(config);
    let builder = builder.region(aws_config::Region::new("eu-west-1"));
    aws_sdk_ssm::Client::from_conf(builder.build())
        .put_parameter()
        .name("/image")
        .value("ami-1")
        .r#type(aws_sdk_ssm::types::ParameterType::String)
        .send()
        .await
        .unwrap();
    assert_eq!(
        parameters.parameter(&region, "/image").await,
        Ok(Some("ami-1".to_owned()))
    );
    let elsewhere: Region = "us-east-1".parse().unwrap();
    assert_eq!(parameters.parameter(&elsewhere, "/image").await, Ok(None));
}

async fn a_token_of_nobody_is_answered(config: &SdkConfig) {
    assert_eq!(
        Executions::new(config)
            .wake("a token of nobody", &serde_json::json!({}))
            .await,
        Ok(())
    );
}

async fn instances_that_are_gone_are_no_error(config: &SdkConfig) {
    let region: Region = "eu-west-1".parse().unwrap();
    let ec2 = Ec2::new(config);
    let sweep = SweepId::from("nothing-20260101-000000");
    assert_eq!(ec2.list(&region, &sweep).await, Ok(Vec::new()));
    let gone = [
        "i-0123456789abcdef0".to_owned(),
        "i-0123456789abcdef1".to_owned(),
    ];
    assert_eq!(ec2.terminate(&region, &gone).await, Ok(()));
    assert_eq!(ec2.stop(&region, &gone).await, Ok(()));
    assert_eq!(ec2.terminate(&region, &[]).await, Ok(()));
}

async fn what_is_offered_is_described(config: &SdkConfig) {
    let region: Region = "us-east-1".parse().unwrap();
    let ec2 = Ec2::new(config);
    let types = ec2
        .instance_types(&region, &["t3.micro".to_owned()])
        .await
        .unwrap();
    let micro = types.iter().find(|facts| facts.name == "t3.micro").unwrap();
    assert_eq!((micro.vcpus, micro.memory_mib), (2, 1024));
    assert_eq!(ec2.instance_types(&region, &[]).await, Ok(Vec::new()));
}
