//! The program itself, killed with SIGKILL while it works against an emulator
//! in another process, over sockets; and everything else that can happen to a
//! process and its files.
//!
//! A proxy in the test stands between the two and counts requests, so that a
//! kill lands at a defined point: before the n-th request arrives, after it
//! took effect but before its answer is heard, and right after that. The
//! journal's growth gives further points. After every kill the same command
//! runs again, straight through, and then [`site::Case::check`] looks at the
//! emulator over HTTP, sharing nothing with the program's own way of looking.
//!
//! CI kills at every moment of every request of the small worlds below, at
//! every third line of the journal, and cuts every third answer. To run every
//! single point, of `users.example.yaml` in both dialects as well:
//!
//! ```text
//! WHOP_SYNC_EXHAUSTIVE=all cargo test --test it kill::no_kill -- --nocapture
//! ```
//!
//! Worlds may also be named, with commas between: `Example,OldExample`.

mod disk;
mod proxy;
mod signals;
mod site;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::proxy::{Moment, Seen, Trap};
use self::site::{Case, Emulator};

/// Cases at a time. They mostly wait for pictures to become ready, so more
/// than there are processors.
const WIDTH: usize = 24;

/// Six users and three pictures, one of them shown twice.
const SIX: &str = "\
version: 1
company: COMPANY
users:
  - { id: u1, email: u1@shop.test, name: Ana, avatar: examples/avatars/on.png, title: Ana's }
  - { id: u2, email: u2@shop.test, name: Bo, avatar: examples/avatars/on.png }
  - { id: u3, email: u3@shop.test, name: Cleo, avatar: examples/avatars/haneul.gif, metadata: { tier: gold } }
  - { id: u4, email: u4@shop.test, name: Dai, avatar: examples/avatars/studio-north.webp }
  - { id: u5, email: u5@shop.test, name: Eve, title: Eve's }
  - { id: u6, email: u6@shop.test, name: Fay }
";

/// The same platform later: new names, pictures, a title, metadata; one user
/// gone, one with another id, two more.
const LATER: &str = "\
version: 1
company: COMPANY
users:
  - { id: u1, email: u1@shop.test, name: Ana Maria, avatar: examples/avatars/olena.png, title: Ana Maria's }
  - { id: u2, email: u2@shop.test, name: Bo, avatar: examples/avatars/haneul.gif }
  - { id: u3, email: u3@shop.test, name: Cleo, avatar: examples/avatars/haneul.gif, metadata: { tier: lead } }
  - { id: v4, renamed_from: u4, email: u4@shop.test, name: Dai, avatar: examples/avatars/studio-north.webp }
  - { id: u5, email: u5@shop.test, name: Eva, title: Eva's }
  - { id: u7, email: u7@shop.test, name: Gil, avatar: examples/avatars/olena.png }
  - { id: u8, email: u8@shop.test, name: Hal }
";

/// What a run has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    /// Everything, for [`SIX`].
    New,
    /// The same in the companies dialect, which knows no idempotency.
    OldDialect,
    /// From [`SIX`] to [`LATER`].
    Later,
    /// Everything, for `users.example.yaml`.
    Example,
    /// The same in the companies dialect.
    OldExample,
}

impl World {
    /// Every world; the first three are small.
    const ALL: [Self; 5] = [
        Self::New,
        Self::OldDialect,
        Self::Later,
        Self::Example,
        Self::OldExample,
    ];

    /// Ready for the run that is to be disturbed.
    async fn case(self, name: &str, emulator: &Emulator) -> Case {
        let mut case = Case::new(name, emulator.address).await;
        if self.may_stay_in_doubt() {
            case.more = ["--api-version", "2025-01-01"].map(str::to_owned).to_vec();
        }
        match self {
            Self::New | Self::OldDialect => case.write(SIX),
            Self::Later => {
                case.write(SIX);
                let ended = case.apply().await;
                assert_eq!(ended.status, Some(0), "{ended:?}");
                case.write(LATER);
            }
            Self::Example | Self::OldExample => {
                let text = include_str!("../../users.example.yaml");
                case.write(&text.replace("biz_ExamplePlatform", "COMPANY"));
            }
        }
        case
    }

    /// Whether a create whose answer was lost can stay in doubt.
    fn may_stay_in_doubt(self) -> bool {
        matches!(self, Self::OldDialect | Self::OldExample)
    }

    /// Users who have left the manifest, whose accounts stay.
    fn former(self) -> &'static [&'static str] {
        match self {
            Self::Later => &["u6"],
            _ => &[],
        }
    }
}

/// What is done to a run.
#[derive(Clone, Copy, Debug)]
enum Evil {
    /// Killed at a request.
    KillAt(usize, Moment),
    /// Killed when the journal has so many lines.
    KillAtLine(usize),
    /// An answer ends in the middle of its body.
    Cut(usize),
    /// Killed again and again, each time one request later.
    KillOften,
}

/// Requests that follow from the work and not from the clock.
fn counted(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| !seen.is_poll()).count()
}

/// A case's verdict: whether its evil came to pass, or what was wrong after.
type Verdict = Result<bool, String>;

/// Runs a world under an evil, then again until done, and checks it.
/// `straight` is the requests of an undisturbed run.
async fn suffer(case: &Case, world: World, evil: Evil, straight: usize) -> Verdict {
    let came = match evil {
        Evil::KillAt(n, moment) => case.apply_until_killed(Trap::Spring(n, moment)).await,
        Evil::KillAtLine(lines) => case.apply_until_journal(lines).await,
        Evil::Cut(n) => {
            case.proxy.arm(Trap::Cut(n));
            let ended = case.apply().await;
            if !matches!(ended.status, Some(0 | 5)) {
                return Err(format!("ended with {ended:?}"));
            }
            case.proxy.seen().len() >= n
        }
        Evil::KillOften => {
            let mut n = 3;
            while case.apply_until_killed(Trap::Spring(n, Moment::Unheard)).await {
                n += 1;
            }
            n > 3
        }
    };
    case.proxy.arm(Trap::Straight);
    finish(case, world).await?;
    // Killed and resumed together may send what the straight run and the
    // killed one would have, and one more page of the list.
    let resumed = counted(&case.proxy.seen());
    if resumed > straight + 1 {
        let seen = case.proxy.seen();
        return Err(format!("{resumed} requests instead of {straight}: {seen:?}"));
    }
    case.check(world.former()).await.map(|()| came)
}

/// Runs straight through to the end. Without idempotency, a create that never
/// arrived looks like one that is not listed yet: its user is held, and the
/// plan names the way out. Nobody may have two accounts before that way is
/// taken, and here it may be taken, since nothing is on its way any more.
async fn finish(case: &Case, world: World) -> Result<(), String> {
    let mut ended = case.apply().await;
    if world.may_stay_in_doubt() && ended.status == Some(5) {
        let explained = ended.stdout.contains("! hold") && ended.stdout.contains("--allow in_doubt");
        let accounts = case.accounts().await;
        let twice = accounts.values().find(|accounts| accounts.len() > 1);
        if !explained || twice.is_some() {
            return Err(format!("in doubt with {twice:?}: {ended:?}"));
        }
        case.proxy.arm(Trap::Straight);
        ended = case.start(&["apply", "--yes", "--allow", "in_doubt"]).end().await;
    }
    match ended.status {
        Some(0) => Ok(()),
        _ => Err(format!("the next run ended with {ended:?}")),
    }
}

/// The sum of many cases.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    cuts: usize,
    /// Kill points that every run of its world reaches: each moment of each
    /// request but polls, of which the clock makes more or fewer.
    sure: usize,
    /// Points after the end of the run, where nothing came to pass.
    beyond: usize,
    wrong: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.wrong.len();
        write!(
            f,
            "{} kill points and {} cut answers, {wrong} of them with duplicates or losses ({} beyond the end)",
            self.kills, self.cuts, self.beyond
        )
    }
}

/// How densely points lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Density {
    /// Every moment of every request, every third line and cut.
    Usual,
    /// Everything.
    Exhaustive,
}

/// The points of a world whose straight run has so many requests, and so many
/// lines in its journal.
fn points(requests: usize, lines: usize, density: Density) -> Vec<Evil> {
    let step = match density {
        Density::Usual => 3,
        Density::Exhaustive => 1,
    };
    let moments = [Moment::Before, Moment::Unheard, Moment::Heard];
    let kills = (1..=requests).flat_map(|n| moments.map(|moment| Evil::KillAt(n, moment)));
    let mut points: Vec<_> = kills.collect();
    points.extend((1..=lines).step_by(step).map(Evil::KillAtLine));
    points.extend((1..=requests).step_by(step).map(Evil::Cut));
    points.push(Evil::KillOften);
    points
}

/// Runs every point of these worlds against one emulator.
async fn sweep(worlds: &[World], density: Density) -> Tally {
    let emulator = Arc::new(Emulator::start("2ms").await);
    let places = Arc::new(Semaphore::new(WIDTH));
    let number = Arc::new(AtomicUsize::new(0));
    let (mut cases, mut tally) = (JoinSet::new(), Tally::default());
    for world in worlds.iter().copied() {
        let case = world.case(&format!("straight{world:?}"), &emulator).await;
        case.proxy.arm(Trap::Straight);
        let lines = watch_journal(&case).await;
        let (requests, straight) = (case.proxy.seen().len(), counted(&case.proxy.seen()));
        tally.sure += 3 * straight;
        case.check(world.former())
            .await
            .expect("an undisturbed run is right");
        for evil in points(requests, lines, density) {
            let (emulator, places, number) = (emulator.clone(), places.clone(), number.clone());
            cases.spawn(async move {
                let _place = places.acquire().await.expect("never closed");
                let name = format!("n{}", number.fetch_add(1, Ordering::Relaxed));
                let case = world.case(&name, &emulator).await;
                let verdict = suffer(&case, world, evil, straight).await;
                (evil, verdict.map_err(|why| format!("{world:?} {evil:?}: {why}")))
            });
        }
    }
    while let Some(ended) = cases.join_next().await {
        let (evil, verdict) = ended.expect("no case panics");
        match verdict {
            Ok(false) => tally.beyond += 1,
            Ok(true) if matches!(evil, Evil::Cut(_)) => tally.cuts += 1,
            Ok(true) => tally.kills += 1,
            Err(why) => tally.wrong.push(why),
        }
    }
    tally
}

/// Runs straight through; the most lines that the journal was seen to have.
async fn watch_journal(case: &Case) -> usize {
    let mut most = 0;
    let mut running = case.start(&["apply", "--yes"]);
    let watch = async {
        loop {
            let text = std::fs::read(case.journal()).unwrap_or_default();
            most = most.max(text.iter().filter(|byte| **byte == b'\n').count());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = running.ended() => {}
        () = watch => {}
    }
    let ended = running.end().await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_or_doubles_anything() {
    let (worlds, density) = match std::env::var("WHOP_SYNC_EXHAUSTIVE") {
        Err(_) => (World::ALL[..3].to_vec(), Density::Usual),
        Ok(wanted) => {
            let is_wanted =
                |world: &World| wanted == "all" || wanted.split(',').any(|name| name == format!("{world:?}"));
            (
                World::ALL.into_iter().filter(is_wanted).collect(),
                Density::Exhaustive,
            )
        }
    };
    let tally = sweep(&worlds, density).await;
    crate::told::tell(&tally);
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    crate::told::tell(format!("{} kill points, 0 duplicates, 0 losses", tally.kills));
    let sure = tally.sure;
    assert!(
        sure >= 50 * worlds.len() && tally.kills >= sure,
        "{sure} were sure: {tally}"
    );
}
