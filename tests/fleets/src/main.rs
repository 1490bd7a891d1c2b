//! Figures of the reaper, from fleets on virtual time.

#![expect(clippy::print_stdout, reason = "figures are told on standard output")]

use std::process::ExitCode;

const HELP: &str = "fleets safety [FLEETS] [INSTANCES]   fleets latency [INSTANCES]   fleets watch-cost [INSTANCES] [HOURS]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u32| {
        let given = arguments.get(place).and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    match arguments.first().map(String::as_str) {
        Some("safety") => {
            for seed in 0..u64::from(number(1, 3)) {
                let safety = fleets::safety::run(number(2, 10_000), seed).await;
                println!("fleet {seed}\n{safety}");
                let violations = safety.violations();
                if !violations.is_empty() {
                    println!("{}", violations.join("\n"));
                    return ExitCode::FAILURE;
                }
            }
        }
        Some("latency") => println!("{}", fleets::latency::run(number(1, 10_000), 1).await),
        Some("watch-cost") => {
            let hours = u64::from(number(2, 6));
            println!(
                "{}",
                fleets::watch_cost::run(number(1, 10_000), hours).await
            );
        }
        _ => {
            println!("{HELP}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
