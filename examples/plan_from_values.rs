//! A plan out of plain values: no file, no network, no clock.
//!
//! Planning is one pure function of three facts. What the manifest asks for
//! (desired), what Whop shows (observed), and what we last applied (known).
//! The third fact is what tells an edit in the manifest from drift on Whop.
//!
//! Run it with `cargo run --example plan_from_values`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use whop_sync::core::digest::Digest;
use whop_sync::core::model::{
    Account, Desired, DesiredUser, Dialect, Entry, Guardrails, Known, KnownUser, Link, MetaValue, Observed,
    Policy, Profile, ProfileRead, Stand,
};
use whop_sync::core::planner;
use whop_sync::core::text::Sorted;
use whop_sync::core::value::{AccountId, DisplayName, Email, PlatformId, UserId, UserKey};
use whop_sync::render::style::Palette;
use whop_sync::render::{self, Header};

const VERSION: &str = "2026-10-15-1";

fn main() -> Result<(), Box<dyn Error>> {
    // Desired: four users, as a manifest would list them.
    let users = [
        wanted("ada", "Ada Lovelace")?,
        wanted("grace", "Grace Hopper")?,
        wanted("joan", "Joan Clarke")?,
        wanted("mary", "Mary Jackson")?,
    ];
    let platform = PlatformId::parse("biz_example")?;
    let entries = users.map(|user| Entry {
        user,
        at: Stand::default(),
    });
    let desired = Desired::new(platform.clone(), Guardrails::default(), entries.into())
        .map_err(|problems| format!("{problems:?}"))?;

    // Known: what an earlier apply recorded. It has never heard of Joan, and
    // of Mary neither.
    let known = Known {
        users: BTreeMap::from([
            applied("ada", "Augusta Ada King")?,
            applied("grace", "Grace Hopper")?,
        ]),
        ..Known::default()
    };

    // Observed: Grace's name was changed on Whop, and Joan has an account that
    // some other program made for her.
    let observed = Observed {
        complete: true,
        accounts: vec![account("ada")?, account("grace")?, account("joan")?],
        profiles: BTreeMap::from([
            profile("ada", "Augusta Ada King")?,
            profile("grace", "Amazing Grace")?,
            profile("joan", "Joan Clarke")?,
        ]),
        ..Observed::default()
    };

    // The time is an argument too: the same inputs give the same plan, always.
    let policy = Policy::new(Dialect::Accounts, VERSION, 1_790_000_000);
    let plan = planner::plan(&desired, &observed, &known, &policy);

    println!("Ada was edited, Grace drifted, Joan is found, Mary is new:\n");
    let header = Header {
        company: platform,
        server: "nowhere".to_owned(),
        dialect: Dialect::Accounts,
        version: VERSION.to_owned(),
        manifest: Digest::of(b"this example"),
    };
    render::plan::write(&mut std::io::stdout(), &plan, &header, Palette::Plain)?;

    // Absence proves something only when the whole list was read.
    let half_read = Observed {
        complete: false,
        ..observed
    };
    let careful = planner::plan(&desired, &half_read, &known, &policy);
    println!("\nHad Whop listed only some of the accounts:\n");
    for hold in &careful.holds {
        let words = render::messages::reason(&hold.reason);
        println!("! hold {}: {}", hold.key, words.message);
    }
    Ok(())
}

/// A user as the manifest asks for them. Every value is parsed: there is no
/// way to hold a malformed one.
fn wanted(id: &str, name: &str) -> Result<DesiredUser, Box<dyn Error>> {
    Ok(DesiredUser {
        key: UserKey::parse(id)?,
        email: Email::parse(&email(id))?,
        name: DisplayName::parse(name)?,
        avatar: None,
        title: None,
        metadata: Sorted::new(),
        renamed_from: None,
    })
}

/// A mapping entry: whose account it is, and the name last applied.
fn applied(id: &str, name: &str) -> Result<(UserKey, KnownUser), Box<dyn Error>> {
    let link = Link {
        account: AccountId::parse(&format!("biz_{id}"))?,
        owner: UserId::parse(&format!("user_{id}"))?,
    };
    let known = KnownUser {
        name: Some(name.into()),
        ..KnownUser::linked(link)
    };
    Ok((UserKey::parse(id)?, known))
}

/// An account as Whop lists it.
fn account(id: &str) -> Result<Account, Box<dyn Error>> {
    let own_id = |key: &str| (key.into(), MetaValue::Text(id.into()));
    Ok(Account {
        id: AccountId::parse(&format!("biz_{id}"))?,
        owner: UserId::parse(&format!("user_{id}"))?,
        email: Some(email(id).into()),
        title: id.into(),
        metadata: Sorted::from([own_id("external_id"), own_id("internal_user_id")]),
        suspended: false,
        created: None,
    })
}

/// The profile that the owner shows inside the platform's company.
fn profile(id: &str, name: &str) -> Result<(UserId, ProfileRead), Box<dyn Error>> {
    let shown = Profile {
        name: Some(name.into()),
        picture: None,
    };
    Ok((UserId::parse(&format!("user_{id}"))?, ProfileRead::Seen(shown)))
}

fn email(id: &str) -> String {
    format!("{id}@example.com")
}
