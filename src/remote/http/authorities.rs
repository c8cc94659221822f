//! Authorities to trust besides the platform's: a company's own, whose proxy
//! opens TLS, or that of a gateway in its network.

use std::fmt;

use reqwest::{Certificate, ClientBuilder};

use crate::core::value::Invalid;

/// Certificates of authorities. They add to the platform's and replace none;
/// the default is none.
#[derive(Clone, Default)]
pub struct Authorities(Vec<Certificate>);

impl Authorities {
    /// Parses one or more certificates in PEM form; what stands around them is
    /// passed over.
    ///
    /// # Errors
    /// Says what is wrong, as a fragment that follows the file's name. Never
    /// quotes it: somebody may have named the private key's file.
    pub fn parse(pem: &[u8]) -> Result<Self, Invalid> {
        let refuse = |why: &str| Err(Invalid(why.to_owned()));
        match Certificate::from_pem_bundle(pem) {
            Ok(found) if found.is_empty() => refuse("holds no certificate in PEM form"),
            Ok(found) => {
                // Whether they can be used is told only when they are.
                let usable = Self(found);
                match usable.add_to(super::client(false)).build() {
                    Ok(_) => Ok(usable),
                    Err(_) => refuse("holds a certificate that cannot be used"),
                }
            }
            Err(_) => refuse("holds a certificate that cannot be read"),
        }
    }

    /// A client that trusts them too.
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
