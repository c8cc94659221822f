//! The vocabulary of the tests that apply plans: a manifest as values, the
//! emulator in the same process, a disk in memory, and runs that can be
//! stopped anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use whop_sync::core::audit::audit;
use whop_sync::core::digest::Digest;
use whop_sync::core::lineage::{PlanRef, Purpose, State};
use whop_sync::core::model::{
    Avatar, Desired, DesiredUser, Dialect, Entry, Guardrails, Known, Policy, Refresh, Stand,
};
use whop_sync::core::plan::Plan;
use whop_sync::core::planner;
use whop_sync::core::report::{Report, Stop};
use whop_sync::core::state_digest::desired_digest;
use whop_sync::core::summary;
use whop_sync::core::value::{DisplayName, PlatformId};
use whop_sync::emulator::{Emulator, Operation, Settings};
use whop_sync::error::Error;
use whop_sync::execute::{Ended, Run, execute};
use whop_sync::remote::refresh::refresh;
use whop_sync::remote::transport::{Method, Request, Response, Sending, Target};
use whop_sync::remote::{CallError, Client, Options, Transport, Version};
use whop_sync::store::{Holder, Identity, Paths, Session, load};

use crate::disk::{MemDisk, Sabotage, Trip};
use crate::told::{documented, exchanges};
use crate::world::{avatar, user};

pub(crate) const PLATFORM: &str = "biz_platform";

/// When a stopped request dies, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The server never hears of it.
    Before,
    /// The server acts, and nobody hears the answer.
    After,
    /// The answer arrives, and nothing is recorded any more.
    Answered,
}

/// A transport that dies at the n-th request.
struct Mortal {
    inner: Arc<dyn Transport>,
    trip: Arc<Trip>,
    moment: Moment,
    /// Whether only creates count.
    creates: bool,
    disk: Arc<Trip>,
}

impl Transport for Mortal {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(async move {
            // Once the disk has stopped, the process is dead as well: tasks that
            // are still to be dropped must not send for it.
            if self.trip.is_dead() || self.disk.is_dead() {
                return std::future::pending().await;
            }
            let counts = !self.creates || is_create(&request);
            if !counts || !self.trip.step() {
                return self.inner.send(request).await;
            }
            match self.moment {
                Moment::Before => {}
                Moment::After => {
                    self.inner.send(request).await.ok();
                }
                Moment::Answered => {
                    self.disk.kill();
                    return self.inner.send(request).await;
                }
            }
            std::future::pending().await
        })
    }
}

/// Whether a request makes an account, in either dialect.
fn is_create(request: &Request) -> bool {
    let Target::Api(path) = &request.target else {
        return false;
    };
    request.method == Method::Post && ["/companies", "/accounts"].contains(&path.as_str())
}

/// What one run may meet.
#[derive(Clone)]
pub(crate) struct Conditions {
    /// Stops the disk.
    pub(crate) disk: Arc<Trip>,
    /// Stops the network.
    pub(crate) net: Arc<Trip>,
    pub(crate) moment: Moment,
    /// Whether the network counts creates only. The order of other requests
    /// among them is that of threads.
    pub(crate) creates: bool,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Conditions {
    /// Nothing goes wrong.
    pub(crate) fn fair() -> Self {
        Self {
            disk: Trip::at(0),
            net: Trip::at(0),
            moment: Moment::Before,
            creates: false,
            sabotage: None,
        }
    }

    /// The disk stops at its n-th operation.
    pub(crate) fn disk(n: u64) -> Self {
        Self {
            disk: Trip::at(n),
            ..Self::fair()
        }
    }

    /// The network stops at the n-th request.
    pub(crate) fn net(n: u64, moment: Moment) -> Self {
        Self {
            net: Trip::at(n),
            moment,
            ..Self::fair()
        }
    }

    /// The network stops at the n-th create.
    pub(crate) fn create(n: u64, moment: Moment) -> Self {
        Self {
            creates: true,
            ..Self::net(n, moment)
        }
    }

    pub(crate) fn died(&self) -> bool {
        self.disk.is_dead() || self.net.is_dead()
    }
}

/// A manifest, an emulator and a disk.
pub(crate) struct Lab {
    pub(crate) users: Vec<DesiredUser>,
    pub(crate) emulator: Emulator,
    pub(crate) disk: MemDisk,
    pub(crate) version: Version,
    pub(crate) policy: Policy,
    /// Ids that accounts may carry besides the manifest's.
    pub(crate) others: BTreeSet<String>,
    /// Sees every request with its answer, and may put another in its place.
    pub(crate) tap: Option<Tap>,
    folder: tempfile::TempDir,
    runs: AtomicU64,
}

/// What stands between the client and the emulator.
pub(crate) type Tap = Arc<dyn Fn(&Request, Response) -> Response + Send + Sync>;

struct Tapped(Arc<dyn Transport>, Tap);

impl Transport for Tapped {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(async move {
            let answer = self.0.send(request.clone()).await?;
            Ok(self.1(&request, answer))
        })
    }
}

impl Lab {
    pub(crate) fn new(users: Vec<DesiredUser>, dialect: Dialect) -> Self {
        let version = match dialect {
            Dialect::Accounts => Version::default(),
            Dialect::Companies => Version::parse("2025-01-01").unwrap(),
        };
        Self {
            users,
            emulator: Emulator::open(Settings {
                exchanges: exchanges(),
                documented: documented(),
                ..Settings::test(PLATFORM)
            })
            .unwrap(),
            disk: MemDisk::new(),
            policy: Policy {
                dialect,
                server: "emulator".into(),
                version: version.as_str().into(),
                allow: Default::default(),
                only: None,
                refresh: Refresh::Full,
                touched: None,
                now: 0,
            },
            version,
            others: BTreeSet::new(),
            tap: None,
            folder: tempfile::tempdir().unwrap(),
            runs: AtomicU64::new(0),
        }
    }

    pub(crate) fn platform(&self) -> PlatformId {
        PlatformId::parse(PLATFORM).unwrap()
    }

    pub(crate) fn desired(&self) -> Desired {
        let entries = self.users.iter().map(|user| Entry {
            user: user.clone(),
            at: Stand::default(),
        });
        Desired::new(self.platform(), Guardrails::default(), entries.collect())
            .expect("the test's users agree")
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::of_mapping(&self.folder.path().join("users.mapping.jsonl"))
    }

    fn identity(&self) -> Identity {
        Identity {
            company: self.platform(),
            server: "emulator".into(),
        }
    }

    pub(crate) fn known(&self) -> Known {
        load(&self.paths(), &self.identity(), &self.disk).unwrap().known
    }

    /// The mapping's text.
    pub(crate) fn mapping(&self) -> Option<String> {
        self.disk.text(Path::new(&self.paths().mapping))
    }

    fn policy(&self) -> Policy {
        Policy {
            now: self.emulator.now() / 1000,
            ..self.policy.clone()
        }
    }

    pub(crate) fn client(&self, transport: Arc<dyn Transport>) -> Client {
        Client::new(
            transport,
            self.version.clone(),
            self.platform(),
            Options::default(),
        )
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        let inner: Arc<dyn Transport> = Arc::new(self.emulator.transport(Some("key")));
        match &self.tap {
            Some(tap) => Arc::new(Tapped(inner, Arc::clone(tap))),
            None => inner,
        }
    }

    /// Refreshes and plans without touching anything.
    pub(crate) async fn plan(&self) -> Plan {
        let client = self.client(self.transport());
        let (desired, known, policy) = (self.desired(), self.known(), self.policy());
        let observed = refresh(&client, &desired, &known, &policy, |_| {}).await.unwrap();
        planner::plan(&desired, &observed, &known, &policy)
    }

    /// One apply as the program does it; `None` when it died on the way.
    pub(crate) async fn apply(&self, conditions: &Conditions) -> Option<Result<Report, Error>> {
        let (_stop, never) = watch::channel(None);
        self.apply_until(conditions, never).await.map(|ended| {
            let ended = ended?;
            ended.error.map_or(Ok(ended.report), Err)
        })
    }

    /// The same, with a way to stop it.
    pub(crate) async fn apply_until(
        &self,
        conditions: &Conditions,
        stop: watch::Receiver<Option<Stop>>,
    ) -> Option<Result<Ended, Error>> {
        tokio::select! {
            biased;
            () = conditions.disk.death(), if conditions.moment == Moment::Before => None,
            () = dead(conditions) => None,
            ended = self.run(conditions, stop) => Some(ended),
        }
    }

    async fn run(
        &self,
        conditions: &Conditions,
        stop: watch::Receiver<Option<Stop>>,
    ) -> Result<Ended, Error> {
        let disk = Arc::new(self.disk.under(&conditions.disk, conditions.sabotage));
        let holder = Holder {
            pid: 1,
            host: "lab".into(),
            since: "now".into(),
        };
        let session = Session::open(self.paths(), self.identity(), disk, &holder)?;
        let transport = Mortal {
            inner: self.transport(),
            trip: conditions.net.clone(),
            moment: conditions.moment,
            creates: conditions.creates,
            disk: conditions.disk.clone(),
        };
        let client = self.client(Arc::new(transport));
        let (desired, policy) = (self.desired(), self.policy());
        let known = session.loaded().known.clone();
        let observed = refresh(&client, &desired, &known, &policy, |_| {})
            .await
            .map_err(CallError::into_error)?;
        let plan = planner::plan(&desired, &observed, &known, &policy);
        assert_eq!(audit(&plan, &desired, &observed, &known), []);
        let purpose = Purpose {
            state: State {
                desired: desired_digest(&desired),
                commit: None,
            },
            plan: PlanRef {
                plan: summary::digest(&plan),
                base: known.generation,
            },
        };
        let run = Run {
            client,
            read_picture: Arc::new(|avatar| Ok(picture(&avatar.path))),
            id: format!("run-{}", self.runs.fetch_add(1, Ordering::SeqCst)),
            purpose: Some(purpose),
            began: policy.now,
            stop,
        };
        execute(plan, run, session, |_| {}).await
    }

    /// Requests received so far. Looks at files that are being processed are
    /// left out: how often one looks follows the clock, not the work.
    pub(crate) fn requests(&self) -> u64 {
        let polls = [Operation::ListFiles, Operation::RetrieveFile];
        let counts = self.emulator.counts().into_iter();
        counts
            .filter(|(operation, _)| !polls.contains(operation))
            .map(|(_, count)| count)
            .sum()
    }

    /// Everything that must be true of Whop and the mapping once a run has
    /// ended well. Looks at the emulator's own records, not through the
    /// client.
    pub(crate) fn check(&self) -> Result<(), String> {
        let accounts = self.emulator.accounts();
        let mut by_id: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for account in &accounts {
            let id = account
                .metadata
                .get("external_id")
                .and_then(|id| id.as_str())
                .unwrap_or("nobody");
            by_id.entry(id.to_owned()).or_default().push(account);
        }
        let known = self.known();
        for user in &self.users {
            let id = user.key.as_str();
            let [account] = by_id.remove(id).unwrap_or_default()[..] else {
                return Err(format!("{id} has not exactly one account: {accounts:?}"));
            };
            if account.email.as_deref() != Some(user.email.as_str()) {
                return Err(format!("{id} has the email {:?}", account.email));
            }
            let Some(entry) = known.users.get(&user.key) else {
                return Err(format!("{id} is not mapped"));
            };
            if (entry.link.account.as_str(), entry.link.owner.as_str()) != (&*account.id, &*account.owner) {
                return Err(format!("{id} is mapped to {:?}", entry.link));
            }
            self.check_profile(user, &account.owner)?;
        }
        by_id.retain(|id, _| !self.others.contains(id));
        if !by_id.is_empty() {
            return Err(format!("accounts nobody asked for: {by_id:?}"));
        }
        let ours =
            |id: &str| self.users.iter().any(|user| user.key.as_str() == id) || self.others.contains(id);
        // However it came about, something was applied.
        if known.lineage.newest().is_none() && !known.users.is_empty() {
            return Err("the mapping does not know what was applied".to_owned());
        }
        let settled = known.doubts.is_empty() && known.unsure.is_empty();
        match settled && known.users.keys().all(|key| ours(key.as_str())) {
            true => Ok(()),
            false => Err(format!("the mapping knows too much: {known:?}")),
        }
    }

    fn check_profile(&self, user: &DesiredUser, owner: &str) -> Result<(), String> {
        let id = user.key.as_str();
        let shown = self.emulator.profile(owner, PLATFORM).ok_or("no profile")?;
        if shown.name.as_deref() != Some(user.name.as_str()) {
            return Err(format!("{id} shows the name {:?}", shown.name));
        }
        if let Some(avatar) = &user.avatar
            && shown.picture.as_deref() != Some(&*picture(&avatar.path))
        {
            return Err(format!("{id} shows another picture"));
        }
        Ok(())
    }
}

/// Resolves when the network died and what it was still to do is done.
async fn dead(conditions: &Conditions) {
    conditions.net.death().await;
    if conditions.moment != Moment::Before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The bytes of a picture of this name.
pub(crate) fn picture(path: &str) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(path.trim_end_matches(".png").as_bytes());
    bytes
}

/// An avatar of that name, whose digest is that of its bytes.
pub(crate) fn face(name: &str) -> Box<Avatar> {
    let mut face = avatar(name);
    face.digest = Digest::of(&picture(name));
    face
}

/// The example's shape: twelve users, eleven with a picture, two of whom share
/// one.
pub(crate) fn dozen() -> Vec<DesiredUser> {
    (0..12)
        .map(|n| {
            let mut user = user(&format!("u{n:02}"));
            user.avatar = (n > 0).then(|| face(&format!("face{}", n.max(2))));
            user
        })
        .collect()
}

pub(crate) fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}
