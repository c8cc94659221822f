//! How `plan --refresh changed` grows with the number of users: time, processor
//! time and the most memory, phase by phase, each in a process of its own.
//!
//! `cargo bench --bench scale -- [--edits N] [--files N] [USERS]…`
//!
//! Listing the accounts is counted apart, since Whop's limit decides how long
//! it takes: here it costs what making sense of the answers costs.
//!
//! Two more situations, each in a process of its own too:
//!
//! * `-- --apply [--edits N] [USERS]…` loads a mapping under the lock, and
//!   carries out the edits (one by default) against a Whop that answers at once:
//!   how long until the first request, what the journal and the requests take,
//!   and what the save does.
//! * `-- --pictures BYTES [USERS]…` gives every user a picture of so many bytes,
//!   and reads the manifest without pictures, with all of them hashed, and with
//!   all of them only looked at; beside it, SHA-256 alone of as many bytes.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, writes its world and shows what it found"
)]

mod situation;
mod world;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use whop_sync::core::model::{Policy, Refresh};
use whop_sync::core::planner;
use whop_sync::core::value::PlatformId;
use whop_sync::manifest;
use whop_sync::remote::refresh::{self, Progress};
use whop_sync::remote::{Client, Options, Version};
use whop_sync::render::{Header, json};
use whop_sync::store::{self, Identity, OsDisk, Paths};

use situation::Situation;
use world::{PLATFORM, SERVER, Whop, World};

fn main() {
    let mut sizes = Vec::new();
    let mut world = World::of(0);
    let mut situation = Situation::Plan;
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).unwrap();
        match argument.as_str() {
            "--edits" => world.edits = number(),
            "--files" => world.files = number(),
            "--apply" => situation = Situation::Apply,
            "--pictures" => situation = Situation::Pictures { bytes: number() },
            "--child" => {
                let folder = arguments.next().unwrap();
                world.users = arguments.next().and_then(|n| n.parse().ok()).unwrap();
                world.files = arguments.next().and_then(|n| n.parse().ok()).unwrap();
                return child(Path::new(&folder), world);
            }
            "--apply-child" | "--pictures-child" => {
                let folder = arguments.next().unwrap();
                let mut number = || arguments.next().and_then(|n| n.parse().ok()).unwrap();
                let (users, of_it) = (number(), number());
                return match argument.as_str() {
                    "--apply-child" => situation::apply(Path::new(&folder), users, of_it),
                    _ => situation::pictures(Path::new(&folder), users, of_it),
                };
            }
            size => sizes.push(size.replace('_', "").parse().unwrap()),
        }
    }
    if situation != Situation::Plan {
        return situation.measure(world, &sizes);
    }
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000];
    }
    println!("{}", PHASES.map(|phase| format!("{phase:>10}")).join(""));
    let mut last: Option<(f64, f64, f64)> = None;
    for users in sizes {
        let folder = tempfile::tempdir().unwrap();
        let world = World { users, ..world };
        world.write(folder.path()).unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .arg("--child")
            .arg(folder.path())
            .args([users.to_string(), world.files.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{}", text.trim_end());
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let (users, cpu, memory) = (numbers[0], numbers[2], numbers[4]);
        if let Some((less, before, held)) = last {
            let exponent = |now: f64, then: f64| (now / then).ln() / (users / less).ln();
            println!(
                "           growth: processor time as users^{:.2}, memory as users^{:.2}",
                exponent(cpu, before),
                exponent(memory, held)
            );
        }
        last = Some((users, cpu, memory));
    }
}

const PHASES: [&str; 12] = [
    "users",
    "wall s",
    "cpu s",
    "+list cpu",
    "peak MB",
    "manifest",
    "mapping",
    "list",
    "refresh",
    "plan",
    "render",
    "actions",
];

/// One plan, measured.
fn child(folder: &Path, world: World) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(planned(folder, world));
}

async fn planned(folder: &Path, world: World) {
    let (mut laps, mut memory) = (Vec::new(), Vec::new());
    let (began, cpu_began) = (Instant::now(), cpu());
    let mut last = began;
    let mut lap = || {
        let now = Instant::now();
        laps.push((now - last).as_secs_f64());
        last = now;
        memory.push((status("VmHWM:") / 1024.0, status("VmRSS:") / 1024.0));
        forget_peak();
    };
    let path = match world.files {
        1 => folder.join("users.yaml"),
        _ => folder.join("users"),
    };
    let manifest = manifest::load(&[path]).unwrap();
    lap();
    let platform = PlatformId::parse(PLATFORM).unwrap();
    let identity = Identity {
        company: platform.clone(),
        server: SERVER.to_owned(),
    };
    let paths = Paths::of_mapping(&folder.join("users.mapping.jsonl"));
    let known = store::load(&paths, &identity, &OsDisk::default()).unwrap().known;
    lap();
    let whop = Arc::new(Whop::new(&world));
    let options = Options {
        per_minute: None,
        ..Options::default()
    };
    let client = Client::new(whop.clone(), Version::default(), platform.clone(), options);
    let mut policy = Policy::new(client.dialect(), client.version().as_str(), 1_800_000_000);
    policy.refresh = Refresh::Changed;
    let cpu_before_list = cpu();
    let mut cpu_list = 0.0;
    let on_look = |progress| {
        if let Progress::Listed(_) = progress {
            lap();
            cpu_list = cpu() - cpu_before_list;
        }
    };
    let observed = refresh::refresh(&client, &manifest.desired, &known, &policy, on_look)
        .await
        .unwrap();
    lap();
    let plan = planner::plan(&manifest.desired, &observed, &known, &policy);
    lap();
    let header = Header {
        company: platform,
        server: SERVER.to_owned(),
        dialect: client.dialect(),
        version: client.version().as_str().to_owned(),
        manifest: manifest.digest,
    };
    json::plan(&mut std::io::sink(), &plan, &header).unwrap();
    lap();
    let actions = plan.actions.len();
    assert_eq!(plan.unchanged + actions, world.users);
    // As the program does: what is only memory is left to the system.
    std::mem::forget((manifest, known, observed, plan));
    let wall = began.elapsed().as_secs_f64() - laps[2];
    let cpu = cpu() - cpu_began;
    let peak = memory.iter().fold(0.0, |most: f64, (peak, _)| most.max(*peak));
    print!(
        "{:>10}{wall:>10.2}{:>10.2}{cpu_list:>10.2}{peak:>10.0}",
        world.users,
        cpu - cpu_list
    );
    laps.iter().for_each(|lap| print!("{lap:>10.2}"));
    println!(
        "{actions:>10}  (answering took {:.2} s of the list)",
        whop.seconds()
    );
    for (what, of) in [
        ("peak MB of each", (|of| of.0) as fn(&(f64, f64)) -> f64),
        ("MB held behind it", |of| of.1),
    ] {
        print!("{what:>50}");
        memory.iter().for_each(|lap| print!("{:>10.0}", of(lap)));
        println!();
    }
}

/// Lets `VmHWM` begin again, where the system can; else each phase shows the
/// most so far.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Processor time of this process so far, in seconds; in steps of 10 ms. 0
/// where the system does not tell.
pub(crate) fn cpu() -> f64 {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else {
        return 0.0;
    };
    let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A number of the process's status, in kilobytes; 0 where there is none.
pub(crate) fn status(name: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
