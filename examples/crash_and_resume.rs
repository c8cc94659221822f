//! What a crash at the worst moment leaves behind, and how the next run takes
//! it up: Whop made an account, and nobody heard of it.
//!
//! A loop around an SDK would make a second account now, and mail the person
//! again. Here the create is in the journal, to the byte, before it is sent.
//! The next run looks first, and then adopts the account or sends the very
//! same request under the very same idempotency key.
//!
//! Run it with `cargo run --example crash_and_resume`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Notify, watch};
use whop_sync::core::model::Policy;
use whop_sync::core::planner;
use whop_sync::core::report::Report;
use whop_sync::emulator::{self, Emulator};
use whop_sync::execute::{self, Run};
use whop_sync::manifest::{self, Manifest};
use whop_sync::remote::transport::{Method, Request, Sending, Target};
use whop_sync::remote::{Client, Options, Transport, Version, refresh};
use whop_sync::store::{Holder, Identity, OsDisk, Paths, Session};

/// The create whose answer is lost.
const FATAL_CREATE: u32 = 5;

/// Passes requests on, until the answer of one create is lost and the power
/// goes off with it: from then on nothing is answered any more.
struct PowerCut {
    inner: Arc<dyn Transport>,
    creates: AtomicU32,
    happened: Arc<Notify>,
}

impl Transport for PowerCut {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(async move {
            let is_create = request.method == Method::Post
                && matches!(&request.target, Target::Api(path) if path == "/accounts");
            if is_create && self.creates.fetch_add(1, Ordering::SeqCst) + 1 == FATAL_CREATE {
                // Whop acts...
                let _lost = self.inner.send(request).await;
                // ...and nobody will ever know from this answer.
                self.happened.notify_one();
            } else if self.creates.load(Ordering::SeqCst) < FATAL_CREATE {
                return self.inner.send(request).await;
            }
            std::future::pending().await
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("users.example.yaml");
    let manifest = Arc::new(manifest::load(&[file])?);
    let whop = Emulator::open(emulator::Settings::default())?;
    let folder = tempfile::tempdir()?;
    let journal = folder.path().join("users.mapping.journal");

    let happened = Arc::new(Notify::new());
    let failing = PowerCut {
        inner: Arc::new(whop.transport(Some("any key"))),
        creates: AtomicU32::new(0),
        happened: happened.clone(),
    };
    // Dropping the run is what the power cut does to it: nothing is tidied up.
    tokio::select! {
        report = run(Arc::new(failing), &manifest, folder.path(), "first") => {
            return Err(format!("the first run was to die: {report:?}").into());
        }
        () = happened.notified() => {}
    }
    println!("The power went off with the answer of create {FATAL_CREATE}.");
    println!("  accounts on Whop  {}", whop.accounts().len());
    println!(
        "  mapping written   {}",
        folder.path().join("users.mapping.jsonl").exists()
    );
    println!("  journal left      {}", journal.exists());

    println!("\nThe second run replays the journal, looks, and goes on:");
    let transport = Arc::new(whop.transport(Some("any key")));
    let report = run(transport, &manifest, folder.path(), "second").await?;
    for (verb, count) in &report.done {
        println!("  {verb:?} {count}");
    }
    println!("  journal left      {}", journal.exists());

    let accounts = whop.accounts();
    let people: BTreeSet<_> = accounts.iter().map(|account| &account.email).collect();
    println!("\n{} accounts for {} people:", accounts.len(), people.len());
    for account in &accounts {
        println!("  {} {}", account.id, account.email.as_deref().unwrap_or("?"));
    }
    match accounts.len() == people.len() && accounts.len() == manifest.desired.users().len() {
        true => Ok(()),
        false => Err("there must be one account for each user".into()),
    }
}

/// One apply, as the program does it.
async fn run(
    transport: Arc<dyn Transport>,
    manifest: &Arc<Manifest>,
    folder: &Path,
    id: &str,
) -> Result<Report, Box<dyn Error>> {
    let platform = manifest.desired.platform().clone();
    let client = Client::new(
        transport,
        Version::default(),
        platform.clone(),
        Options::default(),
    );
    let identity = Identity {
        company: platform,
        server: "emulator".to_owned(),
    };
    let paths = Paths::of_mapping(&folder.join("users.mapping.jsonl"));
    let holder = Holder {
        pid: std::process::id(),
        host: "this computer".to_owned(),
        since: "now".to_owned(),
    };
    let session = Session::open(paths, identity, Arc::new(OsDisk::default()), &holder)?;
    let known = session.loaded().known.clone();

    let policy = Policy::new(client.dialect(), client.version().as_str(), NOW);
    let observed = refresh::refresh(&client, &manifest.desired, &known, &policy, |_| {})
        .await
        .map_err(|error| error.into_error())?;
    let plan = planner::plan(&manifest.desired, &observed, &known, &policy);

    let (_stop, stopped) = watch::channel(None);
    let pictures = manifest.clone();
    let run = Run {
        client,
        read_picture: Arc::new(move |avatar| pictures.read_picture(avatar)),
        id: id.to_owned(),
        purpose: None,
        began: NOW,
        stop: stopped,
    };
    let ended = execute::execute(plan, run, session, |_| {}).await?;
    match ended.error {
        Some(error) => Err(error.into()),
        None => Ok(ended.report),
    }
}

/// The time of both runs, in seconds since 1970.
const NOW: u64 = 1_790_000_000;
