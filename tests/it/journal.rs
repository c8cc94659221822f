//! Journals that a stranger wrote: whatever they say, a run does no more than
//! its manifest and Whop's answers ask for, and nothing else.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use whop_sync::core::model::Dialect;
use whop_sync::emulator::Operation;
use whop_sync::store::Disk;

use crate::disk::Trip;
use crate::lab::{Conditions, Lab, PLATFORM, face};
use crate::world::user;

const DIALECTS: [Dialect; 2] = [Dialect::Accounts, Dialect::Companies];

/// Puts a journal of these entries beside the lab's mapping.
fn forge(lab: &Lab, entries: &[Value]) {
    let header =
        json!({"format": "whop-sync journal", "version": 1, "company": PLATFORM, "server": "emulator"});
    let lines = std::iter::once(&header).chain(entries);
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let disk = lab.disk.under(&Trip::at(0), None);
    let mut file = disk.create(&lab.paths().journal).unwrap();
    file.append(text.as_bytes()).unwrap();
}

/// The file that holds one picture on Whop, claimed to hold another.
#[tokio::test(start_paused = true)]
async fn a_file_id_in_the_journal_sets_no_picture() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("a")], dialect);
        lab.users[0].avatar = Some(face("one"));
        let files = Arc::new(Mutex::new(Vec::new()));
        let seen = files.clone();
        lab.tap = Some(Arc::new(move |_, answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            seen.lock()
                .unwrap()
                .extend(body["upload_url"].is_string().then(|| body["id"].clone()));
            answer
        }));
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let [file] = &files.lock().unwrap().clone()[..] else {
            panic!("one picture was uploaded: {files:?}")
        };
        lab.users.push(user("b"));
        lab.users[1].avatar = Some(face("two"));
        let digest = lab.users[1].avatar.as_ref().unwrap().digest;
        let fact = json!({"fact": "file", "digest": digest, "file": file});
        forge(&lab, &[json!({"entry": "ended", "fact": fact})]);
        lab.emulator.reset_counts();
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        // It looks at the pictures that are shown.
        assert_eq!(lab.check(), Ok(()));
        assert_eq!(lab.emulator.count(Operation::UploadFile), 1);
    }
}
