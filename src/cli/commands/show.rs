//! `show`: the mapping, for the platform's own code. Reads one file.

use super::completions;
use crate::cli::connect::did_you_mean;
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::cli::values::Format;
use crate::core::model::Known;
use crate::core::value::UserKey;
use crate::error::{Code, Error, Exit, Result};
use crate::render::{json, mapping};
use crate::store::read_mapping;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync show user_12345 --format json
  whop-sync show --format csv";

/// Whom to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ShowArgs {
    /// Your platform's id of one user
    #[arg(value_name = "ID", value_parser = UserKey::parse, add = completions::ids())]
    pub(crate) id: Option<UserKey>,
}

pub(crate) fn run(settings: &Settings, printer: &Printer, args: &ShowArgs) -> Result<Exit> {
    let id = args.id.as_ref();
    let (identity, users) = read_mapping(&settings.paths.state.mapping, &settings.disk)?;
    if let Some(id) = id
        && !users.contains_key(id)
    {
        let hint = match did_you_mean(id, users.keys()) {
            Some(near) => format!("{near} Or has this user not been applied yet?"),
            None => "use the manifest's id; only users that were applied appear here".to_owned(),
        };
        return Err(Error::new(Code::UserUnknown, format!("the mapping has no user `{id}`")).hint(hint));
    }
    let known = Known {
        users,
        ..Known::default()
    };
    printer.result(|out| match printer.format() {
        // Settings let no Markdown through to here.
        Format::Human | Format::Markdown => mapping::human(out, &known, id),
        Format::Csv => mapping::csv(out, &known, id),
        Format::Json => json::mapping(out, &known, id, identity.company.as_str(), &identity.server),
    })?;
    Ok(Exit::Done)
}
