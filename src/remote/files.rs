//! Pictures on their way to Whop: a file record, the bytes to storage, and
//! the wait until Whop has looked at them (`whop-api.md` §6).

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Client, header};
use super::error::{CallError, CallErrorKind, Effect};
use super::operation::Operation;
use super::query::{PageInfo, Pages, Turn, path};
use super::transport::{Method, Request, Target};
use crate::core::value::FileId;

/// How many files one request asks about: a page of the answer holds 100.
const BATCH: usize = 100;

/// A file record, and where its bytes go.
#[derive(Debug)]
pub struct NewFile {
    /// Its id, to be attached once it is ready.
    pub id: FileId,
    /// Where and how to send the bytes, within the hour.
    pub upload: UploadTarget,
}

/// A presigned destination. Whoever has it can write there, so it is never
/// shown.
pub struct UploadTarget {
    url: String,
    headers: Vec<(String, String)>,
}

impl fmt::Debug for UploadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadTarget(<presigned>)")
    }
}

/// How far Whop is with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// The bytes have not arrived.
    Pending,
    /// Being looked at.
    Processing,
    /// Can be attached.
    Ready,
    /// Was not accepted.
    Failed,
    /// There is no such file, or another key made it.
    Missing,
}

impl Client {
    /// Makes a public file record; Whop's own default would be private
    /// (`whop-api.md` §11.7). The name's extension decides the type.
    ///
    /// Repeated after a lost answer in either dialect: a record without bytes
    /// is nothing to anybody.
    ///
    /// # Errors
    /// Any call that fails.
    pub async fn create_file(&self, filename: &str, idempotency_key: &str) -> Result<NewFile, CallError> {
        let body = json!({ "filename": filename, "visibility": "public" }).to_string();
        let mut request = self.request(Method::Post, "/files".to_owned(), Some(body.into()));
        request.headers.push(header("idempotency-key", idempotency_key));
        let call = self.repeatable(Operation::CreateFile, request);
        let answer = self.call(None, &call).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|why| format!("the answer is not as documented: {why}"))
            .and_then(new_file)
            .map_err(|why| self.about(&call).malformed(&answer, &why))
    }

    /// Sends a file's bytes to storage, with exactly the headers asked for
    /// and without the key.
    ///
    /// # Errors
    /// A 403 means that the hour is over: make a new file.
    pub async fn upload(&self, to: &UploadTarget, bytes: Bytes) -> Result<(), CallError> {
        let request = Request {
            method: Method::Put,
            target: Target::Storage(to.url.clone()),
            headers: to.headers.clone(),
            body: bytes,
        };
        let call = self.repeatable(Operation::UploadFile, request);
        self.call(None, &call).await.map(drop)
    }

    /// The states of these files: 100 a request, or one by one where the API
    /// version cannot list them. Every id asked about is answered.
    ///
    /// # Errors
    /// Any call that fails; what the others said is dropped.
    pub async fn file_states(&self, ids: &[FileId]) -> Result<BTreeMap<FileId, FileState>, CallError> {
        let mut states: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), FileState::Missing)).collect();
        if self.version().lists_files() {
            let ids: Vec<FileId> = states.keys().cloned().collect();
            for batch in ids.chunks(BATCH) {
                self.list_files(batch, &mut states).await?;
            }
            return Ok(states);
        }
        // Side by side, or latency rather than the limit would set the pace.
        let mut reads = JoinSet::new();
        for id in states.keys().cloned() {
            let client = self.clone();
            reads.spawn(async move { client.file_state(&id).await.map(|state| (id, state)) });
        }
        while let Some(read) = reads.join_next().await {
            let (id, state) = match read {
                Ok(read) => read?,
                Err(why) => std::panic::resume_unwind(why.into_panic()),
            };
            states.insert(id, state);
        }
        Ok(states)
    }

    /// Asks about up to [`BATCH`] files at once. Those unknown to Whop are
    /// left out of its answer. A server with smaller pages is followed.
    async fn list_files(
        &self,
        ids: &[FileId],
        states: &mut BTreeMap<FileId, FileState>,
    ) -> Result<(), CallError> {
        let mut pages = Pages::default();
        let mut cursor: Option<String> = None;
        loop {
            let mut query: Vec<_> = ids.iter().map(|id| ("file_ids", id.as_str())).collect();
            query.push(("first", "100"));
            query.extend(cursor.as_deref().map(|cursor| ("after", cursor)));
            let request = self.request(Method::Get, path("/files", &query), None);
            let call = self.repeatable(Operation::ListFiles, request);
            let page: FilePage = self.fetch(None, &call).await?;
            let mut new = 0;
            for file in &page.data {
                if let Some(state) = FileId::parse(&file.id).ok().and_then(|id| states.get_mut(&id)) {
                    new += usize::from(*state == FileState::Missing);
                    *state = file.state();
                }
            }
            match pages.turn(page.page_info, page.data.len(), new) {
                Turn::Page(next) => cursor = Some(next),
                Turn::End { complete: true } => return Ok(()),
                Turn::End { complete: false } => {
                    return Err(self.about(&call).failed(
                        CallErrorKind::Malformed,
                        "the list of files leads nowhere",
                        Effect::None,
                    ));
                }
            }
        }
    }

    async fn file_state(&self, id: &FileId) -> Result<FileState, CallError> {
        let request = self.request(Method::Get, format!("/files/{id}"), None);
        let call = self.repeatable(Operation::RetrieveFile, request);
        match self.fetch::<FileBody>(None, &call).await {
            Ok(file) => Ok(file.state()),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(FileState::Missing),
            Err(error) => Err(error),
        }
    }
}

/// One page of files.
#[derive(Deserialize)]
struct FilePage {
    data: Vec<FileBody>,
    page_info: PageInfo,
}

/// The parts we read of a file.
#[derive(Deserialize)]
struct FileBody {
    id: String,
    upload_status: String,
    #[serde(default)]
    upload_url: Option<String>,
    #[serde(default)]
    upload_headers: Option<BTreeMap<String, Value>>,
}

impl FileBody {
    /// A status that we do not know is one on the way: whoever waits for
    /// `ready` has a limit of their own.
    fn state(&self) -> FileState {
        match self.upload_status.as_str() {
            "pending" => FileState::Pending,
            "ready" => FileState::Ready,
            "failed" => FileState::Failed,
            _ => FileState::Processing,
        }
    }
}

fn new_file(body: FileBody) -> Result<NewFile, String> {
    let id = FileId::parse(&body.id).map_err(|why| format!("the file's id {why}"))?;
    let url = body.upload_url.ok_or("the file has no upload URL")?;
    let headers = body
        .upload_headers
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Ok((name.to_ascii_lowercase(), value)),
            Value::Number(number) => Ok((name.to_ascii_lowercase(), number.to_string())),
            // The value may be a secret, and is not shown.
            _ => Err("an upload header is not a text".to_owned()),
        })
        .collect::<Result<_, _>>()?;
    Ok(NewFile {
        id,
        upload: UploadTarget { url, headers },
    })
}
