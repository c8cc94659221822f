//! The current API through Whop's Rust SDK, in the version that it speaks by
//! itself. What does not fit its types is an error.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use whop_sdk::prelude::*;

type Outcome<T = ()> = Result<T, String>;

/// One user of the script's.
struct Person {
    id: String,
    email: String,
    title: String,
    name: String,
    avatar: Vec<u8>,
}

/// The clients, and what the flow has made so far.
struct Program {
    whop: Whop,
    http: reqwest::Client,
    platform: String,
    people: Vec<Person>,
    made: HashMap<String, Account>,
    failures: u32,
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn client(key: &str, base: &str, retries: u32) -> Whop {
    let config = ClientConfig {
        token: Some(key.to_owned()),
        base_url: base.to_owned(),
        max_retries: retries,
        ..Default::default()
    };
    Whop::new(config).expect("a client")
}

fn demand(condition: bool, why: impl Into<String>) -> Outcome {
    if condition { Ok(()) } else { Err(why.into()) }
}

fn same<T: PartialEq + Debug>(one: T, other: T, what: &str) -> Outcome {
    demand(one == other, format!("{what}: {one:?} is not {other:?}"))
}

fn told<E: Debug>(error: E) -> String {
    format!("{error:?}")
}

/// What a call was refused with.
fn refused<T: Debug>(outcome: Result<T, ApiError>) -> Outcome<ApiError> {
    match outcome {
        Err(error) => Ok(error),
        Ok(value) => Err(format!("the call was not refused: {value:?}")),
    }
}

fn keyed(key: &str) -> Option<RequestOptions> {
    Some(RequestOptions::new().additional_header("Idempotency-Key", key))
}

fn create(person: &Person) -> CreateAccountsRequest {
    let id = ("external_id".to_owned(), json!(person.id));
    CreateAccountsRequest {
        email: Some(person.email.clone()),
        title: Some(person.title.clone()),
        metadata: Some(HashMap::from([id])),
        ..Default::default()
    }
}

impl Program {
    fn new() -> Self {
        let data = std::fs::read_to_string(env("DATA")).expect("the data");
        let data: Value = serde_json::from_str(&data).expect("JSON");
        let people = data["users"].as_array().expect("users").iter().map(|user| {
            let text = |name: &str| user[name].as_str().expect("a text").to_owned();
            Person {
                id: text("id"),
                email: text("email"),
                title: text("title"),
                name: text("name"),
                avatar: std::fs::read(text("avatar")).expect("a picture"),
            }
        });
        Self {
            whop: client(&env("KEY"), &env("BASE"), 3),
            http: reqwest::Client::new(),
            platform: data["platform"].as_str().expect("a platform").to_owned(),
            people: people.collect(),
            made: HashMap::new(),
            failures: 0,
        }
    }

    fn tell(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                self.failures += 1;
                println!("FAIL {name}: {}", why.replace('\n', " "));
            }
        }
    }

    fn account(&self, n: usize) -> Outcome<&Account> {
        let id = &self.people[n].id;
        self.made.get(id).ok_or_else(|| format!("{id} was not made"))
    }

    async fn everybody(&self) -> Outcome<(Vec<Account>, Vec<usize>)> {
        let (mut found, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let query = AccountsListQueryRequest {
                parent_account_id: Some(self.platform.clone()),
                first: Some(5),
                direction: Some(ListAccountsRequestDirection::Asc),
                after: after.clone(),
                ..Default::default()
            };
            let page = self.whop.accounts.list(&query, None).await.map_err(told)?;
            sizes.push(page.data.len());
            found.extend(page.data);
            after = page.page_info.end_cursor;
            if !page.page_info.has_next_page {
                return Ok((found, sizes));
            }
        }
    }

    async fn picture(&self, url: &str) -> Outcome<Vec<u8>> {
        let answer = self.http.get(url).send().await.map_err(told)?;
        same(answer.status().as_u16(), 200, url)?;
        Ok(answer.bytes().await.map_err(told)?.to_vec())
    }

    async fn profile(&self, owner: &str, account: Option<&str>) -> Outcome<User> {
        let query = UsersRetrieveQueryRequest {
            account_id: account.map(str::to_owned),
            ..Default::default()
        };
        self.whop.users.retrieve(owner, &query, None).await.map_err(told)
    }

    async fn rename(&self, whop: &Whop, owner: &str, name: &str) -> Result<User, ApiError> {
        let request = UpdateUsersRequest {
            account_id: Some(self.platform.clone()),
            name: Some(name.to_owned()),
            ..Default::default()
        };
        whop.users.update(owner, &request, None).await
    }

    async fn make_all(&mut self) -> Outcome {
        let count = self.people.len() - 1;
        for person in &self.people[..count] {
            let key = format!("create-{}", person.id);
            let account = self.whop.accounts.create(&create(person), keyed(&key)).await;
            let account = account.map_err(told)?;
            let parent = account.parent_account.as_ref().map(|parent| parent.id.clone());
            same(parent.as_deref(), Some(&*self.platform), "parent")?;
            same(
                account.metadata.get("external_id"),
                Some(&json!(person.id)),
                "metadata",
            )?;
            self.made.insert(person.id.clone(), account);
        }
        Ok(())
    }

    async fn replay(&self) -> Outcome {
        let first = &self.people[0];
        let key = format!("create-{}", first.id);
        let again = self.whop.accounts.create(&create(first), keyed(&key)).await;
        same(&again.map_err(told)?.id, &self.account(0)?.id, "account")
    }

    async fn mismatch(&self) -> Outcome {
        let key = format!("create-{}", self.people[0].id);
        let error = refused(
            self.whop
                .accounts
                .create(&create(&self.people[1]), keyed(&key))
                .await,
        )?;
        let code = told(&error).contains("idempotency_key_mismatch");
        demand(
            matches!(error, ApiError::BadRequestError { .. }) && code,
            told(error),
        )
    }

    async fn lost(&mut self) -> Outcome {
        let last = self.people.last().expect("somebody");
        let key = format!("create-{}", last.id);
        let account = self.whop.accounts.create(&create(last), keyed(&key)).await;
        let id = last.id.clone();
        self.made.insert(id, account.map_err(told)?);
        Ok(())
    }

    async fn pages(&self) -> Outcome {
        let (found, sizes) = self.everybody().await?;
        same(sizes, vec![5, 5, self.people.len() - 10], "sizes of the pages")?;
        let ids: Vec<_> = found
            .iter()
            .filter_map(|account| account.metadata.get("external_id"))
            .collect();
        let wanted: Vec<_> = self.people.iter().map(|person| json!(person.id)).collect();
        same(ids, wanted.iter().collect(), "ids in order of creation")
    }

    async fn retrieve(&self) -> Outcome {
        let one = self
            .whop
            .accounts
            .retrieve(&self.account(0)?.id, None)
            .await
            .map_err(told)?;
        same(&one.title, &self.people[0].title, "title")?;
        same(one.email.as_ref(), Some(&self.people[0].email), "email")?;
        let own = self.whop.accounts.me(None).await.map_err(told)?;
        same(&own.id, &self.platform, "own account")
    }

    async fn upload(&self) -> Outcome<File> {
        let request = CreateFilesRequest {
            filename: "avatar.png".to_owned(),
            visibility: Some(CreateFilesRequestVisibility::Public),
            byte_size: None,
            multipart: None,
        };
        let file = self.whop.files.create(&request, None).await.map_err(told)?;
        let url = file.upload_url.as_ref().ok_or("no upload URL")?;
        let mut put = self.http.put(url).body(self.people[0].avatar.clone());
        for (name, value) in file.upload_headers.iter().flatten() {
            put = put.header(name, value.as_str().ok_or("a header is no text")?);
        }
        same(put.send().await.map_err(told)?.status().as_u16(), 200, "storage")?;
        for _ in 0..40 {
            let now = self.whop.files.retrieve(&file.id, None).await.map_err(told)?;
            if now.upload_status == FileUploadStatus::Ready {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err("the file is never ready".to_owned())
    }

    async fn avatar(&self) -> Outcome {
        let owner = &self.account(0)?.owner.id;
        let before = self.profile(owner, None).await?;
        let file = self.upload().await?;
        let bytes = &self.people[0].avatar;
        same(file.size, Some(bytes.len() as i64), "size")?;
        same(
            &self.picture(&file.url.ok_or("no URL")?).await?,
            bytes,
            "the file behind its URL",
        )?;
        let request = UpdateUsersRequest {
            account_id: Some(self.platform.clone()),
            name: Some("Set by the SDK".to_owned()),
            profile_picture: Some(UpdateUsersRequestProfilePicture {
                id: Some(file.id),
                direct_upload_id: None,
            }),
            ..Default::default()
        };
        let set = self
            .whop
            .users
            .update(owner, &request, None)
            .await
            .map_err(told)?;
        same(set.name.as_deref(), Some("Set by the SDK"), "name in the answer")?;
        let here = self.profile(owner, Some(&self.platform)).await?;
        same(
            here.name.as_deref(),
            Some("Set by the SDK"),
            "name for the platform",
        )?;
        same(
            &self.picture(&here.profile_picture.url).await?,
            bytes,
            "picture for the platform",
        )?;
        let after = self.profile(owner, None).await?;
        same(after.name, before.name, "the global name")?;
        let global = self.picture(&after.profile_picture.url).await?;
        demand(&global != bytes, "the global picture changed")
    }

    async fn token(&self) -> Outcome {
        let request = CreateAccessTokensRequest {
            account_id: Some(self.platform.clone()),
            user_id: Some(self.account(0)?.owner.id.clone()),
            scoped_actions: Some(vec!["chat:read".to_owned()]),
            expires_at: None,
        };
        let token = self
            .whop
            .access_tokens
            .create(&request, None)
            .await
            .map_err(told)?;
        same(token.token.split('.').count(), 3, "parts of the token")?;
        let life = (token.expires_at.to_utc() - chrono::Utc::now()).num_seconds();
        demand((3000..=3600).contains(&life), format!("it lives {life} s"))
    }

    async fn permissions(&self) -> Outcome {
        let query = PermissionsListQueryRequest {
            resource_id: self.platform.clone(),
            actions: Some("company:create_child,user:profile:update".to_owned()),
        };
        let list = self.whop.permissions.list(&query, None).await.map_err(told)?;
        same(list.data.iter().filter(|item| item.granted).count(), 2, "granted")
    }

    async fn unauthorized(&self) -> Outcome {
        let nobody = client("nobody", &env("BASE"), 3);
        let error = refused(nobody.accounts.me(None).await)?;
        demand(matches!(error, ApiError::UnauthorizedError { .. }), told(error))
    }

    async fn forbidden(&self) -> Outcome {
        let poor = client(&env("POOR_KEY"), &env("BASE"), 3);
        let error = refused(self.rename(&poor, &self.account(0)?.owner.id, "No").await)?;
        demand(matches!(error, ApiError::ForbiddenError { .. }), told(error))
    }

    async fn unknown(&self) -> Outcome {
        let query = UsersRetrieveQueryRequest::default();
        let error = refused(self.whop.users.retrieve("user_nobody", &query, None).await)?;
        demand(matches!(error, ApiError::NotFoundError { .. }), told(error))
    }

    async fn conflict(&self) -> Outcome {
        let request = CreateAccountsRequest {
            email: Some("conflict@shop.example".to_owned()),
            title: Some("Conflict".to_owned()),
            ..Default::default()
        };
        let error = refused(self.whop.accounts.create(&request, keyed("conflict")).await)?;
        let code = told(&error).contains("idempotency_request_in_progress");
        demand(
            matches!(error, ApiError::ConflictError { .. }) && code,
            told(error),
        )
    }

    async fn limited(&self) -> Outcome {
        let slow = client(&env("KEY"), &env("LIMITED"), 0);
        slow.accounts.me(None).await.map_err(told)?;
        slow.accounts.me(None).await.map_err(told)?;
        let error = refused(slow.accounts.me(None).await)?;
        let delay = told(&error).contains("Try again in ");
        demand(
            matches!(error, ApiError::TooManyRequestsError { .. }) && delay,
            told(error),
        )
    }

    async fn once(&self, name: &str) -> Outcome {
        let owner = &self.account(1)?.owner.id;
        let set = self.rename(&self.whop, owner, name).await.map_err(told)?;
        same(set.name.as_deref(), Some(name), "name")
    }

    async fn update(&self) -> Outcome {
        let pairs = [("external_id", json!(self.people[1].id)), ("tier", json!("gold"))];
        let metadata: HashMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        let request = UpdateAccountsRequest {
            metadata: Some(metadata.clone()),
            ..Default::default()
        };
        let changed = self
            .whop
            .accounts
            .update(&self.account(1)?.id, &request, None)
            .await;
        same(changed.map_err(told)?.metadata, metadata, "metadata")
    }

    async fn flow(&mut self) {
        let outcome = self.make_all().await;
        self.tell("create connected accounts", outcome);
        let outcome = self.replay().await;
        self.tell("replay an idempotency key", outcome);
        let outcome = self.mismatch().await;
        self.tell("400 for an idempotency key with another body", outcome);
        let outcome = self.lost().await;
        self.tell(
            "its own retry after a lost answer makes no second account",
            outcome,
        );
        let outcome = self.pages().await;
        self.tell("page through them", outcome);
        let outcome = self.retrieve().await;
        self.tell("retrieve one and its own", outcome);
        let outcome = self.avatar().await;
        self.tell(
            "upload an avatar, and set name and picture for the platform only",
            outcome,
        );
        let outcome = self.token().await;
        self.tell("mint a chat token for the resulting user", outcome);
        let outcome = self.permissions().await;
        self.tell("ask what the key may do", outcome);
        let outcome = self.unauthorized().await;
        self.tell("401", outcome);
        let outcome = self.forbidden().await;
        self.tell("403", outcome);
        let outcome = self.unknown().await;
        self.tell("404", outcome);
        let outcome = self.conflict().await;
        self.tell("409, after its own retry of a lost answer", outcome);
        let outcome = self.limited().await;
        self.tell("429", outcome);
        let outcome = self.once("Limited once").await;
        self.tell("its own retry after a 429", outcome);
        let outcome = self.once("Gateway once").await;
        self.tell("its own retry after a 502 in HTML", outcome);
        let outcome = self.update().await;
        self.tell("update an account", outcome);
    }

    /// What the manifest asks for is what the SDK reads.
    async fn check(&mut self) {
        let found = match self.everybody().await {
            Ok((found, _)) => found,
            Err(why) => return self.tell("list the accounts", Err(why)),
        };
        let outcome = same(found.len(), self.people.len(), "accounts");
        self.tell("exactly the accounts of the manifest", outcome);
        for n in 0..self.people.len() {
            let outcome = self.check_one(n, &found).await;
            let name = format!("{} is as the manifest has it", self.people[n].id);
            self.tell(&name, outcome);
        }
    }

    async fn check_one(&self, n: usize, found: &[Account]) -> Outcome {
        let person = &self.people[n];
        let id = json!(person.id);
        let account = found
            .iter()
            .find(|account| account.metadata.get("external_id") == Some(&id));
        let account = account.ok_or("no account")?;
        same(&account.title, &person.title, "title")?;
        same(account.email.as_ref(), Some(&person.email), "email")?;
        let here = self.profile(&account.owner.id, Some(&self.platform)).await?;
        same(here.name.as_ref(), Some(&person.name), "name for the platform")?;
        let picture = self.picture(&here.profile_picture.url).await?;
        same(&picture, &person.avatar, "picture for the platform")?;
        let everywhere = self.profile(&account.owner.id, None).await?;
        demand(
            everywhere.name.as_ref() != Some(&person.name),
            "the global name was touched",
        )
    }
}

fn run(future: impl Future<Output = u32>) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn main() {
    let failures = run(async {
        let mut program = Program::new();
        match std::env::args().nth(1).as_deref() {
            Some("check") => program.check().await,
            _ => program.flow().await,
        }
        program.failures
    });
    std::process::exit(i32::from(failures > 0));
}
