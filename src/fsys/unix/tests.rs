use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use super::super::{read, read_named, read_secret};
use super::*;

/// A folder with a manifest's folder in it, and a file outside that is not to be
/// touched.
fn place() -> (TempDir, OsDisk) {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("repo/state")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    put(&at("repo/users.yaml"), "version: 1");
    put(&at("elsewhere/precious"), "mine");
    let disk = OsDisk::beside(&[at("repo/users.yaml")]);
    (place, disk)
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Every way to touch a path.
fn every_use(disk: &OsDisk, path: &Path, spare: &Path) -> Vec<io::Result<()>> {
    let opened = [How::Read, How::Edit, How::Append, How::Stream].map(|how| disk.open(path, how).map(drop));
    let placed = [disk.check_place(path), disk.rename(spare, path)];
    opened.into_iter().chain(placed).collect()
}

#[test]
fn a_link_is_followed_above_the_guarded_folder_and_nowhere_below() {
    let (place, disk) = place();
    let at = |name: &str| place.path().join(name);
    put(&at("repo/spare"), "spare");
    symlink(at("elsewhere/precious"), at("repo/last")).unwrap();
    symlink(at("elsewhere"), at("repo/folder")).unwrap();
    symlink("state", at("repo/inside")).unwrap();
    put(&at("repo/state/there"), "there");
    for name in ["repo/last", "repo/folder/precious", "repo/inside/there"] {
        for used in every_use(&disk, &at(name), &at("repo/spare")) {
            let cause = used.unwrap_err();
            let link = name.strip_suffix("/precious").unwrap_or(name);
            let link = link.strip_suffix("/there").unwrap_or(link);
            assert_eq!(Refusal::behind(&cause), Some(&Refusal::Link(at(link))), "{cause}");
        }
    }
    assert!(disk.make_folder(&at("repo/folder/made")).is_err());
    assert!(disk.open(&at("repo/folder/new"), How::New).is_err());
    assert!(disk.remove(&at("repo/folder/precious")).is_err());
    assert!(disk.sync_folder(&at("repo/folder")).is_err());
    assert_eq!(fs::read_dir(at("elsewhere")).unwrap().count(), 1);
    assert_eq!(fs::read(at("elsewhere/precious")).unwrap(), b"mine");

    // The way to the manifest may be a link: nobody but the operator made it.
    symlink("repo", at("current")).unwrap();
    let current = OsDisk::beside(&[at("current/users.yaml")]);
    let found = current.read_most(&at("current/state/there"), 9).unwrap();
    assert_eq!(found.as_deref(), Some(&b"there"[..]));
    assert!(current.open(&at("current/folder/precious"), How::Read).is_err());
    // It is the folder that is guarded, and not its name.
    assert!(current.open(&at("repo/folder/precious"), How::Read).is_err());
    assert!(disk.open(&at("current/last"), How::Read).is_err());
}

#[test]
fn a_relative_path_is_guarded_from_the_working_folder_on() {
    let (place, _) = place();
    // Tests share one working folder, so the way leads up from it first.
    let here = fs::canonicalize(".").unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let root = fs::canonicalize(place.path()).unwrap();
    let relative = |name: &str| up.join(root.strip_prefix("/").unwrap()).join(name);
    symlink(place.path().join("elsewhere"), place.path().join("repo/folder")).unwrap();
    symlink("repo", place.path().join("current")).unwrap();
    let disk = OsDisk::default();
    assert!(disk.open(&relative("elsewhere/precious"), How::Read).is_ok());
    for name in ["repo/folder/precious", "current/users.yaml"] {
        let cause = disk.open(&relative(name), How::Read).unwrap_err();
        assert!(
            matches!(Refusal::behind(&cause), Some(Refusal::Link(_))),
            "{cause}"
        );
    }
    let named = OsDisk::beside(&[relative("current/users.yaml")]);
    assert!(named.open(&relative("current/users.yaml"), How::Read).is_ok());
    assert!(
        named
            .open(&relative("current/folder/precious"), How::Read)
            .is_err()
    );
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let (place, disk) = place();
    let at = |name: &str| place.path().join("repo").join(name);
    put(&at("spare"), "spare");
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (name, what) in [
        ("pipe", "a named pipe"),
        ("socket", "a socket"),
        ("state", "a folder"),
    ] {
        for used in every_use(&disk, &at(name), &at("spare")) {
            let cause = used.unwrap_err();
            let refused = Refusal::Kind(at(name), what);
            match Refusal::behind(&cause) {
                Some(refusal) => assert_eq!(*refusal, refused),
                // To be added to, a pipe that nobody reads.
                None => assert_eq!((name, cause.raw_os_error()), ("pipe", Some(6))),
            }
        }
        let cause = read_named(&at(name), 9).unwrap_err();
        assert_eq!(Refusal::behind(&cause), Some(&Refusal::Kind(at(name), what)));
    }
    assert!(fs::metadata(at("pipe")).unwrap().file_type().is_fifo());
    for path in ["/dev/zero", "/dev/null"] {
        let cause = disk.open(Path::new(path), How::Read).unwrap_err();
        assert!(matches!(
            Refusal::behind(&cause),
            Some(Refusal::Kind(_, "a device"))
        ));
    }
    assert!(disk.open(Path::new("/dev/null"), How::Stream).is_ok());
}

#[test]
fn reading_has_a_limit() {
    let (place, disk) = place();
    let path = place.path().join("repo/users.yaml");
    assert_eq!(disk.read_most(&path, 10).unwrap().unwrap(), b"version: 1");
    for cause in [
        disk.read_most(&path, 9).unwrap_err(),
        read_named(&path, 9).unwrap_err(),
        read_secret(&path, 9).unwrap_err(),
    ] {
        assert_eq!(Refusal::behind(&cause), Some(&Refusal::Large(path.clone(), 9)));
    }
    // One that has no size is read no further than the limit either.
    let endless = File::open("/dev/zero").unwrap();
    assert!(read(endless, &path, 9).is_err());
    assert_eq!(disk.read_most(&path.with_extension("none"), 9).unwrap(), None);
}

#[test]
fn a_named_file_may_be_a_link_as_kubernetes_mounts_it() {
    let (place, _) = place();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("..2026")).unwrap();
    put(&at("..2026/key"), "sesame");
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    assert_eq!(read_named(&at("key"), 9).unwrap(), b"sesame");
    for (mode, may_be, is_exposed) in [
        (0o600, true, false),
        (0o640, true, true),
        (0o604, true, true),
        (0o620, false, false),
        (0o602, false, false),
    ] {
        fs::set_permissions(at("..2026/key"), fs::Permissions::from_mode(mode)).unwrap();
        match read_secret(&at("key"), 9) {
            Ok(secret) => assert!(may_be && secret.is_exposed == is_exposed, "{mode:o}"),
            Err(cause) => {
                let refused = Refusal::Writable(at("key"));
                assert!(
                    !may_be && Refusal::behind(&cause) == Some(&refused),
                    "{mode:o}: {cause}"
                );
            }
        }
    }
}
