//! The whole main job through the library: load a manifest, look, plan,
//! apply, and plan again to find nothing left to do.
//!
//! Whop is played by the embedded emulator, in this process: nothing leaves
//! the computer. `src/cli` wires the same pieces together for the program.
//!
//! Run it with `cargo run --example converge`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use whop_sync::core::model::{Known, Policy};
use whop_sync::core::plan::Plan;
use whop_sync::core::planner;
use whop_sync::core::report::{Event, Report};
use whop_sync::emulator::{self, Emulator};
use whop_sync::execute::{self, Run};
use whop_sync::manifest::{self, Manifest};
use whop_sync::remote::{Client, Options, Version, refresh};
use whop_sync::store::{Holder, Identity, OsDisk, Paths, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Desired: the example's twelve users. Loading checks everything, opens
    // every picture and finds every problem in one pass.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("users.example.yaml");
    let manifest = Arc::new(manifest::load(&[file])?);
    println!("The manifest has {} users.", manifest.desired.users().len());

    // Whop, and a client that speaks to it. `HttpTransport` would go here for
    // the real one; everything above it is the same.
    let whop = Emulator::open(emulator::Settings::default())?;
    let client = || {
        let transport = Arc::new(whop.transport(Some("any key")));
        let platform = manifest.desired.platform().clone();
        Client::new(transport, Version::default(), platform, Options::default())
    };

    // Known: a mapping that does not exist yet. The session holds its lock.
    let folder = tempfile::tempdir()?;
    let session = open_session(&manifest, folder.path())?;
    let known = session.loaded().known.clone();

    let first_client = client();
    let first = look_and_plan(&first_client, &manifest, &known).await?;
    println!("First plan: {} actions.", first.actions.len());
    let report = apply(first_client, &manifest, first, session).await?;
    println!("\nRequests it took to look and to apply, by operation:");
    for (operation, count) in &report.requests {
        println!("  {operation:16} {count:3}");
    }
    println!("Two users share a picture: eleven are set, ten are uploaded.");

    // The same again, with what the first run recorded.
    let session = open_session(&manifest, folder.path())?;
    let known = session.loaded().known.clone();
    let second_client = client();
    let second = look_and_plan(&second_client, &manifest, &known).await?;
    let sent: u64 = second_client.requests().values().sum();
    println!(
        "\nSecond plan: {} actions, {sent} requests to look.",
        second.actions.len()
    );
    if !second.is_empty() {
        return Err("a plan after a successful apply must be empty".into());
    }
    Ok(())
}

/// Looks at Whop with GET requests only, and compares.
async fn look_and_plan(client: &Client, manifest: &Manifest, known: &Known) -> Result<Plan, Box<dyn Error>> {
    let policy = Policy::new(client.dialect(), client.version().as_str(), 0);
    let observed = refresh::refresh(client, &manifest.desired, known, &policy, |_| {})
        .await
        .map_err(|error| error.into_error())?;
    Ok(planner::plan(&manifest.desired, &observed, known, &policy))
}

/// Carries a plan out, to the letter, and shows what happens.
async fn apply(
    client: Client,
    manifest: &Arc<Manifest>,
    plan: Plan,
    session: Session,
) -> Result<Report, Box<dyn Error>> {
    // Sending a reason through this channel would stop the run in good order.
    let (_stop, stopped) = watch::channel(None);
    let pictures = manifest.clone();
    let run = Run {
        client,
        read_picture: Arc::new(move |avatar| pictures.read_picture(avatar)),
        // A random id in earnest: no two runs may share an idempotency key.
        id: "example".to_owned(),
        purpose: None,
        began: 0,
        stop: stopped,
    };
    let show = |event: &Event| {
        if let Event::Ended { key, verb, .. } = event {
            println!("  {verb:?} {key}");
        }
    };
    let ended = execute::execute(plan, run, session, show).await?;
    match ended.error {
        Some(error) => Err(error.into()),
        None if ended.report.is_complete() => Ok(ended.report),
        None => Err(format!("not everybody is done: {:?}", ended.report.troubled).into()),
    }
}

/// Takes the lock, and loads mapping and journal.
fn open_session(manifest: &Manifest, folder: &Path) -> Result<Session, Box<dyn Error>> {
    let paths = Paths::of_mapping(&folder.join("users.mapping.jsonl"));
    let identity = Identity {
        company: manifest.desired.platform().clone(),
        server: "emulator".to_owned(),
    };
    // Shown to another run that meets our lock.
    let holder = Holder {
        pid: std::process::id(),
        host: "this computer".to_owned(),
        since: "now".to_owned(),
    };
    Ok(Session::open(
        paths,
        identity,
        Arc::new(OsDisk::default()),
        &holder,
    )?)
}
