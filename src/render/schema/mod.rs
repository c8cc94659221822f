//! JSON Schemas (2020-12), for editors and for programs that check our
//! documents.

/// What a manifest may contain. The schema cannot express rules about the whole
/// manifest, such as that an id appears only once; for everything else it
/// agrees with the parser.
pub const MANIFEST: &str = include_str!("users.schema.json");
/// The documents of JSON mode: plan, report, error and the smaller ones. A
/// field in it is removed only with a new major version.
pub const PLAN: &str = include_str!("plan.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::core::field::{TextField, USER_FIELDS};
    use crate::core::guard::Guard;

    fn names(properties: &Value) -> BTreeSet<&str> {
        let fields = properties.as_object().unwrap();
        fields.keys().map(String::as_str).collect()
    }

    /// What the schema of a user lacks, an editor calls wrong.
    #[test]
    fn the_schema_has_the_fields_that_the_parser_has() {
        let schema: Value = serde_json::from_str(MANIFEST).unwrap();
        let user = &schema["$defs"]["user"];
        assert_eq!(names(&user["properties"]), BTreeSet::from(USER_FIELDS));
        let rails: BTreeSet<_> = Guard::with_limit().map(Guard::name).collect();
        assert_eq!(names(&schema["properties"]["guardrails"]["properties"]), rails);
        let documents: Value = serde_json::from_str(PLAN).unwrap();
        let mapped = names(&documents["$defs"]["mapped"]["properties"]);
        let required = user["required"].as_array().unwrap();
        for field in TextField::ALL {
            let name = Value::from(field.name());
            assert_eq!(required.contains(&name), field.is_required(), "{name}");
            let longest = &user["properties"][field.name()]["maxLength"];
            assert_eq!(*longest, field.longest(), "{name}");
            assert!(mapped.contains(field.name()), "{name}");
        }
    }
}
