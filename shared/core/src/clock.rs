//! Points in time: milliseconds since 1970 inside, ISO 8601 outside.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time that an ISO 8601 text tells, such as `2026-01-22T10:00:00.000Z`, in ms since 1970.
#[must_use]
pub fn parse_iso(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A time in ms since 1970 as ISO 8601 in UTC: with three decimals of the second, or none.
#[must_use]
pub fn format_iso(ms: u64) -> String {
    let (second, rest) = (ms / 1000, ms % 1000);
    let time = i64::try_from(second).ok();
    let time = time.and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    match text {
        Some(text) if rest == 0 => text,
        Some(text) => format!("{}.{rest:03}Z", text.trim_end_matches('Z')),
        None => format!("{ms} ms after 1970"),
    }
}

/// The calendar month (UTC) of a time in ms since 1970: its hours, and when it ends.
#[must_use]
pub fn month_of(ms: u64) -> (u32, u64) {
    let nanos = i128::from(ms) * 1_000_000;
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
        return (MONTH_HOURS, u64::MAX);
    };
    let days = time.month().length(time.year());
    let day_ms = ms - ms % DAY_MS;
    let left = u64::from(days - time.day()) + 1;
    (u32::from(days) * 24, day_ms + left * DAY_MS)
}

/// The hours of a month that the calendar does not reach.
const MONTH_HOURS: u32 = 720;

/// A day in ms.
pub const DAY_MS: u64 = 24 * 3_600_000;

/// The day of a time in ms since 1970, as `2026-01-22`.
#[must_use]
pub fn day(ms: u64) -> String {
    format_iso(ms).chars().take(10).collect()
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
        assert_eq!(format_iso(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(format_iso(1_007), "1970-01-01T00:00:01.007Z");
        assert_eq!(format_iso(2_000), "1970-01-01T00:00:02Z");
        assert_eq!(parse_iso("yesterday"), None);
    }

    #[test]
    fn a_month_has_the_hours_of_the_calendar() {
        for (text, hours, end) in [
            ("2026-01-31T23:59:59Z", 744, "2026-02-01T00:00:00Z"),
            ("2026-02-01T00:00:00Z", 672, "2026-03-01T00:00:00Z"),
            ("2028-02-10T00:00:00Z", 696, "2028-03-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", 744, "2027-01-01T00:00:00Z"),
        ] {
            let (got, until) = month_of(parse_iso(text).unwrap());
            assert_eq!((got, format_iso(until)), (hours, end.to_owned()), "{text}");
        }
        assert_eq!(
            day(parse_iso("2026-01-22T10:00:00Z").unwrap()),
            "2026-01-22"
        );
    }
}
