//! Remembered POSTs ([idempotency](crate::whop_api#idempotency)).
//!
//! Kept for 24 hours and per credential, with 2xx and 4xx alike. Not
//! remembered are answers given before a request is looked into: 401 (no
//! caller to keep it for), an unknown version, 429, and the refusals of this
//! file itself. A fault's 5xx in place of acting is not remembered either, so
//! that the repeat acts; one after acting hides the true answer, which the
//! repeat then finds.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::digest;
use super::records::Remembered;
use super::refusal::Refusal;

/// How long a POST is remembered, in milliseconds.
const KEPT: u64 = 24 * 60 * 60 * 1_000;

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// Every remembered POST.
#[derive(Debug, Default)]
pub(super) struct Memory {
    by_slot: BTreeMap<u128, Remembered>,
    /// Oldest first, so that forgetting costs only what is forgotten.
    by_age: BTreeSet<(u64, u128)>,
}

/// What a request with an idempotency key meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Nothing: act, and remember under this slot and request.
    New {
        /// Stands for the credential and its key.
        slot: u128,
        /// Stands for the request.
        request: u128,
    },
    /// The same request, answered before.
    Replay(u16, Box<str>),
}

impl Memory {
    /// Looks up a key. `request` is everything that makes two requests the
    /// same: method, path, query, body and version.
    ///
    /// # Errors
    /// 400 for a key that is empty or too long, or was used with another
    /// request; 409 while the first call is running.
    pub(super) fn meet(
        &mut self,
        credential: &str,
        key: &str,
        request: &[&[u8]],
        now: u64,
    ) -> Result<Met, Refusal> {
        if key.is_empty() || key.len() > LONGEST {
            let message = format!("Idempotency-Key must be 1 to {LONGEST} bytes long");
            return Err(Refusal::invalid(message));
        }
        self.forget(now);
        let slot = digest(&[credential.as_bytes(), key.as_bytes()]);
        let request = digest(request);
        let Some(first) = self.by_slot.get(&slot) else {
            return Ok(Met::New { slot, request });
        };
        if first.request != request {
            return Err(Refusal::coded(
                400,
                "idempotency_key_mismatch",
                "Key was used with another request",
            ));
        }
        match &first.answer {
            Some((status, body)) if first.answered_at <= now => Ok(Met::Replay(*status, body.clone())),
            _ => Err(Refusal::coded(
                409,
                "idempotency_request_in_progress",
                "The first request is still running",
            )),
        }
    }

    /// Remembers, or replaces what was remembered.
    pub(super) fn put(&mut self, remembered: Remembered) {
        let age = (remembered.at, remembered.slot);
        if let Some(old) = self.by_slot.insert(remembered.slot, remembered) {
            self.by_age.remove(&(old.at, old.slot));
        }
        self.by_age.insert(age);
    }

    fn forget(&mut self, now: u64) {
        while let Some((at, slot)) = self.by_age.first() {
            if now < at + KEPT {
                break;
            }
            self.by_slot.remove(slot);
            self.by_age.pop_first();
        }
    }

    /// Everything remembered.
    pub(super) fn all(&self) -> impl Iterator<Item = &Remembered> {
        self.by_slot.values()
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_slot.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remember(memory: &mut Memory, key: &str, at: u64, answered_at: u64) {
        let Ok(Met::New { slot, request }) = memory.meet("me", key, &[b"body"], at) else {
            panic!("the key was used before");
        };
        memory.put(Remembered {
            slot,
            request,
            at,
            answered_at,
            answer: Some((403, "no".into())),
        });
    }

    #[test]
    fn answers_are_replayed_for_a_day_and_per_credential() {
        let mut memory = Memory::default();
        remember(&mut memory, "k", 1_000, 1_000);
        let again = memory.meet("me", "k", &[b"body"], 2_000);
        assert_eq!(again, Ok(Met::Replay(403, "no".into())));
        let other = memory.meet("me", "k", &[b"body2"], 2_000).unwrap_err();
        assert_eq!(
            (other.status, other.code),
            (400, Some("idempotency_key_mismatch"))
        );
        assert!(matches!(
            memory.meet("you", "k", &[b"body2"], 2_000),
            Ok(Met::New { .. })
        ));
        assert!(matches!(
            memory.meet("me", "k", &[b"body"], 1_000 + KEPT),
            Ok(Met::New { .. })
        ));
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn an_unanswered_call_is_in_progress_and_long_keys_are_refused() {
        let mut memory = Memory::default();
        remember(&mut memory, "k", 1_000, 5_000);
        let early = memory.meet("me", "k", &[b"body"], 4_999).unwrap_err();
        assert_eq!(early.status, 409);
        assert!(memory.meet("me", "k", &[b"body"], 5_000).is_ok());
        assert!(memory.meet("me", &"é".repeat(128), &[], 0).is_err());
        assert!(memory.meet("me", &"e".repeat(255), &[], 0).is_ok());
    }
}
