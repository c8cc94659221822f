//! How near the program comes to the floor that Whop's limit sets.
//!
//! Starts the emulator as a process of its own, generates worlds, runs the real
//! program on them over a socket, and prints one table:
//!
//! ```text
//! cargo bench --bench e2e                          every situation, at a scaled limit
//! cargo bench --bench e2e -- --quick               each once, small
//! cargo bench --bench e2e -- renames list          these situations
//! cargo bench --bench e2e -- --rate 600 --users 600 --latency 20,300 creates
//! cargo bench --bench e2e -- --help
//! ```
//!
//! The floor of a situation is arithmetic: the requests of its most frequent
//! operation ÷ the limit, plus one round trip, plus, where files are made, the
//! time that Whop processes one. Where a run has two parts of which the second
//! cannot begin before the first is whole (a plan is printed and guarded before
//! it is carried out), it is the sum of both.
//!
//! Nothing here is asserted: a busy machine must not fail a build. What must
//! hold is held in `tests/it/limit.rs` and `tests/it/requests.rs`, by a clock
//! that does not depend on the machine.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measuring program: it prints, reads clocks and ends at the first surprise"
)]

mod options;
mod run;
mod served;
mod situation;
mod table;
mod world;

use options::{Job, Options};

fn main() {
    match options::parse(std::env::args().skip(1)) {
        Ok(Job::Help) => println!("{}", options::HELP),
        Ok(Job::Serve(serve)) => served::serve(&serve),
        Ok(Job::Measure(options)) => measure(&options),
        Err(why) => {
            eprintln!("{why}\n\n{}", options::HELP);
            std::process::exit(64);
        }
    }
}

fn measure(options: &Options) {
    table::head(options);
    let mut ended_badly = false;
    for situation in &options.situations {
        for &latency in &options.latencies {
            for &faults in &options.faults {
                let measured = run::run(*situation, latency, faults, options);
                table::row(&measured);
                ended_badly |= !measured.good;
            }
        }
    }
    table::foot();
    if ended_badly {
        std::process::exit(1);
    }
}
