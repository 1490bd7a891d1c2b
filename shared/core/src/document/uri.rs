//! The address of an object, or of a prefix, in S3.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest key that S3 takes, in bytes (Amazon S3 User Guide, "Naming Amazon S3 objects").
const KEY_BYTES_MAX: usize = 1024;

/// `s3://bucket/key`; a key that ends in `/` stands for everything below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Uri {
    bucket: String,
    key: String,
}

impl S3Uri {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of the object, or the prefix.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it names everything below a prefix rather than one object.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.key.ends_with('/')
    }
}

/// Why a text is no S3 URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3UriError {
    /// It does not begin with `s3://`.
    #[error("does not begin with s3://")]
    Scheme,
    /// The bucket's name breaks S3's rules.
    #[error("has no valid name of a bucket, but \"{0}\"")]
    Bucket(String),
    /// There is no key behind the bucket, or one that S3 does not take.
    #[error("has no object key of 1 to 1024 bytes behind the bucket")]
    Key,
}

/// Whether `name` may be the name of a bucket (Amazon S3 User Guide, "General purpose bucket naming rules").
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| is_edge(c) || matches!(c, '-' | '.'))
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && !name.contains("..")
}

impl FromStr for S3Uri {
    type Err = S3UriError;

    fn from_str(text: &str) -> Result<Self, S3UriError> {
        let rest = text.strip_prefix("s3://").ok_or(S3UriError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket_name(bucket) {
            return Err(S3UriError::Bucket(bucket.chars().take(63).collect()));
        }
        if key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains(char::is_control) {
            return Err(S3UriError::Key);
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Serialize for S3Uri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for S3Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_put_together() {
        let uri: S3Uri = "s3://my-bucket/a/b c.yaml".parse().unwrap();
        assert_eq!(
            (uri.bucket(), uri.key(), uri.is_prefix()),
            ("my-bucket", "a/b c.yaml", false)
        );
        assert_eq!(uri.to_string(), "s3://my-bucket/a/b c.yaml");
        assert!("s3://my-bucket/data/".parse::<S3Uri>().unwrap().is_prefix());
    }

    #[test]
    fn what_s3_would_not_take_is_refused() {
        for (text, error) in [
            ("https://x/y", S3UriError::Scheme),
            ("s3://My_Bucket/x", S3UriError::Bucket("My_Bucket".into())),
            ("s3://bucket", S3UriError::Key),
            ("s3://bucket/", S3UriError::Key),
        ] {
            assert_eq!(text.parse::<S3Uri>(), Err(error), "{text}");
        }
    }
}
