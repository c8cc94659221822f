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
mod cli;
mod disk;
mod emulator;
mod golden;
mod house;
mod lab;
mod manifest;
mod plan;
mod properties;
mod store;
mod world;
