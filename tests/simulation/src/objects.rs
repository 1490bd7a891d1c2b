//! S3 in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::ports::{LocateBuckets, Objects, ServiceError};
use spawn_core::region::Region;

use crate::faults::Faults;

/// Buckets with objects, by `bucket/key`. Every bucket is there whose name does not begin with `no-such-`.
#[derive(Debug, Default)]
pub struct MemoryObjects {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Arc<Faults>,
}

impl MemoryObjects {
    /// Empty buckets whose calls `faults` counts.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        Self {
            objects: Mutex::default(),
            faults,
        }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object, as somebody else would.
    pub fn insert(&self, bucket: &str, key: &str, body: &str) {
        self.objects()
            .insert(format!("{bucket}/{key}"), body.as_bytes().to_vec());
    }

    /// An object as text.
    #[must_use]
    pub fn text(&self, bucket: &str, key: &str) -> Option<String> {
        let body = self.objects().get(&format!("{bucket}/{key}")).cloned()?;
        String::from_utf8(body).ok()
    }
}

impl Objects for MemoryObjects {
    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        self.faults
            .call(|| {
                let body = self.objects().get(&format!("{bucket}/{key}")).cloned();
                match body {
                    Some(body) if u64::try_from(body.len()).unwrap_or(u64::MAX) > bytes_max => {
                        Err(ServiceError::Refused {
                            service: "S3",
                            message: format!("{key} is larger than {bytes_max} bytes"),
                        })
                    }
                    body => Ok(body),
                }
            })
            .await
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        _content_type: &str,
        body: Vec<u8>,
    ) -> Result<(), ServiceError> {
        self.faults
            .call(|| {
                if bucket.starts_with("no-such-") {
                    return Err(ServiceError::Refused {
                        service: "S3",
                        message: "NoSuchBucket: The specified bucket does not exist".to_owned(),
                    });
                }
                self.objects().insert(format!("{bucket}/{key}"), body);
                Ok(())
            })
            .await
    }
}

/// Buckets whose names end with a region are there.
impl LocateBuckets for MemoryObjects {
    async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, ServiceError> {
        let found = Region::all().find(|region| bucket.ends_with(region.as_str()));
        self.faults.call(|| Ok(found)).await
    }
}
