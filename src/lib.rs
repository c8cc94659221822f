//! Keeps a platform's users on Whop equal to a YAML manifest.

pub mod cli;
pub mod core;
pub mod error;
pub mod remote;
pub mod render;
