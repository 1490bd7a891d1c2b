//! Points in time: milliseconds since 1970 inside, ISO 8601 outside.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time that an ISO 8601 text tells, such as `2026-01-22T10:00:00.000Z`, in ms since 1970.
#[must_use]
pub fn parse_iso(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A time in ms since 1970 as ISO 8601 in UTC.
#[must_use]
pub fn format_iso(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    time.ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{ms} ms after 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_what_they_write() {
        assert_eq!(parse_iso("1970-01-01T00:00:01.500Z"), Some(1_500));
        assert_eq!(
            parse_iso("2026-01-22T10:00:00+01:00"),
            parse_iso("2026-01-22T09:00:00Z")
        );
        assert_eq!(format_iso(1_500), "1970-01-01T00:00:01.5Z");
        assert_eq!(parse_iso("yesterday"), None);
    }
}
