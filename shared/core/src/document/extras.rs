//! Fields that hold other fields: `results` and `notify`.

use serde_json::{Map, Value};

use super::fault::{Collector, Fault, join, quoted};
use super::fields::{self, Top};
use super::keys::{Located, TopLevel};
use super::read::{Problem, Read, each, shown, take, whole, word, wrong_type};
use super::shape::Shape;
use super::suggest::nearest;
use super::sweep::{Notify, Occasion, Reach, Results};
use super::{aws, names};
use crate::pattern;

/// Where a member writes its result unless the document says otherwise.
const RESULT_FILE: &str = "result.json";

/// The share of the budget, in percent, that `cost_share` without a number stands for.
const COST_SHARE_PERCENT: u8 = 80;

/// The fields of `results` and of `notify`, each with its shape.
pub(super) const RESULTS: [(&str, Shape); 2] = [("bucket", Shape::Bucket), ("file", Shape::File)];
pub(super) const NOTIFY: [(&str, &[&str], Shape); 3] = [
    ("topics", &["topic"], Shape::Topics),
    ("occasions", &["on"], Shape::Occasions),
    ("webhooks", &["webhook"], Shape::Webhooks),
];

/// Lays the results of `over` over those of `doc`.
pub(super) fn results(doc: &TopLevel<'_>, over: &TopLevel<'_>, faults: &mut Collector) -> Results {
    let (bucket, file) = read_results(doc, faults);
    let (over_bucket, over_file) = read_results(over, faults);
    Results {
        bucket: over_bucket.or(bucket),
        file: over_file.or(file).unwrap_or_else(|| RESULT_FILE.to_owned()),
    }
}

fn read_results(top: &TopLevel<'_>, faults: &mut Collector) -> (Option<String>, Option<String>) {
    let mut bucket = None;
    let mut file = None;
    if let Some(found) = top.get(Top::Results)
        && let Some(map) = object(found, faults)
    {
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let path = join(&found.path, key);
            match key.as_str() {
                "bucket" => bucket = take(aws::bucket(value), &path, Shape::Bucket, faults),
                "file" => file = take(names::file(value), &path, Shape::File, faults),
                _ => unknown(
                    key,
                    path,
                    RESULTS.iter().map(|(name, _)| *name),
                    Shape::Results,
                    faults,
                ),
            }
        }
    }
    let short = |id| top.get(id);
    if let Some(found) = short(Top::ResultBucket) {
        let value = take(aws::bucket(found.value), &found.path, Shape::Bucket, faults);
        bucket = same(bucket, value, found, "results.bucket", faults);
    }
    if let Some(found) = short(Top::ResultFile) {
        let value = take(names::file(found.value), &found.path, Shape::File, faults);
        file = same(file, value, found, "results.file", faults);
    }
    (bucket, file)
}

/// One value of two places that must not differ.
fn same(
    first: Option<String>,
    second: Option<String>,
    found: &Located<'_>,
    other: &str,
    faults: &mut Collector,
) -> Option<String> {
    if first.is_some() && second.is_some() && first != second {
        faults.add(Fault::new(
            found.path.as_str(),
            format!(
                "\"{}\" and \"{other}\" are the same field, with different values",
                found.key
            ),
            "one of the two",
        ));
    }
    first.or(second)
}

/// Lays `notify` of `over` over that of `doc`. Who is out of `reach` is a fault.
pub(super) fn notify(
    doc: &TopLevel<'_>,
    over: &TopLevel<'_>,
    reach: &Reach,
    faults: &mut Collector,
) -> Notify {
    let doc = read_notify(doc, reach, faults);
    let over = read_notify(over, reach, faults);
    Notify {
        topics: over.topics.or(doc.topics).unwrap_or_default(),
        occasions: over
            .occasions
            .or(doc.occasions)
            .unwrap_or_else(|| vec![Occasion::End, Occasion::Failure]),
        webhooks: over.webhooks.or(doc.webhooks).unwrap_or_default(),
    }
}

/// What one document says of `notify`.
#[derive(Default)]
struct Given {
    topics: Option<Vec<String>>,
    occasions: Option<Vec<Occasion>>,
    webhooks: Option<Vec<String>>,
}

/// Keeps the targets that fit one of the patterns, and tells of the others.
fn reached(
    targets: Option<Vec<String>>,
    patterns: &[String],
    path: &str,
    parameter: &str,
    faults: &mut Collector,
) -> Option<Vec<String>> {
    let fits = |target: &String| patterns.iter().any(|one| pattern::matches(target, one));
    let (kept, beyond): (Vec<String>, Vec<String>) = targets?
        .into_iter()
        .partition(|target| patterns.is_empty() || fits(target));
    for target in beyond {
        let problem = format!("{} cannot be told: spawn may not reach it", quoted(&target));
        let hint = format!("the operator allows others by the template parameter {parameter}");
        faults.add(Fault::new(path, problem, patterns.join(" or ")).hint(hint));
    }
    Some(kept)
}

fn read_notify(top: &TopLevel<'_>, reach: &Reach, faults: &mut Collector) -> Given {
    let mut given = Given::default();
    let Some(found) = top.get(Top::Notify) else {
        return given;
    };
    // Topics alone are the commonest case.
    if found.value.is_string() || found.value.is_array() {
        let topics = take(aws::topics(found.value), &found.path, Shape::Topics, faults);
        given.topics = reached(topics, &reach.topics, &found.path, "TopicNames", faults);
        return given;
    }
    if let Some(map) = object(found, faults) {
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let path = join(&found.path, key);
            match key.as_str() {
                "topics" | "topic" => {
                    let topics = take(aws::topics(value), &path, Shape::Topics, faults);
                    given.topics = reached(topics, &reach.topics, &path, "TopicNames", faults);
                }
                "occasions" | "on" => {
                    given.occasions = take(each(value, occasion), &path, Shape::Occasions, faults);
                }
                "webhooks" | "webhook" => {
                    let hooks = take(aws::webhooks(value), &path, Shape::Webhooks, faults);
                    let parameter = "WebhookParameterPath or WebhookSecretPath";
                    given.webhooks = reached(hooks, &reach.webhooks, &path, parameter, faults);
                }
                _ => unknown(
                    key,
                    path,
                    NOTIFY.iter().map(|(name, _, _)| *name),
                    Shape::Notify,
                    faults,
                ),
            }
        }
    }
    given
}

fn occasion(value: &Value) -> Read<Occasion> {
    const WORDS: [&str; 5] = ["end", "failure", "first_failure", "overdue", "cost_share"];
    match value {
        Value::String(_) => Ok(match word(value, &WORDS)? {
            "end" => Occasion::End,
            "failure" => Occasion::Failure,
            "first_failure" => Occasion::FirstFailure,
            "overdue" => Occasion::Overdue,
            _ => Occasion::CostShare(COST_SHARE_PERCENT),
        }),
        Value::Object(map) => match (map.get("cost_share"), map.len()) {
            (Some(percent), 1) => {
                let percent = whole(percent, 1, 100).map_err(|problems| {
                    problems
                        .into_iter()
                        .map(|p| p.at(".cost_share"))
                        .collect::<Vec<_>>()
                })?;
                Ok(Occasion::CostShare(u8::try_from(percent).unwrap_or(100)))
            }
            _ => Err(Problem::new("the object is not an occasion").into()),
        },
        _ => Err(wrong_type(value, "an occasion").into()),
    }
}

fn object<'a>(found: &Located<'a>, faults: &mut Collector) -> Option<&'a Map<String, Value>> {
    let map = found.value.as_object();
    if map.is_none() {
        let shape = match fields::known(found.key) {
            Some(fields::Known::Top(id)) => fields::top(id).shape,
            _ => Shape::Results,
        };
        faults.add(Fault::new(
            found.path.as_str(),
            format!("{} is not an object", shown(found.value)),
            shape.accepted(),
        ));
    }
    map
}

fn unknown(
    key: &str,
    path: String,
    names: impl Iterator<Item = &'static str>,
    shape: Shape,
    faults: &mut Collector,
) {
    let meant = nearest(key, names).map(|name| format!("did you mean {name}?"));
    faults.add(
        Fault::new(
            path,
            format!("{} is not known here", quoted(key)),
            shape.accepted(),
        )
        .hint(meant),
    );
}
