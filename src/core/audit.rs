//! Independent checks on a finished plan.
