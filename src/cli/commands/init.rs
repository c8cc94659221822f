//! `init`: what a new folder needs, or a manifest from a table of users.
//! Writes new files only.

mod columns;
pub(crate) mod csv;
mod pipelines;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::columns::{Column, Columns, columns};
use self::csv::Table;
use self::pipelines::Ci;
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::core::field::TextField;
use crate::core::model::{DesiredUser, Guardrails};
use crate::core::value::{DisplayName, Email, PlatformId, UserKey};
use crate::error::{Code, Error, Exit, Result};
use crate::fsys::{self, How, OsDisk};
use crate::manifest;
use crate::render::init::{InitSummary, RowLeft};
use crate::render::{init, json, schema, yaml};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync init --company biz_XXXXXXXXXXXXX
  whop-sync init --ci github
  whop-sync init --from-csv users.csv --column email=\"Mail address\" --column metadata.tier=Plan";

/// How a beginning is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct InitArgs {
    /// Your platform's own account on Whop; you can also add it later
    #[arg(long, value_name = "BIZ_ID", value_parser = PlatformId::parse)]
    pub(crate) company: Option<PlatformId>,
    /// Take the users from this table: CSV with a header line
    ///
    /// Columns are found by their headers: id, email, name, avatar, title,
    /// renamed_from, and common other names of these. Rows that cannot be users
    /// are left out and reported.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_csv: Option<PathBuf>,
    /// Take this column for a field, such as email="Mail address"; repeatable
    ///
    /// metadata.KEY=HEADER takes one as metadata.
    #[arg(long = "column", value_name = "FIELD=HEADER", value_parser = Column::parse, requires = "from_csv")]
    pub(crate) columns: Vec<Column>,
    /// Write pipelines too: plan on pull requests, apply on merge, drift at night
    ///
    /// They are written below the current folder, which should be the
    /// repository's root, and need keys as secrets; each file says which.
    #[arg(long, value_enum, value_name = "PLATFORM")]
    pub(crate) ci: Option<Ci>,
}

/// What git should not see. The journal is not among it: after a crash it is
/// what the next run goes on from.
const IGNORED: [&str; 4] = [
    "/.whop-sync/",
    "*.mapping.lock",
    "*.mapping.jsonl.new",
    "*.mapping.pictures*",
];

/// The largest `.gitignore` that is read, in bytes.
const MOST_IGNORED: u64 = 1024 * 1024;

/// The largest table that is read, in bytes: over a million users.
const MOST_TABLE: u64 = 512 * 1024 * 1024;

/// The company until its owner writes it in.
const PLACEHOLDER: &str = "biz_XXXXXXXXXXXXX";

pub(crate) fn run(settings: &Settings, printer: &Printer, args: &InitArgs) -> Result<Exit> {
    let manifest = match settings.manifests.as_slice() {
        [path] if !path.is_dir() => path,
        _ => {
            return Err(Error::new(Code::Usage, "`init` writes one manifest")
                .hint("name one file with `-f`, such as `-f users.yaml`"));
        }
    };
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let mut made = InitSummary::default();
    let text = match &args.from_csv {
        None => starter(args.company.as_ref()),
        Some(_) if manifest.exists() => {
            return Err(Error::new(
                Code::IoFailed,
                format!("`{}` is there already", manifest.display()),
            )
            .hint("name another one with `-f`: only new files are written"));
        }
        Some(table) => from_table(table, args, folder, &mut made)?,
    };
    let disk = &settings.disk;
    let make_folder = |folder: &Path| {
        disk.make_folder(folder)
            .map_err(|cause| Error::file("create the folder", folder, cause))
    };
    make_folder(folder)?;
    place(disk, manifest, text.as_bytes(), &mut made)?;
    place(
        disk,
        &folder.join("users.schema.json"),
        schema::MANIFEST.as_bytes(),
        &mut made,
    )?;
    let ignore = folder.join(".gitignore");
    let lines: String = IGNORED.iter().map(|line| format!("{line}\n")).collect();
    let there = disk.read_most(&ignore, MOST_IGNORED);
    match there.map_err(|cause| Error::file("read", &ignore, cause))? {
        Some(there) => {
            let there = String::from_utf8_lossy(&there);
            let has = |line: &&&str| there.lines().any(|known| known.trim() == **line);
            made.ignore = IGNORED.iter().filter(|line| !has(line)).copied().collect();
            made.kept.push(ignore.display().to_string());
        }
        None => drop(place(disk, &ignore, lines.as_bytes(), &mut made)?),
    }
    for file in args.ci.into_iter().flat_map(pipelines::files) {
        let path = Path::new(file.path);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        if let Some(written) = place(disk, path, file.text.as_bytes(), &mut made)?
            && file.is_program
        {
            make_program(&written).map_err(|cause| Error::file("make executable", path, cause))?;
        }
    }
    if args.from_csv.is_some()
        && let Err(error) = manifest::load(&settings.manifests)
    {
        made.problems = error.manifest_problems().len();
    }
    printer.result(|out| match printer.is_json() {
        true => json::made(out, &made),
        false => init::write(out, &made),
    })?;
    Ok(Exit::Done)
}

/// Writes a file if there is none of this name; gives it if so.
fn place(disk: &OsDisk, path: &Path, bytes: &[u8], made: &mut InitSummary) -> Result<Option<File>> {
    let shown = path.display().to_string();
    let written = disk.open(path, How::New).and_then(|mut file| {
        file.write_all(bytes)?;
        Ok(file)
    });
    match written {
        Ok(file) => {
            made.created.push(shown);
            Ok(Some(file))
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            made.kept.push(shown);
            Ok(None)
        }
        Err(cause) => Err(Error::file("write", path, cause)),
    }
}

/// Lets a file be run, where a file's mode says so.
fn make_program(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn starter(company: Option<&PlatformId>) -> String {
    let company = company.map_or(PLACEHOLDER, PlatformId::as_str);
    format!(
        "{}
#
# Your platform's users, as they shall be on Whop:
#
#   whop-sync validate                  check this file
#   whop-sync plan --server emulator    see what would happen, without an account
#   whop-sync plan                      see what would happen on Whop
#   whop-sync apply                     make it happen, after asking
version: 1
company: {company} # your own account on Whop, from its dashboard
users: []

# Put your users in place of the brackets. Each looks like this:
#
# users:
#   - id: user_12345             # your own id
#     email: jane@example.com    # used to create; Whop cannot change it later
#     name: Jane Doe             # the name your chat shows
#     avatar: avatars/jane.png   # PNG, JPEG, GIF or WebP; optional
",
        yaml::MODELINE
    )
}

/// Makes a manifest of a table.
fn from_table(path: &Path, args: &InitArgs, folder: &Path, made: &mut InitSummary) -> Result<String> {
    let bytes = fsys::read_named(path, MOST_TABLE).map_err(|cause| Error::file("read", path, cause))?;
    let shown = path.display();
    let bad = |message: String| Error::new(Code::Usage, message);
    let text = String::from_utf8(bytes).map_err(|_| {
        bad(format!("`{shown}` is not UTF-8")).hint("save it again as CSV with the encoding UTF-8")
    })?;
    let table = csv::read(&text).map_err(|line| {
        bad(format!(
            "`{shown}`: the quotes that begin on line {line} never end"
        ))
        .hint("close them, or save the table again from the spreadsheet")
    })?;
    let columns = columns(&table.header, &args.columns, made).map_err(|message| {
        let headers = table.header.iter().map(|header| format!("`{header}`"));
        let headers = headers.collect::<Vec<_>>().join(", ");
        bad(message).hint(format!(
            "its columns are {headers}; name one with `--column FIELD=HEADER`"
        ))
    })?;
    let users = rows(&table, &columns, folder, made);
    made.users = users.len();
    let company = match &args.company {
        Some(company) => company.clone(),
        None => PlatformId::parse(PLACEHOLDER)
            .map_err(|why| Error::new(Code::Internal, format!("the placeholder {why}")))?,
    };
    let mut out = format!("{}\n", yaml::MODELINE).into_bytes();
    let listed = users.iter().map(|(user, avatar)| (user, avatar.as_deref()));
    yaml::write(&mut out, &company, &Guardrails::default(), listed)
        .map_err(|cause| Error::new(Code::Internal, "the manifest could not be made").caused_by(cause))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The rows that can be users. The others are told.
fn rows(
    table: &Table,
    columns: &Columns,
    folder: &Path,
    made: &mut InitSummary,
) -> Vec<(DesiredUser, Option<String>)> {
    let mut users = Vec::with_capacity(table.rows.len());
    let (mut ids, mut emails) = (BTreeSet::new(), BTreeSet::new());
    for (line, row) in &table.rows {
        match row_user(row, columns) {
            Err(why) => made.left.push(RowLeft { line: *line, why }),
            Ok((user, _)) if !ids.insert(user.key.clone()) => made.left.push(RowLeft {
                line: *line,
                why: format!("the id `{}` stood before", user.key),
            }),
            Ok((user, _)) if !emails.insert(user.email.folded().into_owned()) => made.left.push(RowLeft {
                line: *line,
                why: "its email stood before".to_owned(),
            }),
            Ok((user, avatar)) => {
                let found = avatar.filter(|path| {
                    let is_there = folder.join(path).is_file();
                    if !is_there {
                        made.left.push(RowLeft {
                            line: *line,
                            why: format!("there is no picture at `{path}`, so `{}` has none", user.key),
                        });
                    }
                    is_there
                });
                users.push((user, found));
            }
        }
    }
    users
}

fn row_user(row: &[String], columns: &Columns) -> Result<(DesiredUser, Option<String>), String> {
    let cell = |field: &str| {
        let text = columns.get(field).and_then(|at| row.get(*at)).map(String::as_str);
        text.filter(|text| !text.is_empty())
    };
    let required = |field: &str| cell(field).ok_or_else(|| format!("the {field} is missing"));
    let of = |field: &'static str| move |why: crate::core::value::Invalid| format!("the {field} {why}");
    let metadata = columns.keys().filter_map(|field| {
        let key = field.strip_prefix("metadata.")?;
        Some((key.into(), cell(field)?.into()))
    });
    let mut user = DesiredUser::new(
        UserKey::parse(required("id")?).map_err(of("id"))?,
        Email::parse(required("email")?).map_err(of("email"))?,
        DisplayName::parse(required("name")?).map_err(of("name"))?,
    );
    for field in TextField::ALL {
        if let Some(text) = cell(field.name()) {
            field.ask(&mut user, text).map_err(of(field.name()))?;
        }
    }
    user.metadata = metadata.collect();
    user.renamed_from = cell("renamed_from")
        .map(UserKey::parse)
        .transpose()
        .map_err(of("renamed_from"))?;
    Ok((user, cell("avatar").map(str::to_owned)))
}
