//! Logs: one JSON object a line, with the fields of the event beside its message and the request id in `span`.

use spawn_core::metrics::Measured;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::xray::Annotate;

/// The runtime's own line for every failed invocation: the same failure a second time, always as an error, and with words of
/// the user's document. [`crate::lambda`] logs failures once, and the hook below logs panics, the other thing it would tell.
const REPEATED: &str = "lambda_runtime::layers::panic=off";

/// Starts logging. The level is that of Lambda's logging controls (`AWS_LAMBDA_LOG_LEVEL`), else `RUST_LOG`, else info.
///
/// Lambda needs `timestamp` and `level` in each object to sort lines by their level (AWS Lambda Developer Guide, "Log and
/// monitor functions").
pub fn init() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_ansi(false)
        .with_env_filter(filter(|name| std::env::var(name).ok()))
        .finish()
        .with(Annotate);
    // Only a second call fails, and then logs are on already.
    drop(tracing::subscriber::set_global_default(subscriber));
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(error = %panic, "invocation panicked");
    }));
}

/// Logs what was measured at `now` (ms since 1970), as lines of their own: CloudWatch Logs makes metrics of them.
pub fn publish(measured: &Measured, now: u64) {
    for line in measured.lines(now) {
        println!("{line}");
    }
}

fn filter(variable: impl Fn(&str) -> Option<String>) -> EnvFilter {
    let level =
        variable("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse::<LevelFilter>().ok());
    let directives = match (level, variable("RUST_LOG")) {
        (Some(level), _) => level.to_string(),
        (None, Some(directives)) => directives,
        (None, None) => LevelFilter::INFO.to_string(),
    };
    EnvFilter::new(format!("{directives},{REPEATED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambdas_own_setting_of_the_level_comes_first() {
        let level = |lambda: Option<&str>, rust: Option<&str>| {
            let filter = filter(|name| match name {
                "AWS_LAMBDA_LOG_LEVEL" => lambda.map(str::to_owned),
                _ => rust.map(str::to_owned),
            });
            filter.max_level_hint()
        };
        assert_eq!(level(Some("WARN"), Some("debug")), Some(LevelFilter::WARN));
        assert_eq!(level(None, Some("debug")), Some(LevelFilter::DEBUG));
        assert_eq!(level(Some("loud"), None), Some(LevelFilter::INFO));
        assert_eq!(level(None, None), Some(LevelFilter::INFO));
    }
}
