//! Route 53: the records of hosted zones.

use std::net::Ipv6Addr;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_route53::Client;
use aws_sdk_route53::config::Builder;
use aws_sdk_route53::error::SdkError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{
    Change as ZoneChange, ChangeAction, ChangeBatch, HostedZoneLimitType, ResourceRecord,
    ResourceRecordSet, RrType,
};
use spawn_core::dns::{Action, Change, Record, RecordId, RecordType};
use spawn_core::ports::{
    ChangeRecords, InspectZones, RecordPage, RecordStart, ZoneCapacity, ZoneError,
};

use crate::sdk::{self, Failure};

/// A batch of a thousand changes takes Route 53 a few seconds.
const ATTEMPT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);
/// Records of one page (API reference of `ListResourceRecordSets`).
const PAGE_RECORDS: i32 = 300;

/// Another change of the zone is not done yet (API reference of `ChangeResourceRecordSets`).
const UNFINISHED: &str = "PriorRequestNotComplete";
/// The batch is at fault, not the caller.
const OF_THE_BATCH: [&str; 2] = ["InvalidChangeBatch", "InvalidInput"];

/// The hosted zones of the account.
#[derive(Clone, Debug)]
pub struct Zones {
    client: Client,
}

impl Zones {
    /// Hosted zones, changed with the credentials of `config`. Nothing is repeated by the SDK: a CREATE whose answer was lost
    /// would be refused as one of a record that exists, and spawn's own record be taken for somebody else's.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(sdk::timeouts(ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT));
        Self {
            client: Client::from_conf(config.build()),
        }
    }
}

impl ChangeRecords for Zones {
    async fn change_records(&self, zone: &str, changes: &[Change]) -> Result<(), ZoneError> {
        let changes: Result<Vec<ZoneChange>, ZoneError> = changes.iter().map(zone_change).collect();
        let batch = ChangeBatch::builder().set_changes(Some(changes?));
        let batch = batch.build().map_err(unbuilt)?;
        self.client
            .change_resource_record_sets()
            .hosted_zone_id(zone)
            .change_batch(batch)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                let messages = messages(&error);
                of_failure(Failure::of(&error), messages)
            })
    }

    async fn list_records(&self, zone: &str, start: &RecordStart) -> Result<RecordPage, ZoneError> {
        let answer = self
            .client
            .list_resource_record_sets()
            .hosted_zone_id(zone)
            .start_record_name(&start.name)
            .set_start_record_type(start.kind.as_deref().map(RrType::from))
            .set_start_record_identifier(start.set.clone())
            .max_items(PAGE_RECORDS)
            .send()
            .await
            .map_err(|error| of_failure(Failure::of(&error), Vec::new()))?;
        let records = answer.resource_record_sets.iter().filter_map(record);
        let next = answer.next_record_name.filter(|_| answer.is_truncated);
        Ok(RecordPage {
            records: records.collect(),
            next: next.map(|name| RecordStart {
                name,
                kind: answer.next_record_type.map(|kind| kind.as_str().to_owned()),
                set: answer.next_record_identifier,
            }),
        })
    }
}

impl InspectZones for Zones {
    async fn zone(&self, zone: &str) -> Result<(String, ZoneCapacity), ZoneError> {
        let shown = self.client.get_hosted_zone().id(zone).send().await;
        let shown = shown.map_err(|error| of_failure(Failure::of(&error), Vec::new()))?;
        let name = shown.hosted_zone.map(|zone| zone.name).unwrap_or_default();
        let limit = self
            .client
            .get_hosted_zone_limit()
            .hosted_zone_id(zone)
            .r#type(HostedZoneLimitType::MaxRrsetsByZone)
            .send()
            .await
            .map_err(|error| of_failure(Failure::of(&error), Vec::new()))?;
        let as_count = |number: i64| u64::try_from(number).unwrap_or(0);
        let capacity = ZoneCapacity {
            records: as_count(limit.count),
            records_max: as_count(limit.limit.map_or(0, |limit| limit.value)),
        };
        Ok((name.trim_end_matches('.').to_owned(), capacity))
    }
}

fn unbuilt(error: impl std::fmt::Display) -> ZoneError {
    ZoneError::Refused(error.to_string())
}

fn zone_change(change: &Change) -> Result<ZoneChange, ZoneError> {
    let Record { id, ttl_s, values } = &change.record;
    let values: Result<Vec<ResourceRecord>, _> = values
        .iter()
        .map(|value| ResourceRecord::builder().value(value).build())
        .collect();
    let kind = match id.kind {
        RecordType::A => RrType::A,
        RecordType::Aaaa => RrType::Aaaa,
    };
    let mut set = ResourceRecordSet::builder()
        .name(format!("{}.", id.name))
        .r#type(kind)
        .ttl(i64::from(*ttl_s))
        .set_resource_records(Some(values.map_err(unbuilt)?));
    if let Some(identifier) = &id.set {
        set = set.set_identifier(identifier).multi_value_answer(true);
    }
    let action = match change.action {
        Action::Create => ChangeAction::Create,
        Action::Delete => ChangeAction::Delete,
    };
    ZoneChange::builder()
        .action(action)
        .resource_record_set(set.build().map_err(unbuilt)?)
        .build()
        .map_err(unbuilt)
}

/// A record set of a type that spawn makes. One without values, an alias for example, is told with none: it is nobody's of
/// spawn.
fn record(set: &ResourceRecordSet) -> Option<Record> {
    let kind = match set.r#type() {
        RrType::A => RecordType::A,
        RrType::Aaaa => RecordType::Aaaa,
        _ => return None,
    };
    let values = set.resource_records().iter();
    Some(Record {
        id: RecordId {
            name: set.name().trim_end_matches('.').to_ascii_lowercase(),
            kind,
            set: set.set_identifier().map(str::to_owned),
        },
        ttl_s: set
            .ttl()
            .and_then(|ttl| u32::try_from(ttl).ok())
            .unwrap_or(0),
        values: values
            .map(|record| as_written(kind, record.value()))
            .collect(),
    })
}

/// A value in the one way in which spawn writes it: IPv6 addresses have many.
fn as_written(kind: RecordType, value: &str) -> String {
    let address = match kind {
        RecordType::A => None,
        RecordType::Aaaa => value.parse::<Ipv6Addr>().ok(),
    };
    address.map_or_else(|| value.to_owned(), |address| address.to_string())
}

/// The messages of a refused batch, one for each fault that Route 53 found.
fn messages(error: &SdkError<ChangeResourceRecordSetsError>) -> Vec<String> {
    match error.as_service_error() {
        Some(ChangeResourceRecordSetsError::InvalidChangeBatch(refusal)) => {
            refusal.messages().to_vec()
        }
        _ => Vec::new(),
    }
}

/// Sorts a failed call; `messages` are those that Route 53 gave beside the failure's own.
fn of_failure(failure: Failure, mut messages: Vec<String>) -> ZoneError {
    let is_throttling = failure.is_throttling();
    match failure {
        Failure::Invalid(text) => ZoneError::Refused(text),
        Failure::NoAnswer(text) => ZoneError::Transient(text),
        Failure::Answer { code, text, server } => {
            if is_throttling || code == UNFINISHED {
                ZoneError::Throttled(text)
            } else if OF_THE_BATCH.contains(&code.as_str()) {
                if messages.is_empty() {
                    messages.push(text);
                }
                ZoneError::Invalid(messages)
            } else if server {
                ZoneError::Transient(text)
            } else {
                ZoneError::Refused(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: Action, set: Option<&str>) -> Change {
        Change {
            action,
            record: Record {
                id: RecordId {
                    name: "7.train.1kpqzg2c.example.com".to_owned(),
                    kind: RecordType::A,
                    set: set.map(str::to_owned),
                },
                ttl_s: 60,
                values: vec!["10.0.0.7".to_owned()],
            },
        }
    }

    #[test]
    fn a_record_reads_back_what_is_written() {
        for set in [None, Some("i-0abc")] {
            let change = change(Action::Create, set);
            let sent = zone_change(&change).unwrap();
            assert_eq!(sent.action(), &ChangeAction::Create);
            let sent = sent.resource_record_set().unwrap();
            assert_eq!(sent.multi_value_answer(), set.map(|_| true));
            assert_eq!(record(sent), Some(change.record));
        }
    }

    #[test]
    fn errors_are_sorted_by_what_to_do_about_them() {
        let of = |code: &str, server, messages: &[&str]| {
            let failure = Failure::Answer {
                code: code.to_owned(),
                text: format!("{code}: words"),
                server,
            };
            of_failure(failure, messages.iter().map(|m| (*m).to_owned()).collect())
        };
        let is_throttled = |error| matches!(error, ZoneError::Throttled(_));
        assert!(is_throttled(of("Throttling", false, &[])));
        assert!(is_throttled(of("PriorRequestNotComplete", false, &[])));
        assert_eq!(
            of("InvalidChangeBatch", false, &["one", "two"]),
            ZoneError::Invalid(vec!["one".to_owned(), "two".to_owned()])
        );
        assert_eq!(
            of("InvalidInput", false, &[]),
            ZoneError::Invalid(vec!["InvalidInput: words".to_owned()])
        );
        assert!(matches!(
            of("AccessDenied", false, &[]),
            ZoneError::Refused(_)
        ));
        assert!(matches!(
            of("NoSuchHostedZone", false, &[]),
            ZoneError::Refused(_)
        ));
        assert!(matches!(
            of("ServiceUnavailable", true, &[]),
            ZoneError::Transient(_)
        ));
        let lost = of_failure(Failure::NoAnswer("timed out".to_owned()), Vec::new());
        assert!(matches!(lost, ZoneError::Transient(_)));
    }
}
