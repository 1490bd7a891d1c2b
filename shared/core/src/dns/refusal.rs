//! Which changes Route 53 means when it refuses a batch.

use crate::dns::Change;

/// The changes, by their places, that the messages of an `InvalidChangeBatch` name: by the record's name (and type, where
/// the message gives one) or by a value. None when the messages name nothing of the batch.
///
/// Route 53 writes `Tried to create resource record set [name='a.example.com.', type='A'] but it already exists`, and of
/// values `... encountered with '10.0.0.300'`; other servers leave the quotes out.
#[must_use]
pub fn culprits(messages: &[String], changes: &[Change]) -> Vec<usize> {
    let mut found = Vec::new();
    // A message that lists several faults names one record in each part.
    let parts: Vec<Vec<&str>> = messages
        .iter()
        .flat_map(|message| message.split("], ["))
        .flat_map(|message| message.split("Tried to "))
        .map(words)
        .collect();
    for (place, change) in changes.iter().enumerate() {
        if parts.iter().any(|part| is_named(part, change)) {
            found.push(place);
        }
    }
    found
}

/// The words of a message that can be names, types, sets or values.
fn words(message: &str) -> Vec<&str> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    message
        .split(|c: char| !is_of_word(c))
        .filter(|word| !word.is_empty())
        .collect()
}

fn is_named(words: &[&str], change: &Change) -> bool {
    let is = |word: &&str, text: &str| word.trim_end_matches('.').eq_ignore_ascii_case(text);
    let id = &change.record.id;
    let by_value = || {
        change
            .record
            .values
            .iter()
            .any(|value| words.iter().any(|word| *word == value))
    };
    if !words.iter().any(|word| is(word, &id.name)) {
        return by_value();
    }
    let names_types = words.iter().any(|word| matches!(*word, "A" | "AAAA"));
    let of_type = !names_types || words.contains(&id.kind.as_str());
    // `Tried to create` and `Tried to delete` tell the action, too: both of one name can stand in a batch.
    let action = match change.action {
        crate::dns::Action::Create => "create",
        crate::dns::Action::Delete => "delete",
    };
    let names_actions = words
        .iter()
        .any(|word| matches!(*word, "create" | "delete"));
    let of_action = !names_actions || words.contains(&action);
    let of_set = id.set.as_ref().is_none_or(|set| {
        !words.iter().any(|word| word.starts_with("i-")) || words.contains(&set.as_str())
    });
    of_type && of_action && of_set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Action, Record, RecordId, RecordType};

    fn change(action: Action, name: &str, kind: RecordType, value: &str) -> Change {
        Change {
            action,
            record: Record {
                id: RecordId {
                    name: name.to_owned(),
                    kind,
                    set: None,
                },
                ttl_s: 60,
                values: vec![value.to_owned()],
            },
        }
    }

    fn found(message: &str) -> Vec<usize> {
        let changes = [
            change(
                Action::Create,
                "0.s.x.example.com",
                RecordType::A,
                "10.0.0.1",
            ),
            change(
                Action::Create,
                "0.s.x.example.com",
                RecordType::Aaaa,
                "2001:db8::1",
            ),
            change(
                Action::Delete,
                "1.s.x.example.com",
                RecordType::A,
                "10.0.0.2",
            ),
            change(
                Action::Create,
                "1.s.x.example.com",
                RecordType::A,
                "10.0.0.300",
            ),
            change(
                Action::Create,
                "10.s.x.example.com",
                RecordType::A,
                "10.0.0.4",
            ),
        ];
        culprits(&[message.to_owned()], &changes)
    }

    #[test]
    fn a_message_is_read_for_the_records_that_it_names() {
        for (message, expected) in [
            (
                "Tried to create resource record set [name='0.s.x.example.com.', type='AAAA'] but it already exists",
                vec![1],
            ),
            (
                "[Tried to delete resource record set [name='1.s.x.example.com.', type='A'] but the values provided do not match the current values, Tried to create resource record set [name='10.s.x.example.com.', type='A'] but it already exists]",
                vec![2, 4],
            ),
            (
                "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '10.0.0.300''",
                vec![3],
            ),
            (
                "Tried to create resource record set 0.s.x.example.com. type A but it already exists.",
                vec![0],
            ),
            (
                "RRSet of type CNAME with DNS name 10.s.x.example.com. is not permitted because a conflicting RRSet exists",
                vec![4],
            ),
            ("The request contains an invalid set of changes", vec![]),
            (
                "Tried to create resource record set [name='s.x.example.com.', type='A']",
                vec![],
            ),
        ] {
            assert_eq!(found(message), expected, "{message}");
        }
    }
}
