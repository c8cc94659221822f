//! The command line: what was typed ([`args`]), and what it means once the
//! surroundings are known ([`settings`]).

pub mod args;
pub mod early;
pub mod key;
pub mod paths;
pub mod settings;
pub mod values;
