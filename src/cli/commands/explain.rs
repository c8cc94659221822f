//! `explain`: one user from every side. Reads the list of accounts and one
//! profile, and writes nothing.

use super::completions;
use crate::cli::connect::{Access, Ends, did_you_mean};
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::cli::signals::Wishes;
use crate::cli::values::Format;
use crate::core::explain;
use crate::core::model::{Known, Observed, Refresh};
use crate::core::value::UserKey;
use crate::error::{Code, Error, Exit, Result};
use crate::remote::refresh::refresh;
use crate::render::{self, json};
use crate::store;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync explain user_12345
  whop-sync explain user_12345 --format json";

/// Whom to explain.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct ExplainArgs {
    /// Your platform's id of the user
    #[arg(value_name = "ID", value_parser = UserKey::parse, add = completions::ids())]
    pub(crate) id: UserKey,
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &ExplainArgs) -> Result<Exit> {
    let key = &args.id;
    let mut wishes = Wishes::listen(None)?;
    let mut ends = wishes
        .or_stop(Ends::open(settings, printer, Access::Read))
        .await??;
    ends.policy.only = Some([key.clone()].into());
    ends.policy.refresh = Refresh::Full;
    let known = store::load(&ends.paths, &ends.identity, &settings.disk)?.known;
    let desired = &ends.manifest.desired;
    if desired.user(key).is_none() && !known.users.contains_key(key) {
        return Err(unknown(&ends, &known, key));
    }
    let observed = wishes.or_stop(look(&ends, &known, key)).await??;
    let places = ends.manifest.places(&[key]);
    let Some(explained) = explain::explain(key, desired, &observed, &known, &ends.policy) else {
        return Err(unknown(&ends, &known, key));
    };
    let place = places.get(key);
    if place.is_none() && explained.user.is_some() {
        printer.story("The manifest has changed since it was read; this is about what it was.");
    }
    printer.result(|out| match printer.format() {
        Format::Json => json::explanation(out, &explained, place),
        // Settings let no other format through to here.
        Format::Human | Format::Markdown | Format::Csv => {
            render::explain::write(out, &explained, place, printer.palette)
        }
    })?;
    Ok(Exit::Done)
}

/// Lists the accounts and reads this user's profile. That of one who left the
/// manifest is nothing a plan would read.
async fn look(ends: &Ends, known: &Known, key: &UserKey) -> Result<Observed> {
    let desired = &ends.manifest.desired;
    let looking = refresh(&ends.client, desired, known, &ends.policy, |_| {});
    let mut observed = looking.await.map_err(|error| error.into_error())?;
    let entry = known.users.get(key).filter(|_| desired.user(key).is_none());
    let left = entry.and_then(|entry| explain::left(key, entry, &observed));
    if let Some(owner) = left.map(|account| account.owner.clone()) {
        let read = ends.client.read_profile(&owner).await;
        let read = read.map_err(|error| error.into_error())?;
        observed.profiles.insert(owner, read);
    }
    Ok(observed)
}

fn unknown(ends: &Ends, known: &Known, key: &UserKey) -> Error {
    let users = ends.manifest.desired.users();
    let ids = users.iter().map(|user| &user.key).chain(known.users.keys());
    let message = format!("neither the manifest nor the mapping has a user `{key}`");
    let hint = did_you_mean(key, ids).unwrap_or_else(|| "it takes an id as the manifest has it".to_owned());
    Error::new(Code::UserUnknown, message).hint(hint)
}
