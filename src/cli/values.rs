//! Values as they stand on the command line and in the environment. Errors
//! are fragments that follow the option's name.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::digest::Digest;

/// The base of Whop's production API ([transport](crate::whop_api#transport)).
const PRODUCTION: &str = "https://api.whop.com/api/v1";

/// The base of Whop's sandbox API ([transport](crate::whop_api#transport)).
const SANDBOX: &str = "https://sandbox-api.whop.com/api/v1";

/// Which server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Server {
    /// Whop itself.
    #[default]
    Production,
    /// Whop's sandbox.
    Sandbox,
    /// The emulator inside this program.
    Emulator,
    /// The base of some other API, without a slash at its end.
    Url(String),
}

impl Server {
    /// Parses a name or a URL.
    ///
    /// # Errors
    /// Says what a server must be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "production" => Ok(Self::Production),
            "sandbox" => Ok(Self::Sandbox),
            "emulator" => Ok(Self::Emulator),
            url if url.contains("://") => {
                // Named servers have one name, so that a mapping made under
                // one spelling is not foreign under the other.
                Ok(match base(url)? {
                    url if url == PRODUCTION => Self::Production,
                    url if url == SANDBOX => Self::Sandbox,
                    url => Self::Url(url),
                })
            }
            _ => Err("must be production, sandbox, emulator or a URL".to_owned()),
        }
    }

    /// The base of its API; `None` for the emulator, which needs no socket.
    pub(crate) fn base(&self) -> Option<&str> {
        match self {
            Self::Production => Some(PRODUCTION),
            Self::Sandbox => Some(SANDBOX),
            Self::Emulator => None,
            Self::Url(url) => Some(url),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
            Self::Emulator => "emulator",
            Self::Url(url) => url,
        })
    }
}

/// The digest a plan must have, or how it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected(String);

impl Expected {
    /// Fewest digits: 128 bits. With fewer, whoever writes the manifest can look
    /// for a harmless plan and a harmful one that begin alike.
    const FEWEST: usize = 32;

    /// Parses 32 to 64 hexadecimal digits.
    ///
    /// # Errors
    /// Says what a digest is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fits = (Self::FEWEST..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        match fits {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!(
                "must be a plan's whole digest, or at least its first {} hexadecimal digits: with fewer, another plan can be made that begins the same",
                Self::FEWEST
            )),
        }
    }

    /// Whether this is the digest.
    pub(crate) fn is(&self, digest: &Digest) -> bool {
        digest.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses the base of an API and writes it in one way: lower-case host, no
/// default port, no slash at the end. The key goes wherever this points, so
/// whatever could be read in two ways is refused.
fn base(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let scheme = scheme.to_ascii_lowercase();
    let secure = match scheme.as_str() {
        "https" => true,
        "http" => false,
        _ => return Err("must begin with https:// (or http:// for this computer)".to_owned()),
    };
    if rest.contains('@') {
        return Err("must not hold a user or password".to_owned());
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['?', '#', '\\', '"', '<', '>']) {
        return Err("must be a plain URL without white space, query or fragment".to_owned());
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        let host = authority.to_ascii_lowercase();
        return Err(format!("must include the API's path: {scheme}://{host}/api/v1"));
    }
    // Escapes too could be read in two ways: `%2e%2e` leads a folder up.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if !path.bytes().all(plain) {
        return Err("must have a path of letters, digits and `-._~` alone".to_owned());
    }
    if path
        .split('/')
        .skip(1)
        .any(|part| matches!(part, "" | "." | ".."))
    {
        return Err("must not have empty or dotted parts in its path".to_owned());
    }
    let (host, port) = host_and_port(authority)?;
    if !secure && !is_loopback(&host) {
        return Err(
            "must be https: plain http is only for this computer (127.0.0.1, [::1], localhost)".to_owned(),
        );
    }
    let default = if secure { 443 } else { 80 };
    let port = port.filter(|port| *port != default);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}{port}{path}"))
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let split = match authority.rfind(']') {
        Some(end) => end + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(split);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port = digits.parse::<u16>().ok().filter(|port| *port > 0);
            Some(port.ok_or("must have a port from 1 to 65535")?)
        }
        _ => return Err("must have a port from 1 to 65535".to_owned()),
    };
    let host = host.to_ascii_lowercase();
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match inner {
        Some(v6) => v6.parse().ok().map(v6_host),
        None => is_name(&host).then_some(host),
    };
    Ok((host.ok_or("must have a host name")?, port))
}

/// An address in the one way that URLs have it: an IPv4 one inside is hexadecimal.
fn v6_host(address: Ipv6Addr) -> String {
    let [.., high, low] = address.segments();
    match address.to_ipv4_mapped() {
        Some(_) => format!("[::ffff:{high:x}:{low:x}]"),
        None => format!("[{address}]"),
    }
}

/// Whether a host is a name, or an address that is written in full: URLs take
/// `127.1` and `0x7f000001` for addresses too.
fn is_name(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let named = host
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(fits));
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").unwrap_or("-");
    let number =
        last.bytes().all(|b| b.is_ascii_digit()) || hexadecimal.bytes().all(|b| b.is_ascii_hexdigit());
    named && (!number || host.parse::<Ipv4Addr>().is_ok())
}

/// Whether requests to this host stay on this computer.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Requests that the emulator allows each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// So many a minute; `None` for no limit.
    pub(crate) per_minute: Option<NonZeroU32>,
}

impl Rate {
    /// Parses `600/min`, `10/s`, or `0` for no limit.
    ///
    /// # Errors
    /// Says what a rate must look like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (count, unit) = text.split_once('/').unwrap_or((text, ""));
        let factor = match unit {
            "min" => 1,
            "s" => 60,
            // Only no limit at all needs no unit.
            "" if count == "0" => 1,
            _ => return Err("must be like 600/min or 10/s, or 0 for no limit".to_owned()),
        };
        let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        let count = digits.then(|| count.parse::<u32>().ok()).flatten();
        let per_minute = count.and_then(|count| count.checked_mul(factor));
        match per_minute {
            Some(per_minute) => Ok(Self {
                per_minute: NonZeroU32::new(per_minute),
            }),
            None => Err("must be like 600/min or 10/s, or 0 for no limit".to_owned()),
        }
    }
}

/// A key that the emulator accepts, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyGrant {
    /// The key. It opens nothing but the emulator.
    pub(crate) key: String,
    /// Its scopes; `None` for every scope.
    pub(crate) scopes: Option<BTreeSet<String>>,
}

impl KeyGrant {
    /// Parses `KEY=scope,scope`; without `=`, the key has every scope, and
    /// with nothing behind it, none.
    ///
    /// # Errors
    /// Says what a grant must look like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (key, scopes) = match text.split_once('=') {
            Some((key, scopes)) => (key, Some(scopes)),
            None => (text, None),
        };
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("must be like KEY=scope,scope with a key of visible ASCII".to_owned());
        }
        let scopes = scopes.map(|scopes| {
            let scopes = scopes.split(',').map(str::trim);
            scopes.filter(|s| !s.is_empty()).map(str::to_owned).collect()
        });
        Ok(Self {
            key: key.to_owned(),
            scopes,
        })
    }
}

/// A span of time such as `50ms`, `90s` or `1h 30min`.
///
/// # Errors
/// Says what a span must look like.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "must be like 50ms, 90s or 1h 30min".to_owned())
}

/// As [`span`], but not nothing.
///
/// # Errors
/// Says what a span must look like.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document on every exit.
    Json,
    /// For a pull request's comment; of `plan` and `apply` only.
    Markdown,
    /// Comma-separated values, for `show` only.
    Csv,
}

/// A file that a report goes to, besides stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportFile {
    /// Where.
    pub(crate) path: PathBuf,
    /// In which form.
    pub(crate) kind: ReportKind,
}

/// A report's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportKind {
    /// The document that `--format json` prints.
    Json,
    /// The document that `--format markdown` prints.
    Markdown,
    /// One page with the pictures before and after.
    Html,
    /// The manifest's problems for code scanning.
    Sarif,
}

impl ReportFile {
    /// Parses a path, whose extension tells the form.
    ///
    /// # Errors
    /// Another extension, or none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => ReportKind::Json,
            Some("md") => ReportKind::Markdown,
            Some("html") => ReportKind::Html,
            Some("sarif") => ReportKind::Sarif,
            _ => {
                let message = "must end in .json, .md, .html or .sarif, which tells the report's form";
                return Err(message.to_owned());
            }
        };
        Ok(Self { path, kind })
    }

    /// The same for a command that has nothing but problems to report.
    ///
    /// # Errors
    /// Any other extension than .sarif.
    pub(crate) fn parse_sarif(text: &str) -> Result<Self, String> {
        Self::parse(text)
            .ok()
            .filter(|file| file.kind == ReportKind::Sarif)
            .ok_or_else(|| "must end in .sarif; `--format json` prints JSON".to_owned())
    }
}

/// How logs are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_one_spelling() {
        for (text, server) in [
            ("production", Server::Production),
            ("HTTPS://API.whop.com:443/api/v1/", Server::Production),
            ("https://sandbox-api.whop.com/api/v1", Server::Sandbox),
            ("emulator", Server::Emulator),
            (
                "https://Proxy.test:8443/whop",
                Server::Url("https://proxy.test:8443/whop".into()),
            ),
            (
                "http://127.0.0.1:8080/api/v1/",
                Server::Url("http://127.0.0.1:8080/api/v1".into()),
            ),
            (
                "http://localhost:80/api/v1",
                Server::Url("http://localhost/api/v1".into()),
            ),
            (
                "http://[::1]:9/api/v1",
                Server::Url("http://[::1]:9/api/v1".into()),
            ),
            (
                "https://[0:0::FFFF:198.51.100.7]/api/v1",
                Server::Url("https://[::ffff:c633:6407]/api/v1".into()),
            ),
        ] {
            let parsed = Server::parse(text);
            assert_eq!(parsed.as_ref(), Ok(&server), "{text}");
            let again = Server::parse(&server.to_string());
            assert_eq!(again, parsed, "{text}");
        }
    }

    #[test]
    fn a_server_that_could_leak_the_key_is_refused() {
        for text in [
            "",
            "prod",
            "Production",
            "ftp://a.test/api/v1",
            "http://api.whop.com/api/v1",
            "http://127.0.0.1.evil.test/api/v1",
            "http://localhost.evil.test/api/v1",
            "https://api.whop.com@evil.test/api/v1",
            "https://evil.test\\@api.whop.com/api/v1",
            "https://a.test/api/v1?x=1",
            "https://a.test/api/v1#x",
            "https://a.test/api/../v1",
            "https://a.test//api/v1",
            "https://a.test/x/%2e%2E/api/v1",
            "https://a.test/{api}/v1",
            "https://127.1/api/v1",
            "https://0x7f000001/api/v1",
            "https://a.0x/api/v1",
            "https://010.1.1.1/api/v1",
            "https://a.test:0/api/v1",
            "https://a.test:99999/api/v1",
            "https://a.test:+1/api/v1",
            "https:///api/v1",
            "https://a..test/api/v1",
            "https://[::1/api/v1",
            "https://a.test/api v1",
            "https://a.test/api\u{202e}/v1",
        ] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
        let pathless = Server::parse("https://a.test/").unwrap_err();
        assert_eq!(pathless, "must include the API's path: https://a.test/api/v1");
    }

    #[test]
    fn rates_need_a_unit_unless_there_is_none() {
        let rate = |text| Rate::parse(text).map(|rate| rate.per_minute.map(NonZeroU32::get));
        assert_eq!(rate("600/min"), Ok(Some(600)));
        assert_eq!(rate("10/s"), Ok(Some(600)));
        assert_eq!((rate("0"), rate("0/min")), (Ok(None), Ok(None)));
        for bad in [
            "",
            "600",
            "-1/min",
            "+1/min",
            "1/h",
            "/min",
            "4294967295/s",
            "1.5/s",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn grants_tell_no_scope_from_every_scope() {
        let scopes = |text| KeyGrant::parse(text).map(|grant| grant.scopes.map(|s| s.len()));
        assert_eq!(scopes("k=a:b, c"), Ok(Some(2)));
        assert_eq!(scopes("k="), Ok(Some(0)));
        assert_eq!(scopes("k"), Ok(None));
        assert!(scopes("=a").is_err() && scopes("a b=c").is_err());
    }

    #[test]
    fn a_report_is_told_by_its_extension() {
        let kind = |text| ReportFile::parse(text).map(|report| report.kind);
        assert_eq!(kind("a/plan.json"), Ok(ReportKind::Json));
        assert_eq!(kind("plan.md"), Ok(ReportKind::Markdown));
        assert_eq!(kind("plan.html"), Ok(ReportKind::Html));
        assert_eq!(kind("problems.sarif"), Ok(ReportKind::Sarif));
        for bad in ["plan", "plan.txt", ".md", ""] {
            assert!(kind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        assert_eq!(span("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
        assert_eq!(some_time("1h 30min"), Ok(Duration::from_secs(5_400)));
        assert!(some_time("0s").is_err() && span("fast").is_err());
    }
}
