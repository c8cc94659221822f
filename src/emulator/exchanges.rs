//! Every request and its answer in a file, as JSON lines, for whoever wants to
//! judge them: `tests/contract` holds them against the API's description.
//!
//! The key is left out; everything else is there as it went over the wire, the
//! emulator's own upload URLs too. What a fault made up is named by its kind
//! and not shown: it is no answer of the emulator's.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::faults::Strike;
use super::operation::Operation;
use super::request::Call;
use crate::fsys::{How, OsDisk};
use crate::remote::transport::Response;

/// An open file of exchanges. Several emulators may share one: each line is
/// added with a single write.
#[derive(Debug)]
pub(super) struct Exchanges(File);

impl Exchanges {
    /// Opens the file, or begins it.
    ///
    /// # Errors
    /// If the file or its folder cannot be made.
    pub(super) fn open(disk: &OsDisk, path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            disk.make_folder(folder)?;
        }
        Ok(Self(disk.open(path, How::Stream)?))
    }

    /// Adds one exchange. `operation` is `None` for a path that is none of the
    /// API's; `answer` is `None` where the connection was closed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn add(
        &mut self,
        call: &Call,
        operation: Option<Operation>,
        strike: Option<&Strike>,
        answer: Option<&Response>,
    ) -> io::Result<()> {
        let said = answer.filter(|_| strike.is_none_or(Strike::lets_speak));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = |headers: &[(String, String)]| -> Map<String, Value> {
            let pairs = headers.iter().filter(|(name, _)| name != "authorization");
            pairs.map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let uploads = operation == Some(Operation::UploadFile);
        let line = json!({
            "operation": operation.map(Operation::as_str),
            "method": call.method,
            "path": call.path,
            "headers": headers(&call.headers),
            "keyed": call.header("authorization").is_some(),
            // A picture's bytes are no text and are judged by nobody.
            "body": if uploads { String::new() } else { text(&call.body) },
            "strike": strike.map(Strike::kind),
            "status": said.map(|answer| answer.status),
            "answer_headers": said.map(|answer| headers(&answer.headers)),
            "answer": said.map(|answer| text(&answer.body)),
        });
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::emulator::{Call, Emulator, Fault, ORIGIN, Operation, Settings, Strike};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "reads what was written")]
    fn exchanges_are_written_without_the_key_and_without_what_a_fault_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/exchanges.jsonl");
        let emulator = Emulator::open(Settings {
            exchanges: Some(path.clone()),
            latency: Duration::ZERO,
            ..Settings::test("biz_p")
        })
        .unwrap();
        let call = Call {
            method: "GET".to_owned(),
            path: "/api/v1/accounts?first=5".to_owned(),
            headers: vec![
                ("authorization".to_owned(), "Bearer very-secret".to_owned()),
                ("api-version-date".to_owned(), "2026-10-15-1".to_owned()),
            ],
            body: bytes::Bytes::new(),
            origin: ORIGIN.to_owned(),
        };
        emulator.handle(&call);
        emulator.fault(Fault::next(Operation::ListAccounts, Strike::Html { status: 502 }));
        emulator.handle(&call);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("very-secret"), "{text}");
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["operation"], "list_accounts");
        assert_eq!(
            (&lines[0]["status"], &lines[0]["keyed"]),
            (&200.into(), &true.into())
        );
        assert!(lines[0]["answer"].as_str().unwrap().contains("page_info"));
        assert_eq!(
            (&lines[1]["strike"], &lines[1]["status"]),
            (&"html".into(), &serde_json::Value::Null)
        );
        assert_eq!(lines.len(), 2);
    }
}
