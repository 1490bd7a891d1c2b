//! What a sweep does about members that fail: how often they are tried again, and when enough is enough.

use serde_json::Value;

use super::fault::quoted;
use super::read::{Problem, Read, each, text, whole, word, wrong_type};
use super::suggest::nearest;
use crate::account::AccountId;
use crate::policy::{OnFailure, RETRIES_MAX, Retries, Tolerated};

/// The most accounts of a sweep.
const ACCOUNTS_MAX: usize = 50;

const FIELDS: [&str; 2] = ["interruption", "failure"];

/// Reads `retries`: an object, or one number for both.
pub(super) fn retries(value: &Value) -> Read<Retries> {
    let Value::Object(map) = value else {
        let both = whole(value, 0, RETRIES_MAX)?;
        return Ok(Retries {
            interruption: both,
            failure: both,
        });
    };
    let mut retries = Retries::default();
    let mut problems = Vec::new();
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!(".{key}");
        let number = match key.as_str() {
            "interruption" => &mut retries.interruption,
            "failure" => &mut retries.failure,
            _ => {
                let meant = nearest(key, FIELDS).map(|name| format!("did you mean {name}?"));
                let problem = Problem::new(format!("{} is not known here", quoted(key)));
                problems.push(problem.hint(meant).at(&at));
                continue;
            }
        };
        match whole(value, 0, RETRIES_MAX) {
            Ok(given) => *number = given,
            Err(found) => problems.extend(found.into_iter().map(|problem| problem.at(&at))),
        }
    }
    if problems.is_empty() {
        Ok(retries)
    } else {
        Err(problems)
    }
}

/// Reads `on_failure`.
pub(super) fn on_failure(value: &Value) -> Read<OnFailure> {
    Ok(match word(value, &["continue", "hold", "drain"])? {
        "hold" => OnFailure::Hold,
        "drain" => OnFailure::Drain,
        _ => OnFailure::Continue,
    })
}

/// Reads `tolerated_failures`: a number of members, or a share of them such as `10%`.
pub(super) fn tolerated_failures(value: &Value) -> Read<Tolerated> {
    let Value::String(share) = value else {
        return whole(value, 0, super::MEMBERS_MAX).map(Tolerated::Count);
    };
    let number = share.trim().strip_suffix('%').map(str::trim);
    let percent = number
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .filter(|percent| *percent <= 100);
    percent.map(Tolerated::Percent).ok_or_else(|| {
        let is_count = share.trim().parse::<u32>().is_ok();
        let hint = is_count.then(|| format!("write {} or \"{}%\"", share.trim(), share.trim()));
        Problem::new(format!("{} is not a share", quoted(share)))
            .hint(hint)
            .into()
    })
}

/// Reads `accounts`: ids, each once.
pub(super) fn accounts(value: &Value) -> Read<Vec<AccountId>> {
    let accounts = each(value, |value| {
        if value.is_number() {
            // A number would lose its leading zeros.
            let quoted = wrong_type(value, "text");
            return Err(quoted
                .hint(format!("write it in quotes: \"{value}\""))
                .into());
        }
        let text = text(value, 64)?;
        text.parse().map_err(|_| {
            Problem::new(format!("{} is not the id of an account", quoted(text))).into()
        })
    })?;
    if accounts.len() > ACCOUNTS_MAX {
        return Err(Problem::new(format!("it has {} accounts", accounts.len())).into());
    }
    for (index, account) in accounts.iter().enumerate() {
        if accounts.iter().take(index).any(|other| other == account) {
            let problem = Problem::new(format!("{account} is there twice"));
            return Err(problem.at(&format!("[{index}]")).into());
        }
    }
    Ok(accounts)
}
