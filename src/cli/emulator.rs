//! `emulator`: serves the emulated Whop until a signal ends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::connect::open_emulator;
use super::output::Printer;
use super::settings::Settings;
use super::signals::Signals;
use super::values::{KeyGrant, Rate};
use crate::emulator::serve::Server;
use crate::emulator::{self, Key, Keys};
use crate::error::{Code, Error, Exit, Result};

pub(super) async fn run(
    settings: &Settings,
    printer: &Printer,
    port: u16,
    rate: Rate,
    latency: Duration,
    keys: &[KeyGrant],
) -> Result<Exit> {
    let emulator = open_emulator(emulator::Settings {
        keys: if keys.is_empty() {
            Keys::Any
        } else {
            Keys::Only(keys.iter().map(key).collect())
        },
        rate: rate.per_minute.map_or(0, NonZeroU32::get),
        latency,
        state: Some(settings.paths.emulator.clone()),
        ..emulator::Settings::default()
    })?;
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
        true => writeln!(out, "{{\"kind\":\"emulator\",\"server\":\"{base}\"}}"),
        false => writeln!(out, "{base}"),
    })?;
    printer.story(&format!(
        "Serving until Ctrl-C, with state in `{}`. Try:\n  WHOP_API_KEY=any whop-sync plan --server {base}",
        settings.paths.emulator.display()
    ));
    server.run(signals.next()).await;
    Ok(Exit::Done)
}

fn key(grant: &KeyGrant) -> Key {
    Key {
        scopes: grant.scopes.clone(),
        ..Key::parse(&grant.key)
    }
}
