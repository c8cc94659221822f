//! Email addresses made unreadable, for documents that more people see than
//! may know the addresses: enough is left to recognise one that is known.

/// An address with all but the first character of its local part left out:
/// `j…@shop.co`. A text without a domain is left out but for that character.
pub(crate) fn address(text: &str) -> String {
    let (local, domain) = match text.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (text, None),
    };
    let mut masked: String = local.chars().take(1).collect();
    masked.push('…');
    if let Some(domain) = domain {
        masked.push('@');
        masked.push_str(domain);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_first_character_and_its_domain() {
        for (text, masked) in [
            ("jane.doe@shop.co", "j…@shop.co"),
            ("é@shop.co", "é…@shop.co"),
            ("\"a@b\"@shop.co", "\"…@shop.co"),
            ("@shop.co", "…@shop.co"),
            ("nobody", "n…"),
            ("", "…"),
        ] {
            assert_eq!(address(text), masked);
        }
    }
}
