//! Keeps a platform's users on Whop equal to a YAML manifest.
//!
//! A platform that embeds Whop chat needs each of its users on Whop: as a
//! connected account under its company, whose owner shows a company-specific
//! name and picture. This crate makes that declarative. It is the library
//! below the `whop-sync` program; this page is its architecture.
//!
//! # The tour
//!
//! A pure core turns three facts into a plan. Thin edges fetch the facts,
//! carry the plan out, write down each step before and after, and tell people.
//!
//! ```text
//! manifest file  --manifest-->  Desired  \
//! Whop           --remote---->  Observed  >--  plan()  -->  Plan  -->  render  (plan stops here)
//! mapping file   --store----->  Known    /     (pure)          \-->  execute --> journal --> mapping  (apply)
//!                                                               \-->  events --> progress, report
//! ```
//!
//! # Words, one meaning each
//!
//! - *Desired state*: what the manifest asks. *Observed state*: what a refresh
//!   saw on Whop. *Known state* or *mapping*: which account is whose, and what
//!   we last applied.
//! - *Drift*: observed differs from last applied. An *edit*: desired differs
//!   from last applied.
//! - *Plan*, *action*, *step*: what a run will do; for one user; one remote
//!   call of it. *Hold*: wanted, but refused for a stated reason. *Adopt*: link
//!   an account that exists. *Forget*: drop a link whose account is gone.
//! - *Journal*: what is in flight. *In doubt*: a request was sent and its
//!   answer lost.
//! - To parse and check makes valid values; to refresh reads Whop; to plan and
//!   audit computes; to apply changes; to replay rebuilds; to render writes
//!   text. A name without one of the verbs of IO does none.
//!
//! # The map
//!
//! | where | what | imports |
//! | --- | --- | --- |
//! | [`core`] | the three facts, the plan, its audit, the journal's meaning | nothing |
//! | `parallel` | work side by side, whatever it is | nothing |
//! | [`fsys`] | opens files, by rules that strangers' files cannot get around | nothing |
//! | [`error`] | the one error, its codes and exit statuses | `core`, `fsys` |
//! | `picture` | pictures by their content, without reading any file | `core` |
//! | [`manifest`] | YAML and pictures in, desired state or every problem out | `core`, `parallel`, `error`, `fsys`, `picture` |
//! | [`remote`] | Whop's API in both dialects over a one-method transport | `core`, `error`, `picture` |
//! | [`store`] | lock, mapping and journal | `core`, `parallel`, `error`, `fsys` |
//! | [`execute`] | carries a plan out | `core`, `error`, `remote`, `store` |
//! | [`render`] | plans, reports and errors as text | `core`, `error`, `picture` |
//! | [`emulator`] | Whop in the box, for trials, pull requests and tests | `fsys`, `remote::transport` |
//! | [`cli`] | arguments, and the wiring of all the rest | `core`, `error`, `fsys`, `manifest`, `remote`, `store`, `execute`, `render`, `emulator` |
//! | `fuzzing` | what must hold of hostile input; built for tests alone | `core`, `error`, `picture`, `manifest`, `remote`, `store`, `render`, `cli` |
//!
//! # What is always true
//!
//! - Whoever holds no writer cannot write: planning is given no transport and
//!   no file, and its refresh sends GET only.
//! - A profile update cannot be built without the platform's id
//!   ([`remote::ProfileUpdate`]): without it, a real person's global profile
//!   would change.
//! - Nothing is ever deleted on Whop, and nothing the manifest does not speak
//!   of is touched.
//! - A create is announced in the journal, to the byte, before it is sent, so
//!   that after a crash it is either found, or repeated in a way that cannot
//!   make a second account, or held.
//! - The key is in one header to one origin. A presigned URL never gets it.
//! - What is printed is what is carried out: both are the same value.
//! - Nothing is carried out from a saved plan's file: the plan is made again
//!   and compared, and the file says neither where to go nor whose key to use.
//! - Time, randomness and the environment enter through arguments; only
//!   [`cli`] and the emulator's clock ask for them.
//!
//! What must hold of hostile input is written down once, in `fuzzing`, for the
//! targets of `fuzz/` and for tests.
//!
//! Who writes each input, what its author must never be able to do, and which
//! test proves it, stands in [`threats`].
//!
//! What Whop's API promises, and what is assumed where it is silent, is on a
//! page of its own: [`whop_api`]. Comments link to its parts.
//!
//! `tests/it/house.rs` reads this map and the source, and fails where they
//! differ, and where imports go in a circle.

pub mod cli;
pub mod core;
pub mod emulator;
pub mod error;
pub mod execute;
pub mod fsys;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod manifest;
mod parallel;
mod picture;
pub mod remote;
pub mod render;
pub mod store;
pub mod threats;
pub mod whop_api;
