//! Sets of member indices, small to store: `0-99,105`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of member indices in ascending order, written as ranges (`0-99,105`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices(Vec<(u32, u32)>);

impl Indices {
    /// How many indices the set holds.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether the set holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The indices in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether the set holds `index`.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        let behind = self.0.partition_point(|&(first, _)| first <= index);
        let range = behind.checked_sub(1).and_then(|last| self.0.get(last));
        range.is_some_and(|&(_, last)| index <= last)
    }

    /// The first `count` indices and the rest.
    #[must_use]
    pub fn split(&self, count: u32) -> (Self, Self) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        (
            self.iter().take(count).collect(),
            self.iter().skip(count).collect(),
        )
    }

    /// Both sets together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The indices of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let other: std::collections::BTreeSet<u32> = other.iter().collect();
        self.iter().filter(|index| !other.contains(index)).collect()
    }
}

impl FromIterator<u32> for Indices {
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        let mut sorted: Vec<u32> = indices.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for index in sorted {
            match ranges.last_mut() {
                Some((_, last)) if index <= last.saturating_add(1) => *last = index,
                _ => ranges.push((index, index)),
            }
        }
        Self(ranges)
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// A text that is not a set of indices.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a list of index ranges such as `0-99,105`")]
pub struct IndicesError(String);

impl FromStr for Indices {
    type Err = IndicesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IndicesError(text.to_owned());
        let mut ranges = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u32 = first.parse().map_err(|_| wrong())?;
            let last: u32 = last.parse().map_err(|_| wrong())?;
            if ranges.last().is_some_and(|&(_, end)| first <= end) || last < first {
                return Err(wrong());
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }
}

impl Serialize for Indices {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Indices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(indices: &[u32]) -> Indices {
        indices.iter().copied().collect()
    }

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let set: Indices = [1, 2, 3, 7].into_iter().collect();
        let held: Vec<u32> = (0..10).filter(|index| set.contains(*index)).collect();
        assert_eq!(held, [1, 2, 3, 7]);
        assert!(!Indices::default().contains(0));
    }

    #[test]
    fn indices_read_back_what_they_write() {
        for (indices, text) in [
            (set(&[]), ""),
            (set(&[7]), "7"),
            (set(&[0, 1, 2, 5]), "0-2,5"),
            (set(&[5, 0, 2, 1, 1]), "0-2,5"),
        ] {
            assert_eq!(indices.to_string(), text);
            assert_eq!(text.parse::<Indices>().unwrap(), indices);
        }
        for wrong in ["a", "3-1", "1,1", "5,2"] {
            assert!(wrong.parse::<Indices>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn splitting_and_joining_lose_nothing() {
        let all = set(&[0, 1, 2, 5, 9]);
        let (head, tail) = all.split(3);
        assert_eq!((head.len(), tail.len()), (3, 2));
        assert_eq!(head.union(&tail), all);
        assert_eq!(all.without(&head), tail);
        assert_eq!(all.split(99).1, set(&[]));
    }
}
