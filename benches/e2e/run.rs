//! One run of the program, measured from outside.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wait4::Wait4 as _;

use crate::options::{Options, Serve};
use crate::served::Served;
use crate::situation::Situation;
use crate::world::{self, Edition};

/// What came of it.
pub(crate) struct Measured {
    pub(crate) situation: Situation,
    pub(crate) users: usize,
    pub(crate) latency: Duration,
    pub(crate) faults: u8,
    pub(crate) floor: Duration,
    pub(crate) wall: Duration,
    /// CPU time of the program alone.
    pub(crate) cpu: Duration,
    /// CPU time of the emulator, its preparation included.
    pub(crate) served_cpu: Duration,
    /// Bytes.
    pub(crate) memory: u64,
    /// Requests by operation, with the fewest possible.
    pub(crate) requests: Vec<(String, u64, Option<u64>)>,
    /// Answers 429.
    pub(crate) limited: u64,
    /// Answers 503, which the harness's faults are.
    pub(crate) struck: u64,
    /// Whether the program ended well.
    pub(crate) good: bool,
}

pub(crate) fn run(situation: Situation, latency: Duration, faults: u8, options: &Options) -> Measured {
    let folder = tempfile::Builder::new()
        .prefix("whop-sync-e2e-")
        .tempdir()
        .unwrap();
    let applied = situation.begins_applied();
    let first = if applied { Edition::Before } else { Edition::After };
    world::write(folder.path(), situation, options.users, first);
    let mut served = Served::start(Serve {
        port: 0,
        rate: options.rate,
        latency: u64::try_from(latency.as_millis()).unwrap(),
        faults,
        processing: u64::try_from(options.processing.as_millis()).unwrap(),
        headers: options.told,
        world: applied.then(|| folder.path().to_str().unwrap().to_owned()),
    });
    world::write(folder.path(), situation, options.users, Edition::After);
    let (wall, used, good) = program(situation, folder.path(), &served.base, options);
    let counts = served.counts();
    let served_cpu = served.end();
    if options.keep {
        eprintln!("kept {}", folder.keep().display());
    }
    let minimum = situation.minimum(options.users);
    let by = counts["by"].as_object().unwrap();
    let requests = by.iter().map(|(name, count)| {
        let fewest = minimum.iter().find(|(operation, _)| operation == name);
        (
            name.clone(),
            count.as_u64().unwrap(),
            fewest.map(|(_, fewest)| *fewest as u64),
        )
    });
    Measured {
        situation,
        users: options.users,
        latency,
        faults,
        floor: situation.floor(options.users, options.rate, latency, options.processing),
        wall,
        cpu: used.utime + used.stime,
        served_cpu,
        memory: used.maxrss,
        requests: requests.collect(),
        limited: count(&counts, "limited"),
        struck: count(&counts, "faults"),
        good,
    }
}

fn count(counts: &Value, name: &str) -> u64 {
    counts[name].as_u64().unwrap()
}

/// Runs the program itself and waits for it.
fn program(
    situation: Situation,
    folder: &Path,
    base: &str,
    options: &Options,
) -> (Duration, wait4::ResourceUsage, bool) {
    let [verb, rest @ ..] = situation.arguments() else {
        unreachable!("every situation has a verb");
    };
    let mut command = Command::new(&options.client);
    command
        .arg(verb)
        .args([
            "-f",
            folder.join("users.yaml").to_str().unwrap(),
            "--server",
            base,
            "--quiet",
        ])
        .args(rest)
        .env("WHOP_API_KEY", "key")
        .env_remove("WHOP_SYNC_LIMIT")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if options.told {
        // Nothing a minute is no limit.
        let limit = match options.rate {
            0 => "0".to_owned(),
            rate => format!("{rate}/min"),
        };
        command.env("WHOP_SYNC_LIMIT", limit);
    }
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let ended = child.wait4().unwrap();
    let wall = began.elapsed();
    (wall, ended.rusage, ended.status.success())
}
