//! Client tokens: a repeated call answers what the first one did.
//!
//! Source: "Ensuring idempotency in Amazon EC2 API requests", Amazon EC2 Developer Guide. RunInstances is idempotent per
//! zone when the request names a zone or subnet, per region otherwise.

use std::collections::HashMap;

use super::Place;
use crate::wire::Ec2Error;

/// A token is known per account, region, action, and zone where the request names one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    pub(crate) place: Place,
    pub(crate) action: &'static str,
    pub(crate) zone: Option<String>,
    pub(crate) token: String,
}

/// What the first call with a token did.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// Its parameters, as a canonical text.
    pub(crate) parameters: String,
    /// The id of what it made: a reservation, a fleet, a template.
    pub(crate) resource_id: String,
    /// The instances it launched.
    pub(crate) instance_ids: Vec<String>,
    /// The body of its answer, where a repeat gets the very same.
    pub(crate) answer: Option<String>,
}

/// EC2's memory of client tokens. It forgets nothing here; in AWS a token lives at least as long as its instances can be seen.
#[derive(Debug, Default)]
pub(crate) struct TokenMemory(HashMap<TokenKey, Remembered>);

/// The longest token that EC2 takes, in ASCII characters.
const TOKEN_CHARACTERS_MAX: usize = 64;

impl TokenMemory {
    /// What an earlier call with this token did; an error when its parameters differ.
    pub(crate) fn recall(
        &self,
        key: &TokenKey,
        parameters: &str,
    ) -> Result<Option<Remembered>, Ec2Error> {
        if key.token.len() > TOKEN_CHARACTERS_MAX || !key.token.is_ascii() {
            return Err(Ec2Error::invalid_value(
                "clientToken",
                &key.token,
                "It must be at most 64 ASCII characters long.",
            ));
        }
        match self.0.get(key) {
            Some(first) if first.parameters != parameters => Err(Ec2Error::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )),
            first => Ok(first.cloned()),
        }
    }

    pub(crate) fn remember(&mut self, key: TokenKey, what: Remembered) {
        self.0.insert(key, what);
    }
}
