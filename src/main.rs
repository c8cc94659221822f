//! The program: starts the runtime, calls [`whop_sync::cli`], and sets the
//! exit status; nothing else.

use std::process::ExitCode;

use whop_sync::cli;
use whop_sync::error::Exit;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::no_runtime(&error),
    };
    let exit: Exit = runtime.block_on(cli::run(std::env::args_os().collect()));
    // A thread that still waits for the disk must not hold up an exit that
    // was asked for twice.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}
