//! Hosts that the operator vouches for. Whether a name is public is judged by
//! this machine's own look-up. For some hosts that fails, or gives a private
//! address. The operator names those that pictures and uploads may use anyway.

use crate::core::value::Invalid;

/// Host names, and domains whose hosts all count. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Pattern>);

/// One entry, in lower case and without a trailing full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Only this host.
    Host(Box<str>),
    /// Every host below this domain, but not the domain itself.
    Below(Box<str>),
}

impl Hosts {
    /// Parses comma-separated names: `img.example.com` is that host,
    /// `*.example.com` every host below the domain. White space around a name
    /// and case are ignored.
    ///
    /// # Errors
    /// Quotes the invalid name, as a phrase that follows the list's name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.split(',').map(pattern).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a host is in the list.
    pub(super) fn name(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.0.iter().any(|pattern| match pattern {
            Pattern::Host(name) => **name == *host,
            Pattern::Below(domain) => host
                .strip_suffix(&**domain)
                .and_then(|before| before.strip_suffix('.'))
                .is_some_and(|before| !before.is_empty()),
        })
    }
}

fn pattern(text: &str) -> Result<Pattern, Invalid> {
    let trimmed = text.trim();
    let (name, whole): (_, fn(Box<str>) -> Pattern) = match trimmed.strip_prefix("*.") {
        Some(domain) => (domain, Pattern::Below),
        None => (trimmed, Pattern::Host),
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(is_part);
    // Addresses are always judged as addresses, whatever is named.
    let is_address = name
        .split('.')
        .next_back()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.len() > 253 || is_address || !name.split('.').all(is_label) {
        return Err(Invalid(format!(
            "must be host names with commas between them, such as img.example.com or *.example.com; `{trimmed}` is \
             not one"
        )));
    }
    Ok(whole(name.to_ascii_lowercase().into()))
}

/// The operator's hosts, by purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnHosts {
    /// For reading pictures that Whop shows.
    pub pictures: Hosts,
    /// For sending the bytes of pictures.
    pub storage: Hosts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_alone_or_with_its_whole_domain() {
        let hosts = Hosts::parse("Img.corp.test, *.cdn.test,localhost").unwrap();
        for named in [
            "img.corp.test",
            "IMG.corp.test.",
            "a.cdn.test",
            "a.b.CDN.test",
            "localhost",
        ] {
            assert!(hosts.name(named), "{named}");
        }
        for other in [
            "corp.test",
            "x.img.corp.test",
            "img.corp.test.evil.test",
            "cdn.test",
            ".cdn.test",
            "evilcdn.test",
            "a.cdn.test..",
            "a.localhost",
            "",
        ] {
            assert!(!hosts.name(other), "{other}");
        }
        assert!(!Hosts::default().name("img.corp.test"));
    }

    #[test]
    fn what_is_no_host_is_quoted() {
        for bad in [
            "",
            "a.test,",
            "https://a.test",
            "a.test:443",
            "a.test/x",
            "*",
            "*.",
            "a.*.test",
            "*a.test",
            ".a.test",
            "a..test",
            "10.0.0.1",
            "[::1]",
            "bücher.test",
            "a b.test",
        ] {
            let why = Hosts::parse(bad).unwrap_err().to_string();
            let part = bad.rsplit(',').next().unwrap();
            assert!(why.contains(&format!("`{part}`")), "{why}");
        }
    }
}
