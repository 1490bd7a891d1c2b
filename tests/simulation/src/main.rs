//! Runs the control plane on virtual time: many seeds with faults, or one seed with its trace.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command answers on its standard output"
)]

use std::process::ExitCode;

use lexopt::prelude::*;
use simulation::bench;
use simulation::report;
use simulation::scenario::run_seed;

const HELP: &str = "\
Runs the whole control plane on virtual time, with faults that a seed chooses.

cargo run -p simulation -- --seeds 10000 --from 0   many seeds, and a table of what happened
cargo run -p simulation -- --seed 17 --trace        one seed, and all that happened in it
cargo run -p simulation -- launch-times             how fast sweeps launch, against the least that EC2 allows
cargo run -p simulation -- bench                    what sweeps take to control, from 100 to 100,000 members
cargo run -p simulation -- bench --members 1000     one of them, item by item
";

struct Asked {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    help: bool,
    command: Option<String>,
    members: Option<u64>,
}

fn asked() -> Result<Asked, lexopt::Error> {
    let mut asked = Asked {
        seeds: 1_000,
        from: 0,
        seed: None,
        trace: false,
        help: false,
        command: None,
        members: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seeds") => asked.seeds = parser.value()?.parse()?,
            Long("from") => asked.from = parser.value()?.parse()?,
            Long("seed") => asked.seed = Some(parser.value()?.parse()?),
            Long("trace") => asked.trace = true,
            Long("members") => asked.members = Some(parser.value()?.parse()?),
            Value(command) if asked.command.is_none() => {
                asked.command = Some(command.string()?);
            }
            Long("help") | Short('h') => asked.help = true,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if asked.help {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match asked.command.as_deref() {
        None => seeds(&asked),
        Some("launch-times") => {
            let (table, missed) = bench::launch_times();
            print!("{table}");
            for what in &missed {
                println!("MISSED {what}");
            }
            code(missed.is_empty())
        }
        Some("bench") => {
            bench::print(asked.members, |text| print!("{text}"));
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("there is no command `{other}`\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn seeds(asked: &Asked) -> ExitCode {
    if let Some(seed) = asked.seed {
        let outcome = run_seed(seed, asked.trace);
        for line in &outcome.trace {
            println!("{line}");
        }
        print!("{}", report::of_one(&outcome));
        return code(outcome.violations.is_empty());
    }
    let summary = report::run_seeds(asked.from, asked.seeds);
    print!("{summary}");
    code(summary.violations.is_empty())
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
