//! The pure core. The law of this folder: no IO, no async, no clock, no
//! environment, no randomness, no printing. It may use `std`, serde's derives
//! and sha2, and imports nothing else of ours.

#[macro_use]
mod listed;

pub mod assumption;
pub mod audit;
mod difference;
pub mod digest;
pub mod drift;
pub mod explain;
pub mod export;
pub mod field;
pub(crate) mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod guard;
pub mod identity;
mod limits;
pub mod lineage;
pub mod link;
pub mod model;
pub mod plan;
pub mod planner;
pub mod problem;
pub mod problem_code;
pub mod replay;
pub mod report;
pub mod resend;
#[cfg(test)]
pub(crate) mod sample;
pub mod saved;
pub mod state_digest;
pub mod summary;
pub mod text;
pub mod value;
