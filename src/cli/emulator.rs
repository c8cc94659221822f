//! `emulator`: serves the emulated Whop until a signal ends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::connect::open_emulator;
use super::output::Printer;
use super::settings::Settings;
use super::signals::Signals;
use super::values::{KeyGrant, Rate};
use crate::emulator::serve::Server;
use crate::emulator::{self, Key, Keys, Script};
use crate::error::{Code, Error, Exit, Result};
use crate::render::json;

/// How it is to be served.
pub(super) struct Served<'a> {
    /// Port on loopback; 0 takes any free one.
    pub(super) port: u16,
    /// Requests for each operation.
    pub(super) rate: Rate,
    /// Time that every answer takes.
    pub(super) latency: Duration,
    /// The keys it accepts; none for any.
    pub(super) keys: &'a [KeyGrant],
    /// The fault script, if any.
    pub(super) faults: Option<&'a Path>,
}

pub(super) async fn run(settings: &Settings, printer: &Printer, served: Served<'_>) -> Result<Exit> {
    let Served {
        port,
        rate,
        latency,
        keys,
        faults,
    } = served;
    // Read first: a mistake in it must not leave a state file behind.
    let script = faults.map(script).transpose()?;
    let emulator = open_emulator(emulator::Settings {
        keys: if keys.is_empty() {
            Keys::Any
        } else {
            Keys::Only(keys.iter().map(key).collect())
        },
        rate: rate.per_minute.map_or(0, NonZeroU32::get),
        latency,
        state: Some(settings.paths.emulator.clone()),
        exchanges: settings.exchanges.clone(),
        newest: Some(settings.version.as_str().to_owned()),
        ..emulator::Settings::default()
    })?;
    if let Some(script) = script {
        emulator.script(script);
    }
    let mut signals = Signals::listen()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
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

/// Reads a fault script.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads a fault script"
)]
fn script(path: &Path) -> Result<Script> {
    let text =
        std::fs::read_to_string(path).map_err(|cause| Error::file("read the fault script", path, cause))?;
    Script::parse(&text).map_err(|why| {
        Error::new(
            Code::Usage,
            format!("the fault script `{}` cannot be used: {why}", path.display()),
        )
        .hint("`whop-sync emulator --help` shows an example and names every strike")
    })
}

fn key(grant: &KeyGrant) -> Key {
    Key {
        scopes: grant.scopes.clone(),
        ..Key::parse(&grant.key)
    }
}
