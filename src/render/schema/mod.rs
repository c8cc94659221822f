//! JSON Schemas (2020-12), for editors and for whoever checks our documents.

/// The documents that JSON mode prints: plan, report, error and the smaller
/// ones. A field that it names goes only with the major version.
pub const PLAN: &str = include_str!("plan.schema.json");
