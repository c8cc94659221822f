//! One file for each command: what it takes, its examples, and its run.

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod emulator;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod help;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod validate;
