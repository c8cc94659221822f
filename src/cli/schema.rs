//! `schema`: the JSON Schemas of what we read and write.

use super::args::SchemaOf;
use super::output::Printer;
use crate::error::{Exit, Result};
use crate::render::schema;

pub(super) fn run(printer: &Printer, of: SchemaOf) -> Result<Exit> {
    let text = match of {
        SchemaOf::Manifest => schema::MANIFEST,
        SchemaOf::Documents => schema::PLAN,
    };
    printer.result(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}
