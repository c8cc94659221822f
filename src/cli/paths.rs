//! Where state is kept: beside the manifest, and for the emulator apart.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::values::Server;
use crate::error::{Code, Error, Result};
use crate::store;

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Mapping, journal and lock.
    pub(crate) state: store::Paths,
    /// What the emulator remembers.
    pub(crate) emulator: PathBuf,
}

/// The folder, beside the manifest, for what belongs to the emulator.
const EMULATOR_FOLDER: &str = ".whop-sync";

impl Paths {
    /// Where state is kept, by default beside the first manifest: for
    /// `users.yaml` in `users.mapping.jsonl`, for a folder in a file of that name
    /// inside it. State of the emulator stands apart, so that trying things out
    /// can never touch the real mapping. `is_folder` is asked about the first
    /// manifest.
    ///
    /// # Errors
    /// An empty manifest path, or a mapping that could not stand beside its own
    /// journal and lock.
    pub(crate) fn new(
        manifests: &[PathBuf],
        mapping: Option<PathBuf>,
        server: &Server,
        is_folder: impl FnOnce(&Path) -> bool,
    ) -> Result<Self> {
        let manifest = manifests
            .first()
            .map_or(Path::new("users.yaml"), PathBuf::as_path);
        if manifests.iter().any(|path| path.as_os_str().is_empty()) {
            return Err(Error::new(Code::Usage, "`--manifest` must not be empty"));
        }
        let (folder, stem) = if is_folder(manifest) {
            (manifest, OsStr::new("users"))
        } else {
            (manifest.parent().unwrap_or(Path::new("")), stem(manifest))
        };
        let apart = folder.join(EMULATOR_FOLDER);
        let mapping = mapping.unwrap_or_else(|| {
            let mut name = stem.to_owned();
            name.push(".mapping.jsonl");
            match server {
                Server::Emulator => apart.join(name),
                Server::Production | Server::Sandbox | Server::Url(_) => folder.join(name),
            }
        });
        let state = store::Paths::of_mapping(&mapping);
        if mapping.file_name().is_none()
            || mapping == state.journal
            || mapping == state.lock
            || mapping == state.pictures()
        {
            let shown = mapping.display();
            let hint = "name a file that ends in .mapping.jsonl";
            return Err(Error::new(Code::Usage, format!("`{shown}` cannot be the mapping")).hint(hint));
        }
        Ok(Self {
            state,
            emulator: apart.join("emulator.jsonl"),
        })
    }
}

/// A manifest's name without its `.yaml` or `.yml`.
fn stem(manifest: &Path) -> &OsStr {
    let extension = manifest.extension().unwrap_or_default();
    let is_yaml = extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml");
    let name = if is_yaml {
        manifest.file_stem()
    } else {
        manifest.file_name()
    };
    name.unwrap_or(OsStr::new("users"))
}
