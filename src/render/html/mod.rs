//! Plans and reports as one HTML file with the pictures before and after. The
//! page loads nothing, works without its script, and its content security
//! policy allows only what the file contains.
//!
//! The same inputs give the same bytes. The page holds a bounded number of
//! ordinary rows and says what it left out. Identity changes, adoptions by
//! email and new names are never left out.
//! adoptions by email and new names are never left out.

mod card;
mod pictures;
mod sink;

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Header;
use super::consequences::consequences;
use super::messages::{self, number, plural, plural_of, tally};
use super::risk_groups::{self, Group};
use super::{plan as human, report as human_report};
use crate::core::digest::Digest;
use crate::core::plan::{Action, Plan, Reads};
use crate::core::report::{Outcome, Report};
use crate::core::summary::{self, Counts};

use card::Size;
use pictures::ROWS;
pub use pictures::{PageImages, Pictures};
use sink::{code, text};

/// From this many cards on, those outside the window are not drawn.
const LAZY: usize = 200;

/// The most bytes of cards, in case they are long.
const BYTES: usize = 16 << 20;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes a plan as a page.
///
/// # Errors
/// The writer's own.
pub fn plan(out: &mut dyn Write, plan: &Plan, header: &Header, pictures: &Pictures) -> io::Result<()> {
    let counts = summary::counts(plan);
    let headline = human::headline(&counts);
    let page = Page {
        title: "Plan",
        headline: &headline,
        outcome: String::new(),
        plan,
        counts: &counts,
        header,
        pictures,
    };
    page.write(out, sections(plan, pictures))
}

/// Writes the result of an apply as a page, with the plan it carried out.
///
/// # Errors
/// The writer's own.
pub fn report(
    out: &mut dyn Write,
    report: &Report,
    plan: &Plan,
    header: &Header,
    pictures: &Pictures,
) -> io::Result<()> {
    let Report {
        done,
        pictures: set,
        troubled,
        stopped,
        requests,
        elapsed,
    } = report;
    let mut outcome = String::new();
    if !report.is_complete() {
        let users = plural_of(troubled.len(), "user is", "users are");
        let why = stopped.map_or(String::new(), |why| {
            format!(" It stopped early: {}.", messages::stop(why))
        });
        outcome.push_str(&boxed(
            "stop",
            "Not everything is done",
            &format!("<p>{users} not.{why} Run the same command again to resume.</p>"),
        ));
    }
    let sent = plural(requests.values().sum::<u64>() as usize, "request");
    let time = messages::span(elapsed.as_secs());
    outcome.push_str(&format!("<p class=\"soft\">{sent} sent in {time}.</p>\n"));
    let page = Page {
        title: "Apply",
        headline: &format!("Applied: {}", human_report::sums(done, *set)),
        outcome,
        plan,
        counts: &summary::counts(plan),
        header,
        pictures,
    };
    let mut all = troubles(report);
    all.extend(sections(plan, pictures));
    page.write(out, all)
}

/// Writes a page of plain lines, for outputs without cards, pictures or search.
///
/// # Errors
/// The writer's own.
pub fn lines(
    out: &mut dyn Write,
    title: &str,
    lines: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut told = Vec::new();
    lines(&mut told)?;
    let title = text(title);
    head(out, &title, "", "")?;
    writeln!(
        out,
        "<body>\n<main>\n<h1>{title}</h1>\n<pre class=\"lines\">{}</pre>\n</main>\n</body>\n</html>",
        text(&String::from_utf8_lossy(&told)),
    )
}

/// Everything before the body. The policy names the styles and the script, if
/// there is one, by their digests.
fn head(out: &mut dyn Write, title: &str, css: &str, script: &str) -> io::Result<()> {
    let script = match script {
        "" => "'none'".to_owned(),
        script => source(script),
    };
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src {} {}; script-src {script}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>",
        source(STYLE),
        source(css),
    )?;
    writeln!(out, "<style>{STYLE}</style>\n<style>{css}</style>\n</head>")
}

/// Cards of one kind under one heading.
struct Section<'a> {
    /// Its name in filters and styles.
    kind: &'static str,
    /// Its heading.
    title: &'static str,
    /// How many cards there are.
    total: usize,
    /// Renders the n-th card, in full or shortened.
    card: Box<dyn Fn(usize, Size) -> String + 'a>,
    /// Whether the n-th card is never left out.
    grave: Box<dyn Fn(usize) -> bool + 'a>,
}

/// A section of these items.
fn section<'a, T: 'a>(
    kind: &'static str,
    title: &'static str,
    things: Vec<T>,
    card: impl Fn(&'static str, &T) -> String + 'a,
) -> Section<'a> {
    Section {
        kind,
        title,
        total: things.len(),
        card: Box::new(move |at, _| card(kind, &things[at])),
        grave: Box::new(|_| false),
    }
}

/// The sections of a plan, riskiest first.
fn sections<'a>(plan: &'a Plan, pictures: &'a Pictures) -> Vec<Section<'a>> {
    let held = |kind, title, about_identity| {
        let holds: Vec<_> = risk_groups::holds(plan, about_identity).collect();
        section(kind, title, holds, |kind, hold| card::hold(kind, hold))
    };
    let mut all = vec![Section {
        grave: Box::new(|_| true),
        ..held("contradicted", risk_groups::CONTRADICTED, true)
    }];
    for group in Group::ALL {
        if group == Group::Create {
            all.push(held("hold", "! held", false));
        }
        let kind = match group {
            Group::Identity => "identity",
            Group::ByEmail => "email",
            Group::Create => "create",
            Group::Undo => "undo",
            Group::Update => "update",
            Group::Adopt => "adopt",
            Group::Forget => "forget",
        };
        let of_group = |action: &&Action| Group::of(action) == group;
        let actions: Vec<_> = plan.actions.iter().filter(of_group).collect();
        let grave: Vec<bool> = actions
            .iter()
            .map(|action| risk_groups::is_grave(action))
            .collect();
        all.push(Section {
            kind,
            title: group.title(),
            total: actions.len(),
            card: Box::new(move |at, size| card::action(kind, actions[at], pictures, size)),
            grave: Box::new(move |at| grave[at]),
        });
    }
    let unmanaged = plan.unmanaged.iter().collect();
    let title = "unmanaged, and left alone";
    all.push(section("unmanaged", title, unmanaged, |kind, one| {
        card::unmanaged(kind, one)
    }));
    all
}

/// The users whose action did not succeed.
fn troubles(report: &Report) -> Vec<Section<'_>> {
    let of = |is: fn(&Outcome) -> bool| {
        report
            .troubled
            .iter()
            .filter(|(_, outcome)| is(outcome))
            .collect()
    };
    let made = |kind, title, is| {
        section(kind, title, of(is), |kind, (key, outcome): &(_, _)| {
            card::trouble(kind, key, outcome)
        })
    };
    vec![
        made("failed", "! failed", |outcome| {
            matches!(outcome, Outcome::Failed(_))
        }),
        made("doubt", "! in doubt", |outcome| {
            matches!(outcome, Outcome::InDoubt(_))
        }),
        made("left", "! left for the next run", |outcome| {
            matches!(outcome, Outcome::Left { .. })
        }),
    ]
}

/// Chooses the cards of each section: all grave ones, and as many others as
/// there is room for.
fn fit(sections: &[Section<'_>]) -> Vec<Vec<(usize, Size)>> {
    let (mut rows, mut bytes) = (ROWS, BYTES);
    let mut has_room = |section: &Section<'_>, at| {
        let size = if rows > 0 {
            (section.card)(at, Size::Whole).len()
        } else {
            0
        };
        let fits = rows > 0 && size <= bytes;
        // Once a card does not fit, all later ones are left out as well.
        (rows, bytes) = if fits {
            (rows - 1, bytes - size)
        } else {
            (0, bytes)
        };
        fits
    };
    let mut take = |section: &Section<'_>| {
        let size = |at| match has_room(section, at) {
            true => Some((at, Size::Whole)),
            false => (section.grave)(at).then_some((at, Size::Brief)),
        };
        (0..section.total).filter_map(size).collect()
    };
    sections.iter().map(&mut take).collect()
}

/// Everything around the cards.
struct Page<'a> {
    /// The kind of document.
    title: &'static str,
    /// The counts in one line.
    headline: &'a str,
    /// The result of an apply, as HTML.
    outcome: String,
    plan: &'a Plan,
    counts: &'a Counts,
    header: &'a Header,
    pictures: &'a Pictures,
}

impl Page<'_> {
    fn write(&self, out: &mut dyn Write, sections: Vec<Section<'_>>) -> io::Result<()> {
        let shown = fit(&sections);
        let Header { company, server, .. } = self.header;
        let title = format!("{}: {} on {}", self.title, text(company.as_str()), text(server));
        head(out, &title, &self.pictures.css(), SCRIPT)?;
        out.write_all(self.top().as_bytes())?;
        out.write_all(left_out(&sections, &shown).as_bytes())?;
        out.write_all(filters(&sections).as_bytes())?;
        let many = if shown.iter().map(Vec::len).sum::<usize>() > LAZY {
            " class=\"many\""
        } else {
            ""
        };
        writeln!(out, "</header>\n<main id=\"changes\" tabindex=\"-1\"{many}>")?;
        if sections.iter().all(|section| section.total == 0) {
            writeln!(out, "<p>Nothing to do: Whop matches the manifest.</p>")?;
        }
        for (section, shown) in sections.iter().zip(shown).filter(|(_, shown)| !shown.is_empty()) {
            let Section { kind, title, .. } = section;
            let total = number(section.total);
            writeln!(
                out,
                "<section data-section=\"{kind}\"><h2>{title} <span class=\"count\">{total}</span></h2>"
            )?;
            for (at, size) in shown {
                out.write_all((section.card)(at, size).as_bytes())?;
            }
            writeln!(out, "</section>")?;
        }
        writeln!(out, "</main>")?;
        out.write_all(self.foot().as_bytes())?;
        writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>")
    }

    /// The headline, what must not be overlooked, the counts and the
    /// consequences.
    fn top(&self) -> String {
        let Header {
            company,
            server,
            dialect: _,
            version,
            manifest,
        } = self.header;
        let mut top = format!(
            "<body>\n<a class=\"skip\" href=\"#changes\">Skip to the changes</a>\n<header>\n<h1>{}</h1>\n\
             <p class=\"soft\">{} on {}, API version {}, manifest {}</p>\n",
            self.headline,
            code(company.as_str()),
            code(server),
            code(version),
            code(&manifest.short()),
        );
        if !self.plan.cautions.is_empty() {
            let cautions: String = self.plan.cautions.iter().map(card::caution).collect();
            top.push_str(&boxed("warn", "Caution", &format!("<ul>{cautions}</ul>")));
        }
        top.push_str(&self.outcome);
        if !self.plan.breaches.is_empty() {
            let broken: String = self.plan.breaches.iter().map(card::breach).collect();
            top.push_str(&boxed(
                "stop",
                "Refused",
                &format!(
                    "<p>A guardrail is broken, so nothing of this plan is carried out.</p><ul>{broken}</ul>"
                ),
            ));
        }
        if self.counts.left_out > 0 {
            let left_out = plural(self.counts.left_out, "user");
            top.push_str(&boxed(
                "warn",
                "Partial plan",
                &format!("<p><code>--only</code> leaves out {left_out} of the manifest.</p>"),
            ));
        }
        top.push_str(&counts(self.counts));
        let notes: String = consequences(self.plan, self.header, self.counts)
            .into_iter()
            .map(|(label, sentence)| format!("<li><b>{label}:</b> {sentence}</li>\n"))
            .collect();
        if !notes.is_empty() {
            top.push_str(&format!("<ul class=\"notes\">\n{notes}</ul>\n"));
        }
        top
    }

    /// What was read, and the digest to expect.
    fn foot(&self) -> String {
        let Reads {
            accounts,
            profiles,
            from_mapping,
        } = self.plan.reads;
        format!(
            "<footer>\n<p>Looked at {} and {}; {} taken from the mapping.</p>\n<p>Digest {}</p>\n\
             <p>Pictures are small copies; of animated ones, the first frame.</p>\n</footer>\n",
            plural(accounts, "account"),
            plural(profiles, "profile"),
            number(from_mapping),
            code(&summary::digest(self.plan).to_string()),
        )
    }
}

/// A text's digest, in the form that the policy needs.
fn source(text: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest.as_bytes()))
}

/// A box for what must not be overlooked.
fn boxed(kind: &str, title: &str, body: &str) -> String {
    format!("<div class=\"box {kind}\"><h2>{title}</h2>{body}</div>\n")
}

fn counts(counts: &Counts) -> String {
    let cells: String = tally(counts)
        .into_iter()
        .map(|(name, count)| {
            let zero = if count == 0 { " class=\"zero\"" } else { "" };
            format!("<div{zero}><dt>{name}</dt><dd>{}</dd></div>\n", number(count))
        })
        .collect();
    format!("<dl class=\"counts\">\n{cells}</dl>\n")
}

/// Exactly what is not on the page.
fn left_out(sections: &[Section<'_>], shown: &[Vec<(usize, Size)>]) -> String {
    let missing: Vec<String> = sections
        .iter()
        .zip(shown)
        .filter(|(section, shown)| shown.len() < section.total)
        .map(|(section, shown)| {
            let left = number(section.total - shown.len());
            format!("{left} of {} {}", number(section.total), section.title)
        })
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    let body = format!(
        "<p>To keep this page small: {}. The JSON report lists all.</p>",
        missing.join("; ")
    );
    boxed("warn", "Left out", &body)
}

/// The search, and a checkbox for each kind that occurs. Hidden until the
/// script that serves them runs.
fn filters(sections: &[Section<'_>]) -> String {
    let kinds: String = sections
        .iter()
        .filter(|section| section.total > 0)
        .map(|Section { kind, title, total, .. }| {
            format!(
                "<label><input type=\"checkbox\" checked data-kind=\"{kind}\"> <span>{title} <b>{}</b></span></label>\n",
                number(*total)
            )
        })
        .collect();
    if kinds.is_empty() {
        return String::new();
    }
    format!(
        "<form id=\"filters\" hidden role=\"search\">\n<div class=\"find\"><label>Search users and values, or press /\n\
         <input type=\"search\" id=\"search\" autocomplete=\"off\" spellcheck=\"false\"></label>\n\
         <button type=\"reset\">Show all</button></div>\n\
         <fieldset><legend>Show</legend>\n{kinds}\
         <label><input type=\"checkbox\" id=\"pictured\"> <span>only with a picture</span></label>\n</fieldset>\n\
         <p id=\"told\" role=\"status\" aria-live=\"polite\"></p>\n</form>\n"
    )
}

#[cfg(test)]
mod tests;
