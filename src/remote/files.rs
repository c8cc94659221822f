//! Uploads pictures: a file record, the bytes to storage, and the wait until
//! Whop has processed them ([files](crate::whop_api#files)).

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::call::{header, trace};
use super::client::{Client, Permit};
use super::error::{CallError, CallErrorKind, Effect};
use super::operation::Operation;
use super::query::{PageInfo, Pages, Turn, path};
use super::transport::{Method, Request, Target};
use crate::core::report::Trace;
use crate::core::value::FileId;

/// Files per status request: a page of the answer has 100.
const BATCH: usize = 100;

/// Headers that determine where a request goes, where it ends or on whose
/// behalf it is sent. An answer that asks for one of them could redirect the
/// request.
const OURS: [&str; 12] = [
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A file record, and where its bytes go.
#[derive(Debug)]
pub struct NewFile {
    /// Its id, to be attached once it is ready.
    pub id: FileId,
    /// Where and how to send the bytes, within the hour.
    pub upload: UploadTarget,
    /// The answer that contained both.
    pub trace: Trace,
}

/// A presigned destination. Anyone who has it can write there, so it is never
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

/// The processing state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// The bytes have not arrived.
    Pending,
    /// Being processed.
    Processing,
    /// Ready to be attached.
    Ready,
    /// Rejected.
    Failed,
    /// There is no such file, or it belongs to another key.
    Missing,
}

impl Client {
    /// Creates a public file record; Whop's own default is private
    /// ([traps](crate::whop_api#traps)). The name's extension determines the
    /// type.
    ///
    /// Repeated after a lost answer in either dialect, because a record without
    /// bytes does no harm. Pass the permit if one was taken already.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn create_file(
        &self,
        permit: Option<Permit>,
        filename: &str,
        idempotency_key: &str,
    ) -> Result<NewFile, CallError> {
        let body = json!({ "filename": filename, "visibility": "public" }).to_string();
        let mut request = self.request(Method::Post, "/files".to_owned(), Some(body.into()));
        request.headers.push(header("idempotency-key", idempotency_key));
        let call = self.repeatable(Operation::CreateFile, request);
        let answer = self.call(permit, &call).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|why| format!("the answer is not as documented: {why}"))
            .and_then(|body| new_file(body, trace(&answer)))
            .map_err(|why| self.about(&call).malformed(&answer, &why))
    }

    /// Sends a file's bytes to storage, with exactly the requested headers and
    /// without the key.
    ///
    /// # Errors
    /// A 403 means that the hour is over: create a new file.
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

    /// The states of these files: 100 per request, or one by one if the API
    /// version cannot list them. Every requested id is in the result.
    ///
    /// # Errors
    /// If any call fails; the other results are dropped.
    pub async fn file_states(&self, ids: &[FileId]) -> Result<BTreeMap<FileId, FileState>, CallError> {
        let mut states: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), FileState::Missing)).collect();
        if self.version().lists_files() {
            let ids: Vec<FileId> = states.keys().cloned().collect();
            for batch in ids.chunks(BATCH) {
                self.list_files(batch, &mut states).await?;
            }
            return Ok(states);
        }
        // In parallel, because otherwise latency rather than the limit would
        // set the pace.
        let mut reads = JoinSet::new();
        for id in states.keys().cloned() {
            let client = self.clone();
            let read = async move { client.file_state(&id).await.map(|state| (id, state)) };
            reads.spawn(read.in_current_span());
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

    /// Asks for up to [`BATCH`] files at once. Whop leaves out unknown ones.
    /// Smaller pages are followed.
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
                        "the list of files does not end",
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

/// The parts of a file that are read.
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
    /// An unknown status counts as processing: callers that wait for `ready`
    /// have a time limit of their own.
    fn state(&self) -> FileState {
        match self.upload_status.as_str() {
            "pending" => FileState::Pending,
            "ready" => FileState::Ready,
            "failed" => FileState::Failed,
            _ => FileState::Processing,
        }
    }
}

fn new_file(body: FileBody, trace: Trace) -> Result<NewFile, String> {
    let id = FileId::parse(&body.id).map_err(|why| format!("the file's id {why}"))?;
    let url = body.upload_url.ok_or("the file has no upload URL")?;
    let headers = body
        .upload_headers
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        // It follows from the bytes and is always sent.
        .filter(|(name, _)| name != "content-length")
        .map(|(name, value)| match value {
            _ if OURS.contains(&&*name) => Err("an upload header is not allowed".to_owned()),
            Value::String(value) => Ok((name, value)),
            Value::Number(number) => Ok((name, number.to_string())),
            // The value may be a secret, so it is not shown.
            _ => Err("an upload header is not a text".to_owned()),
        })
        .collect::<Result<_, _>>()?;
    Ok(NewFile {
        id,
        upload: UploadTarget { url, headers },
        trace,
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, answer, body_of, header_of, line, refusal, silence};
    use super::*;

    const NEW: &str = "2026-10-15-1";
    const OLD: &str = "2025-01-01";

    const CREATED: &str = r#"{"id":"file_x1","upload_status":"pending","size":"12","upload_url":"https://s.test/put?sig=1",
        "upload_headers":{"Content-Type":"image/png","X-Len":12}}"#;

    fn ids(names: &[&str]) -> Vec<FileId> {
        names.iter().map(|name| FileId::parse(name).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_public_and_created_again_under_its_key_after_silence() {
        for version in [NEW, OLD] {
            let script = Script::of([silence(), answer(201, CREATED)]);
            let file = script
                .client(version)
                .create_file(None, "u-1.png", "k1")
                .await
                .unwrap();
            assert_eq!(file.id.as_str(), "file_x1");
            let seen = script.seen();
            assert_eq!((seen.len(), line(&seen[1]).as_str()), (2, "POST /files"));
            assert_eq!(
                body_of(&seen[1]),
                r#"{"filename":"u-1.png","visibility":"public"}"#
            );
            assert_eq!(header_of(&seen[1], "idempotency-key"), Some("k1"));
            assert_eq!(seen[0], seen[1]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_has_exactly_the_headers_asked_for_and_is_never_shown() {
        let script = Script::of([answer(201, CREATED), silence(), answer(200, "")]);
        let client = script.client(NEW);
        let file = client.create_file(None, "u-1.png", "k1").await.unwrap();
        assert!(!format!("{file:?}").contains("sig=1"));
        client
            .upload(&file.upload, Bytes::from_static(b"bytes"))
            .await
            .unwrap();
        let upload = script.seen().pop().unwrap();
        assert_eq!(upload.method, Method::Put);
        assert_eq!(
            upload.target,
            Target::Storage("https://s.test/put?sig=1".to_owned())
        );
        let expected = [header("content-type", "image/png"), header("x-len", "12")];
        assert_eq!(
            (body_of(&upload), upload.headers.as_slice()),
            ("bytes", &expected[..])
        );
        assert_eq!(client.requests()["upload_file"], 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_storage_says_is_not_repeated() {
        let xml = "<Error><StringToSign>secret</StringToSign></Error>";
        let script = Script::of([answer(201, CREATED), answer(403, xml)]);
        let client = script.client(NEW);
        let file = client.create_file(None, "u-1.png", "k1").await.unwrap();
        let error = client.upload(&file.upload, Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Forbidden);
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("expired")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_without_a_destination_is_malformed() {
        for body in [
            r#"{"id":"file_x1","upload_status":"pending"}"#,
            r#"{"id":"f","upload_status":"pending","upload_url":"https://s.test"}"#,
            r#"{"id":"file_x1","upload_status":"pending","upload_url":"u","upload_headers":{"a":[]}}"#,
            r#"{"id":"file_x1","upload_status":"pending","upload_url":"u","upload_headers":{"Host":"x"}}"#,
            r#"{"id":"file_x1","upload_status":"pending","upload_url":"u","upload_headers":{"transfer-encoding":"chunked"}}"#,
        ] {
            let script = Script::of([answer(201, body)]);
            let error = script
                .client(NEW)
                .create_file(None, "a.png", "k")
                .await
                .unwrap_err();
            assert_eq!(error.kind, CallErrorKind::Malformed, "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_files_cost_few_requests() {
        let script = Script::by(|_, request| {
            let line = line(request);
            let data: Vec<_> = line
                .split(['?', '&'])
                .filter_map(|pair| pair.strip_prefix("file_ids="))
                .filter(|id| *id != "file_100")
                .map(|id| format!(r#"{{"id":"{id}","upload_status":"ready","size":7}}"#))
                .collect();
            let data = data.join(",");
            answer(
                200,
                format!(r#"{{"data":[{data}],"page_info":{{"end_cursor":null,"has_next_page":false}}}}"#),
            )
        });
        let client = script.client(NEW);
        let asked: Vec<_> = (0..250)
            .map(|n| FileId::parse(&format!("file_{n:03}")).unwrap())
            .collect();
        let states = client.file_states(&asked).await.unwrap();
        assert_eq!(states.len(), 250);
        let missing: Vec<_> = states
            .iter()
            .filter(|(_, state)| **state != FileState::Ready)
            .collect();
        assert_eq!(missing, [(&asked[100], &FileState::Missing)]);
        let lines = script.lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("GET /files?file_ids=file_000&file_ids=file_001&"));
        assert!(lines[0].ends_with("&file_ids=file_099&first=100"));
        assert!(client.file_states(&[]).await.unwrap().is_empty());
        assert_eq!(script.seen().len(), 3, "nothing to ask");
    }

    #[tokio::test(start_paused = true)]
    async fn every_status_and_smaller_pages() {
        let file = |id: &str, status: &str| format!(r#"{{"id":"{id}","upload_status":"{status}"}}"#);
        let page = |files: &[String], info: &str| {
            let files = files.join(",");
            answer(200, format!(r#"{{"data":[{files}],"page_info":{{{info}}}}}"#))
        };
        let next = r#""end_cursor":"c 1","has_next_page":true"#;
        let end = r#""end_cursor":null,"has_next_page":false"#;
        let script = Script::of([
            page(&[file("file_a", "pending"), file("file_b", "processing")], next),
            page(
                &[
                    file("file_c", "failed"),
                    file("file_d", "scanning"),
                    file("file_zz", "ready"),
                ],
                end,
            ),
        ]);
        let client = script.client(NEW);
        let states = client
            .file_states(&ids(&["file_a", "file_b", "file_c", "file_d", "file_e"]))
            .await
            .unwrap();
        use FileState as S;
        let expected = [S::Pending, S::Processing, S::Failed, S::Processing, S::Missing];
        assert_eq!(states.into_values().collect::<Vec<_>>(), expected);
        assert!(script.lines()[1].ends_with("&first=100&after=c%201"));
        let stuck = Script::by(move |_, _| page(&[file("file_a", "pending")], next));
        let error = stuck
            .client(NEW)
            .file_states(&ids(&["file_a"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Malformed);
    }

    #[tokio::test(start_paused = true)]
    async fn versions_without_the_list_ask_one_by_one() {
        for version in [OLD, "2026-08-21-1"] {
            let script = Script::by(|_, request| match line(request).as_str() {
                "GET /files/file_a" => answer(200, r#"{"id":"file_a","upload_status":"ready","size":"7"}"#),
                "GET /files/file_b" => refusal(404, "", "no"),
                other => panic!("{other}"),
            });
            let client = script.client(version);
            let states = client.file_states(&ids(&["file_a", "file_b"])).await.unwrap();
            assert_eq!(
                states.into_values().collect::<Vec<_>>(),
                [FileState::Ready, FileState::Missing]
            );
            assert_eq!(client.requests(), BTreeMap::from([("retrieve_file", 2)]));
        }
        let script = Script::by(|_, _| refusal(401, "", "no"));
        let error = script
            .client(OLD)
            .file_states(&ids(&["file_a"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Unauthorized);
    }
}
