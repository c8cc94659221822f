# Shortcuts for contributors; `just --list` shows them.

# Format, lints and unit tests: about two minutes once the dependencies are built.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test --lib

# Everything that must pass before a change is merged.
gate:
    .ci/run

# Rewrite the golden files and what the manual shows of the program; read the difference before you commit it.
golden:
    UPDATE_GOLDEN=1 cargo test --test it
    git diff --stat tests/golden docs README.md
