//! The integration tests, one binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its world up has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up files and processes of their own"
)]

mod apply;
#[cfg(unix)]
mod avatars;
mod book;
mod cli;
mod crash;
mod disk;
mod download;
mod drift;
mod emulator;
mod evidence;
mod export;
mod faults;
mod golden;
mod house;
mod journal;
mod kill;
mod lab;
mod limit;
mod manifest;
mod model;
mod outputs;
mod plan;
mod properties;
mod requests;
mod schema;
mod shapes;
mod slow;
mod store;
mod strangers;
mod told;
mod untrusted;
mod world;
