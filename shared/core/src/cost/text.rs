//! How amounts and moments are written in a file of histories: dollars as `"0.68"`, moments as ISO 8601.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

use crate::clock;
use crate::money::MicroDollars;

/// An amount of US dollars, as a text or a number: `"0.68"`, `0.68`.
pub(super) mod dollars {
    use super::{Deserialize, Deserializer, Error, MicroDollars, Serializer, Value};

    pub(in crate::cost) fn serialize<S: Serializer>(
        amount: &MicroDollars,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(amount.to_string().trim_start_matches('$'))
    }

    pub(in crate::cost) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<MicroDollars, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => return Err(D::Error::custom(format!("{other} is no amount of dollars"))),
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// An amount that may be missing.
pub(super) mod dollars_or_none {
    use super::{Deserialize, Deserializer, MicroDollars, Serializer, dollars};

    pub(in crate::cost) fn serialize<S: Serializer>(
        amount: &Option<MicroDollars>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => dollars::serialize(amount, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::cost) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<MicroDollars>, D::Error> {
        #[derive(Deserialize)]
        struct Amount(#[serde(deserialize_with = "dollars::deserialize")] MicroDollars);
        Ok(Option::<Amount>::deserialize(deserializer)?.map(|amount| amount.0))
    }
}

/// A moment in ms since 1970: `"2026-01-22T10:00:00Z"`, or the number itself.
pub(super) mod moment {
    use super::{Deserialize, Deserializer, Error, Serializer, Value, clock};

    pub(in crate::cost) fn serialize<S: Serializer>(
        ms: &u64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&clock::format_iso(*ms))
    }

    pub(in crate::cost) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let ms = match &value {
            Value::String(text) => clock::parse_iso(text),
            other => other.as_u64(),
        };
        ms.ok_or_else(|| {
            D::Error::custom(format!(
                "{value} is no moment such as \"2026-01-22T10:00:00Z\""
            ))
        })
    }
}

/// A moment that may be missing.
pub(super) mod moment_or_none {
    use super::{Deserialize, Deserializer, Serializer, moment};

    pub(in crate::cost) fn serialize<S: Serializer>(
        ms: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match ms {
            Some(ms) => moment::serialize(ms, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::cost) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        #[derive(Deserialize)]
        struct Moment(#[serde(deserialize_with = "moment::deserialize")] u64);
        Ok(Option::<Moment>::deserialize(deserializer)?.map(|moment| moment.0))
    }
}
