//! Time: milliseconds since 1970 inside, EC2's two text forms outside.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

fn date_time(ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `2026-01-22T10:00:00.000Z`, as answers carry times.
pub(crate) fn iso(ms: u64) -> String {
    date_time(ms)
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        ))
        .unwrap_or_default()
}

/// `2026-01-22 10:00:00 GMT`, as a state transition reason carries times.
pub(crate) fn gmt(ms: u64) -> String {
    date_time(ms)
        .format(format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second] GMT"
        ))
        .unwrap_or_default()
}

/// Reads an ISO 8601 time of a request.
pub(crate) fn parse_iso(text: &str) -> Option<u64> {
    let zoned = if text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10) {
        text.to_owned()
    } else if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        format!("{text}Z")
    };
    let moment = OffsetDateTime::parse(&zoned, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::{gmt, iso, parse_iso};

    #[test]
    fn both_forms_are_those_of_ec2() {
        assert_eq!(iso(1_769_076_000_123), "2026-01-22T10:00:00.123Z");
        assert_eq!(gmt(1_769_076_000_123), "2026-01-22 10:00:00 GMT");
    }

    #[test]
    fn the_forms_that_clients_send_are_read() {
        for text in [
            "2026-01-22T10:00:00Z",
            "2026-01-22T10:00:00",
            "2026-01-22T11:00:00+01:00",
        ] {
            assert_eq!(parse_iso(text), Some(1_769_076_000_000), "{text}");
        }
        assert_eq!(parse_iso("2026-01-22"), Some(1_769_040_000_000));
    }
}
