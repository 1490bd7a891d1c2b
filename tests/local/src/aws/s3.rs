//! S3: documents and inputs go up, results come down.

use ureq::http::Method;

use super::client::{Client, encoded};
use super::xml;
use crate::error::{Error, Result};

impl Client {
    /// Creates a bucket; one that is there already is as good.
    pub fn create_bucket(&self, bucket: &str) -> Result<()> {
        match self.rest(
            "s3",
            "CreateBucket",
            Method::PUT,
            &format!("/{bucket}"),
            &[],
        ) {
            Err(Error::Refused { code, .. }) if code.starts_with("BucketAlready") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes an object; answers its URI.
    pub fn put_object(&self, bucket: &str, key: &str, content: &[u8]) -> Result<String> {
        self.rest(
            "s3",
            "PutObject",
            Method::PUT,
            &format!("/{bucket}/{}", encoded(key, true)),
            content,
        )?;
        Ok(format!("s3://{bucket}/{key}"))
    }

    /// Reads an object by its URI; none when there is no such object.
    pub fn get_object(&self, uri: &str) -> Result<Option<Vec<u8>>> {
        let (bucket, key) = parse_uri(uri).ok_or_else(|| Error::Unreadable {
            what: uri.into(),
            why: "it is no S3 URI".into(),
        })?;
        match self.rest(
            "s3",
            "GetObject",
            Method::GET,
            &format!("/{bucket}/{}", encoded(key, true)),
            &[],
        ) {
            Ok(content) => Ok(Some(content)),
            Err(Error::Refused { code, .. }) if code.starts_with("NoSuch") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account's buckets.
    pub fn buckets(&self) -> Result<Vec<String>> {
        let answer = self.rest("s3", "ListBuckets", Method::GET, "/", &[])?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(xml::elements(&answer, "Bucket")
            .filter_map(|bucket| xml::text(bucket, "Name"))
            .collect())
    }
}

/// Bucket and key of `s3://bucket/key`.
pub fn parse_uri(uri: &str) -> Option<(&str, &str)> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        assert_eq!(parse_uri("s3://b/k/l.csv"), Some(("b", "k/l.csv")));
        for wrong in ["s3://b", "s3://b/", "s3:///k", "b/k"] {
            assert_eq!(parse_uri(wrong), None, "{wrong}");
        }
    }
}
