//! Money as whole micro-dollars, so that sums of thousands of instance prices stay exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Micro-dollars in one dollar.
const MICROS_PER_DOLLAR: i64 = 1_000_000;

/// Digits after the decimal point that a micro-dollar can hold.
const DECIMALS_MAX: i64 = 6;

/// Longest amount that is read at all; `i64` micro-dollars need at most 20 characters.
const AMOUNT_CHARS_MAX: usize = 64;

/// Largest exponent that is read (`1e3`): more cannot be a sum of money, and would only make the digits long.
const EXPONENT_MAX: i64 = 30;

/// An amount of US dollars in millionths. Arithmetic is checked: a sum that does not fit is never a smaller sum.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroDollars(pub i64);

impl MicroDollars {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// One dollar.
    pub const DOLLAR: Self = Self(MICROS_PER_DOLLAR);

    /// The sum, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The amount `times` over, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_mul(self, times: i64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }
}

/// `$12.34`, with as many more decimals as the amount has.
impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let per_dollar = MICROS_PER_DOLLAR.unsigned_abs();
        let fraction = format!("{:06}", micros % per_dollar);
        let more = fraction[2..].trim_end_matches('0');
        write!(f, "{sign}${}.{}{more}", micros / per_dollar, &fraction[..2])
    }
}

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("\"{0}\" is not an amount of money")]
    NotAnAmount(String),
    /// A currency other than US dollars.
    #[error("\"{0}\" is not in US dollars")]
    Currency(String),
    /// More decimals than a micro-dollar has.
    #[error("\"{0}\" has more than 6 decimals")]
    TooPrecise(String),
    /// Beyond the range of 64 bits of micro-dollars.
    #[error("\"{0}\" is beyond $9,223,372,036,854")]
    TooLarge(String),
}

/// Reads `100`, `99.5`, `$12`, `100 USD`, `USD 100`, `1e3`; exactly, or not at all.
impl FromStr for MicroDollars {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let shown = || text.chars().take(AMOUNT_CHARS_MAX).collect::<String>();
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.len() > AMOUNT_CHARS_MAX {
            return Err(MoneyError::NotAnAmount(shown()));
        }
        let (negative, amount) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, trimmed),
        };
        let amount = strip_dollars(amount).map_err(|problem| match problem {
            Currency::Foreign => MoneyError::Currency(shown()),
            Currency::Twice => MoneyError::NotAnAmount(shown()),
        })?;
        let (negative, amount) = match amount.strip_prefix('-') {
            Some(rest) if !negative => (true, rest),
            _ => (negative, amount),
        };
        let micros = exact_micros(amount).map_err(|problem| match problem {
            Inexact::NotANumber => MoneyError::NotAnAmount(shown()),
            Inexact::TooPrecise => MoneyError::TooPrecise(shown()),
            Inexact::TooLarge => MoneyError::TooLarge(shown()),
        })?;
        Ok(Self(if negative { -micros } else { micros }))
    }
}

enum Currency {
    Foreign,
    Twice,
}

enum Inexact {
    NotANumber,
    TooPrecise,
    TooLarge,
}

/// The amount without its `$` or `USD`.
fn strip_dollars(text: &str) -> Result<&str, Currency> {
    let is_amount = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    // Everything before the first digit, and everything after the last, names the currency.
    let start = text.find(is_amount).unwrap_or(text.len());
    let end = text.rfind(is_amount).map_or(text.len(), |at| at + 1);
    if start >= end {
        return Ok(text);
    }
    let before = text[..start].trim();
    let after = text[end..].trim();
    let is_dollars = |word: &str| {
        ["$", "usd", "us$", "dollar", "dollars"].contains(&word.to_lowercase().as_str())
    };
    match (before, after) {
        ("", "") => Ok(&text[start..end]),
        (word, "") | ("", word) if is_dollars(word) => Ok(&text[start..end]),
        ("$", word) if word.eq_ignore_ascii_case("usd") => Ok(&text[start..end]),
        (first, second) if is_dollars(first) && is_dollars(second) => Err(Currency::Twice),
        _ => Err(Currency::Foreign),
    }
}

/// Micro-dollars of a plain decimal number without a sign, with or without an exponent.
fn exact_micros(number: &str) -> Result<i64, Inexact> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.parse().map_err(|_| Inexact::NotANumber)?;
            (mantissa, exponent)
        }
        None => (number, 0),
    };
    if exponent.abs() > EXPONENT_MAX {
        return Err(Inexact::NotANumber);
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Inexact::NotANumber);
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // value = significant * 10^shift micro-dollars
    let shift = DECIMALS_MAX + exponent - length(fraction) + length(&digits) - length(significant);
    if shift < 0 {
        return Err(Inexact::TooPrecise);
    }
    let shift = u32::try_from(shift).map_err(|_| Inexact::TooLarge)?;
    let scale = 10_i64.checked_pow(shift).ok_or(Inexact::TooLarge)?;
    let significant: i64 = significant.parse().map_err(|_| Inexact::TooLarge)?;
    significant.checked_mul(scale).ok_or(Inexact::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, micros) in [
            ("100 USD", 100_000_000),
            ("100", 100_000_000),
            ("99.5", 99_500_000),
            ("$12", 12_000_000),
            ("$ 12.34", 12_340_000),
            ("USD 7", 7_000_000),
            ("$7 USD", 7_000_000),
            ("0.000001", 1),
            ("0.0100000000", 10_000),
            ("1e3", 1_000_000_000),
            ("1.5e-3", 1_500),
            ("-$2.50", -2_500_000),
            ("$-2.50", -2_500_000),
            ("0", 0),
            (".5", 500_000),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(MicroDollars(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_exact_amount_of_dollars_is_refused() {
        use MoneyError::{Currency, NotAnAmount, TooLarge, TooPrecise};
        type Refusal = fn(String) -> MoneyError;
        let cases: [(&str, Refusal); 12] = [
            ("", NotAnAmount),
            ("free", NotAnAmount),
            ("--5", NotAnAmount),
            ("1,000", NotAnAmount),
            ("1.2.3", NotAnAmount),
            ("$5 dollars dollars", Currency),
            ("100 EUR", Currency),
            ("€5", Currency),
            ("0.0000001", TooPrecise),
            ("1e-7", TooPrecise),
            ("9223372036854.775808", TooLarge),
            ("1e30", TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(
                text.parse::<MicroDollars>(),
                Err(error(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn an_amount_is_shown_with_cents_and_more_only_where_needed() {
        for (micros, shown) in [
            (12_340_000, "$12.34"),
            (100_000_000, "$100.00"),
            (-500_000, "-$0.50"),
            (1, "$0.000001"),
            (68_500, "$0.0685"),
            (i64::MIN, "-$9223372036854.775808"),
        ] {
            assert_eq!(MicroDollars(micros).to_string(), shown);
        }
    }

    #[test]
    fn an_amount_that_is_shown_is_read_back() {
        for micros in [0, 1, 12, 999_999, 1_000_001, 123_456_789, -42] {
            let amount = MicroDollars(micros);
            assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }

    #[test]
    fn a_sum_that_does_not_fit_is_no_sum() {
        assert_eq!(MicroDollars(i64::MAX).checked_add(MicroDollars(1)), None);
        assert_eq!(MicroDollars(i64::MIN).checked_sub(MicroDollars(1)), None);
        assert_eq!(MicroDollars(i64::MAX).checked_mul(2), None);
        assert_eq!(MicroDollars(3).checked_mul(4), Some(MicroDollars(12)));
    }
}
