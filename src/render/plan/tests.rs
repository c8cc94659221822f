//! Plans as text, line by line.

use super::super::escape;
use super::super::style::stripped;
use super::*;
use crate::core::digest::Digest;
use crate::core::identity::Evidence;
use crate::core::model::{Dialect, Guard, Limit};
use crate::core::plan::{Breach, Cause, Learned, Reason};
use crate::core::sample;

fn header() -> Header {
    Header {
        company: sample::plan(Vec::new(), Vec::new()).platform,
        server: "production".into(),
        dialect: Dialect::Accounts,
        version: "2026-10-15-1".into(),
        manifest: Digest::of(b"manifest"),
    }
}

fn text(plan: &Plan, palette: Palette) -> String {
    let mut out = Vec::new();
    write(&mut out, plan, &header(), palette).unwrap();
    String::from_utf8(out).unwrap()
}

fn rich() -> Plan {
    let mut resent = sample::create("u2", "Resent");
    if let Kind::Create(new) = &mut resent.kind {
        new.replaces = Some(sample::account("biz_gone"));
        new.metadata.insert("tier".into(), "gold".into());
        new.resend = Some(sample::resend("u2", new));
    }
    resent.profile.picture = None;
    let mut changed = sample::update("u4", "Jane Doe", "Jane Dow", Cause::Both);
    changed.account = sample::account_change();
    changed.profile.picture = sample::picture_change(Some("a.png"), "avatars/u1.png", Cause::Drifted);
    changed.renamed_from = Some(sample::key("u0"));
    let mut adopted = sample::adopt("u3", Evidence::ExternalId);
    adopted.profile.picture = sample::picture_change(None, "avatars/u3.png", Cause::New);
    adopted.profile.name = sample::name_change(None, "Ann", Cause::New);
    let create = sample::create("u1", "Ann");
    let actions = vec![create, resent, adopted, changed, sample::forget("u6")];
    let hold = Hold {
        key: sample::key("u5"),
        reason: Reason::Suspended {
            account: sample::account("biz_5"),
        },
    };
    let mut plan = sample::plan(actions, vec![hold]);
    plan.unchanged = 1_094;
    plan.unmanaged = vec![
        sample::unmanaged("7", Some("u7"), None),
        sample::unmanaged("8", None, Some("Stray \u{202e}account")),
    ];
    plan.reads = Reads {
        accounts: 1_100,
        profiles: 1_000,
        from_mapping: 100,
    };
    plan
}

const RICH: &str = r#"Plan for biz_Platform on production (API version 2026-10-15-1)

Identity: accounts that get another user, or whose evidence is contradictory. Read these first

~ update u4, formerly u0 (biz_u4, user_u4)
    identity change: until now this account was u0, shown as "Jane Dow"
    title          "Old studio" → "New studio"
    metadata.team  none → "print"
    metadata.tier  "gold" → "silver"  (drifted)
    name           "Jane Doe" → "Jane Dow"  (edited and drifted)
    avatar         the one on Whop → 588cd071c332 49.3 kB 512×256 PNG avatars/u1.png  (drifted)

Everything else

+ create u1
    email   "u1@example.com"
    title   "Ann"
    name    "Ann"
    avatar  588cd071c332 49.3 kB 512×256 PNG avatars/u1.png

+ create u2
    replaces account biz_gone, which is gone
    resends the earlier unanswered request byte for byte, so no second account can be created
    email          "u2@example.com"
    title          "Resent"
    metadata.tier  "gold"
    name           "Resent"

= adopt u3 (biz_u3, user_u3)
    found by metadata.external_id
    name    none → "Ann"
    avatar  unknown → d2e4e6469c51 49.3 kB 512×256 PNG avatars/u3.png

! hold u5
    why         Whop has suspended account `biz_5`
    what to do  resolve this with Whop, or remove the user from the manifest

- forget u6 (biz_u6, user_u6)
    no longer in the manifest, and its account is gone from Whop

Unmanaged: on Whop or in the mapping, not in the manifest; left alone
    biz_7 u7
    biz_8 "Stray \u{202e}account"

Plan: 2 to create, 1 to adopt, 1 to update, 1 to forget, 1 held, 1,094 unchanged, 2 unmanaged
  mail        Whop writes to 2 addresses, one for each new account
  pictures    3 pictures to set, 2 to upload
  again       1 may be there already: Whop does not say which picture an adopted user has, so it is set once more
  looked at   1,100 accounts, 1,000 profiles; 100 taken from the mapping
  requests    at least create_account 2, create_file 2, list_files 1, update_account 1, update_user 4, upload_file 2
  time        at least 1s, at 600 requests a minute for each operation
  guardrails  kept
"#;

const HOLDS: &str = r#"Identity: accounts that get another user, or whose evidence is contradictory. Read these first

! hold contradicted
    why         the mapping links `u2` to account `biz_1`, but the account carries `u1` under `metadata.external_id`
    what to do  the mapping is wrong: remove the line of `u2` from it; account `biz_2` carries this user's id, so the next run finds it

! hold email_changed
    why         account `biz_1` has another email, `w…@example.com`, and Whop cannot change it
    what to do  either put that email into the manifest (`whop-sync explain` shows it in full), or have the address corrected on Whop by hand (the API cannot do it), or give this user a new id, which creates a new account

! hold linked_elsewhere
    why         account `biz_1` matches, but the mapping links it to user `u8`
    what to do  if this user was `u8` before, add `renamed_from: u8`; if the mapping is wrong, remove the line of `u8` from it; if the account is wrong, correct its metadata on Whop

! hold mapped_twice
    why         the mapping links account `biz_1` to this user and also to `u6`
    what to do  remove these lines from the mapping; the next run finds each account by its `external_id`

! hold unproven
    why         the mapping links `u2` to account `biz_1`, but the account carries no id and shows no email, so nothing confirms that it is this user's
    what to do  the mapping is wrong: remove the line of `u2` from it; account `biz_2` carries this user's id, so the next run finds it

Everything else

! hold ambiguous
    why         2 accounts match by email: `biz_1`, `biz_2`
    what to do  decide which one is this user's: set `metadata.external_id` on Whop to this user's id on that one, and clear it on the others

! hold email_taken
    why         the email already belongs to account `biz_1`, which carries the id `u9`
    what to do  if it is the same person, use that id or `renamed_from`; if not, use another email; `--allow duplicate` creates a second account for the same person

! hold in_doubt
    why         a create sent at 2023-11-14T22:13:20Z got no answer, and what Whop shows does not tell whether it worked
    what to do  run again later to check again; to settle it now, check Whop's dashboard: if the account is not there, `--allow in_doubt --only ID` creates it for this user

! hold incomplete
    why         Whop did not list every account, so one that is missing from the list may still exist
    what to do  run again; if this persists, `whop-sync doctor` shows what Whop leaves out

! hold metadata_fixed
    why         metadata differs (`team`, `tier`), and this API version cannot change it
    what to do  write Whop's values into the manifest, or use a newer `--api-version`

! hold owner_missing
    why         Whop reports that the account's owner `user_1` does not exist
    what to do  check the account on Whop, and ask Whop's support if it looks right there

! hold shared_owner
    why         on Whop this user is the same person (`user_1`) as `u6`, `u7`, and a person has only one profile per company
    what to do  keep only one of these users in the manifest, or give each an account with an email of its own

! hold suspended
    why         Whop has suspended account `biz_1`
    what to do  resolve this with Whop, or remove the user from the manifest

! hold unreadable
    why         this user could not be read: 503 from Whop
    what to do  run again; if this persists, `whop-sync doctor` shows whether the key lacks a scope; otherwise ask Whop about this user

! hold vanished
    why         nothing is created while more than a tenth of the mapped accounts cannot be found
    what to do  check company, server and key; if those accounts really are gone, run once with `--allow vanished`

"#;

#[test]
fn every_kind_of_action_is_shown_in_full() {
    let plan = rich();
    let digest = summary::digest(&plan);
    assert_eq!(
        text(&plan, Palette::Plain),
        format!("{RICH}  digest      {digest}\n")
    );
}

#[test]
fn every_hold_says_why_and_what_to_do() {
    let shown = text(&sample::plan(Vec::new(), sample::every_hold()), Palette::Plain);
    let blocks = shown.split_once("\n\n").map(|(_, rest)| rest.starts_with(HOLDS));
    assert_eq!(blocks, Some(true), "{shown}");
    assert!(shown.contains("\nNothing to apply: 15 held\n"), "{shown}");
}

#[test]
fn colour_adds_only_escapes_and_marks_what_differs() {
    let painted = text(&rich(), Palette::Colour);
    assert_eq!(stripped(&painted), text(&rich(), Palette::Plain));
    let (gone, come) = ("\u{1b}[1;31me\u{1b}[0m", "\u{1b}[1;32mw\u{1b}[0m");
    assert!(
        painted.contains(&format!("\"Jane Do{gone}\" → \"Jane Do{come}\"")),
        "{painted}"
    );
    assert!(painted.contains("\u{1b}[32m+ create\u{1b}[0m"), "{painted}");
    let whole = "\"\u{1b}[1;31mgold\u{1b}[0m\" → \"\u{1b}[1;32msilver\u{1b}[0m\"";
    assert!(painted.contains(whole), "{painted}");
}

#[test]
fn hostile_names_can_neither_act_nor_deceive() {
    let old = "Ann\u{1b}[2J\u{202e}\nfake + create\u{200b}\" → \"";
    let mut action = sample::update("u1", old, "Ann\u{202e}", Cause::Edited);
    action.key = sample::key("u\u{202e}1");
    action.account.metadata.insert(
        "k\u{200b}".into(),
        crate::core::plan::Change {
            old: None,
            new: "v\u{1b}".into(),
            cause: Cause::New,
        },
    );
    action.profile.picture = sample::picture_change(None, "a\u{202e}.png", Cause::New);
    let hold = Hold {
        key: sample::key("u\u{2066}2"),
        reason: Reason::Unreadable {
            message: "\u{1b}]0;title\u{7}\n! hold everybody".into(),
        },
    };
    let plan = sample::plan(vec![action], vec![hold]);
    let plain = text(&plan, Palette::Plain);
    assert!(
        !plain.chars().any(|c| c != '\n' && escape::is_hostile(c)),
        "{plain}"
    );
    let name =
        r#"name                "Ann\u{1b}[2J\u{202e}\u{a}fake + create\u{200b}\" → \"" → "Ann\u{202e}""#;
    assert!(plain.contains(name), "{plain}");
    assert!(plain.contains("~ update u\\u{202e}1 ") && plain.contains("! hold u\\u{2066}2\n"));
    let painted = text(&plan, Palette::Colour);
    assert_eq!(stripped(&painted), plain);
}

#[test]
fn a_huge_value_does_not_flood_the_screen() {
    let old = "x".repeat(1_000_000);
    let plan = sample::plan(
        vec![sample::update("u1", &old, "Ann", Cause::Drifted)],
        Vec::new(),
    );
    for palette in [Palette::Plain, Palette::Colour] {
        let shown = stripped(&text(&plan, palette));
        assert!(shown.len() < 2_000 && shown.contains("x\"… and 999,700 characters more → \"Ann\""));
    }
}

#[test]
fn a_partial_plan_says_so_before_and_after() {
    let mut plan = rich();
    plan.left_out = 3;
    let shown = text(&plan, Palette::Plain);
    let notice = "PARTIAL PLAN: `--only` leaves out 3 users of the manifest\n";
    assert_eq!(shown.matches(notice).count(), 2, "{shown}");
    assert!(!text(&rich(), Palette::Plain).contains("PARTIAL"));
}

#[test]
fn broken_limits_are_shown_with_the_way_out() {
    let mut plan = rich();
    plan.breaches = vec![Breach {
        guard: Guard::MaxUpdates,
        most: 3,
        wanted: 7,
        limit: Some(Limit::Percent(30)),
    }];
    let shown = text(&plan, Palette::Plain);
    let expected = "  guardrails  BROKEN: this plan is refused
    ! `max_updates`: 7 users to change, at most 3 (30% of the accounts on Whop that carry an id of this manifest)
      if this is intended, pass `--allow max_updates` for this run, or raise `guardrails.max_updates` in the manifest
";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn nothing_to_do_is_said_in_so_many_words() {
    let mut plan = sample::plan(Vec::new(), Vec::new());
    plan.unchanged = 12;
    plan.learned = vec![Learned {
        key: sample::key("u1"),
        entry: crate::core::model::KnownUser::linked(sample::link("1")),
    }];
    let shown = text(&plan, Palette::Plain);
    assert!(shown.contains("\nNothing to do: 12 unchanged\n"), "{shown}");
    assert!(
        shown.contains("apply completes 1 entry without a request"),
        "{shown}"
    );
    assert!(!shown.contains("requests") && !shown.contains("mail "), "{shown}");
}

#[test]
fn of_accounts_left_alone_the_first_are_named() {
    let mut plan = rich();
    plan.unmanaged = (0..25)
        .map(|n| sample::unmanaged(&format!("x{n:02}"), None, None))
        .collect();
    let shown = text(&plan, Palette::Plain);
    assert!(
        shown.contains("biz_x19\n    and 5 more;") && !shown.contains("biz_x20"),
        "{shown}"
    );
}

#[test]
fn users_come_in_the_order_of_their_ids_after_those_who_get_another() {
    let shown = text(&rich(), Palette::Plain);
    let signs: String = shown
        .lines()
        .filter(|line| line.len() > 1 && line.as_bytes()[1] == b' ')
        .filter_map(|line| line.chars().next())
        .filter(|sign| "+=~-!".contains(*sign))
        .collect();
    assert_eq!(signs, "~++=!-");
}

#[test]
fn a_closed_pipe_is_reported_with_its_cause() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = write(&mut Closed, &rich(), &header(), Palette::Plain).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
