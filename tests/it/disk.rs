//! A disk in memory that forgets what was not flushed, and can be stopped at
//! any of its operations. It stands in for power loss and for `kill -9`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use whop_sync::store::{Disk, DurableFile, OsDisk};

/// What a power loss leaves of what was not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Only the process died: everything it wrote is there.
    Process,
    /// Everything that was not flushed is gone.
    Power,
}

/// Something that is skipped on purpose, to show that the proof notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Lines that announce a request are not written.
    Begun,
    /// A file's contents are not flushed.
    Sync,
    /// A folder's names are not flushed.
    FolderSync,
}

/// Where a run is to be stopped, and whether it was.
#[derive(Debug, Default)]
pub(crate) struct Trip {
    /// Operations until the stop; 0 for never.
    left: AtomicU64,
    dead: AtomicBool,
    /// Operations that went through.
    counted: AtomicU64,
    bell: tokio::sync::Notify,
}

impl Trip {
    /// Stops at the `n`-th operation from 1; never with 0.
    pub(crate) fn at(n: u64) -> Arc<Self> {
        Arc::new(Self {
            left: n.into(),
            ..Self::default()
        })
    }

    /// Counts an operation; true when the run dies with it.
    pub(crate) fn step(&self) -> bool {
        if self.is_dead() {
            return true;
        }
        self.counted.fetch_add(1, Ordering::SeqCst);
        let dies = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            == Ok(1);
        if dies {
            self.kill();
        }
        dies
    }

    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) fn count(&self) -> u64 {
        self.counted.load(Ordering::SeqCst)
    }

    /// Resolves when the run dies.
    pub(crate) async fn death(&self) {
        if !self.is_dead() {
            self.bell.notified().await;
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    /// How much of `bytes`, and which bytes, are flushed.
    flushed: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// Names as the running system sees them, and as the disk has them.
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Node>,
    next: u64,
}

/// The disk. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct MemDisk {
    state: Arc<Mutex<State>>,
    trip: Arc<Trip>,
    sabotage: Option<Sabotage>,
    /// The lock is a real file: the system ends it with its process.
    locks: OsDisk,
}

impl MemDisk {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            trip: Trip::at(0),
            sabotage: None,
            locks: OsDisk::default(),
        }
    }

    /// The same disk under another run.
    pub(crate) fn under(&self, trip: &Arc<Trip>, sabotage: Option<Sabotage>) -> Self {
        Self {
            state: self.state.clone(),
            trip: trip.clone(),
            sabotage,
            locks: OsDisk::default(),
        }
    }

    /// What a restart finds.
    pub(crate) fn restart(&self, loss: Loss) {
        let mut state = self.state.lock().unwrap();
        if loss == Loss::Power {
            state.names = state.durable_names.clone();
            state
                .nodes
                .values_mut()
                .for_each(|node| node.bytes = node.flushed.clone());
        }
    }

    pub(crate) fn text(&self, path: &Path) -> Option<String> {
        let state = self.state.lock().unwrap();
        let node = state.names.get(path)?;
        Some(String::from_utf8(state.nodes[node].bytes.clone()).unwrap())
    }

    /// Counts a change; an error when the run dies with it.
    fn change(&self) -> io::Result<std::sync::MutexGuard<'_, State>> {
        if self.trip.step() {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(self.state.lock().unwrap())
    }
}

impl Disk for MemDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let state = self.state.lock().unwrap();
        Ok(state.names.get(path).map(|node| state.nodes[node].bytes.clone()))
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        let mut state = self.change()?;
        let next = state.next;
        let node = *state.names.entry(path.to_owned()).or_insert(next);
        if node == next {
            state.next += 1;
            state.nodes.insert(node, Node::default());
        }
        Ok(Box::new(MemFile {
            disk: self.clone(),
            node,
        }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        let mut state = self.change()?;
        let node = state.next;
        state.next += 1;
        state.nodes.insert(node, Node::default());
        state.names.insert(path.to_owned(), node);
        Ok(Box::new(MemFile {
            disk: self.clone(),
            node,
        }))
    }

    fn check_place(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn locks(&self) -> &OsDisk {
        &self.locks
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let node = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?.names.remove(path);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        if self.sabotage != Some(Sabotage::FolderSync) {
            state.durable_names = state.names.clone();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    node: u64,
}

impl DurableFile for MemFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let node = state.nodes.get_mut(&self.node).unwrap();
        node.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    /// A run that dies while writing leaves half of it behind.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = match self.disk.sabotage {
            Some(Sabotage::Begun) => without_begun(bytes),
            _ => bytes.to_vec(),
        };
        let dies = self.disk.trip.is_dead();
        let changed = self.disk.change().map(drop);
        let mut state = self.disk.state.lock().unwrap();
        let node = state.nodes.get_mut(&self.node).unwrap();
        match changed {
            Ok(()) => node.bytes.extend(bytes),
            Err(_) if dies => {}
            Err(_) => node.bytes.extend(&bytes[..bytes.len() / 2]),
        }
        changed
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.change()?;
        if self.disk.sabotage != Some(Sabotage::Sync) {
            let node = state.nodes.get_mut(&self.node).unwrap();
            node.flushed = node.bytes.clone();
        }
        Ok(())
    }
}

fn without_begun(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split_inclusive('\n')
        .filter(|line| !line.contains(r#""entry":"begun""#))
        .collect::<String>()
        .into_bytes()
}
