//! Opening by path, on systems without handles to walk from. The last name is
//! looked at before it is opened; somebody with access to the folder could put
//! a link there in between. On Unix nothing of the kind is possible.
#![expect(clippy::disallowed_methods, reason = "files are opened here")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::disk::{How, OsDisk};
use super::refusal::Refusal;

pub(super) fn open(_: &OsDisk, path: &Path, how: How) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(about) if how != How::New => demand_regular(path, &about)?,
        _ => {}
    }
    let mut options = OpenOptions::new();
    match how {
        How::Read => options.read(true),
        How::Edit => options.read(true).write(true).create(true).truncate(false),
        How::Append => options.read(true).append(true).create(true),
        How::New => options.append(true).create_new(true),
        How::Stream => options.append(true).create(true),
    };
    options.open(path)
}

pub(super) fn make_folder(_: &OsDisk, path: &Path) -> io::Result<()> {
    match path.as_os_str().is_empty() {
        true => Ok(()),
        false => fs::create_dir_all(path),
    }
}

pub(super) fn check_place(_: &OsDisk, path: &Path) -> io::Result<()> {
    demand_regular(path, &fs::symlink_metadata(path)?)
}

pub(super) fn rename(disk: &OsDisk, from: &Path, to: &Path) -> io::Result<()> {
    match check_place(disk, to) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => fs::rename(from, to),
    }
}

pub(super) fn remove(_: &OsDisk, path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

pub(super) fn sync_folder(_: &OsDisk, _: &Path) -> io::Result<()> {
    // A folder cannot be opened for flushing here; the system journals its
    // names itself.
    Ok(())
}

pub(super) fn is_at(_: &OsDisk, _: &File, _: &Path) -> io::Result<bool> {
    // An open file cannot be removed here, so the path names it.
    Ok(true)
}

pub(super) fn open_named(path: &Path) -> io::Result<File> {
    demand_regular(path, &fs::metadata(path)?)?;
    File::open(path)
}

/// The file; who may write it is not asked here.
pub(super) fn open_trusted(path: &Path) -> io::Result<File> {
    open_named(path)
}

/// The file, and whether others may read it, which is not asked here.
pub(super) fn open_secret(path: &Path) -> io::Result<(File, bool)> {
    Ok((open_named(path)?, false))
}

fn demand_regular(path: &Path, about: &Metadata) -> io::Result<()> {
    let path = path.to_owned();
    if about.is_symlink() {
        Err(Refusal::Link(path).into())
    } else if about.is_dir() {
        Err(Refusal::Kind(path, "a folder").into())
    } else if !about.is_file() {
        Err(Refusal::Kind(path, "a device").into())
    } else {
        Ok(())
    }
}
