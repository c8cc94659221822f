//! JSON Schemas (2020-12), for editors and for whoever checks our documents.

/// What a manifest may say. What only the whole shows, such as an id that
/// stands twice, no schema can say; everything else the parser and this one
/// accept and refuse alike.
pub const MANIFEST: &str = include_str!("users.schema.json");
/// The documents that JSON mode prints: plan, report, error and the smaller
/// ones. A field that it names goes only with the major version.
pub const PLAN: &str = include_str!("plan.schema.json");
