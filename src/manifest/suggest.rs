//! "Did you mean": finds the known name closest to a wrong one.

/// Common names for fields elsewhere, including Whop's own.
const OTHER_WORDS: [(&str, &str); 16] = [
    ("user_id", "id"),
    ("key", "id"),
    ("external_id", "id"),
    ("internal_user_id", "id"),
    ("mail", "email"),
    ("e-mail", "email"),
    ("email_address", "email"),
    ("display_name", "name"),
    ("full_name", "name"),
    ("username", "name"),
    ("picture", "avatar"),
    ("profile_picture", "avatar"),
    ("photo", "avatar"),
    ("image", "avatar"),
    ("meta", "metadata"),
    ("previous_id", "renamed_from"),
];

/// The known name closest to this one, if it is close: at most a third of its
/// letters may differ, ignoring case. The first of equals wins, so that the
/// answer is deterministic.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing takes time in proportion to both lengths.
    if name.len() > 255 {
        return None;
    }
    let folded = name.to_lowercase();
    let most = (folded.chars().count() / 3).max(1);
    let mut best = None;
    for known in known {
        let distance = strsim::damerau_levenshtein(&folded, &known.to_lowercase());
        if distance <= most && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, known));
        }
    }
    best.map(|(_, known)| known)
}

/// The field with this name or one of its common other names. Nothing is
/// guessed: a column that is merely spelled alike is a different one.
pub fn field_called(name: &str) -> Option<&'static str> {
    let own = super::document::USER.iter().find(|field| **field == name);
    let other = || OTHER_WORDS.iter().find(|(word, _)| *word == name);
    own.copied().or_else(|| other().map(|(_, field)| *field))
}

/// The field that was probably intended by this name.
pub(super) fn field(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let folded = name.to_lowercase();
    let other = OTHER_WORDS.iter().find(|(word, _)| *word == folded);
    match other {
        Some((_, field)) if known.contains(field) => Some(field),
        _ => nearest(name, known.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_common_names_are_recognised() {
        let known = ["id", "email", "name", "avatar", "renamed_from"];
        for (name, meant) in [
            ("emial", Some("email")),
            ("Email", Some("email")),
            ("nmae", Some("name")),
            ("renamed-from", Some("renamed_from")),
            ("profile_picture", Some("avatar")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(field(name, &known), meant, "{name}");
        }
        assert_eq!(field("picture", &["id"]), None, "not where there is no avatar");
    }
}
