//! S3: documents, plans and results.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use spawn_core::ports::{LocateBuckets, Objects, ServiceError};
use spawn_core::region::Region;

use crate::sdk::{self, Failure};

/// The name of the service in errors.
const S3: &str = "S3";
/// There is no such object (Amazon S3 API Reference, "Error responses").
const NO_SUCH_KEY: &str = "NoSuchKey";
/// The header in which S3 tells a bucket's region.
const BUCKET_REGION: &str = "x-amz-bucket-region";
/// A plan of many members has megabytes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// One repeat after the longest try.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// Objects of all buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    client: Client,
}

impl Buckets {
    /// Buckets, reached in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let builder = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(sdk::timeouts(ATTEMPT_TIMEOUT, CALL_TIMEOUT))
            // Names of buckets below the name of a server of one's own are known to nobody's name service.
            .force_path_style(config.endpoint_url().is_some());
        Self {
            client: Client::from_conf(builder.build()),
        }
    }
}

impl Objects for Buckets {
    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let answer = match self
            .client
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code() == Some(NO_SUCH_KEY) {
                    return Ok(None);
                }
                return Err(failure.of_service(S3));
            }
        };
        let length = answer
            .content_length()
            .and_then(|length| u64::try_from(length).ok());
        if length.is_some_and(|length| length > bytes_max) {
            return Err(too_large(bucket, key, bytes_max));
        }
        read(answer.body, bucket, key, bytes_max).await.map(Some)
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<(), ServiceError> {
        let request = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type);
        match request.body(ByteStream::from(body)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::of(&error).of_service(S3)),
        }
    }
}

impl LocateBuckets for Buckets {
    /// By HeadBucket, which tells the region with every answer, refusals included ("HeadBucket", Amazon S3 API Reference).
    async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, ServiceError> {
        match self.client.head_bucket().bucket(bucket).send().await {
            Ok(answer) => Ok(answer.bucket_region().and_then(|name| name.parse().ok())),
            Err(error) => {
                let told = error
                    .raw_response()
                    .and_then(|answer| answer.headers().get(BUCKET_REGION))
                    .and_then(|name| name.parse().ok());
                match Failure::of(&error).of_service(S3) {
                    _ if told.is_some() => Ok(told),
                    ServiceError::Refused { .. } => Ok(None),
                    error @ ServiceError::Transient { .. } => Err(error),
                }
            }
        }
    }
}

/// Reads a body, at most `bytes_max` of it: what was announced is not yet what comes.
async fn read(
    mut body: ByteStream,
    bucket: &str,
    key: &str,
    bytes_max: u64,
) -> Result<Vec<u8>, ServiceError> {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    loop {
        match body.try_next().await {
            Ok(None) => return Ok(bytes),
            Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => {
                return Err(too_large(bucket, key, bytes_max));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Err(error) => {
                return Err(ServiceError::Transient {
                    service: S3,
                    message: format!("s3://{bucket}/{key}: {error}"),
                });
            }
        }
    }
}

fn too_large(bucket: &str, key: &str, bytes_max: u64) -> ServiceError {
    ServiceError::Refused {
        service: S3,
        message: format!("s3://{bucket}/{key} has more than {bytes_max} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let body = || ByteStream::from(vec![7_u8; 10]);
        assert_eq!(read(body(), "b", "k", 10).await.unwrap().len(), 10);
        let error = read(body(), "b", "k", 9).await.unwrap_err();
        assert!(
            error.to_string().contains("s3://b/k has more than 9 bytes"),
            "{error}"
        );
    }
}
