//! Stopping: by signal, twice, by deadline. The proxy shuts a gate on every
//! request, so that it is known what is in hand when the wish to stop comes;
//! nothing may be begun after.

use std::time::{Duration, Instant};

use super::proxy::Trap;
use super::site::{Case, Emulator, Ended, Running};
use super::{SIX, World};

/// Requests of [`SIX`] before anything depends on an answer: a page of the
/// list and the permissions, then six creates and three files.
const LOOKS: usize = 2;
const AT_ONCE: usize = 9;

/// Deadlines to try: the first is long enough unless the machine is busy.
const DEADLINES: [&str; 4] = ["2s", "8s", "30s", "100s"];

/// How a run is asked to stop.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Signal(&'static str),
    Deadline,
}

impl Wish {
    fn status(self) -> i32 {
        match self {
            Self::Signal(_) => 130,
            Self::Deadline => 5,
        }
    }
}

/// A run of [`SIX`] with everything that can be in hand in hand. A machine may
/// be too busy to get so far before a deadline; then there is a longer one.
async fn busy(name: &str, emulator: &Emulator, wish: Wish) -> (Case, Running) {
    for deadline in DEADLINES {
        let case = World::New.case(&format!("{name}in{deadline}"), emulator).await;
        case.proxy.arm(Trap::Gate(LOOKS + 1));
        let mut running = start(&case, wish, deadline);
        tokio::select! {
            biased;
            () = case.wait_for_requests(LOOKS + AT_ONCE) => return (case, running),
            () = running.says_or_ends("stopping") => {}
        }
        running.kill().await;
    }
    panic!("every deadline was too short");
}

fn start(case: &Case, wish: Wish, deadline: &str) -> Running {
    match wish {
        Wish::Signal(_) => case.start(&["apply", "--yes"]),
        Wish::Deadline => case.start(&["apply", "--yes", "--deadline", deadline]),
    }
}

/// Runs again and checks; nothing may be made a second time.
async fn resume(case: &Case) {
    case.proxy.arm(Trap::Straight);
    let again = case.apply().await;
    assert_eq!(again.status, Some(0), "{again:?}");
    case.check(&[]).await.unwrap();
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_hand_and_begins_nothing() {
    let emulator = Emulator::start("2ms").await;
    let mut slowest = Duration::ZERO;
    for (n, wish) in [Wish::Signal("INT"), Wish::Signal("TERM"), Wish::Deadline]
        .into_iter()
        .enumerate()
    {
        let (case, mut running) = busy(&format!("stop{n}"), &emulator, wish).await;
        let mut since = Instant::now();
        if let Wish::Signal(name) = wish {
            running.signal(name);
        }
        running.says("stopping").await;
        let begun = case.proxy.seen().len();
        if matches!(wish, Wish::Deadline) {
            since = Instant::now();
        }
        case.proxy.disarm();
        let ended = running.end().await;
        slowest = slowest.max(since.elapsed());
        assert_eq!(ended.status, Some(wish.status()), "{ended:?}");
        let seen = case.proxy.seen();
        assert!(
            seen[begun..].iter().all(|seen| !seen.writes()),
            "{wish:?}: {seen:?}"
        );
        // All six creates were in hand: they are made, and recorded.
        assert_eq!(case.accounts().await.len(), 6);
        let mapping = std::fs::read_to_string(case.mapping()).unwrap();
        assert_eq!(mapping.lines().count(), 7, "{mapping}");
        resume(&case).await;
        let creates = |seen: &&super::Seen| seen.method == "POST" && seen.path.ends_with("/accounts");
        assert_eq!(case.proxy.seen().iter().filter(creates).count(), 0);
    }
    crate::told::tell(format!(
        "slowest from signal to exit, with answers in 2 ms: {slowest:?}"
    ));
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_the_next_run_settles_it() {
    let emulator = Emulator::start("2ms").await;
    for (first, second) in [("INT", "INT"), ("TERM", "INT"), ("INT", "TERM")] {
        let (case, mut running) =
            busy(&format!("twice{first}{second}"), &emulator, Wish::Signal(first)).await;
        running.signal(first);
        running.says("stopping").await;
        let since = Instant::now();
        running.signal(second);
        // Nothing is let through: it cannot have waited for an answer.
        let ended = running.end().await;
        crate::told::tell(format!(
            "{first}, then {second}: {:?} to the exit",
            since.elapsed()
        ));
        assert_eq!(ended.status, Some(130), "{ended:?}");
        assert!(case.journal().exists(), "what is in doubt is written down");
        // What was sent arrives after its sender has gone.
        case.proxy.disarm();
        case.proxy.settle().await;
        assert_eq!(case.accounts().await.len(), 6);
        resume(&case).await;
    }
}

/// A run whose first request is under way, and never answered.
async fn looking(name: &str, emulator: &Emulator, wish: Wish) -> (Case, Running) {
    for deadline in DEADLINES {
        let case = Case::new(&format!("{name}in{deadline}"), emulator.address).await;
        case.write(SIX);
        case.proxy.arm(Trap::Gate(1));
        let mut running = start(&case, wish, deadline);
        tokio::select! {
            biased;
            () = case.wait_for_requests(1) => return (case, running),
            () = running.ended() => {}
        }
    }
    panic!("every deadline was too short");
}

#[tokio::test]
async fn a_stop_while_still_looking_changes_nothing() {
    let emulator = Emulator::start("2ms").await;
    for (n, wish) in [Wish::Signal("INT"), Wish::Signal("TERM"), Wish::Deadline]
        .into_iter()
        .enumerate()
    {
        let (case, running) = looking(&format!("look{n}"), &emulator, wish).await;
        let since = Instant::now();
        if let Wish::Signal(name) = wish {
            running.signal(name);
        }
        // The list's answer never comes, and is not waited for.
        let ended: Ended = running.end().await;
        crate::told::tell(format!(
            "{wish:?} while looking: {:?} to the exit",
            since.elapsed()
        ));
        assert_eq!(ended.status, Some(wish.status()), "{wish:?}: {ended:?}");
        assert!(ended.stderr.contains("nothing was done"), "{ended:?}");
        case.proxy.disarm();
        case.proxy.settle().await;
        assert_eq!(case.proxy.seen().iter().filter(|seen| seen.writes()).count(), 0);
        resume(&case).await;
    }
}
