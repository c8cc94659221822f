//! Keeps a platform's users on Whop equal to a YAML manifest.

pub mod core;
pub mod error;
pub mod manifest;
pub mod remote;
pub mod store;
