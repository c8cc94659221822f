//! `emulator`: serves the emulated Whop until a signal ends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::connect::open_emulator;
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::cli::values::{KeyGrant, Rate, span};
use crate::emulator::serve::Server;
use crate::emulator::{self, BOUNCES, Key, Keys, RESERVED, Script, State};
use crate::error::{Code, Error, Exit, Result};
use crate::fsys;
use crate::render::json;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync emulator --port 8484
  whop-sync emulator --rate 0 --latency 50ms --key plan=payout:account:read,company:balance:read
  whop-sync emulator --faults faults.json
  whop-sync emulator --api-version 2026-09-15      pass for a server that knows nothing newer

A fault script, which loses the third create's answer and breaks 1% of all requests:
  {\"seed\": 7, \"faults\": [
    {\"operation\": \"create_account\", \"skip\": 2, \"count\": 1, \"strike\": {\"kind\": \"reset_after\"}},
    {\"count\": null, \"chance\": 1, \"strike\": {\"kind\": \"html\", \"status\": 502}}]}
Each fault may name `operation`, `containing` (a text in the request), `skip`, `count` (null for
all) and `chance` in a hundred. The strikes and their fields:
  answer status body headers      answer_after status      html status
  limited seconds header message  refused status           oversized bytes
  reset_before   reset_after      slow millis              late millis
  truncated      stale seconds    dies_in_progress acts    page_grows
  page_skips entries              page_repeats entries
  file_fails     file_stalls      url_expires";

/// How the emulator is served.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct EmulatorArgs {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8484)]
    pub(crate) port: u16,
    /// Where accounts, profiles and files are kept [default: .whop-sync/emulator.jsonl]
    ///
    /// The default is beside the manifest, and is the one that
    /// `--server emulator` uses.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Requests allowed for each operation; 0 for no limit
    #[arg(long, value_name = "RATE", default_value = "600/min", value_parser = Rate::parse)]
    pub(crate) rate: Rate,
    /// Delay of every answer, such as 50ms
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = span)]
    pub(crate) latency: Duration,
    /// A key and its scopes; repeatable. Without this, every key may do everything
    ///
    /// KEY alone has every scope; KEY= has none. KEY=role:ROLE has those of a
    /// system role of Whop's (owner, admin, moderator, sales_manager or
    /// advertiser); as on Whop, no custom key can be given user:profile:update.
    #[arg(long = "key", value_name = "KEY=SCOPE,…", value_parser = KeyGrant::parse)]
    pub(crate) keys: Vec<KeyGrant>,
    /// Faults to simulate: a script in JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Answer as Whop's documentation says where recorded answers differ
    #[arg(long)]
    pub(crate) documented: bool,
    /// Take addresses at domains reserved for examples and tests, such as example.com
    ///
    /// Whop refuses them, since no mail can arrive there. `--server emulator`
    /// takes them in any case.
    #[arg(long)]
    pub(crate) deliver_anything: bool,
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &EmulatorArgs) -> Result<Exit> {
    let EmulatorArgs {
        port,
        // Among the paths that are settled.
        state: _,
        rate,
        latency,
        keys,
        faults,
        documented,
        deliver_anything,
    } = args;
    let keys: Vec<Key> = keys.iter().map(key).collect();
    if let Some(scope) = keys.iter().find_map(Key::impossible).filter(|_| !documented) {
        let message = format!("no custom key can hold `{scope}` on Whop");
        return Err(
            Error::new(Code::Usage, message).hint("`--key KEY=role:owner` is a key with the Owner role")
        );
    }
    // Read first: a mistake in it must not leave a state file behind.
    let script = faults.as_deref().map(script).transpose()?;
    let emulator = open_emulator(emulator::Settings {
        keys: if keys.is_empty() {
            Keys::Any
        } else {
            Keys::Only(keys)
        },
        rate: rate.per_minute.map_or(0, NonZeroU32::get),
        latency: *latency,
        state: State::Kept(settings.paths.emulator.clone()),
        disk: settings.disk.clone(),
        exchanges: settings.exchanges.clone(),
        newest: Some(settings.version.as_str().to_owned()),
        documented: *documented,
        undeliverable: match deliver_anything {
            true => vec![BOUNCES.to_owned()],
            false => RESERVED.map(str::to_owned).to_vec(),
        },
        ..emulator::Settings::default()
    })?;
    if let Some(script) = script {
        emulator.script(script);
    }
    let mut signals = Signals::listen()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let server = Server::bind(emulator, address).await.map_err(|cause| {
        Error::new(Code::IoFailed, format!("could not listen on {address}"))
            .caused_by(cause)
            .hint("is another emulator running? `--port 0` takes any free port")
    })?;
    // On stdout, so that a script can wait for the line and read the URL.
    let base = server.base();
    printer.result(|out| match printer.is_json() {
        true => json::serving(out, &base),
        false => writeln!(out, "{base}"),
    })?;
    printer.story(&format!(
        "Serving until Ctrl-C, with state in `{}`. Try:\n  WHOP_API_KEY=any whop-sync plan --server {base}",
        settings.paths.emulator.display()
    ));
    server.run(signals.next()).await;
    Ok(Exit::Done)
}

/// The largest fault script that is read, in bytes: tens of thousands of faults.
const MOST_SCRIPT: u64 = 16 * 1024 * 1024;

/// Reads a fault script.
fn script(path: &Path) -> Result<Script> {
    let bytes = fsys::read_named(path, MOST_SCRIPT)
        .map_err(|cause| Error::file("read the fault script", path, cause))?;
    let unusable = |why: &dyn std::fmt::Display| {
        Error::new(
            Code::Usage,
            format!("the fault script `{}` cannot be used: {why}", path.display()),
        )
        .hint("`whop-sync emulator --help` shows an example and names every strike")
    };
    let text = std::str::from_utf8(&bytes).map_err(|why| unusable(&why))?;
    Script::parse(text).map_err(|why| unusable(&why))
}

fn key(grant: &KeyGrant) -> Key {
    Key::with(&grant.key, grant.scopes.clone())
}
