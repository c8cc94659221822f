//! Which account is whose.
