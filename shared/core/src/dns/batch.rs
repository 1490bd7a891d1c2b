//! How many changes go into one call.

use crate::dns::Change;

/// `ResourceRecord` elements of one request (Amazon Route 53 Developer Guide, "Quotas", "Maximums on API requests"). UPSERT
/// would count twice.
pub const BATCH_RECORDS_MAX: usize = 1_000;
/// Characters of all `Value` elements of one request (the same place), again twice for UPSERT.
pub const BATCH_CHARS_MAX: usize = 32_000;

/// How many of `units`, from the first, fit one call. The changes of a unit stay together; there is always room for the
/// first.
pub fn fitting<'a>(units: impl IntoIterator<Item = &'a [Change]>) -> usize {
    let (mut records, mut chars) = (0, 0);
    let mut count = 0;
    for unit in units {
        let values = || unit.iter().flat_map(|change| &change.record.values);
        records += values().count();
        chars += values().map(|value| value.chars().count()).sum::<usize>();
        if count > 0 && (records > BATCH_RECORDS_MAX || chars > BATCH_CHARS_MAX) {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::{Action, Record, RecordId, RecordType};

    fn change(value: &str) -> Change {
        Change {
            action: Action::Create,
            record: Record {
                id: RecordId {
                    name: "a.example.com".to_owned(),
                    kind: RecordType::Aaaa,
                    set: None,
                },
                ttl_s: 60,
                values: vec![value.to_owned()],
            },
        }
    }

    #[test]
    fn a_thousand_short_values_fit_and_fewer_long_ones() {
        let short = vec![vec![change("10.0.0.1")]; 2_500];
        assert_eq!(fitting(short.iter().map(Vec::as_slice)), 1_000);
        let long = vec![vec![change(&"f".repeat(39))]; 2_500];
        assert_eq!(fitting(long.iter().map(Vec::as_slice)), 820);
        assert_eq!(fitting([]), 0);
    }

    proptest! {
        /// Batch after batch, everything is sent, in order, and no batch passes a limit.
        #[test]
        fn batches_cover_all_units_within_the_limits(
            sizes in prop::collection::vec((1_usize..12, 7_usize..40), 0..900)
        ) {
            let units: Vec<Vec<Change>> = sizes
                .iter()
                .map(|(changes, chars)| vec![change(&"1".repeat(*chars)); *changes])
                .collect();
            let mut left = units.as_slice();
            while !left.is_empty() {
                let count = fitting(left.iter().map(Vec::as_slice));
                prop_assert!(count > 0);
                let (batch, rest) = left.split_at(count);
                let values: Vec<&String> = batch.iter().flatten().flat_map(|c| &c.record.values).collect();
                prop_assert!(values.len() <= BATCH_RECORDS_MAX);
                prop_assert!(values.iter().map(|v| v.len()).sum::<usize>() <= BATCH_CHARS_MAX);
                // As many as fit: with the next one a limit would be passed.
                if let Some(next) = rest.first() {
                    let with = values.len() + next.len();
                    let chars = values.iter().map(|v| v.len()).sum::<usize>()
                        + next.iter().map(|c| c.record.values[0].len()).sum::<usize>();
                    prop_assert!(with > BATCH_RECORDS_MAX || chars > BATCH_CHARS_MAX);
                }
                left = rest;
            }
        }
    }
}
