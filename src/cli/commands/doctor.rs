//! `doctor`: what is wrong with the set-up, and how to mend it. Looks at
//! everything it can get at, whatever else is wrong. Sends GET only, and
//! writes nothing.

use std::collections::HashSet;

use crate::cli::clock::{now, seconds};
use crate::cli::connect::{self, Access, client};
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::cli::signals::Wishes;
use crate::cli::values::{Format, Server};
use crate::core::identity;
use crate::core::model::{Account, Desired, Dialect, Known};
use crate::core::value::{AccountId, PlatformId, UserKey};
use crate::error::{Code, Error, Exit, Result};
use crate::manifest::{self, Manifest};
use crate::remote::{CallError, Client, Operation, Version, where_to_get};
use crate::render::doctor::{self, Diagnosis, Health};
use crate::render::{json, messages};
use crate::store::{self, Identity};

/// What a plan does, and why; then what an apply does besides.
const PLANS: [(Operation, &str); 2] = [
    (Operation::ListAccounts, "to list accounts"),
    (Operation::RetrieveAccount, "to look at one account"),
];
const APPLIES: [(Operation, &str); 3] = [
    (Operation::CreateAccount, "to create accounts"),
    (Operation::UpdateAccount, "to set titles and metadata"),
    (Operation::UpdateUser, "to set names and pictures"),
];

/// How far clocks may be apart, in seconds, before it is worth a look. A
/// create whose answer was lost is settled by times ([idempotency](crate::whop_api#idempotency)).
const CLOCKS_APART: u64 = 300;

/// How many accounts that the list leaves out are asked for one by one.
const MOST_ASKED: usize = 50;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync doctor --server sandbox
  whop-sync doctor --server sandbox --probe
  whop-sync doctor --format json";

/// How far to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Check also which of the assumptions about Whop hold, by reading only
    ///
    /// This program was written from documentation, and where that is silent it
    /// makes assumptions. Each one is tested with GET only, some tens of
    /// requests: it holds, it differs, or it cannot be decided without writing
    /// or from what there is to read. The exit status is that of the checks.
    #[arg(long)]
    pub(crate) probe: bool,
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &DoctorArgs) -> Result<Exit> {
    let mut wishes = Wishes::listen(None)?;
    let diagnosis = wishes.or_stop(examine(settings, printer, args.probe)).await?;
    printer.result(|out| match printer.format() {
        Format::Json => json::diagnosis(out, &diagnosis),
        // Settings let no other format through to here.
        Format::Human | Format::Markdown | Format::Csv => doctor::write(out, &diagnosis, printer.palette),
    })?;
    Ok(match diagnosis.count(Health::Bad) {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Names `doctor` in an error of another command where it helps: it looks at
/// all that a key can be wrong in.
pub(crate) fn advise(error: Error) -> Error {
    let of_key = matches!(
        error.code(),
        Code::KeyRefused | Code::PermissionMissing | Code::CompanyUnknown
    );
    if !of_key {
        return error;
    }
    let hint = match error.what_to_do() {
        Some(hint) => format!("{hint}; `whop-sync doctor` looks at all of it"),
        None => "`whop-sync doctor` looks for what is wrong".to_owned(),
    };
    error.hint(hint)
}

async fn examine(settings: &Settings, printer: &Printer, probe: bool) -> Diagnosis {
    let mut found = Diagnosis::default();
    let manifest = manifest::load(&settings.manifests);
    look_at_manifest(&mut found, settings, &manifest);
    let mapped = store::read_mapping(&settings.paths.state.mapping, &settings.disk);
    let named = manifest.as_ref().ok().map(|manifest| manifest.desired.platform());
    let company = named.or(mapped.as_ref().ok().map(|(identity, _)| &identity.company));
    let Some(company) = company.cloned() else {
        for name in ["key", "version", "company", "permissions", "mapping"] {
            found.add(
                name,
                Health::Skipped,
                "neither the manifest nor the mapping names the company",
            );
        }
        look_at_run(&mut found, settings, None);
        return found;
    };
    let (accounts, clock, client) = look_at_whop(&mut found, settings, printer, &company).await;
    let identity = Identity {
        company,
        server: settings.server.to_string(),
    };
    let loaded = store::load(&settings.paths.state, &identity, &settings.disk);
    let interrupted = loaded.as_ref().ok().map(|loaded| loaded.interrupted);
    let known = loaded.map(|loaded| loaded.known);
    if let (true, Some(client)) = (probe, client) {
        let none = Known::default();
        found.probes = Some(client.probe(known.as_ref().unwrap_or(&none)).await);
    }
    let desired = manifest.as_ref().ok().map(|manifest| &manifest.desired);
    look_at_mapping(&mut found, settings, desired, known, accounts).await;
    look_at_run(&mut found, settings, interrupted);
    look_at_clock(&mut found, clock);
    found
}

fn look_at_manifest(found: &mut Diagnosis, settings: &Settings, manifest: &Result<Manifest>) {
    match manifest {
        Ok(manifest) => {
            let users = manifest.desired.users();
            let pictures = users.iter().filter_map(|user| user.avatar.as_ref());
            let bytes: u64 = pictures.clone().map(|avatar| avatar.bytes).sum();
            let warnings = connect::warnings(settings, manifest).len();
            let (users, pictures) = (
                messages::plural(users.len(), "user"),
                messages::plural(pictures.count(), "picture"),
            );
            match warnings {
                0 => found.add("manifest", Health::Ok, format!("valid: {users}")),
                count => found.mend(
                    "manifest",
                    Health::Warning,
                    format!("valid: {users}, with {}", messages::plural(count, "warning")),
                    "`whop-sync validate` shows them",
                ),
            }
            found.add(
                "pictures",
                Health::Ok,
                format!("{pictures} found and whole, {}", messages::size(bytes)),
            );
        }
        Err(error) => {
            let problems = error.manifest_problems();
            let of_pictures = problems
                .iter()
                .filter(|problem| problem.code.is_about_picture())
                .count();
            let mend = match error.code() {
                Code::ManifestInvalid => "`whop-sync validate` shows every problem in its place".to_owned(),
                _ => error.what_to_do().unwrap_or_default().to_owned(),
            };
            found.mend("manifest", Health::Bad, error.message(), mend);
            if of_pictures > 0 {
                let count = messages::plural(of_pictures, "picture");
                found.add("pictures", Health::Bad, format!("{count} cannot be used"));
            } else {
                found.add("pictures", Health::Skipped, "the manifest could not be read");
            }
        }
    }
}

/// The accounts that were listed, with the client that can ask for more.
type Listed = Option<(Client, Vec<Account>)>;

/// Looks at key, version, company and permissions. Gives the accounts if they
/// could be listed, how far Whop's clock is ahead of ours, in seconds, and the
/// client for more.
async fn look_at_whop(
    found: &mut Diagnosis,
    settings: &Settings,
    printer: &Printer,
    company: &PlatformId,
) -> (Listed, Option<i64>, Option<Client>) {
    let connected = match connect::run_id() {
        Ok(id) => client(settings, printer, company, &id, Access::Read).await,
        Err(error) => Err(error),
    };
    let (client, _emulator) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            found.mend(
                "key",
                Health::Bad,
                error.message(),
                error.what_to_do().unwrap_or_default(),
            );
            for name in ["version", "company", "permissions"] {
                found.add(name, Health::Skipped, "Whop could not be asked");
            }
            return (None, None, None);
        }
    };
    let listing = client.list_accounts().await;
    let clock = client
        .server_time()
        .map(|theirs| theirs as i64 - seconds(now()) as i64);
    let listed = match listing {
        Err(error) => {
            blame(found, settings, &client, error);
            None
        }
        Ok(listing) => {
            good_connection(found, settings, &client).await;
            look_at_company(found, &client, &listing.accounts, listing.complete).await;
            Some(listing.accounts)
        }
    };
    match &listed {
        Some(_) => look_at_permissions(found, &client).await,
        // What is missing may be the very reason.
        None if found
            .checks
            .iter()
            .any(|c| c.name == "key" && c.health == Health::Ok) =>
        {
            look_at_permissions(found, &client).await;
        }
        None => found.add("permissions", Health::Skipped, "Whop could not be asked"),
    }
    let accounts = listed.map(|accounts| (client.clone(), accounts));
    (accounts, clock, Some(client))
}

async fn good_connection(found: &mut Diagnosis, settings: &Settings, client: &Client) {
    let key = match settings.server {
        Server::Emulator => "none is needed for the emulator".to_owned(),
        _ => format!("{} takes it", settings.server),
    };
    found.add("key", Health::Ok, key);
    let (version, own) = (client.version(), Version::default());
    let said = match *version == own {
        true => format!("{} is understood", version.as_str()),
        false => format!(
            "{} is understood; this whop-sync is made for {}",
            version.as_str(),
            own.as_str()
        ),
    };
    // A server that does not name its versions leaves nothing to remark.
    match client.newest_version().await.and_then(|named| named.newer) {
        None => found.add("version", Health::Ok, said),
        Some(newer) => found.mend(
            "version",
            Health::Warning,
            format!("{said}; the server has newer ones, up to {newer}"),
            "look for a newer whop-sync; until there is one nothing has to be done, since a version keeps its \
             meaning",
        ),
    }
}

async fn look_at_company(found: &mut Diagnosis, client: &Client, accounts: &[Account], complete: bool) {
    let company = client.platform();
    let count = messages::plural(accounts.len(), "account");
    match client.own_account().await {
        Ok(own) if own != *company => found.mend(
            "company",
            Health::Bad,
            format!("the key belongs to {own}, and not to {company}"),
            "write the key's own company into the manifest, or use a key of the manifest's",
        ),
        _ if !complete => found.mend(
            "company",
            Health::Warning,
            format!("{company} is there, but Whop did not list every account"),
            "run again; nothing is created or forgotten from half a list",
        ),
        // A key may be fine without the scope to be told whose it is.
        _ => found.add(
            "company",
            Health::Ok,
            format!("{company} is there, with {count} under it"),
        ),
    }
}

/// The list could not be had: says which of the four things is wrong.
fn blame(found: &mut Diagnosis, settings: &Settings, client: &Client, error: CallError) {
    let error = error.into_error();
    let (message, mend) = (
        error.message().to_owned(),
        error.what_to_do().unwrap_or_default().to_owned(),
    );
    let names = ["key", "version", "company"];
    let wrong = match error.code() {
        Code::KeyRefused => 0,
        Code::VersionUnknown => 1,
        Code::CompanyUnknown | Code::PermissionMissing => 2,
        // Nothing that was asked for is known to be wrong.
        _ => {
            found.mend("network", Health::Bad, message, mend);
            for name in names {
                found.add(name, Health::Skipped, "Whop did not answer as it should");
            }
            return;
        }
    };
    for (at, name) in names.into_iter().enumerate() {
        match (at == wrong, name) {
            (true, _) => found.mend(name, Health::Bad, message.clone(), mend.clone()),
            (false, "key") if wrong == 2 => {
                found.add(name, Health::Ok, format!("{} takes it", settings.server));
            }
            (false, "version") if wrong == 2 => {
                found.add(
                    name,
                    Health::Ok,
                    format!("{} is understood", client.version().as_str()),
                );
            }
            (false, _) => found.add(name, Health::Skipped, "cannot be checked before that is fixed"),
        }
    }
}

async fn look_at_permissions(found: &mut Diagnosis, client: &Client) {
    if client.dialect() == Dialect::Companies {
        return found.add(
            "permissions",
            Health::Skipped,
            "the older API version cannot be asked",
        );
    }
    let needs = |calls: &'static [(Operation, &'static str)]| {
        let scopes = calls
            .iter()
            .map(|(call, why)| (call.scope(Dialect::Accounts), *why));
        scopes.flat_map(|(names, why)| names.iter().map(move |name| (*name, why)))
    };
    let names: Vec<&str> = needs(&PLANS)
        .chain(needs(&APPLIES))
        .map(|(name, _)| name)
        .collect();
    match client.permissions(&names).await {
        Err(error) => found.mend(
            "permissions",
            Health::Warning,
            format!("could not be asked for: {}", error.message),
            "an apply asks again before it writes anything",
        ),
        Ok(granted) => {
            let lacks = |(name, _): &(&str, &str)| granted.get(*name) != Some(&true);
            let plans: Vec<_> = needs(&PLANS).filter(lacks).collect();
            let missing: Vec<_> = plans
                .iter()
                .copied()
                .chain(needs(&APPLIES).filter(lacks))
                .collect();
            if missing.is_empty() {
                return found.add(
                    "permissions",
                    Health::Ok,
                    "the key may do all that an apply needs",
                );
            }
            let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
            let told: Vec<String> = missing
                .iter()
                .map(|(name, why)| format!("`{name}` ({why})"))
                .collect();
            let can_plan = match plans.is_empty() {
                true => "the key can plan, and not apply: it",
                false => "the key",
            };
            found.mend(
                "permissions",
                Health::Bad,
                format!("{can_plan} lacks {}", told.join(", ")),
                where_to_get(&names),
            );
        }
    }
}

async fn look_at_mapping(
    found: &mut Diagnosis,
    settings: &Settings,
    desired: Option<&Desired>,
    known: Result<Known>,
    listed: Listed,
) {
    let known = match known {
        Ok(known) => known,
        Err(error) => {
            let mend = error.what_to_do().unwrap_or_default();
            return found.mend("mapping", Health::Bad, error.message(), mend);
        }
    };
    if known.users.is_empty() {
        let path = settings.paths.state.mapping.display();
        return found.add(
            "mapping",
            Health::Ok,
            format!("none yet at `{path}`: the first apply writes it"),
        );
    }
    let entries = messages::plural_of(known.users.len(), "entry", "entries");
    let Some((client, accounts)) = listed else {
        return found.add(
            "mapping",
            Health::Ok,
            format!("readable: {entries}; not compared with Whop"),
        );
    };
    let wrong = identity::wrong_entries(desired, &known, &accounts);
    if !wrong.is_empty() {
        return found.mend(
            "mapping",
            Health::Bad,
            format!(
                "{} of {entries} name an account that is not that user's: {}",
                messages::number(wrong.len()),
                messages::list(&wrong)
            ),
            "`whop-sync plan` says what each account carries instead; remove these lines from the mapping, and the next run finds the accounts again by their `external_id`",
        );
    }
    let Missing { dead, unread } = look_for_missing(&client, &known, &accounts).await;
    let Some(error) = unread else {
        return match dead.len() {
            0 => found.add(
                "mapping",
                Health::Ok,
                format!("readable: {entries}, and every account is there"),
            ),
            count => found.mend(
                "mapping",
                Health::Warning,
                format!(
                    "{} of {entries} name an account that is gone: {}",
                    messages::number(count),
                    messages::list(&dead)
                ),
                "`whop-sync plan` shows which are made again and which are forgotten",
            ),
        };
    };
    // Not gone, for all that is known: what cannot be read tells nothing.
    found.mend(
        "mapping",
        Health::Warning,
        format!("readable: {entries}, of which some are not listed and cannot be looked at: {error}"),
        error.hint().unwrap_or_default(),
    );
}

/// The users whose account the list leaves out.
#[derive(Default)]
struct Missing {
    /// Whop says that it is not there any more.
    dead: Vec<UserKey>,
    /// Why one of them could not be looked at.
    unread: Option<CallError>,
}

/// A list may lag, so that the first that it leaves out are asked for.
async fn look_for_missing(client: &Client, known: &Known, accounts: &[Account]) -> Missing {
    let listed: HashSet<&AccountId> = accounts.iter().map(|account| &account.id).collect();
    let missing = known
        .users
        .iter()
        .filter(|(_, entry)| !listed.contains(&entry.link.account));
    let mut found = Missing::default();
    for (at, (key, entry)) in missing.enumerate() {
        if at >= MOST_ASKED {
            found.dead.push(key.clone());
            continue;
        }
        match client.retrieve_account(&entry.link.account).await {
            Ok(Some(_)) => {}
            Ok(None) => found.dead.push(key.clone()),
            Err(error) => {
                found.unread = Some(error);
                break;
            }
        }
    }
    found
}

/// What an apply in hand, or one that died, has left.
fn look_at_run(found: &mut Diagnosis, settings: &Settings, interrupted: Option<bool>) {
    let paths = &settings.paths.state;
    let held: Option<Error> = store::locked(paths, &settings.disk);
    let is_held = held.is_some();
    match held {
        None => found.add("lock", Health::Ok, "free"),
        Some(error) => found.mend(
            "lock",
            Health::Warning,
            error.message(),
            error.what_to_do().unwrap_or_default(),
        ),
    }
    match interrupted {
        Some(true) if is_held => found.add("journal", Health::Ok, "of the apply in hand"),
        Some(true) => found.mend(
            "journal",
            Health::Warning,
            format!("an apply was interrupted and left `{}`", paths.journal.display()),
            "keep the file, and run `whop-sync apply`, which resumes from it",
        ),
        Some(false) => found.add("journal", Health::Ok, "nothing is left over"),
        None => found.add("journal", Health::Skipped, "could not be read"),
    }
}

fn look_at_clock(found: &mut Diagnosis, ahead: Option<i64>) {
    let Some(ahead) = ahead else {
        return found.add("clock", Health::Skipped, "the server does not tell its time");
    };
    let apart = ahead.unsigned_abs();
    if apart < CLOCKS_APART {
        return found.add("clock", Health::Ok, "agrees with the server's");
    }
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    found.mend(
        "clock",
        Health::Warning,
        format!("this computer's is {} {side} the server's", messages::span(apart)),
        "set the clock: creates whose answer was lost are settled by it",
    );
}
