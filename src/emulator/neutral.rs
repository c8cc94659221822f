//! What answers hold besides what a sync is about, as an account or a user has
//! it that does nothing but exist.
//!
//! Whop's own SDKs refuse an answer that lacks a field of their types, so the
//! fields stand here although nothing reads them. Names and kinds are those of
//! the SDKs' types: Python 0.0.41 and 2.6.0, TypeScript 0.0.42, Rust 1.1.5.

use serde_json::{Map, Value, json};

use super::versions::Version;

/// Adds them to a shape; what the shape says itself stays.
pub(super) fn fill(shape: &mut Value, neutral: Value) {
    let (Value::Object(shape), Value::Object(neutral)) = (shape, neutral) else {
        return;
    };
    for (name, value) in neutral {
        shape.entry(name).or_insert(value);
    }
}

/// An account's.
pub(super) fn account(version: Version) -> Value {
    let mut fields = nulls(&[
        "ads_spend_usd",
        "banner_image_url",
        "business_address",
        "business_name",
        "business_type",
        "cancellation_policy",
        "capabilities",
        "cards",
        "direct_reports_count",
        "eula",
        "financing",
        "industry_group",
        "industry_type",
        "invoice_prefix",
        "level",
        "logo_url",
        "onboarding_type",
        "opengraph_image_url",
        "opengraph_image_variant",
        "other_business_description",
        "other_industry_description",
        "partner",
        "payment_controls",
        "privacy_policy",
        "product_tax_code",
        "recommended_actions",
        "required_actions",
        "return_policy",
        "rewards",
        "shipping_policy",
        "status_reason",
        "target_audience",
        "tax_remitted_by",
        "tax_type",
        "terms_of_service",
        "three_ds_level",
        "total_earned_usd",
        "total_usd",
        "trading",
        "volume_l30d_usd",
        "volume_usd",
        "wallet",
        "whop_partner_enabled_at",
    ]);
    for name in [
        "balances",
        "home_preferences",
        "platform_credits",
        "social_links",
        "tax_collection_enabled_states",
        "tax_identifiers",
    ] {
        fields.insert(name.to_owned(), json!([]));
    }
    for name in [
        "can_transfer_pending_balance_to_children",
        "collect_vat_id",
        "dispute_fighter_enabled",
        "economic_intelligence",
        "orchestration_enabled",
        "require_2fa",
        "show_joined_whops",
        "show_reviews_dtc",
        "show_user_directory",
        "stablecoin_rails",
        "use_logo_as_opengraph_image_fallback",
    ] {
        fields.insert(name.to_owned(), json!(false));
    }
    // Renamed between 2026-07-20 and 2026-09-15; where exactly is unknown.
    let formation = match version.shows_owner() {
        true => "company_formation",
        false => "llc_formation",
    };
    fields.insert(formation.to_owned(), json!({}));
    fields.insert("verification".to_owned(), json!({}));
    let page = json!({ "whop_affiliate_link": false });
    fields.insert("store_page_config".to_owned(), page);
    Value::Object(fields)
}

/// A company's.
pub(super) fn company() -> Value {
    json!({
        "affiliate_instructions": null,
        "featured_affiliate_product": null,
        "logo": null,
        "member_count": 0,
        "published_reviews_count": 0,
        "social_links": [],
        "target_audience": null,
        "verified": false,
    })
}

/// A user's. The balances and the like show to the user alone.
pub(super) fn user() -> Value {
    let mut fields = nulls(&[
        "balance",
        "balance_history",
        "banner",
        "bio",
        "cards",
        "earnings_usd",
        "email",
        "level",
        "total_usd",
        "trading",
        "whop_partner_enabled_at",
        "whop_partner_onboarded_accounts_count",
        "whop_partner_verified_at",
    ]);
    for name in ["balances", "social_accounts", "social_links"] {
        fields.insert(name.to_owned(), json!([]));
    }
    fields.insert("verification".to_owned(), json!({}));
    Value::Object(fields)
}

/// A file's, current form.
pub(super) fn file() -> Value {
    Value::Object(nulls(&["blurhash", "duration_seconds", "waveform_url"]))
}

fn nulls(names: &[&str]) -> Map<String, Value> {
    let pairs = names.iter().map(|name| ((*name).to_owned(), Value::Null));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shape_says_itself_stays() {
        let mut shape = json!({ "bio": "I sell hats", "id": "user_1" });
        fill(&mut shape, user());
        assert_eq!(
            (&shape["bio"], &shape["balances"]),
            (&json!("I sell hats"), &json!([]))
        );
    }

    #[test]
    fn the_formation_goes_by_the_version() {
        let old = account(Version::parse("2026-07-20").unwrap());
        let new = account(Version::parse("2026-10-15-1").unwrap());
        assert_eq!(
            (&old["llc_formation"], old.get("company_formation")),
            (&json!({}), None)
        );
        assert_eq!(
            (&new["company_formation"], new.get("llc_formation")),
            (&json!({}), None)
        );
    }
}
