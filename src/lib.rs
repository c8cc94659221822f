//! Keeps a platform's users on Whop equal to a YAML manifest.

pub mod core;
pub mod emulator;
pub mod error;
pub mod remote;
