//! Applying under faults: the run ends and says for whom it failed, fair runs
//! afterwards converge, and at no moment does an id have two accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use whop_sync::core::model::{Dialect, Guard};
use whop_sync::core::plan::Reason;
use whop_sync::core::report::{Outcome, Report};
use whop_sync::emulator::{Fault, Operation, Script, Strike};
use whop_sync::error::Error;

use crate::lab::{Conditions, Lab, dozen, face, name};
use crate::world::{key, user};

/// The longest that a run under faults may take, in the lab's time. The
/// longest waits of a call are a limit's, an hour in all.
const ENDS_WITHIN: Duration = Duration::from_secs(6 * 3600);

/// The operations that a full run makes in a dialect.
fn operations(dialect: Dialect) -> [Operation; 7] {
    use Operation as Op;
    let (list, create) = match dialect {
        Dialect::Accounts => (Op::ListAccounts, Op::CreateAccount),
        Dialect::Companies => (Op::ListCompanies, Op::CreateCompany),
    };
    [
        list,
        create,
        Op::UpdateUser,
        Op::RetrieveUser,
        Op::CreateFile,
        Op::UploadFile,
        polled(dialect),
    ]
}

/// How a dialect asks whether a file is ready.
fn polled(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::Accounts => Operation::ListFiles,
        Dialect::Companies => Operation::RetrieveFile,
    }
}

/// Strikes that can befall any operation, with a name for messages.
fn anywhere() -> Vec<(&'static str, Strike)> {
    let limited = |header, message| Strike::Limited {
        seconds: 7,
        header,
        message,
    };
    let answer = |status| Strike::Answer {
        status,
        body: None,
        headers: BTreeMap::new(),
    };
    vec![
        ("429 header", limited(true, false)),
        ("429 message", limited(false, true)),
        ("429 bare", limited(false, false)),
        ("500", answer(500)),
        ("502", answer(502)),
        ("503", answer(503)),
        ("400", answer(400)),
        ("403", answer(403)),
        ("404", answer(404)),
        ("html 502", Strike::Html { status: 502 }),
        ("html 200", Strike::Html { status: 200 }),
        ("done, 500", Strike::AnswerAfter { status: 500 }),
        ("reset before", Strike::ResetBefore),
        ("reset after", Strike::ResetAfter),
        ("late", Strike::Late { millis: 90_000 }),
        ("slow", Strike::Slow { millis: 20_000 }),
        ("truncated", Strike::Truncated),
        ("oversized", Strike::Oversized { bytes: 1 << 12 }),
        ("refused 403", Strike::Refused { status: 403 }),
        ("refused 409", Strike::Refused { status: 409 }),
        ("dies undone", Strike::DiesInProgress { acts: false }),
        ("dies done", Strike::DiesInProgress { acts: true }),
    ]
}

/// Strikes that make sense for some operations only.
fn somewhere(dialect: Dialect) -> Vec<(&'static str, Operation, Strike)> {
    let list = operations(dialect)[0];
    vec![
        ("stale", list, Strike::Stale { seconds: 60 }),
        ("page skips", list, Strike::PageSkips { entries: 1 }),
        ("page repeats", list, Strike::PageRepeats { entries: 1 }),
        ("file fails", Operation::CreateFile, Strike::FileFails),
        ("file fails", Operation::UploadFile, Strike::FileFails),
        ("file stalls", Operation::CreateFile, Strike::FileStalls),
        ("url expires", Operation::CreateFile, Strike::UrlExpires),
    ]
}

/// How many requests of an operation a strike befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// The fourth, or the first where there are not so many.
    Once,
    /// Every one.
    All,
}

impl Span {
    fn of(self, operation: Operation, strike: Strike) -> Fault {
        let few = matches!(
            operation,
            Operation::ListAccounts | Operation::ListCompanies | Operation::ListFiles
        );
        let fault = Fault::next(operation, strike);
        match self {
            Self::Once => fault.skip(if few { 0 } else { 3 }),
            Self::All => fault.forever(),
        }
    }
}

/// Fails if any id has two accounts.
fn at_most_one(lab: &Lab) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for account in lab.emulator.accounts() {
        let id = account.metadata.get("external_id").and_then(|id| id.as_str());
        if let Some(id) = id
            && !seen.insert(id.to_owned())
        {
            return Err(format!("{id} has two accounts"));
        }
    }
    Ok(())
}

/// One run that must end, with whatever faults are in force.
pub(crate) async fn ends(lab: &Lab) -> Result<Result<Report, Error>, String> {
    let fair = Conditions::fair();
    let run = tokio::time::timeout(ENDS_WITHIN, lab.apply(&fair));
    let ended = run.await.map_err(|_| "the run does not end".to_owned())?;
    at_most_one(lab)?;
    ended.ok_or_else(|| "the run died".to_owned())
}

/// Whether a report says of every user in trouble what happened and what to do.
pub(crate) fn explains(report: &Report) -> Result<(), String> {
    for (key, outcome) in &report.troubled {
        match outcome {
            Outcome::Failed(why) | Outcome::InDoubt(why) => {
                if why.message.is_empty() || why.code.is_empty() || why.hint.is_none() {
                    return Err(format!("{key} is not told what to do: {why:?}"));
                }
            }
            Outcome::Left { .. } => {}
            Outcome::Done => return Err(format!("{key} is done and in trouble")),
        }
    }
    Ok(())
}

/// Fair runs until everything is as it must be. Waits in between: a lagging
/// list is believed after ten minutes, and idempotency keys live for a day.
pub(crate) async fn converges(lab: &Lab) -> Result<(), String> {
    lab.emulator.script(Script::default());
    let mut last = String::new();
    for wait in [0, 11 * 60, 25 * 3600, 60] {
        lab.emulator.advance(Duration::from_secs(wait));
        last = match ends(lab).await? {
            Err(error) => format!("{error:?}"),
            Ok(report) if !report.is_complete() => format!("{:?}", report.troubled),
            Ok(_) => match lab.check() {
                Err(why) => why,
                Ok(()) => {
                    let plan = lab.plan().await;
                    if plan.is_empty() {
                        return Ok(());
                    }
                    return Err(format!("the check is fine, and the plan not empty: {plan:?}"));
                }
            },
        };
    }
    Err(format!("does not converge: {last}"))
}

/// A world before the first run, or after it with everything edited.
async fn world(dialect: Dialect, settled: bool) -> Lab {
    let mut lab = Lab::new(dozen(), dialect);
    if settled {
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        lab.emulator.advance(Duration::from_secs(10));
        for (at, user) in lab.users.iter_mut().enumerate() {
            user.name = name(&format!("Renamed {at}"));
            user.avatar = Some(face(&format!("new{at}")));
        }
        lab.users.push(user("newcomer"));
    }
    lab
}

/// One case from beginning to end.
async fn case(dialect: Dialect, settled: bool, faults: Vec<Fault>) -> Result<(), String> {
    let lab = world(dialect, settled).await;
    for fault in faults {
        lab.emulator.fault(fault);
    }
    if let Ok(report) = ends(&lab).await? {
        explains(&report)?;
    }
    converges(&lab).await
}

/// Runs every case and tells all that fail.
async fn every_case(dialect: Dialect, settled: bool) {
    let mut cases = somewhere(dialect);
    for operation in operations(dialect) {
        let strikes = anywhere().into_iter();
        cases.extend(strikes.map(|(name, strike)| (name, operation, strike)));
    }
    let mut failed = Vec::new();
    let mut run = 0;
    for (name, operation, strike) in cases {
        for span in [Span::Once, Span::All] {
            let fault = span.of(operation, strike.clone());
            run += 1;
            if let Err(why) = case(dialect, settled, vec![fault]).await {
                failed.push(format!("{name} on {} {span:?}: {why}", operation.as_str()));
            }
        }
    }
    assert!(run > 300, "only {run} cases");
    assert!(
        failed.is_empty(),
        "{} of {run}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn accounts_survive_every_fault_of_a_first_run() {
    every_case(Dialect::Accounts, false).await;
}

#[tokio::test(start_paused = true)]
async fn accounts_survive_every_fault_of_a_later_run() {
    every_case(Dialect::Accounts, true).await;
}

#[tokio::test(start_paused = true)]
async fn companies_survive_every_fault_of_a_first_run() {
    every_case(Dialect::Companies, false).await;
}

#[tokio::test(start_paused = true)]
async fn companies_survive_every_fault_of_a_later_run() {
    every_case(Dialect::Companies, true).await;
}

const DIALECTS: [Dialect; 2] = [Dialect::Accounts, Dialect::Companies];

#[tokio::test(start_paused = true)]
async fn faults_by_chance_in_every_run_end_in_an_empty_plan() {
    for dialect in DIALECTS {
        for seed in 1..=8 {
            let lab = world(dialect, seed % 2 == 0).await;
            let faults = anywhere().into_iter().map(|(_, strike)| Fault {
                operation: None,
                chance: 1,
                ..Fault::next(Operation::CreateFile, strike).forever()
            });
            let script = Script {
                seed,
                faults: faults.collect(),
            };
            for _ in 0..3 {
                lab.emulator.script(script.clone());
                if let Ok(report) = ends(&lab).await.unwrap() {
                    explains(&report).unwrap();
                }
            }
            let ended = converges(&lab).await;
            assert_eq!(ended, Ok(()), "seed {seed} in {dialect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_shift_lose_nobody_and_make_nobody_twice() {
    for dialect in DIALECTS {
        for strike in [
            Strike::PageSkips { entries: 1 },
            Strike::PageRepeats { entries: 3 },
            Strike::PageGrows,
        ] {
            let users = (0..60).map(|n| user(&format!("u{n:02}")));
            let lab = Lab::new(users.collect(), dialect);
            lab.apply(&Conditions::fair()).await.unwrap().unwrap();
            let list = operations(dialect)[0];
            lab.emulator.fault(Fault::next(list, strike.clone()).forever());
            assert!(ends(&lab).await.unwrap().unwrap().is_complete());
            assert!(lab.emulator.count(list) >= 3, "an empty page, then two");
            for account in lab.emulator.accounts() {
                if account.email.is_some_and(|email| email.starts_with("passer-by")) {
                    lab.emulator.remove_account(&account.id);
                }
            }
            assert_eq!(converges(&lab).await, Ok(()), "{strike:?} in {dialect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_says_nothing_where_a_mapped_account_is_there() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("u1"), user("u2")], dialect);
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        // The third has an account that the mapping does not know.
        lab.users.push(user("u3"));
        let metadata = serde_json::json!({ "external_id": "u3" });
        let metadata = metadata.as_object().cloned().unwrap();
        lab.emulator
            .add_account(crate::lab::PLATFORM, "u3@shop.test", "Three", metadata);
        let body = r#"{"data":[],"page_info":{"end_cursor":null,"has_next_page":false}}"#;
        let empty = Strike::Answer {
            status: 200,
            body: Some(body.to_owned()),
            headers: BTreeMap::new(),
        };
        let list = operations(dialect)[0];
        lab.emulator.fault(Fault::next(list, empty).forever());
        let plan = lab.plan().await;
        let held: Vec<_> = plan.holds.iter().map(|hold| (&hold.key, &hold.reason)).collect();
        assert_eq!(held, [(&key("u3"), &Reason::Incomplete)], "{dialect:?}");
        assert_eq!(plan.actions, [], "{dialect:?}");
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert_eq!(lab.emulator.accounts().len(), 3, "{dialect:?}");
        assert_eq!(converges(&lab).await, Ok(()), "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_not_be_read_is_not_taken_for_one_that_is_gone() {
    let mut lab = Lab::new(vec![user("u1"), user("u2")], Dialect::Accounts);
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    lab.users.push(user("u3"));
    let account = lab.known().users[&key("u1")].link.account.to_string();
    let told = "Company API key is not authorized for the company:balance:read scope.";
    let refuse = Strike::Answer {
        status: 403,
        body: Some(serde_json::json!({ "error": { "message": told } }).to_string()),
        headers: BTreeMap::new(),
    };
    let skip = Strike::PageSkips { entries: 1 };
    let hide = |lab: &Lab| {
        lab.emulator
            .fault(Fault::next(Operation::ListAccounts, skip.clone()).forever());
    };
    hide(&lab);
    lab.emulator
        .fault(Fault::next(Operation::RetrieveAccount, refuse).forever());
    let plan = lab.plan().await;
    let held: Vec<_> = plan.holds.iter().map(|hold| (&hold.key, &hold.reason)).collect();
    let message = format!("account `{account}`: {told}");
    let unread = Reason::Unreadable { message };
    assert_eq!(held, [(&key("u1"), &unread), (&key("u3"), &Reason::Incomplete)]);
    assert_eq!(plan.actions, []);
    // With leave to read it, it is there; and once it is gone, it is told so.
    lab.emulator.script(Script::default());
    hide(&lab);
    assert_eq!(lab.plan().await.holds, []);
    lab.emulator.script(Script::default());
    assert!(lab.emulator.remove_account(&account));
    let plan = lab.plan().await;
    assert!(
        plan.holds.iter().all(|hold| hold.reason == Reason::Vanished),
        "{:?}",
        plan.holds
    );
    lab.policy.allow.insert(Guard::Vanished);
    assert_eq!(converges(&lab).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn one_refused_user_stops_nobody_and_is_the_only_one_tried_again() {
    for dialect in DIALECTS {
        let refuse = Strike::Answer {
            status: 403,
            body: None,
            headers: [("x-request-id".to_owned(), "req_1".to_owned())].into(),
        };
        let create = operations(dialect)[1];
        // An address that Whop does not take, and a person it lets nobody change.
        let lab = Lab::new(dozen(), dialect);
        let email = lab.users[3].email.as_str().to_owned();
        let fault = Fault::next(create, refuse.clone()).containing(&email);
        lab.emulator.fault(fault.forever());
        let report = ends(&lab).await.unwrap().unwrap();
        only_u03(&report, 403);
        lab.emulator.reset_counts();
        only_u03(&ends(&lab).await.unwrap().unwrap(), 403);
        assert_eq!(writes(&lab), one_user(create), "nobody else is touched");
        assert_eq!(converges(&lab).await, Ok(()));

        let mut lab = world(dialect, true).await;
        lab.users.pop();
        let owner = lab.known().users[&key("u03")].link.owner.to_string();
        let fault = Fault::next(Operation::UpdateUser, refuse).containing(&owner);
        lab.emulator.fault(fault.forever());
        only_u03(&ends(&lab).await.unwrap().unwrap(), 403);
        lab.emulator.reset_counts();
        only_u03(&ends(&lab).await.unwrap().unwrap(), 403);
        assert_eq!(writes(&lab), one_user(Operation::UpdateUser));
        assert_eq!(converges(&lab).await, Ok(()));
    }
}

/// The report of a run that failed for this one user only.
fn only_u03(report: &Report, status: u16) {
    assert_eq!(report.troubled.keys().collect::<Vec<_>>(), [&key("u03")]);
    let Outcome::Failed(why) = &report.troubled[&key("u03")] else {
        panic!("{:?}", report.troubled);
    };
    assert_eq!(
        (why.status, why.request_id.as_deref()),
        (Some(status), Some("req_1"))
    );
    assert!(why.hint.is_some());
}

/// How often each operation was asked for since the last reset, of those that
/// could change something.
fn writes(lab: &Lab) -> BTreeMap<Operation, u64> {
    let mut writes = BTreeMap::new();
    for seen in lab.emulator.requests() {
        if seen.method != "GET" {
            *writes.entry(seen.operation).or_default() += 1;
        }
    }
    writes
}

/// One user's refused request, and that user's picture.
fn one_user(refused: Operation) -> BTreeMap<Operation, u64> {
    [
        (refused, 1),
        (Operation::CreateFile, 1),
        (Operation::UploadFile, 1),
    ]
    .into()
}

#[tokio::test(start_paused = true)]
async fn a_create_in_doubt_is_held_with_the_way_out_and_never_sent_twice() {
    let mut lab = Lab::new(dozen(), Dialect::Companies);
    // Somebody whom the list has all the time, so that it is not empty.
    let passer_by = "passer-by@example.com";
    lab.emulator
        .add_account(crate::lab::PLATFORM, passer_by, "Passer-by", Default::default());
    lab.others.insert("nobody".to_owned());
    lab.emulator.advance(Duration::from_secs(301));
    let create = Operation::CreateCompany;
    let lost = Fault::next(create, Strike::ResetAfter).containing("\"u03\"");
    lab.emulator.fault(lost);
    let stale = Strike::Stale { seconds: 300 };
    lab.emulator
        .fault(Fault::next(Operation::ListCompanies, stale).forever());
    ends(&lab).await.unwrap().unwrap();
    lab.emulator.reset_counts();
    let begun = lab.emulator.now();
    for _ in 0..5 {
        ends(&lab).await.unwrap().unwrap();
        let plan = lab.plan().await;
        let hold = plan.holds.iter().find(|hold| hold.key == key("u03"));
        let reason = &hold.expect("held while the list lags").reason;
        assert!(matches!(reason, Reason::InDoubt { .. }), "{reason:?}");
        let words = whop_sync::render::messages::reason(reason);
        for part in ["Whop's dashboard", "--allow in_doubt --only ID"] {
            assert!(words.what_to_do.contains(part), "{}", words.what_to_do);
        }
        lab.emulator.advance(Duration::from_secs(30));
    }
    assert_eq!(lab.emulator.count(create), 0);
    // Once the list has caught up, looking settles it.
    let past = (lab.emulator.now() - begun) / 1000;
    lab.emulator.advance(Duration::from_secs(301 - past.min(300)));
    let report = ends(&lab).await.unwrap().unwrap();
    assert!(report.is_complete());
    assert_eq!(lab.emulator.count(create), 0);
    assert_eq!(converges(&lab).await, Ok(()));

    // Where the account was never made, the way out makes it.
    lab.users.push(user("late"));
    lab.emulator.fault(Fault::next(create, Strike::ResetBefore));
    ends(&lab).await.unwrap().unwrap();
    lab.emulator.reset_counts();
    ends(&lab).await.unwrap().unwrap();
    assert_eq!(lab.emulator.count(create), 0);
    lab.policy.allow = [Guard::InDoubt].into();
    lab.policy.only = Some([key("late")].into());
    ends(&lab).await.unwrap().unwrap();
    assert_eq!(lab.emulator.count(create), 1);
    assert_eq!(lab.check(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn several_candidates_are_held_and_nothing_is_made() {
    let lab = Lab::new(vec![user("u1")], Dialect::Companies);
    let metadata = serde_json::json!({ "external_id": "u1" });
    for title in ["One", "Two"] {
        let metadata = metadata.as_object().cloned().unwrap();
        lab.emulator
            .add_account(crate::lab::PLATFORM, "u1@example.com", title, metadata);
    }
    let plan = lab.plan().await;
    assert!(matches!(plan.holds[0].reason, Reason::Ambiguous { .. }));
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    assert_eq!(lab.emulator.count(Operation::CreateCompany), 0);
}
