//! Parameters and objects, and why a service did not answer.

use std::future::Future;

use crate::region::Region;

/// Why a call to a helper service failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It may work later.
    #[error("{service} did not answer: {message}")]
    Transient {
        /// The service.
        service: &'static str,
        /// What it said.
        message: String,
    },
    /// It will not work: no permission, no such bucket.
    #[error("{service} refuses: {message}")]
    Refused {
        /// The service.
        service: &'static str,
        /// What it said.
        message: String,
    },
}

/// Reads parameters of Systems Manager.
pub trait ReadParameters: Send + Sync {
    /// The value of a parameter in a region, or `None` when there is none.
    fn parameter(
        &self,
        region: &Region,
        name: &str,
    ) -> impl Future<Output = Result<Option<String>, ServiceError>> + Send;
}

/// Reads and writes objects of S3.
pub trait Objects: Send + Sync {
    /// An object of at most `bytes_max`, or `None` when there is none. A larger one is refused.
    fn get_object(
        &self,
        bucket: &str,
        key: &str,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, ServiceError>> + Send;

    /// Puts an object; an older one of that name stays as a version.
    fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Tells where buckets are.
pub trait LocateBuckets: Send + Sync {
    /// The region of a bucket, or `None` when S3 does not tell: no such bucket, or one that spawn does not know the region of.
    fn bucket_region(
        &self,
        bucket: &str,
    ) -> impl Future<Output = Result<Option<Region>, ServiceError>> + Send;
}
