//! Durations as people write them: `30m`, `8h`, `4h30m`, `1.5h`, `90 minutes`.

/// Units, largest first: the letter, the other spellings, the seconds.
const UNITS: [(&str, &[&str], u64); 5] = [
    ("w", &["wk", "wks", "week", "weeks"], 604_800),
    ("d", &["day", "days"], 86_400),
    ("h", &["hr", "hrs", "hour", "hours"], 3_600),
    ("m", &["min", "mins", "minute", "minutes"], 60),
    ("s", &["sec", "secs", "second", "seconds"], 1),
];

/// Digits of one number: enough for any duration, few enough that no product overflows unseen.
const DIGITS_MAX: usize = 12;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number that stands alone.
    #[error("has no unit")]
    NoUnit,
    /// A unit that is not known.
    #[error("has the unit \"{0}\", which is not known")]
    Unit(String),
    /// A unit that stands twice, or behind a smaller one.
    #[error("does not name each unit once, the largest first")]
    Order,
    /// A part of a second.
    #[error("is not a whole number of seconds")]
    Fraction,
    /// Not a duration in any way.
    #[error("is not a duration")]
    Malformed,
}

/// Seconds of a duration.
///
/// # Errors
/// When `text` is not a sequence of numbers with units, each unit once and the largest first.
pub fn parse_duration(text: &str) -> Result<u64, DurationError> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    let mut last = usize::MAX;
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let end = behind
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if number.is_empty() || !behind.is_empty() && unit.is_empty() {
            return Err(DurationError::Malformed);
        }
        if unit.is_empty() {
            return Err(match total {
                0 if number != "." => DurationError::NoUnit,
                _ => DurationError::Malformed,
            });
        }
        let (rank, unit_s) = UNITS
            .iter()
            .enumerate()
            .find(|(_, (short, long, _))| *short == unit || long.contains(&unit))
            .map(|(at, (_, _, seconds))| (UNITS.len() - at, *seconds))
            .ok_or_else(|| DurationError::Unit(unit.chars().take(20).collect()))?;
        if rank >= last {
            return Err(DurationError::Order);
        }
        last = rank;
        total = total
            .checked_add(seconds_of(number, unit_s)?)
            .ok_or(DurationError::Malformed)?;
        rest = behind.trim_start();
    }
    Ok(total)
}

/// `number` units of `unit_s` seconds, exactly.
fn seconds_of(number: &str, unit_s: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let read = |digits: &str| -> Result<u64, DurationError> {
        match digits.len() {
            0 => Ok(0),
            1..=DIGITS_MAX => digits.parse().map_err(|_| DurationError::Malformed),
            _ => Err(DurationError::Malformed),
        }
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u32::try_from(fraction.len())
        .ok()
        .and_then(|digits| 10_u64.checked_pow(digits))
        .ok_or(DurationError::Malformed)?;
    let parts = read(fraction)? * unit_s;
    if !parts.is_multiple_of(scale) {
        return Err(DurationError::Fraction);
    }
    Ok(read(whole)? * unit_s + parts / scale)
}

/// A duration as it is written, in days and smaller: `1d`, `4h30m`, `0s`.
#[must_use]
pub fn format_duration(seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, _, unit_s) in &UNITS[1..] {
        if rest >= *unit_s {
            text.push_str(&format!("{}{unit}", rest / unit_s));
            rest %= unit_s;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30m", 1_800),
            ("8h", 28_800),
            ("4h30m", 16_200),
            ("4h 30m", 16_200),
            ("1.5h", 5_400),
            ("90 minutes", 5_400),
            ("1 hour 1 sec", 3_601),
            ("1w1d", 691_200),
            ("0s", 0),
            (" 2d ", 172_800),
            (".5m", 30),
        ] {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        for (text, error) in [
            ("30", DurationError::NoUnit),
            ("", DurationError::Malformed),
            ("soon", DurationError::Malformed),
            ("5 parsecs", DurationError::Unit("parsecs".into())),
            ("8H", DurationError::Unit("H".into())),
            ("500ms", DurationError::Unit("ms".into())),
            ("30m4h", DurationError::Order),
            ("1h1h", DurationError::Order),
            ("0.5s", DurationError::Fraction),
            ("-5m", DurationError::Malformed),
            ("1h30", DurationError::Malformed),
            ("1.2.3h", DurationError::Malformed),
            ("9999999999999h", DurationError::Malformed),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_short() {
        for (seconds, text) in [(0, "0s"), (16_200, "4h30m"), (86_400, "1d"), (61, "1m1s")] {
            assert_eq!(format_duration(seconds), text);
        }
    }
}
