//! Telling people: topics, webhooks, and the executions that deliver.

use std::future::Future;

use super::ServiceError;

/// Publishes to SNS topics.
pub trait PublishTopics: Send + Sync {
    /// Publishes a message. A repeat publishes it again.
    fn publish(
        &self,
        topic_arn: &str,
        subject: &str,
        message: &str,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Reads secrets.
pub trait ReadSecrets: Send + Sync {
    /// The decrypted value of a parameter of the home region, or `None` when there is none of that name.
    fn secret(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<String>, ServiceError>> + Send;
}

/// Posts to webhooks.
pub trait PostWebhooks: Send + Sync {
    /// Posts a JSON text to an address. Answers when the other side has taken it. A repeat posts it again.
    fn post(
        &self,
        url: &str,
        body: String,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Starts deliveries of notices.
pub trait StartDeliveries: Send + Sync {
    /// Starts the execution `name` that delivers the notice in the row `pk` / `sk`. Asked again, it starts nothing more.
    fn start_delivery(
        &self,
        name: &str,
        pk: &str,
        sk: &str,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}
