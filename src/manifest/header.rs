//! What stands above the users: version, company and guardrails, over all
//! parts together.

use std::collections::BTreeMap;

use crate::core::guard::{Guard, Guardrails, Limit};
use crate::core::problem::{Pointer, Problem, Related};
use crate::core::problem_code::ProblemCode;
use crate::core::value::PlatformId;

use super::check::{STRIP_HINT, odd, parse_switch, text};
use super::diagnostics::{Found, error, quoted};
use super::document::{RawPart, RawUsers};
use super::scalar::Raw;

/// The platform and the limits that a manifest states, as far as it does.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The platform, where it is stated and right.
    pub(super) platform: Option<PlatformId>,
    /// The limits that are right; with a wrong one nothing is planned.
    pub(super) guardrails: Guardrails,
    /// Whether pictures are rid of what they say beside their pixels, where a
    /// user does not say otherwise.
    pub(super) strip: bool,
}

/// Checks what stands above the users, in all parts together. A part that
/// could not be read is `None`: what it lacks cannot be told.
pub(super) fn head(parts: &[Option<RawPart<'_>>], found: &mut Found) -> Head {
    let mut head = Head::default();
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
                    "write `version: 1`, `company: biz_…` and `users:`, or let `whop-sync init` write one to begin with",
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
                "add users, each beginning with `- id: …`; to manage nobody, write `users: []`",
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

/// The parts, each with what points at it as a whole.
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

/// Says which fields no part has. They are missing from the first part, where
/// people look for them.
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
            "add `users:` and below it one `- id: …` for each user; to manage nobody, write `users: []`",
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

/// Whether a version is stated at all.
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
            "write `version: 1`; a manifest of a later version needs a later whop-sync",
        ));
    }
    *raw != Raw::Absent
}

/// Checks the company of one part against itself and against earlier parts.
/// `first` is where the company stood first and what it was, empty where that
/// was a problem of its own. Two companies in one run would send one's users to
/// the other, so this is never a matter of the last one winning.
fn check_company(
    company: &[(&'static str, Raw<'_>)],
    at: &Pointer,
    first: &mut Option<(Pointer, Box<str>)>,
    head: &mut Head,
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
                    note: "it stands here first".to_owned(),
                }],
                ..error(
                    ProblemCode::CompanyTwice,
                    at,
                    message,
                    "keep one of them, best `company`",
                )
            });
            continue;
        }
        let hint =
            "copy the id of your platform's own account from its dashboard on Whop; it begins with `biz_`";
        let Some(text) = text(raw, name, "", &at, hint, found) else {
            // It is there, if only as a problem that is already told.
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
                        format!("{} is another company than before", quoted(text)),
                        "one manifest is one company's: correct it, or run each company on its own",
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

/// Checks one limit of one part, and that earlier parts do not say another.
fn check_limit(
    guard: Guard,
    raw: &Raw<'_>,
    at: &Pointer,
    limits: &mut BTreeMap<Guard, (Pointer, Limit)>,
    found: &mut Found,
) {
    let name = guard.name();
    let at = at.field(&format!("guardrails.{name}"));
    let hint = "write a number of users such as `50`, or a share of them such as `30%`";
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
                note: "it stands here first".to_owned(),
            }],
            ..error(
                ProblemCode::GuardrailDiffers,
                at,
                format!("{name} differs from an earlier file's"),
                "one manifest has one limit of each kind: keep one of them",
            )
        }),
        Some(_) => {}
        None => {
            limits.insert(guard, (at, limit));
        }
    }
}

/// Checks whether pictures are stripped as one part says, and that earlier
/// parts do not say otherwise.
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
                note: "it stands here first".to_owned(),
            }],
            ..error(
                ProblemCode::StripMetadataDiffers,
                at,
                format!("{NAME} differs from an earlier file's"),
                "one manifest says it once; a user may say otherwise for their own picture",
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
