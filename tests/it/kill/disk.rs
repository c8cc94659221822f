//! Trouble with the disk: full, read-only, taken away. The program says so and
//! ends with 1; after mending, the next run finishes and makes nothing twice.

use std::fs;

use super::proxy::{Moment, Trap};
use super::site::{Case, Emulator};
use super::{World, finish};

/// The next run, with the disk as it should be.
async fn mended(case: &Case, world: World, what: &str) {
    case.proxy.disarm();
    case.proxy.settle().await;
    case.proxy.arm(Trap::Straight);
    finish(case, world)
        .await
        .unwrap_or_else(|why| panic!("{what}: {why}"));
    case.check(&[])
        .await
        .unwrap_or_else(|why| panic!("{what}: {why}"));
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_loses_nothing() {
    let emulator = Emulator::start("2ms").await;
    let mut full = 0;
    for world in [World::New, World::OldDialect] {
        for blocks in [0, 1, 2, 3, 5, 8] {
            let what = format!("{world:?} {blocks}");
            let case = world.case(&format!("full{world:?}{blocks}"), &emulator).await;
            // Files may have so many blocks of 512 bytes; writing on is an
            // error and, unlike by default, not the end of the process.
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
            let ended = case.start_in_shell(&script, &["apply", "--yes"]).end().await;
            if ended.status != Some(0) {
                full += 1;
                assert_eq!(ended.status, Some(1), "{what}: {ended:?}");
                let file = case.path("state/users.mapping");
                assert!(ended.stderr.contains(file.to_str().unwrap()), "{what}: {ended:?}");
                assert!(ended.stderr.contains("io.failed"), "{what}: {ended:?}");
            }
            mended(&case, world, &what).await;
        }
    }
    assert!(full >= 8, "the disk was full {full} times only");
}

#[tokio::test]
async fn a_full_disk_may_also_end_the_process() {
    let emulator = Emulator::start("2ms").await;
    for blocks in [1, 4] {
        let case = World::New.case(&format!("signal{blocks}"), &emulator).await;
        let script = format!("ulimit -c 0; ulimit -f {blocks}; exec \"$@\"");
        let ended = case.start_in_shell(&script, &["apply", "--yes"]).end().await;
        assert_eq!(ended.status, None, "{ended:?}");
        mended(&case, World::New, &format!("{blocks}")).await;
    }
}

#[tokio::test]
async fn a_read_only_mapping_is_left_alone_and_nothing_is_sent() {
    let emulator = Emulator::start("2ms").await;
    let case = World::New.case("readonly", &emulator).await;
    assert_eq!(case.apply().await.status, Some(0));
    let before = fs::read(case.mapping()).unwrap();
    let facts = fs::metadata(case.mapping()).unwrap().permissions();
    let mut shut = facts.clone();
    shut.set_readonly(true);
    fs::set_permissions(case.mapping(), shut).unwrap();
    let manifest = fs::read_to_string(case.path("users.yaml")).unwrap();
    fs::write(case.path("users.yaml"), manifest.replace("name: Bo", "name: Bob")).unwrap();

    case.proxy.arm(Trap::Straight);
    let ended = case.apply().await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("read-only"), "{ended:?}");
    assert_eq!(case.proxy.seen(), []);
    assert_eq!(fs::read(case.mapping()).unwrap(), before);
    fs::set_permissions(case.mapping(), facts).unwrap();
    mended(&case, World::New, "read-only").await;
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_before_anything_is_sent() {
    let emulator = Emulator::start("2ms").await;
    let case = World::New.case("nojournal", &emulator).await;
    fs::create_dir(case.journal()).unwrap();
    case.proxy.arm(Trap::Straight);
    let ended = case.apply().await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("users.mapping.journal"), "{ended:?}");
    assert!(case.proxy.seen().iter().all(|seen| !seen.writes()));
    fs::remove_dir(case.journal()).unwrap();
    mended(&case, World::New, "no journal").await;
}

#[tokio::test]
async fn the_folder_is_taken_away_during_the_run() {
    let emulator = Emulator::start("2ms").await;
    for n in [1, 3, 6, 12, 20] {
        let case = World::New.case(&format!("folder{n}"), &emulator).await;
        case.proxy.arm(Trap::Gate(n));
        let running = case.start(&["apply", "--yes"]);
        case.wait_for_requests(n).await;
        fs::remove_dir_all(case.path("state")).unwrap();
        case.proxy.disarm();
        let ended = running.end().await;
        assert_eq!(ended.status, Some(1), "{n}: {ended:?}");
        assert!(
            ended.stderr.contains("users.mapping") || ended.stderr.contains("state"),
            "{n}: {ended:?}"
        );
        fs::create_dir(case.path("state")).unwrap();
        mended(&case, World::New, &format!("folder {n}")).await;
    }
    // Killed as well, with the journal gone: only Whop knows what was done.
    let case = World::New.case("folderkilled", &emulator).await;
    assert!(case.apply_until_killed(Trap::Spring(7, Moment::Unheard)).await);
    fs::remove_dir_all(case.path("state")).unwrap();
    fs::create_dir(case.path("state")).unwrap();
    mended(&case, World::New, "folder, killed").await;
}
