#!/usr/bin/env bash
# The long searches, which `cargo test` makes in part: SIGKILL at every point
# of the whole example in both dialects, every false answer, and many more
# random worlds and histories.
# Takes some ten minutes. Ends at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."

WHOP_SYNC_EXHAUSTIVE=all cargo test --test it kill::no_kill -- --nocapture
WHOP_SYNC_WORLDS=${WHOP_SYNC_WORLDS:-40} cargo test --test it crash::no_stop -- --nocapture
WHOP_SYNC_EXHAUSTIVE=all cargo test --test it untrusted:: -- --nocapture
PROPTEST_CASES=${PROPTEST_CASES:-4000} cargo test --test it model::
PROPTEST_CASES=${PROPTEST_CASES:-4000} cargo test --test it properties::
