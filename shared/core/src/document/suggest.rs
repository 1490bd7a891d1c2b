//! What a misspelt word was probably meant to be.

/// Bytes of one character of UTF-8, at most.
const BYTES_PER_CHAR_MAX: usize = 4;

/// The candidate nearest to `word`, when it is near enough to be a slip of the fingers: one edit in a short word, two
/// in one of six letters or more (a swap of neighbours counts as one).
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let edits_max = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    candidates
        .into_iter()
        // Nearly all words differ in length by more than that, which is cheaper to see.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= BYTES_PER_CHAR_MAX * edits_max)
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Whether `word`, near to `name`, is more likely a slip than a word of its own: of short words many are one letter apart
/// (`spot`, `slot`), so there only a missing, a doubled or a swapped letter counts.
pub(crate) fn is_slip(word: &str, name: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    name.len() > 4 || word.chars().count() != name.len() || sorted(word) == sorted(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["ttl", "spot", "instance_type", "idle_timeout"];
        for (word, meant) in [
            ("idle_timout", Some("idle_timeout")),
            ("Instance_Type", Some("instance_type")),
            ("tll", Some("ttl")),
            ("sopt", Some("spot")),
            ("learning_rate", None),
            ("tt", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
