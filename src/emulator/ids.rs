//! Ids, fingerprints and small encodings, all deterministic.
//!
//! None of it is cryptography: ids must look like Whop's, and fingerprints
//! must tell apart what an honest client sends.

/// A small generator with a good spread (SplitMix64), for ids and for faults
/// that strike by chance.
#[derive(Clone, Debug)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    /// Equal seeds give equal numbers.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// An id such as `biz_` and 14 letters and digits, from a seed and a number
/// that is never used twice.
pub(super) fn id(prefix: &str, seed: u64, number: u64) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = SplitMix::new(seed);
    let mut random = SplitMix::new(random.next() ^ number);
    let mut id = String::with_capacity(prefix.len() + 14);
    id.push_str(prefix);
    for _ in 0..14 {
        id.push(char::from(ALPHABET[(random.next() % 62) as usize]));
    }
    id
}

/// Whether a text could be one of Whop's ids: the prefix, and 1 to 128
/// characters that need no escaping anywhere.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=128).contains(&rest.len()) && rest.bytes().all(fits))
}

/// 32 hexadecimal digits that stand for these parts, in this order.
pub(super) fn fingerprint(parts: &[&[u8]]) -> String {
    format!("{:032x}", digest(parts))
}

/// 32 hexadecimal digits in the form of a random UUID (RFC 9562, version 4).
pub(super) fn uuid(digits: &str) -> String {
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..],
    );
    format!("{a}-{b}-4{c}-a{d}-{e}")
}

/// A number that stands for these parts, in this order.
pub(super) fn digest(parts: &[&[u8]]) -> u128 {
    // FNV-1a from two beginnings; the length parts neighbours from each other.
    let mut hashes = [0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142];
    for part in parts {
        let length = (part.len() as u64).to_le_bytes();
        for byte in length.iter().chain(part.iter()) {
            for hash in &mut hashes {
                *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let [one, two] = hashes.map(|hash| u128::from(SplitMix::new(hash).next()));
    one << 64 | two
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with the alphabet for URLs, without padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for at in 0..3 {
            word = (word << 8) | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..=chunk.len() {
            let six = (word >> (18 - 6 * at)) & 63;
            text.push(char::from(BASE64[six as usize]));
        }
    }
    text
}

/// The bytes behind [`base64()`]; `None` for any other text.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for at in 0..4 {
            let six = match chunk.get(at) {
                Some(letter) => BASE64.iter().position(|known| known == letter)?,
                None => 0,
            };
            word = (word << 6) | u32::try_from(six).ok()?;
        }
        if chunk.len() == 1 {
            return None;
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_look_like_whops_and_never_repeat() {
        let ids: BTreeSet<_> = (0..2_000).map(|number| id("biz_", 7, number)).collect();
        assert_eq!(ids.len(), 2_000);
        assert!(ids.iter().all(|id| id.len() == 18 && is_id(id, "biz_")));
        assert_eq!(id("biz_", 7, 3), id("biz_", 7, 3));
        assert_ne!(id("biz_", 7, 3), id("biz_", 8, 3));
        for bad in ["biz_", "user_a", "biz_a/b", "biz_a?", "biz_é"] {
            assert!(!is_id(bad, "biz_"), "{bad}");
        }
    }

    #[test]
    fn fingerprints_tell_neighbours_apart() {
        assert_eq!(fingerprint(&[b"a", b"b"]), fingerprint(&[b"a", b"b"]));
        assert_ne!(fingerprint(&[b"ab", b""]), fingerprint(&[b"a", b"b"]));
        assert_eq!(fingerprint(&[b"a"]).len(), 32);
        assert_eq!(
            uuid("0123456789abcdef0123456789abcdef"),
            "01234567-89ab-4def-a123-456789abcdef"
        );
    }

    #[test]
    fn base64_goes_there_and_back() {
        assert_eq!(base64(b"[\"c\""), "WyJjIg");
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|b| b.wrapping_mul(77)).collect();
            assert_eq!(unbase64(&base64(&bytes)), Some(bytes));
        }
        assert_eq!(unbase64("a"), None);
        assert_eq!(unbase64("a+b="), None);
    }
}
