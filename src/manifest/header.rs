//! Checks everything above the users (version, company and guardrails) across
//! all parts.

use std::collections::BTreeMap;

use crate::core::guard::{Guard, Guardrails, Limit};
use crate::core::problem::{Pointer, Problem, Related};
use crate::core::problem_code::ProblemCode;
use crate::core::value::PlatformId;

use super::check::{STRIP_HINT, odd, parse_switch, text};
use super::diagnostics::{Found, error, quoted};
use super::document::{RawPart, RawUsers};
use super::scalar::Raw;

/// The company and the limits of a manifest, if stated.
#[derive(Debug, Default)]
pub(super) struct ManifestHeader {
    /// The company, if stated and valid.
    pub(super) platform: Option<PlatformId>,
    /// The valid limits; if one is invalid, nothing is planned.
    pub(super) guardrails: Guardrails,
    /// Whether metadata is removed from pictures, unless a user overrides it.
    pub(super) strip: bool,
}

/// Checks everything above the users across all parts. A part that could not be
/// read is `None`: it is unknown what it lacks.
pub(super) fn head(parts: &[Option<RawPart<'_>>], found: &mut Found) -> ManifestHeader {
    let mut head = ManifestHeader::default();
    let mut company: Option<(Pointer, Box<str>)> = None;
    let mut limits = BTreeMap::new();
    let mut strip = None;
    let mut version = false;
    let mut users = false;
    let mut whole = true;
    for (at, part) in documents(parts) {
        let Some(part) = part.filter(|part| !part.empty) else {
            if part.is_some() {
                found.push(error(
                    ProblemCode::EmptyManifest,
                    at,
                    "there is nothing in this manifest",
                    "write `version: 1`, `company: biz_…` and `users:`, or let `whop-sync init` write one to start from",
                ));
            }
            whole = false;
            continue;
        };
        odd(&part.odd, &at, found);
        version |= check_version(&part.version, &at, found);
        check_company(&part.company, &at, &mut company, &mut head, found);
        whole &= part.company.iter().all(|(_, raw)| *raw != Raw::Skipped);
        check_strip(&part.strip_metadata, &at, &mut strip, found);
        for (guard, raw) in &part.guardrails {
            check_limit(*guard, raw, &at, &mut limits, found);
        }
        users |= !matches!(part.users, RawUsers::Absent);
        if matches!(part.users, RawUsers::Null) {
            found.push(error(
                ProblemCode::EmptyUsers,
                at.field("users"),
                "`users` has nothing below it",
                "add users, each starting with `- id: …`; for no users, write `users: []`",
            ));
        }
    }
    if whole {
        missing_fields(version, company.is_some(), users, found);
    }
    head.strip = strip.is_some_and(|(_, strip)| strip);
    for (guard, (_, limit)) in limits {
        if let Some(place) = head.guardrails.limit_mut(guard) {
            *place = Some(limit);
        }
    }
    head
}

/// The parts, each with a pointer to it.
fn documents<'p, 't>(
    parts: &'p [Option<RawPart<'t>>],
) -> impl Iterator<Item = (Pointer, Option<&'p RawPart<'t>>)> {
    (0..).zip(parts).map(|(part, raw)| {
        let at = Pointer {
            part,
            ..Pointer::default()
        };
        (at, raw.as_ref())
    })
}

/// Reports the fields that no part has. They are missing from the first part,
/// where people look for them.
fn missing_fields(version: bool, company: bool, users: bool, found: &mut Found) {
    let required = [
        (version, "version", "add the line `version: 1`"),
        (
            company,
            "company",
            "add the line `company: biz_…` with your platform's own account on Whop",
        ),
        (
            users,
            "users",
            "add `users:` and below it one `- id: …` for each user; for no users, write `users: []`",
        ),
    ];
    for (there, name, hint) in required {
        if !there {
            let at = Pointer::default().field(name);
            found.push(error(
                ProblemCode::MissingField,
                at,
                format!("the manifest has no `{name}`"),
                hint,
            ));
        }
    }
}

/// Whether a version is stated.
fn check_version(raw: &Raw<'_>, at: &Pointer, found: &mut Found) -> bool {
    let at = at.field("version");
    let hint = "write `version: 1`";
    if let Some(version) = text(raw, "version", "", &at, hint, found)
        && version != "1"
    {
        found.push(error(
            ProblemCode::BadVersion,
            at,
            format!("version {} is not known to this program", quoted(version)),
            "write `version: 1`; a newer version needs a newer whop-sync",
        ));
    }
    *raw != Raw::Absent
}

/// Checks the company of one part against itself and against earlier parts.
/// `first` is where the company appeared first, and its value, empty if that
/// was invalid. Two companies in one run would send the users of one to the
/// other, so the last one must never win silently.
fn check_company(
    company: &[(&'static str, Raw<'_>)],
    at: &Pointer,
    first: &mut Option<(Pointer, Box<str>)>,
    head: &mut ManifestHeader,
    found: &mut Found,
) {
    for (nth, (name, raw)) in company.iter().enumerate() {
        let at = at.field(name);
        if nth > 0 {
            let (other, _) = company[0];
            let message = format!("`{other}` and `{name}` name the same thing");
            found.push(Problem {
                related: vec![Related {
                    at: at.field(other),
                    place: None,
                    note: "it appears here first".to_owned(),
                }],
                ..error(
                    ProblemCode::CompanyTwice,
                    at,
                    message,
                    "keep one of them, preferably `company`",
                )
            });
            continue;
        }
        let hint =
            "copy the id of your platform's own account from its dashboard on Whop; it starts with `biz_`";
        let Some(text) = text(raw, name, "", &at, hint, found) else {
            // It is present, even if only as a problem that was reported.
            first.get_or_insert((at, "".into()));
            continue;
        };
        match first {
            Some((_, said)) if said.is_empty() => {}
            Some((there, said)) if **said != *text => {
                found.push(Problem {
                    related: vec![Related {
                        at: there.clone(),
                        place: None,
                        note: format!("here it is {}", quoted(said)),
                    }],
                    ..error(
                        ProblemCode::CompanyDiffers,
                        at,
                        format!("{} is not the company given before", quoted(text)),
                        "a manifest belongs to one company: correct it, or run each company separately",
                    )
                });
            }
            Some(_) => {}
            None => {
                *first = Some((at.clone(), text.into()));
                match PlatformId::parse(text) {
                    Ok(platform) => head.platform = Some(platform),
                    Err(why) => found.push(error(
                        ProblemCode::BadCompany,
                        at,
                        format!("the {name} {why}"),
                        hint,
                    )),
                }
            }
        }
    }
}

/// Checks a limit of one part, and that earlier parts do not differ.
fn check_limit(
    guard: Guard,
    raw: &Raw<'_>,
    at: &Pointer,
    limits: &mut BTreeMap<Guard, (Pointer, Limit)>,
    found: &mut Found,
) {
    let name = guard.name();
    let at = at.field(&format!("guardrails.{name}"));
    let hint = "write a number of users such as `50`, or a percentage such as `30%`";
    let Some(text) = text(raw, name, "", &at, hint, found) else {
        return;
    };
    let Some(limit) = parse_limit(text) else {
        found.push(error(
            ProblemCode::BadGuardrail,
            at,
            format!(
                "{name} is neither a number nor a percentage up to 100%: {}",
                quoted(text)
            ),
            hint,
        ));
        return;
    };
    match limits.get(&guard) {
        Some((there, said)) if *said != limit => found.push(Problem {
            related: vec![Related {
                at: there.clone(),
                place: None,
                note: "it appears here first".to_owned(),
            }],
            ..error(
                ProblemCode::GuardrailDiffers,
                at,
                format!("{name} differs from an earlier file's"),
                "a manifest has one limit of each kind: keep one of them",
            )
        }),
        Some(_) => {}
        None => {
            limits.insert(guard, (at, limit));
        }
    }
}

/// Checks the stripping switch of one part, and that earlier parts do not
/// differ.
fn check_strip(raw: &Raw<'_>, at: &Pointer, said: &mut Option<(Pointer, bool)>, found: &mut Found) {
    const NAME: &str = "strip_metadata";
    let at = at.field(NAME);
    let Some(text) = text(raw, NAME, "", &at, STRIP_HINT, found) else {
        return;
    };
    match (parse_switch(text), said) {
        (Err(why), _) => found.push(error(
            ProblemCode::BadStripMetadata,
            at,
            format!("{NAME} {why}"),
            STRIP_HINT,
        )),
        (Ok(strip), said @ None) => *said = Some((at, strip)),
        (Ok(strip), Some((there, said))) if *said != strip => found.push(Problem {
            related: vec![Related {
                at: there.clone(),
                place: None,
                note: "it appears here first".to_owned(),
            }],
            ..error(
                ProblemCode::StripMetadataDiffers,
                at,
                format!("{NAME} differs from an earlier file's"),
                "keep one of them; a user may override it for their own picture",
            )
        }),
        (Ok(_), Some(_)) => {}
    }
}

/// Reads a limit: digits alone, or digits and a percent sign.
fn parse_limit(text: &str) -> Option<Limit> {
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), true),
        None => (text, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    if percent {
        let percent = u8::try_from(number).ok().filter(|percent| *percent <= 100)?;
        Some(Limit::Percent(percent))
    } else {
        Some(Limit::Count(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_percentages() {
        for (text, limit) in [
            ("0", Some(Limit::Count(0))),
            ("4294967295", Some(Limit::Count(u32::MAX))),
            ("30%", Some(Limit::Percent(30))),
            ("100 %", Some(Limit::Percent(100))),
            ("101%", None),
            ("4294967296", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(parse_limit(text), limit, "{text}");
        }
    }
}
