//! `export`: a manifest of what Whop has now, and with `--avatars` the
//! pictures beside it. Sends GET only; writes no file that is there already.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::plan::ticking;
use crate::cli::clock::{now, seconds};
use crate::cli::connect::{Access, client, run_id};
use crate::cli::output::{self, Printer};
use crate::cli::settings::Settings;
use crate::cli::signals::Wishes;
use crate::core::digest::Digest;
use crate::core::export::{Export, LeftOut, Why, export, wanted};
use crate::core::model::{Avatar, Desired, Dialect, Entry, Guardrails, Known, Observed, ProfileRead, Stand};
use crate::core::value::{ImageFormat, PlatformId, UserId, UserKey};
use crate::core::{planner, summary};
use crate::error::{Code, Error, Exit, Result};
use crate::fsys::{How, OsDisk};
use crate::manifest;
use crate::remote::refresh::{Progress as Looked, read_profiles};
use crate::remote::{Client, Downloaded};
use crate::render::{messages, plan, yaml};
use crate::store::{self, Identity, Replacement};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync export --company biz_XXXXXXXXXXXXX --out users.yaml
  whop-sync export --out users.new.yaml --avatars avatars";

/// How an export is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ExportArgs {
    /// Write the manifest to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Download the pictures into this folder, beside the manifest
    ///
    /// For users in the mapping, only pictures that were set by whop-sync. Whop
    /// shows a placeholder for people without a picture, which looks like one.
    #[arg(long, value_name = "DIR")]
    pub(crate) avatars: Option<PathBuf>,
    /// Your own account on Whop [default: the manifest's or the mapping's]
    #[arg(long, value_name = "BIZ_ID", value_parser = PlatformId::parse)]
    pub(crate) company: Option<PlatformId>,
    /// Overwrite files that are there already
    #[arg(long)]
    pub(crate) force: bool,
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &ExportArgs) -> Result<Exit> {
    let mut wishes = Wishes::listen(None)?;
    if let Some(out) = args.out.as_deref().filter(|out| !args.force && out.exists()) {
        return Err(exists(out));
    }
    let (company, guardrails) = whose(settings, args)?;
    let connecting = async { client(settings, printer, &company, &run_id()?, Access::Read).await };
    let (client, _emulator) = wishes.or_stop(connecting).await??;
    if client.dialect() == Dialect::Companies {
        return Err(Error::new(
            Code::Usage,
            "this API version does not return emails, which a manifest needs",
        )
        .hint("leave `--api-version` out"));
    }
    let identity = Identity {
        company: company.clone(),
        server: settings.server.to_string(),
    };
    let known = store::load(&settings.paths.state, &identity, &settings.disk)?.known;
    let observed = wishes.or_stop(look(settings, &client, &known)).await??;
    let Export { mut users, left_out } = export(&observed, &known);
    if let Some(folder) = &args.avatars {
        let mut gallery = Gallery::open(&settings.disk, folder, args.out.as_deref(), args.force)?;
        let wanted = users.iter().filter_map(|exported| {
            let url = exported.picture.clone()?;
            Some((url, exported.user.key.clone()))
        });
        wishes.or_stop(gallery.fetch(&client, wanted.collect())).await?;
        gallery.tell(printer)?;
        for exported in &mut users {
            exported.user.avatar = gallery.kept.remove(&exported.user.key).map(Box::new);
        }
    }
    let write = |out: &mut dyn Write| {
        let users = users.iter().map(|exported| {
            let path = exported.user.avatar.as_ref().map(|avatar| &*avatar.path);
            (&exported.user, path)
        });
        yaml::write(out, &company, &guardrails, users)
    };
    let mut text = Vec::new();
    write(&mut text)
        .map_err(|cause| Error::new(Code::Internal, "the manifest could not be made").caused_by(cause))?;
    if let Some(path) = &args.out {
        save(&settings.disk, path, &text, args.force)?;
        let count = messages::plural(users.len(), "user");
        printer.story(&format!("{count} written to {}", path.display()));
    }
    if args.out.is_none() || printer.is_json() {
        printer.text("export", &text)?;
    }
    let entries = users.iter().map(|exported| Entry {
        user: exported.user.clone(),
        at: Stand::default(),
    });
    match Desired::new(company, guardrails, entries.collect()) {
        Ok(desired) => foretell(settings, printer, &desired, &observed, &known),
        Err(problems) => return Err(Error::problems(problems)),
    }
    tell_left_out(printer, &left_out);
    Ok(Exit::Done)
}

/// The company and its limits: what was named, else the manifest's, else the
/// mapping's.
fn whose(settings: &Settings, args: &ExportArgs) -> Result<(PlatformId, Guardrails)> {
    let loaded = manifest::load(&settings.manifests);
    let guardrails = match &loaded {
        Ok(manifest) => *manifest.desired.guardrails(),
        Err(_) => Guardrails::default(),
    };
    match (&args.company, loaded) {
        (Some(company), _) => Ok((company.clone(), guardrails)),
        (None, Ok(manifest)) => Ok((manifest.desired.platform().clone(), guardrails)),
        (None, Err(error)) if error.code() == Code::ManifestMissing => {
            let mapping = store::read_mapping(&settings.paths.state.mapping, &settings.disk);
            let (identity, _) = mapping.map_err(|_| {
                Error::new(
                    Code::Usage,
                    "there is neither a manifest nor a mapping that names the company",
                )
                .hint("name it with `--company biz_…`: your platform's own account on Whop")
            })?;
            Ok((identity.company, guardrails))
        }
        (None, Err(error)) => Err(error),
    }
}

/// Lists the accounts and reads the profiles of those with an id.
async fn look(settings: &Settings, client: &Client, known: &Known) -> Result<Observed> {
    let progress = RefCell::new(output::progress(&settings.output));
    let started = tokio::time::Instant::now();
    let looking = async {
        let listing = client.list_accounts().await?;
        let mut observed = Observed {
            complete: listing.complete,
            accounts: listing.accounts,
            time: client.server_time(),
            ..Observed::default()
        };
        let owners: BTreeSet<UserId> = wanted(&observed, known).map(|a| a.owner.clone()).collect();
        let on_look = |looked| {
            if let Looked::Read(done, of) = looked {
                progress.borrow_mut().reading(done as u64, of as u64);
            }
        };
        let profiles: BTreeMap<UserId, ProfileRead> =
            read_profiles(client, owners.into_iter().collect(), on_look).await?;
        observed.profiles = profiles;
        Ok(observed)
    };
    let observed = ticking(looking, || {
        progress
            .borrow_mut()
            .tick(started.elapsed(), output::waits(client))
    })
    .await
    .map_err(|error: crate::remote::CallError| error.into_error())?;
    if observed.complete {
        return Ok(observed);
    }
    Err(Error::new(Code::AnswerInvalid, "Whop did not list every account")
        .hint("run again: half a list would make a manifest that leaves people out"))
}

/// The pictures' folder, and what came of each.
struct Gallery<'a> {
    disk: &'a OsDisk,
    folder: PathBuf,
    /// The folder as the manifest names it, with a slash at its end.
    named: String,
    force: bool,
    kept: BTreeMap<UserKey, Avatar>,
    /// Why a user has no picture in the export.
    missed: Vec<(UserKey, String)>,
    /// Files that are there with another content.
    refused: Vec<String>,
    failed: Option<Error>,
}

impl<'a> Gallery<'a> {
    /// Makes the folder, through no link. It must lie in the manifest's own, or
    /// the manifest would be refused.
    fn open(disk: &'a OsDisk, folder: &Path, out: Option<&Path>, force: bool) -> Result<Self> {
        let fail = |cause| Error::file("create the folder", folder, cause);
        disk.make_folder(folder).map_err(fail)?;
        let base = out
            .and_then(Path::parent)
            .filter(|base| !base.as_os_str().is_empty());
        let base = fs::canonicalize(base.unwrap_or(Path::new("."))).map_err(fail)?;
        let real = fs::canonicalize(folder).map_err(fail)?;
        let parts: Option<Vec<&str>> = real
            .strip_prefix(&base)
            .ok()
            .and_then(|inner| inner.iter().map(|part| part.to_str()).collect());
        let Some(parts) = parts else {
            return Err(Error::new(
                Code::Usage,
                format!("`{}` does not lie in the manifest's own folder", folder.display()),
            )
            .hint("name a folder beside or below the manifest: pictures outside it are refused"));
        };
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            named: parts.iter().map(|part| format!("{part}/")).collect(),
            force,
            kept: BTreeMap::new(),
            missed: Vec::new(),
            refused: Vec::new(),
            failed: None,
        })
    }

    async fn fetch(&mut self, client: &Client, wanted: Vec<(Box<str>, UserKey)>) {
        let wanted = wanted.into_iter().map(|(url, key)| Wanted { url, key });
        client
            .download_pictures(wanted, |Wanted { url: _, key }, fetched| match fetched {
                Ok(picture) => self.keep(key, &picture),
                Err(why) => self.missed.push((key, why)),
            })
            .await;
    }

    fn keep(&mut self, key: UserKey, picture: &Downloaded) {
        let name = file_name(&key, picture.format);
        let path = self.folder.join(&name);
        let kept = match there(self.disk, &path, &picture.bytes) {
            Ok(There::Same) => Ok(()),
            Ok(There::Other) if !self.force => {
                return self.refused.push(format!("{}{name}", self.named));
            }
            Ok(There::Other | There::Nothing) => save(self.disk, &path, &picture.bytes, self.force),
            Err(cause) => Err(Error::file("write", &path, cause)),
        };
        if let Err(error) = kept {
            self.failed.get_or_insert(error);
            return;
        }
        let avatar = Avatar {
            path: format!("{}{name}", self.named).into(),
            part: 0,
            digest: Digest::of(&picture.bytes),
            format: picture.format,
            bytes: picture.bytes.len() as u64,
            width: picture.width,
            height: picture.height,
        };
        self.kept.insert(key, avatar);
    }

    /// Tells what was not kept.
    ///
    /// # Errors
    /// A file that is there with another content, or could not be written.
    fn tell(&mut self, printer: &Printer) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.refused.sort();
        if let Some(first) = self.refused.first() {
            let count = messages::plural(self.refused.len(), "picture");
            return Err(Error::new(
                Code::IoFailed,
                format!("{count} would overwrite another one, such as `{first}`"),
            )
            .hint("name an empty folder, or pass `--force`; no manifest was written"));
        }
        self.missed.sort();
        for (key, why) in &self.missed {
            printer.story(&format!("no picture of {}: {why}", safe(key.as_str())));
        }
        Ok(())
    }
}

/// A picture to fetch and whose it is.
struct Wanted {
    url: Box<str>,
    key: UserKey,
}

impl AsRef<str> for Wanted {
    fn as_ref(&self) -> &str {
        &self.url
    }
}

fn safe(text: &str) -> String {
    crate::render::escape::terminal(text).into_owned()
}

/// Longest part of an id in a file's name, in characters.
const LONGEST_STEM: usize = 60;

/// Names that Windows keeps for devices, whatever follows the dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A file name for a user's picture that every system takes. One that is not
/// the id itself carries a digest of it, so that no two ids share a file, also
/// where upper and lower case are one.
fn file_name(key: &UserKey, format: ImageFormat) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let id = key.as_str();
    let stem: String = id
        .chars()
        .take(LONGEST_STEM)
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    let device = DEVICES.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()));
    // A hyphen at the beginning would be an option to many a program.
    let same = stem == id && !device && !id.starts_with('-');
    let extension = format.extension();
    match same {
        true => format!("{stem}.{extension}"),
        false => {
            let digest = Digest::of(id.as_bytes()).short();
            format!("{}-{digest}.{extension}", stem.trim_start_matches('-'))
        }
    }
}

/// What is there already of a file to be written.
enum There {
    Nothing,
    Same,
    Other,
}

/// Compares a file with what it shall be.
fn there(disk: &OsDisk, path: &Path, bytes: &[u8]) -> io::Result<There> {
    let file = match disk.open(path, How::Read) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(cause) => return Err(cause),
    };
    let mut found = Vec::new();
    file.take(bytes.len() as u64 + 1).read_to_end(&mut found)?;
    Ok(match found == bytes {
        true => There::Same,
        false => There::Other,
    })
}

/// Writes a new file, or with consent in the place of one that is there.
fn save(disk: &OsDisk, path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    if force {
        return Replacement::begin(disk, path)?.finish(bytes);
    }
    let written = disk
        .open(path, How::New)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Error::file("write", path, cause),
    })
}

fn exists(path: &Path) -> Error {
    Error::new(Code::IoFailed, format!("`{}` is there already", path.display()))
        .hint("name another file, or pass `--force` to overwrite it")
}

/// Says what planning this manifest comes to, from what was just seen.
fn foretell(settings: &Settings, printer: &Printer, desired: &Desired, observed: &Observed, known: &Known) {
    let policy = settings.policy(seconds(now()));
    let plan = planner::plan(desired, observed, known, &policy);
    let counts = summary::counts(&plan);
    printer.story(&format!("Planning it comes to: {}", plan::headline(&counts)));
    if counts.pictures > 0 {
        printer.story(&format!(
            "  {} set once more: the downloaded pictures may differ from the files that were sent",
            messages::plural(counts.pictures, "picture")
        ));
    }
}

/// How many accounts that are left out are named; the rest is counted.
const NAMED: usize = 20;

fn tell_left_out(printer: &Printer, left_out: &[LeftOut]) {
    if left_out.is_empty() {
        return;
    }
    printer.story(&format!(
        "Not exported: {}",
        messages::plural(left_out.len(), "account")
    ));
    for LeftOut { account, title, why } in left_out.iter().take(NAMED) {
        printer.story(&format!("  {account} {}: {}", safe(title), safe(&because(why))));
    }
    if left_out.len() > NAMED {
        printer.story(&format!(
            "  and {} more",
            messages::number(left_out.len() - NAMED)
        ));
    }
}

fn because(why: &Why) -> String {
    match why {
        Why::NoId => "it carries no id of yours; set its `metadata.external_id` on Whop".to_owned(),
        Why::BadId(why) => format!("the id it carries {why}"),
        Why::SharedId(key) => format!("another account carries the id `{key}` too"),
        Why::NoEmail => "Whop returns no email".to_owned(),
        Why::BadEmail(why) => format!("its email {why}"),
        Why::SharedEmail => "it shares email or owner with another account, and so the profile".to_owned(),
        Why::NoName => "its owner shows no name".to_owned(),
        Why::BadName(why) => format!("the name {why}"),
        Why::Unreadable(why) => format!("the profile could not be read: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> String {
        file_name(&UserKey::parse(id).unwrap(), ImageFormat::Png)
    }

    #[test]
    fn every_id_gives_a_file_name_that_every_system_takes() {
        assert_eq!(name("user_1"), "user_1.png");
        let odd = [
            "Ann",
            "ann ",
            "../../etc/passwd",
            "con",
            "COM1",
            "lpt9",
            "a/b",
            "a\\b",
            "-rf",
            "..",
            "ünï",
            "a:b",
            "a.b",
            "a b",
            "\u{202e}x",
        ];
        let mut seen = BTreeSet::from([name("ann"), name("user_1")]);
        for id in odd.iter().filter_map(|id| UserKey::parse(id).ok()) {
            let name = name(id.as_str());
            let stem = name.strip_suffix(".png").unwrap();
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
            assert!(stem.chars().all(fits) && !stem.starts_with('-'), "{name}");
            assert!(name.len() < 100 && !DEVICES.contains(&stem), "{name}");
            assert!(seen.insert(name), "{id}: shared");
        }
        assert!(name(&"x".repeat(255)).len() < 100);
    }
}
