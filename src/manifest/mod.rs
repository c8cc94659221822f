//! x
mod document;
mod sources;
