//! The settings of a deployment, from the environment of its functions.

use std::fmt;

use spawn_core::account::AccountId;
use spawn_core::boot::Home;
use spawn_core::dns::{AddressKind, Naming};
use spawn_core::document::{Occasion, Reach};
use spawn_core::limits::Sizes;
use spawn_core::money::MicroDollars;
use spawn_core::notify::Target;
use spawn_core::prices::AGE_MS_MAX;
use spawn_core::reap::breaker::Limit;
use spawn_core::region::Region;

use crate::accounts::MemberRole;

/// What an operator has set. Read once, at start-up; every function gets the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The region of the control plane (`AWS_REGION`, set by Lambda).
    pub home_region: Region,
    /// The account of the control plane (`SPAWN_ACCOUNT`).
    pub account: AccountId,
    /// The ledger's table (`SPAWN_TABLE`).
    pub table: String,
    /// The bucket of results and plans (`SPAWN_RESULTS_BUCKET`).
    pub results_bucket: String,
    /// The bucket of inputs (`SPAWN_DATA_BUCKET`).
    pub data_bucket: String,
    /// The image of members that name none (`SPAWN_DEFAULT_AMI`): an id or the name of an SSM parameter.
    pub default_ami: String,
    /// The instance type of members that name none (`SPAWN_DEFAULT_INSTANCE_TYPE`).
    pub default_instance_type: String,
    /// The key pair of members that name none, if any (`SPAWN_DEFAULT_KEY_NAME`).
    pub default_key_name: Option<String>,
    /// The name of the instance profile of members (`SPAWN_INSTANCE_PROFILE`).
    pub instance_profile: String,
    /// How members are named, for the functions that name them, if there is a domain (`SPAWN_DOMAIN`): in which hosted zone
    /// (`SPAWN_HOSTED_ZONE_ID`), by which addresses (`SPAWN_DNS_ADDRESS`), for how long (`SPAWN_DNS_TTL`), and for which
    /// account (`SPAWN_ACCOUNT_ID`).
    pub naming: Option<Naming>,
    /// The name of the role that instances have (`SPAWN_INSTANCE_ROLE`), for the function that tells them apart by it.
    pub instance_role: Option<String>,
    /// The budget of sweeps that name none, if any (`SPAWN_DEFAULT_BUDGET`).
    pub default_budget: Option<MicroDollars>,
    /// The ARN of the topic that is told of every sweep's end, if any (`SPAWN_NOTIFY_TOPIC`).
    pub notify_topic: Option<String>,
    /// The S3 URI of the price book, if any (`SPAWN_PRICE_BOOK`).
    pub price_book: Option<String>,
    /// How old AWS's prices may be before they count as unknown, in ms (`SPAWN_PRICE_AGE_HOURS`; 48 hours unless set).
    pub price_age_ms_max: u64,
    /// The role to take in other accounts (`SPAWN_MEMBER_ROLE`), if an external id is set (`SPAWN_EXTERNAL_ID`).
    pub member_role: Option<MemberRole>,
    /// EC2's launch limits, as far as the operator knows better than EC2's documentation and Service Quotas
    /// (`SPAWN_LAUNCH_LIMITS`), such as `RunInstances=10+4/s, instances=2000+4/s`.
    pub launch_limits: Sizes,
    /// Whom documents may name (`SPAWN_REACHED_TOPICS`, `SPAWN_REACHED_WEBHOOKS`): patterns with commas between; none for anybody.
    pub reach: Reach,
    /// Who is told of every sweep (`SPAWN_STANDING_TARGETS`): ARNs of topics and names of webhooks' parameters, with commas
    /// between.
    pub standing_targets: Vec<Target>,
    /// What they are told of (`SPAWN_STANDING_OCCASIONS`): names of occasions, with commas between.
    pub standing_occasions: Vec<Occasion>,
    /// The ARN of the state machine that delivers notices (`SPAWN_NOTIFY_MACHINE`), for the function that may start it.
    pub notify_machine: Option<String>,
    /// The ARN of the state machine that drains sweeps (`SPAWN_DRAIN_MACHINE`), for the function that may start it.
    pub drain_machine: Option<String>,
    /// How much of a fleet a pass of the reaper may end (`SPAWN_REAPER_SHARE_PERCENT`, `SPAWN_REAPER_AT_LEAST`).
    pub reaper_limit: Limit,
}

/// All that is wrong with the environment, one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// When variables are missing or wrong: all of them, by name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables from `lookup`.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut variables = Variables {
            lookup,
            problems: Vec::new(),
        };
        let config = variables.read();
        match config {
            Some(config) if variables.problems.is_empty() => Ok(config),
            _ => Err(ConfigError {
                problems: variables.problems,
            }),
        }
    }

    /// Where instances find the ledger.
    #[must_use]
    pub fn home(&self) -> Home {
        Home {
            table: self.table.clone(),
            region: self.home_region.to_string(),
            account: self.account.to_string(),
        }
    }
}

struct Variables<F> {
    lookup: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// Every variable is read before the first missing one ends it, so that all problems are known.
    fn read(&mut self) -> Option<Config> {
        let home_region = self.required("AWS_REGION");
        let home_region = home_region.and_then(|text| self.parsed("AWS_REGION", &text));
        let account = self.required("SPAWN_ACCOUNT");
        let account = account.and_then(|text| self.parsed("SPAWN_ACCOUNT", &text));
        let table = self.required("SPAWN_TABLE");
        let results_bucket = self.required("SPAWN_RESULTS_BUCKET");
        let data_bucket = self.required("SPAWN_DATA_BUCKET");
        let default_ami = self.required("SPAWN_DEFAULT_AMI");
        let default_instance_type = self.required("SPAWN_DEFAULT_INSTANCE_TYPE");
        let default_key_name = self.optional("SPAWN_DEFAULT_KEY_NAME");
        let instance_profile = self.required("SPAWN_INSTANCE_PROFILE");
        let naming = self.naming();
        let instance_role = self.optional("SPAWN_INSTANCE_ROLE");
        let default_budget = self.optional("SPAWN_DEFAULT_BUDGET");
        let default_budget =
            default_budget.and_then(|text| self.parsed("SPAWN_DEFAULT_BUDGET", &text));
        let notify_topic = self.beginning("SPAWN_NOTIFY_TOPIC", "arn:", "the ARN of an SNS topic");
        let price_book = self.beginning("SPAWN_PRICE_BOOK", "s3://", "an S3 URI");
        let price_age_hours = self.optional("SPAWN_PRICE_AGE_HOURS");
        let price_age_hours: Option<u64> =
            price_age_hours.and_then(|text| self.parsed("SPAWN_PRICE_AGE_HOURS", &text));
        let mut reaper_limit = Limit::default();
        if let Some(text) = self.optional("SPAWN_REAPER_SHARE_PERCENT")
            && let Some(percent) = self.parsed("SPAWN_REAPER_SHARE_PERCENT", &text)
        {
            reaper_limit.share_percent = percent;
        }
        if let Some(text) = self.optional("SPAWN_REAPER_AT_LEAST")
            && let Some(number) = self.parsed("SPAWN_REAPER_AT_LEAST", &text)
        {
            reaper_limit.at_least = number;
        }
        let launch_limits = match self.optional("SPAWN_LAUNCH_LIMITS") {
            Some(text) => self.parsed("SPAWN_LAUNCH_LIMITS", &text),
            None => Some(Sizes::default()),
        };
        let drain_machine =
            self.beginning("SPAWN_DRAIN_MACHINE", "arn:", "the ARN of a state machine");
        let member_role = self.optional("SPAWN_MEMBER_ROLE");
        let external_id = self.optional("SPAWN_EXTERNAL_ID");
        let member_role = member_role.zip(external_id);
        let words = |word: &str| Some(word.to_owned());
        let reach = Reach {
            topics: self.list("SPAWN_REACHED_TOPICS", words),
            webhooks: self.list("SPAWN_REACHED_WEBHOOKS", words),
        };
        let standing_targets = self.list("SPAWN_STANDING_TARGETS", |word| word.parse().ok());
        let standing_occasions = self.list("SPAWN_STANDING_OCCASIONS", occasion);
        let notify_machine =
            self.beginning("SPAWN_NOTIFY_MACHINE", "arn:", "the ARN of a state machine");
        Some(Config {
            reach,
            standing_targets,
            standing_occasions,
            notify_machine,
            home_region: home_region?,
            account: account?,
            table: table?,
            results_bucket: results_bucket?,
            data_bucket: data_bucket?,
            default_ami: default_ami?,
            default_instance_type: default_instance_type?,
            default_key_name,
            instance_profile: instance_profile?,
            naming,
            instance_role,
            default_budget,
            notify_topic,
            price_book,
            price_age_ms_max: price_age_hours
                .map_or(AGE_MS_MAX, |hours| hours.saturating_mul(3_600_000)),
            launch_limits: launch_limits?,
            drain_machine,
            reaper_limit,
            member_role: member_role.map(|(name, external_id)| MemberRole { name, external_id }),
        })
    }

    /// How members are named. Functions that do not name them are not told the zone, and need not know the domain.
    fn naming(&mut self) -> Option<Naming> {
        let domain = self.optional("SPAWN_DOMAIN")?;
        (self.lookup)("SPAWN_HOSTED_ZONE_ID")?;
        let zone = self.required("SPAWN_HOSTED_ZONE_ID");
        let account = self.required("SPAWN_ACCOUNT_ID");
        let address = self.required("SPAWN_DNS_ADDRESS");
        let address =
            address.and_then(|text| self.parsed::<AddressKind>("SPAWN_DNS_ADDRESS", &text));
        let ttl_s = self.required("SPAWN_DNS_TTL");
        let ttl_s = ttl_s.and_then(|text| self.parsed("SPAWN_DNS_TTL", &text));
        let naming = Naming::new(&domain, &zone?, &account?, address?, ttl_s?);
        naming
            .map_err(|error| self.problems.push(format!("SPAWN_DOMAIN: {error}")))
            .ok()
    }

    /// A variable that may be empty or missing.
    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.problems.push(format!("{name} is not set"));
        }
        value
    }

    fn parsed<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        text.parse()
            .map_err(|error| self.problems.push(format!("{name}: {error}")))
            .ok()
    }

    /// Words with commas between them, each read by `read`.
    fn list<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.optional(name).unwrap_or_default();
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let mut values = Vec::new();
        for word in words {
            match read(word) {
                Some(value) => values.push(value),
                None => self.problems.push(format!("{name}: `{word}` is not known")),
            }
        }
        values
    }

    fn beginning(&mut self, name: &str, start: &str, what: &str) -> Option<String> {
        let value = self.optional(name)?;
        if value.starts_with(start) {
            return Some(value);
        }
        self.problems
            .push(format!("{name}: `{value}` is not {what} ({start}…)"));
        None
    }
}

/// The occasion of this name. `cost_share` is that of a document that says no number.
fn occasion(word: &str) -> Option<Occasion> {
    Some(match word {
        "end" => Occasion::End,
        "failure" => Occasion::Failure,
        "first_failure" => Occasion::FirstFailure,
        "overdue" => Occasion::Overdue,
        "cost_share" => Occasion::CostShare(80),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "AWS_REGION" => "us-east-1",
            "SPAWN_ACCOUNT" => "000000000000",
            "SPAWN_TABLE" => "spawn-sweeps",
            "SPAWN_RESULTS_BUCKET" => "spawn-results-000000000000-us-east-1",
            "SPAWN_DATA_BUCKET" => "spawn-data-000000000000-us-east-1",
            "SPAWN_DEFAULT_AMI" => "ami-0abc",
            "SPAWN_DEFAULT_INSTANCE_TYPE" => "t3.micro",
            "SPAWN_INSTANCE_PROFILE" => "spawn-instance-profile",
            "SPAWN_DEFAULT_BUDGET" => "100",
            "SPAWN_NOTIFY_TOPIC" => "arn:aws:sns:us-east-1:000000000000:spawn-notifications",
            "SPAWN_DEFAULT_KEY_NAME" | "SPAWN_DOMAIN" | "SPAWN_PRICE_BOOK" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn an_empty_variable_is_no_setting() {
        let config = Config::from_lookup(complete).unwrap();
        assert_eq!(config.default_key_name, None);
        assert_eq!(config.price_book, None);
        assert_eq!(config.default_budget, "100".parse().ok());
        assert_eq!(config.home().region, "us-east-1");
    }

    #[test]
    fn all_problems_are_told_at_once_by_name() {
        let error = Config::from_lookup(|name| match name {
            "AWS_REGION" => Some("mars-north-1".to_owned()),
            "SPAWN_TABLE" => None,
            "SPAWN_DEFAULT_BUDGET" => Some("plenty".to_owned()),
            "SPAWN_LAUNCH_LIMITS" => Some("many".to_owned()),
            "SPAWN_NOTIFY_TOPIC" => Some("spawn-notifications".to_owned()),
            _ => complete(name),
        })
        .unwrap_err()
        .to_string();
        let names: Vec<&str> = error
            .lines()
            .filter_map(|line| line.split([':', ' ']).next())
            .collect();
        let expected = [
            "AWS_REGION",
            "SPAWN_TABLE",
            "SPAWN_DEFAULT_BUDGET",
            "SPAWN_NOTIFY_TOPIC",
            "SPAWN_LAUNCH_LIMITS",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn names_need_a_zone_where_they_are_given_and_nothing_elsewhere() {
        let with = |zone: Option<&'static str>, ttl: &'static str| {
            Config::from_lookup(move |name| match name {
                "SPAWN_DOMAIN" => Some("example.com".to_owned()),
                "SPAWN_HOSTED_ZONE_ID" => zone.map(str::to_owned),
                "SPAWN_ACCOUNT_ID" => Some("123456789012".to_owned()),
                "SPAWN_DNS_ADDRESS" => Some("public".to_owned()),
                "SPAWN_DNS_TTL" => Some(ttl.to_owned()),
                _ => complete(name),
            })
        };
        let naming = with(Some("Z1"), "60").unwrap().naming.unwrap();
        assert_eq!(naming.suffix(), "1kpqzg2c.example.com");
        assert_eq!(with(None, "60").unwrap().naming, None);
        let error = with(Some(""), "soon").unwrap_err().to_string();
        assert!(error.contains("SPAWN_HOSTED_ZONE_ID is not set"), "{error}");
        assert!(error.contains("SPAWN_DNS_TTL: "), "{error}");
    }
}
