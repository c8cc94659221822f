//! `schema`: the JSON Schemas of what we read and write.

use super::output::Printer;
use crate::error::{Exit, Result};
use crate::render::schema;

pub(super) fn run(printer: &Printer) -> Result<Exit> {
    printer.result(|out| out.write_all(schema::PLAN.as_bytes()))?;
    Ok(Exit::Done)
}
