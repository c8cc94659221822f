//! Every answer of the emulator is rewritten within the API's description, over
//! whole histories with crashes: what may be missing is missing or null, moments
//! are written in other ways, keys come in another order with unknown ones among
//! them, statuses, cursors, headers and pictures' URLs vary. No user may get a
//! second account, nobody else may be touched, and in the end the plan is empty.
//!
//! The rewriting follows `tests/contract/whop-openapi.yaml`, which also judges
//! the emulator. It never takes away what is known: [`HELD`] lists the fields
//! that say nothing else than what whop-sync manages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jiff::Timestamp;
use jiff::tz::offset;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use whop_sync::core::model::Dialect;
use whop_sync::remote::transport::{Request, Response, Target};

use crate::lab::{Lab, PLATFORM, Tap};
use crate::model::{event, play};
use crate::told::tell;

/// What the description calls optional, and yet is nowhere else: whoever left
/// it out would say that there is none.
const HELD: [&str; 7] = [
    "User.name",
    "User.profile_picture",
    "User.profile_picture.url",
    // The older generation's accounts have nothing else that tells whose they are.
    "Company.metadata",
    "File.upload_url",
    "File.upload_headers",
    // What the client does next depends on it.
    "Error.error.code",
];

/// The same for files of the older generation, whose schema has its own name.
const HELD_LEGACY: [&str; 3] = [
    "FileLegacy.upload_url",
    "FileLegacy.upload_headers",
    "ErrorLegacy.error.code",
];

/// URLs that may change from one answer to the next in what follows the path.
const ROTATING: [&str; 2] = ["Picture.url", "User.profile_picture.url"];

/// Texts that nobody relies on.
const IDLE: [&str; 5] = [
    "UserSummary.name",
    "UserSummary.username",
    "User.username",
    "Account.route",
    "Error.error.type",
];

/// The API's description.
struct Contract(Value);

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/whop-openapi.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    Contract(serde_yaml::from_str(&text).unwrap())
});

/// What the description says of one value.
#[derive(Default)]
struct Said<'a> {
    /// The schema's name, with the way from there.
    place: String,
    schemas: Vec<&'a Value>,
    nullable: bool,
}

impl Said<'_> {
    fn properties(&self) -> BTreeMap<String, &Value> {
        let each = self
            .schemas
            .iter()
            .filter_map(|schema| schema["properties"].as_object());
        each.flatten()
            .map(|(name, schema)| (name.clone(), schema))
            .collect()
    }

    fn required(&self) -> BTreeSet<&str> {
        let each = self
            .schemas
            .iter()
            .filter_map(|schema| schema["required"].as_array());
        each.flatten().filter_map(Value::as_str).collect()
    }

    /// A keyword of the first schema that has it.
    fn word(&self, keyword: &str) -> &Value {
        let mut each = self.schemas.iter().map(|schema| &schema[keyword]);
        each.find(|value| !value.is_null()).unwrap_or(&Value::Null)
    }
}

impl Contract {
    /// The successful and other answers that an operation has, by status.
    fn answers(&self, request: &Request) -> Option<&Value> {
        let Target::Api(path) = &request.target else {
            return None;
        };
        let asked: Vec<&str> = path.split('?').next()?.split('/').collect();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            let mut pairs = template.iter().zip(&asked);
            template.len() == asked.len() && pairs.all(|(a, b)| a.starts_with('{') || a == b)
        };
        let mut paths = self.0["paths"].as_object()?.iter();
        let (_, item) = paths.find(|(template, _)| fits(template))?;
        let answers = &item[request.method.as_str().to_lowercase()]["responses"];
        answers.is_object().then_some(answers)
    }

    /// The schema of a status among such answers.
    fn schema<'a>(&'a self, answers: &'a Value, status: u16) -> Option<&'a Value> {
        let answer = [status.to_string(), format!("{}XX", status / 100)]
            .iter()
            .find_map(|status| answers.get(status))?;
        let schema = &self.target(answer).0["content"]["application/json"]["schema"];
        schema.is_object().then_some(schema)
    }

    /// Where a reference leads, and what it is called there.
    fn target<'a>(&'a self, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
        match schema["$ref"].as_str() {
            None => (schema, None),
            Some(way) => {
                let target = self.0.pointer(way.trim_start_matches('#')).unwrap();
                (target, way.rsplit('/').next())
            }
        }
    }

    /// What a schema says of this value, which stands at `place`.
    fn said<'a>(&'a self, schema: &'a Value, value: &Value, place: &str) -> Said<'a> {
        let mut said = Said {
            place: place.to_owned(),
            ..Said::default()
        };
        self.gather(schema, value, &mut said);
        said
    }

    fn gather<'a>(&'a self, schema: &'a Value, value: &Value, said: &mut Said<'a>) {
        let (schema, name) = self.target(schema);
        if let Some(name) = name {
            name.clone_into(&mut said.place);
        }
        if let Some(all) = schema["allOf"].as_array() {
            all.iter().for_each(|part| self.gather(part, value, said));
        } else if let Some(any) = schema["anyOf"].as_array() {
            said.nullable |= any.iter().any(|variant| variant["type"] == "null");
            if let Some(variant) = any.iter().find(|variant| self.fits(variant, value)) {
                self.gather(variant, value, said);
            }
        } else {
            said.nullable |= types(schema).contains(&"null");
            said.schemas.push(schema);
        }
    }

    /// Whether a value is what a schema says, as deep as schemas go.
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        self.misfit(schema, value).is_none()
    }

    /// Where a value is not what a schema says.
    fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        let (schema, _) = self.target(schema);
        if let Some(any) = schema["anyOf"].as_array() {
            let fits = any.iter().any(|variant| self.fits(variant, value));
            return (!fits).then(|| format!("{value} is none of {schema}"));
        }
        if let Some(all) = schema["allOf"].as_array() {
            return all.iter().find_map(|part| self.misfit(part, value));
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|name| is(name, value)) {
            return Some(format!("{value} is no {types:?}"));
        }
        if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
            && text.parse::<Timestamp>().is_err()
        {
            return Some(format!("{text} is no moment"));
        }
        if let Some(entries) = value.as_array() {
            return entries
                .iter()
                .find_map(|entry| self.misfit(&schema["items"], entry));
        }
        let fields = value.as_object()?;
        let mut required = schema["required"].as_array().into_iter().flatten();
        if let Some(name) = required.find(|name| !fields.contains_key(name.as_str().unwrap())) {
            return Some(format!("{name} is missing in {value}"));
        }
        let properties = schema["properties"].as_object();
        fields.iter().find_map(|(name, value)| {
            let schema = properties?.get(name)?;
            self.misfit(schema, value).map(|why| format!("{name}: {why}"))
        })
    }
}

/// The types that a schema names; none where it leaves that open.
fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("a type that is not known here: {name}"),
    }
}

/// Whether a value says nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_nothing),
        _ => false,
    }
}

/// How often each kind of rewriting was done.
type Tally = BTreeMap<&'static str, u64>;

/// Rewrites answers, by a seed.
pub(crate) struct Shifter {
    seed: u64,
    count: Mutex<(u64, Tally)>,
}

/// The choices of one answer.
struct Draw<'a> {
    shifter: &'a Shifter,
    answer: u64,
    drawn: u64,
    tally: Tally,
}

impl Shifter {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            count: Mutex::default(),
        })
    }

    fn tap(self: &Arc<Self>) -> Tap {
        let shifter = Arc::clone(self);
        Arc::new(move |request, answer| shifter.shift(request, answer))
    }

    fn tally(&self) -> Tally {
        self.count.lock().unwrap().1.clone()
    }

    fn shift(&self, request: &Request, mut answer: Response) -> Response {
        let answer_number = {
            let mut count = self.count.lock().unwrap();
            count.0 += 1;
            count.0
        };
        let mut draw = Draw {
            shifter: self,
            answer: answer_number,
            drawn: 0,
            tally: Tally::new(),
        };
        draw.headers(&mut answer);
        if let Some(answers) = CONTRACT.answers(request)
            && let Some(schema) = CONTRACT.schema(answers, answer.status)
            && let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body)
        {
            let before = body.clone();
            draw.value(schema, &mut body, "");
            assert_eq!(CONTRACT.misfit(schema, &body), None, "{before} became {body}");
            draw.status(answers, &mut answer, &body);
            let mut text = String::new();
            draw.write(&body, &mut text);
            *draw.tally.entry("answers").or_default() += 1;
            answer.body = text.into();
        }
        let mut count = self.count.lock().unwrap();
        for (kind, times) in draw.tally {
            *count.1.entry(kind).or_default() += times;
        }
        answer
    }
}

impl Draw<'_> {
    /// One of so many.
    fn pick(&mut self, of: usize) -> usize {
        self.drawn += 1;
        let mut hasher = DefaultHasher::new();
        (self.shifter.seed, self.answer, self.drawn).hash(&mut hasher);
        (hasher.finish() % of as u64) as usize
    }

    /// Whether to rewrite something. A server is always the same in most things:
    /// a third of all places is never rewritten by this seed, a third always.
    fn may(&mut self, kind: &'static str, place: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.shifter.seed, kind, place).hash(&mut hasher);
        let does = match hasher.finish() % 3 {
            0 => false,
            1 => true,
            _ => self.pick(2) == 0,
        };
        if does {
            *self.tally.entry(kind).or_default() += 1;
        }
        does
    }

    fn value(&mut self, schema: &Value, value: &mut Value, place: &str) {
        let said = CONTRACT.said(schema, value, place);
        match value {
            Value::Object(fields) if !said.properties().is_empty() => self.fields(&said, fields),
            Value::Array(entries) => {
                let schema = said.word("items");
                for entry in entries {
                    self.value(schema, entry, &said.place);
                }
            }
            Value::String(text)
                if said.word("format") == "date-time"
                    && self.may("moment written otherwise", &said.place) =>
            {
                *text = self.moment(text);
            }
            Value::String(text)
                if ROTATING.contains(&&*said.place) && self.may("URL rotated", &said.place) =>
            {
                let bare = text.split('?').next().unwrap_or_default();
                *text = format!("{bare}?signature={}#{}", self.pick(1 << 20), self.pick(9));
            }
            Value::String(text)
                if IDLE.contains(&&*said.place) && self.may("idle text changed", &said.place) =>
            {
                *text = format!("{text} {}", self.pick(100));
            }
            _ => {}
        }
    }

    fn fields(&mut self, said: &Said<'_>, fields: &mut serde_json::Map<String, Value>) {
        let (properties, required) = (said.properties(), said.required());
        let is_last = fields.get("has_next_page") != Some(&Value::Bool(true));
        for (name, schema) in &properties {
            let place = format!("{}.{name}", said.place);
            let optional = !required.contains(name.as_str());
            let Some(value) = fields.get_mut(name) else {
                let nullable = CONTRACT.said(schema, &Value::Null, &place).nullable;
                if optional && nullable && self.may("null instead of absent", &place) {
                    fields.insert(name.clone(), Value::Null);
                }
                continue;
            };
            // A cursor is needed where there is another page, and so is the flag
            // that says so.
            let leads = !is_last && (name == "end_cursor" || name == "has_next_page");
            let held = HELD.contains(&&*place) || HELD_LEGACY.contains(&&*place);
            let held = leads || held && !is_nothing(value);
            let nullable = CONTRACT.said(schema, value, &place).nullable && !value.is_null();
            if optional && !held && self.may("left out", &place) {
                fields.remove(name);
            } else if nullable && !held && self.may("null", &place) {
                *value = Value::Null;
            } else {
                self.value(schema, value, &place);
            }
        }
        // Whop gives about sixty more fields of an account than are described.
        let unlisted = self.may("unlisted left out", &said.place);
        fields.retain(|name, _| properties.contains_key(name) || !unlisted);
        if self.may("unknown key", &said.place) {
            let unknown = json!({ "id": "biz_unknown", "name": [null, {}], "next": 1.5 });
            let name = ["recommended_action", "zz", "A", "$ref"][self.pick(4)];
            fields.insert(name.to_owned(), unknown);
        }
    }

    /// The same moment in another writing, as precise as before or in seconds.
    fn moment(&mut self, text: &str) -> String {
        let moment: Timestamp = text.parse().unwrap();
        let whole = Timestamp::from_second(moment.as_second()).unwrap();
        match self.pick(5) {
            0 => moment.to_string(),
            1 => format!("{moment:.3}"),
            2 => whole.display_with_offset(offset(2)).to_string(),
            3 => whole.display_with_offset(offset(-5)).to_string(),
            _ => format!("{:.6}", moment.display_with_offset(offset(1))),
        }
    }

    /// Another success that the operation has for such a body.
    fn status(&mut self, answers: &Value, answer: &mut Response, body: &Value) {
        let mut others = [200, 201].into_iter().filter(|status| {
            let schema = CONTRACT.schema(answers, *status);
            *status != answer.status && schema.is_some_and(|schema| CONTRACT.fits(schema, body))
        });
        let other = others.next().filter(|_| answer.status < 300);
        if let Some(other) = other.filter(|_| self.may("another success", "status")) {
            answer.status = other;
        }
    }

    fn headers(&mut self, answer: &mut Response) {
        for name in ["x-request-id", "cf-ray"] {
            if answer.header(name).is_some() && self.may("header left out", name) {
                answer.headers.retain(|(header, _)| header != name);
            }
        }
        if self.may("unknown header", "") {
            let unknown = ("x-runtime".to_owned(), "0.1".to_owned());
            answer.headers.insert(0, unknown);
        }
    }

    /// JSON with its keys in another order, and blanks between.
    fn write(&mut self, value: &Value, text: &mut String) {
        match value {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                if fields.len() > 1 && self.may("keys in another order", "") {
                    let turn = self.pick(fields.len());
                    fields.rotate_left(turn);
                    if self.pick(2) == 0 {
                        fields.reverse();
                    }
                }
                text.push('{');
                for (number, (name, value)) in fields.into_iter().enumerate() {
                    let comma = if number > 0 { ", " } else { "" };
                    write!(text, "{comma}{}: ", json!(name)).unwrap();
                    self.write(value, text);
                }
                text.push('}');
            }
            Value::Array(entries) => {
                text.push('[');
                for (number, entry) in entries.iter().enumerate() {
                    text.push_str(if number > 0 { ",\n" } else { "" });
                    self.write(entry, text);
                }
                text.push(']');
            }
            simple => write!(text, "{simple}").unwrap(),
        }
    }
}

/// Every kind of rewriting, as it is counted.
const KINDS: [&str; 13] = [
    "another success",
    "answers",
    "header left out",
    "idle text changed",
    "keys in another order",
    "left out",
    "moment written otherwise",
    "null",
    "null instead of absent",
    "unknown header",
    "unknown key",
    "unlisted left out",
    "URL rotated",
];

#[test]
fn every_history_ends_well_in_whatever_shape_answers_come() {
    let histories = 64;
    let mut config = ProptestConfig::with_source_file(file!());
    (config.cases, config.max_shrink_iters) = (histories, 2000);
    let dialects = prop_oneof![Just(Dialect::Accounts), Just(Dialect::Companies)];
    let strategy = (dialects, any::<u64>(), proptest::collection::vec(event(), 1..30));
    let total = Mutex::new(Tally::new());
    let played = TestRunner::new(config).run(&strategy, |(dialect, seed, events)| {
        let shifter = Shifter::new(seed);
        let ended = play(dialect, &events, Some(shifter.tap()));
        for (kind, times) in shifter.tally() {
            *total.lock().unwrap().entry(kind).or_default() += times;
        }
        prop_assert_eq!(ended, Ok(()));
        Ok(())
    });
    // With the history and the seed, which is kept as well.
    played.unwrap_or_else(|why| panic!("{why}"));
    let total = total.into_inner().unwrap();
    tell(format!("{histories} histories in other shapes: {total:?}"));
    let mut kinds: Vec<_> = total.keys().copied().collect();
    kinds.sort_by_key(|kind| kind.to_lowercase());
    assert_eq!(kinds, KINDS);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_the_same_list_in_every_shape() {
    for dialect in [Dialect::Accounts, Dialect::Companies] {
        let mut lab = Lab::new(Vec::new(), dialect);
        for n in 0..120 {
            let metadata = json!({ "external_id": format!("u{n}"), "n": n });
            let metadata = metadata.as_object().unwrap().clone();
            lab.emulator
                .add_account(PLATFORM, &format!("u{n}@shop.test"), "T", metadata);
        }
        let list = async |lab: &Lab| {
            let mut list = lab
                .client(lab.transport())
                .list_accounts()
                .await
                .map_err(|why| why.to_string())?;
            for account in &mut list.accounts {
                // May be left out, and says nothing that is relied on here.
                (account.email, account.suspended) = (None, false);
            }
            Ok::<_, String>(list)
        };
        let plain = list(&lab).await.unwrap();
        assert!(plain.complete && plain.accounts.len() == 120);
        for seed in 0..24 {
            lab.tap = Some(Shifter::new(seed).tap());
            assert_eq!(list(&lab).await.as_ref(), Ok(&plain), "{dialect:?}, seed {seed}");
        }
    }
}
