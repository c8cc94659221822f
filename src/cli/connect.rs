//! From settings and a manifest to everything a run talks to.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use secrecy::SecretString;

use super::clock::{now, seconds};
use super::key::KeySource;
use super::output::Printer;
use super::reports;
use super::settings::Settings;
use super::values::Server;
use crate::core::model::Policy;
use crate::core::problem::Problem;
use crate::core::problem_code::ProblemCode;
use crate::core::value::{PlatformId, UserKey};
use crate::emulator::{self, Emulator, State};
use crate::error::{Code, Error, Result};
use crate::fsys::{self, Secret};
use crate::manifest::{self, Manifest, Memory, PictureCache};
use crate::remote::{ApiBase, Authorities, Client, HttpTransport, Options, Transport};
use crate::render::Header;
use crate::store::{self, Identity, Paths};

/// What a run may do to the emulator, whose state is a file beside the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It only looks, and writes nothing.
    Read,
    /// What it changes is kept.
    Write,
}

/// One run's ends: the manifest, Whop, and where state is kept.
pub(super) struct Ends {
    pub(super) manifest: Arc<Manifest>,
    /// What was learnt of its pictures.
    pub(super) memory: Memory,
    pub(super) client: Client,
    pub(super) identity: Identity,
    pub(super) paths: Paths,
    pub(super) policy: Policy,
    pub(super) header: Header,
    /// The run's random id.
    pub(super) run_id: String,
    /// Kept so that its state file stays open as long as the run.
    _emulator: Option<Emulator>,
}

impl Ends {
    /// Loads the manifest and connects. Sends nothing yet.
    ///
    /// # Errors
    /// The manifest's problems, a missing key, an invalid server.
    pub(super) async fn open(settings: &Settings, printer: &Printer, access: Access) -> Result<Self> {
        let mut memory = recall(settings);
        let manifest = load(settings, &mut memory)?;
        only_known_users(settings, &manifest)?;
        let platform = manifest.desired.platform().clone();
        let run_id = run_id()?;
        let (client, emulator) = client(settings, printer, &platform, &run_id, access).await?;
        let server = settings.server.to_string();
        let header = Header {
            company: platform.clone(),
            server: server.clone(),
            dialect: client.dialect(),
            version: client.version().as_str().to_owned(),
            manifest: manifest.digest,
        };
        Ok(Self {
            policy: settings.policy(seconds(now())),
            identity: Identity {
                company: platform,
                server,
            },
            paths: settings.paths.state.clone(),
            manifest: Arc::new(manifest),
            memory,
            client,
            header,
            run_id,
            _emulator: emulator,
        })
    }
}

/// What earlier runs remembered of pictures.
pub(super) fn recall(settings: &Settings) -> Memory {
    let kept = settings
        .cache
        .then(|| store::pictures::read(&settings.paths.state, &settings.disk));
    let index = kept
        .flatten()
        .map(|(bytes, written)| PictureCache::parse(&bytes, written));
    let now = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Memory {
        index: index.unwrap_or_default(),
        now: i64::try_from(now.as_nanos()).unwrap_or(0),
        read: 0,
    }
}

/// Reads the manifest, and reports its problems where code scanning looks for
/// them, before anything else may end the run.
pub(super) fn load(settings: &Settings, memory: &mut Memory) -> Result<Manifest> {
    match manifest::load_with(&settings.manifests, memory) {
        Ok(manifest) => {
            reports::problems(settings, &manifest.warnings, None)?;
            Ok(manifest)
        }
        Err(error) => {
            // What is wrong with the manifest weighs more than that this
            // cannot be written.
            let _ = reports::problems(settings, error.manifest_problems(), Some(&error));
            Err(error)
        }
    }
}

/// Connects for the users of `platform`. Sends nothing yet. The emulator is to
/// be kept as long as the client.
pub(super) async fn client(
    settings: &Settings,
    printer: &Printer,
    platform: &PlatformId,
    run_id: &str,
    access: Access,
) -> Result<(Client, Option<Emulator>)> {
    let (transport, emulator) = transport(settings, printer, platform.as_str(), access).await?;
    let per_minute = settings
        .limit
        .map_or(NonZeroU32::new(600), |limit| limit.per_minute);
    let options = Options {
        per_minute,
        in_flight: in_flight(per_minute),
        seed: u64::from_str_radix(&run_id[..16], 16).unwrap_or_default(),
        ..Options::default()
    };
    let client = Client::new(transport, settings.version.clone(), platform.clone(), options);
    Ok((client, emulator))
}

/// Requests in flight that reach a limit at a second's latency, with some three
/// operations side by side; within what a process may have open.
fn in_flight(per_minute: Option<NonZeroU32>) -> usize {
    let least = Options::default().in_flight;
    per_minute.map_or(400, |limit| (limit.get() as usize / 20).clamp(least, 400))
}

/// The manifest's warnings that matter for this server: the emulator takes
/// addresses at reserved domains, Whop may not.
pub(super) fn warnings(settings: &Settings, manifest: &Manifest) -> Vec<Problem> {
    let matters = |problem: &&Problem| {
        settings.server != Server::Emulator || problem.code != ProblemCode::ReservedEmail
    };
    manifest.warnings.iter().filter(matters).cloned().collect()
}

/// The id that was probably meant by an unknown one, as a question.
pub(super) fn did_you_mean<'k>(key: &UserKey, ids: impl IntoIterator<Item = &'k UserKey>) -> Option<String> {
    let near = manifest::nearest(key.as_str(), ids.into_iter().map(UserKey::as_str))?;
    Some(format!("did you mean `{near}`?"))
}

/// `--only` must name users that exist.
fn only_known_users(settings: &Settings, manifest: &Manifest) -> Result<()> {
    for key in settings.only.iter().flatten() {
        if manifest.desired.user(key).is_none() {
            let ids = manifest.desired.users().iter().map(|user| &user.key);
            let hint = did_you_mean(key, ids)
                .unwrap_or_else(|| "`--only` takes an id as the manifest has it".to_owned());
            let message = format!("the manifest has no user `{key}`");
            return Err(Error::new(Code::UserUnknown, message).hint(hint));
        }
    }
    Ok(())
}

async fn transport(
    settings: &Settings,
    printer: &Printer,
    platform: &str,
    access: Access,
) -> Result<(Arc<dyn Transport>, Option<Emulator>)> {
    let Some(base) = settings.server.base() else {
        let state = settings.paths.emulator.clone();
        let emulator = open_emulator(emulator::Settings {
            platform: Some(platform.to_owned()),
            state: match access {
                Access::Write => State::Kept(state),
                Access::Read => State::Read(state),
            },
            disk: settings.disk.clone(),
            exchanges: settings.exchanges.clone(),
            ..emulator::Settings::default()
        })?;
        return Ok((Arc::new(emulator.transport(Some("emulator"))), Some(emulator)));
    };
    let base =
        ApiBase::parse(base).map_err(|why| Error::new(Code::Usage, format!("the server's URL {why}")))?;
    let key = key(settings, printer).await?;
    let authorities = authorities(settings)?;
    let transport = HttpTransport::trusting(base, key, &authorities, settings.own_hosts.clone())?;
    Ok((Arc::new(transport), None))
}

/// The largest file with a key that is read, in bytes; a key has less than a
/// hundred.
const MOST_KEY: u64 = 64 * 1024;

/// The largest file with authorities that is read, in bytes; all those of a
/// browser come to a quarter of a million.
const MOST_AUTHORITIES: u64 = 16 * 1024 * 1024;

/// The key, read once. One that comes through a pipe is waited for on another
/// thread, so that a signal can still end the run.
async fn key(settings: &Settings, printer: &Printer) -> Result<SecretString> {
    let KeySource::File(path) = &settings.key else {
        return settings.key.load(|_| Err(std::io::ErrorKind::Unsupported.into()));
    };
    let named = path.clone();
    let read = tokio::task::spawn_blocking(move || fsys::read_secret(&named, MOST_KEY)).await;
    let read = read.map_err(|cause| Error::new(Code::Internal, "the key's reader ended").caused_by(cause))?;
    settings.key.load(|_| {
        let Secret { bytes, is_exposed } = read?;
        if is_exposed {
            printer.story(&format!(
                "warning: others than its owner may read the key in `{}`; take that right away, such as with `chmod 600`",
                path.display()
            ));
        }
        Ok(bytes)
    })
}

/// The authorities of `--ca-file`.
fn authorities(settings: &Settings) -> Result<Authorities> {
    let Some(path) = &settings.ca_file else {
        return Ok(Authorities::default());
    };
    let hint = "`--ca-file` names a PEM file with the certificates of your own authority";
    let pem = fsys::read_trusted(path, MOST_AUTHORITIES)
        .map_err(|cause| Error::file("read", path, cause).or_hint(hint))?;
    Authorities::parse(&pem)
        .map_err(|why| Error::new(Code::Usage, format!("`{}` {why}", path.display())).hint(hint))
}

/// Opens the emulator with its state.
pub(super) fn open_emulator(settings: emulator::Settings) -> Result<Emulator> {
    let state = match &settings.state {
        State::Memory => PathBuf::new(),
        State::Kept(path) | State::Read(path) => path.clone(),
    };
    Emulator::open(settings).map_err(|cause| {
        Error::file("open the emulator's state", &state, cause)
            .or_hint("another emulator may have it open; or move the file away to begin with an empty one")
    })
}

/// A random id, so that no two runs share an idempotency key.
pub(super) fn run_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Code::Internal, "the system gave no random numbers").caused_by(cause))?;
    let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    tracing::Span::current().record("id", id.as_str());
    Ok(id)
}
