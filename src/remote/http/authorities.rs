//! Certificate authorities to trust in addition to the platform's: those of a
//! company's TLS proxy or of a gateway in its network.

use std::fmt;

use reqwest::{Certificate, ClientBuilder};

use super::socket::client;
use crate::core::value::Invalid;

/// Certificates of authorities. They add to the platform's and replace none; by
/// default there are none.
#[derive(Clone, Default)]
pub struct Authorities(Vec<Certificate>);

impl Authorities {
    /// Parses one or more certificates in PEM form; other text around them is
    /// ignored.
    ///
    /// # Errors
    /// Says what is wrong, as a phrase that follows the file's name. Never
    /// quotes the file, which may be a private key by mistake.
    pub fn parse(pem: &[u8]) -> Result<Self, Invalid> {
        let refuse = |why: &str| Err(Invalid(why.to_owned()));
        match Certificate::from_pem_bundle(pem) {
            Ok(found) if found.is_empty() => refuse("contains no certificate in PEM form"),
            Ok(found) => {
                // Whether they are usable shows only when they are used.
                let usable = Self(found);
                match usable.add_to(client(false)).build() {
                    Ok(_) => Ok(usable),
                    Err(_) => refuse("contains a certificate that cannot be used"),
                }
            }
            Err(_) => refuse("contains a certificate that cannot be read"),
        }
    }

    /// A client that also trusts them.
    pub(super) fn add_to(&self, client: ClientBuilder) -> ClientBuilder {
        if self.0.is_empty() {
            return client;
        }
        client.tls_certs_merge(self.0.iter().cloned())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}
