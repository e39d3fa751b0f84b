//! The message of EIP-4361, read line by line: what is not exactly in its form is none.

use alloy::primitives::Address;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The only version there is.
pub(super) const VERSION: &str = "1";
/// What follows the domain in the first line.
const OPENING: &str = " wants you to sign in with your Ethereum account:";

/// A message, as far as it says anything to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message<'m> {
    /// `host:port` that asked for the signature.
    pub domain: &'m str,
    /// Who signs.
    pub address: Address,
    uri: &'m str,
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// What we gave.
    pub nonce: &'m str,
    pub issued_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub not_before: Option<OffsetDateTime>,
}

impl<'m> Message<'m> {
    /// Reads a message.
    pub(super) fn parse(text: &'m str) -> Result<Message<'m>, &'static str> {
        let mut lines = Lines(text.split('\n').peekable());
        let first = lines.0.next().and_then(|line| line.strip_suffix(OPENING));
        let domain = first.ok_or("the first line is not that of an EIP-4361 message")?;
        let domain = domain.split_once("://").map_or(domain, |(_, domain)| domain);
        if domain.is_empty() {
            return Err("the first line names no domain");
        }
        let address = lines.0.next().unwrap_or_default();
        let address = Address::parse_checksummed(address, None)
            .map_err(|_| "the second line is not an address with its checksum (EIP-55)")?;
        lines.empty()?;
        // A statement is a line of its own with an empty one after it; without one there is just the empty line.
        if lines.0.next().is_some_and(|statement| !statement.is_empty()) {
            lines.empty()?;
        }
        let uri = lines.required("URI: ")?;
        if lines.required("Version: ")? != VERSION {
            return Err("the version is not 1");
        }
        let chain_id = lines.required("Chain ID: ")?.parse().map_err(|_| "the chain id is not a number")?;
        let nonce = lines.required("Nonce: ")?;
        let issued_at = instant(lines.required("Issued At: ")?)?;
        let expires_at = lines.optional("Expiration Time: ").map(instant).transpose()?;
        let not_before = lines.optional("Not Before: ").map(instant).transpose()?;
        lines.optional("Request ID: ");
        if lines.optional("Resources:").is_some() {
            while lines.optional("- ").is_some() {}
        }
        match lines.0.next() {
            None => Ok(Message { domain, address, uri, chain_id, nonce, issued_at, expires_at, not_before }),
            Some(_) => Err("a line is out of its place, or is none of EIP-4361's"),
        }
    }

    /// Whether its URI is of this origin.
    pub(super) fn is_of(&self, origin: &str) -> bool {
        self.uri.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

struct Lines<'m>(std::iter::Peekable<std::str::Split<'m, char>>);

impl<'m> Lines<'m> {
    fn empty(&mut self) -> Result<(), &'static str> {
        if self.0.next() == Some("") { Ok(()) } else { Err("an empty line is missing") }
    }

    fn required(&mut self, name: &str) -> Result<&'m str, &'static str> {
        self.optional(name).ok_or("URI, Version, Chain ID, Nonce and Issued At are to follow each other, a line each")
    }

    fn optional(&mut self, name: &str) -> Option<&'m str> {
        let value = self.0.peek()?.strip_prefix(name)?;
        self.0.next();
        Some(value)
    }
}

fn instant(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "a time is not written as 2030-01-31T00:00:00Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the EIP.
    const EXAMPLE: &str = "example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json";

    #[test]
    fn a_message_is_read_in_its_form() {
        let message = Message::parse(EXAMPLE).unwrap();
        assert_eq!((message.domain, message.chain_id, message.nonce), ("example.com", 1, "32891756"));
        assert!(message.is_of("https://example.com") && !message.is_of("https://example.co"));
        let bare = EXAMPLE.replace("I accept the ExampleOrg Terms of Service: https://example.com/tos\n", "");
        assert_eq!(Message::parse(&bare).unwrap(), message);
        let full = bare.replace(
            "Resources:",
            "Expiration Time: 2021-09-30T17:00:00Z\nNot Before: 2021-09-30T16:00:00Z\nRequest ID: 1\nResources:",
        );
        let full = Message::parse(&full).unwrap();
        assert!(full.expires_at > full.not_before && full.not_before.is_some());
        let scheme = format!("https://{EXAMPLE}");
        assert_eq!(Message::parse(&scheme).unwrap(), message);
    }

    #[test]
    fn what_is_not_in_its_form_is_no_message() {
        let broken = [
            EXAMPLE.replace("wants you", "wants us"),
            EXAMPLE.replace("example.com wants", " wants"),
            EXAMPLE.replace("0xC02aaA39", "0xc02aaA39"),
            EXAMPLE.replace("Version: 1", "Version: 2"),
            EXAMPLE.replace("Chain ID: 1", "Chain ID: one"),
            EXAMPLE.replace("Nonce: 32891756\n", ""),
            EXAMPLE.replace("2021-09-30T16:25:24Z", "yesterday"),
            EXAMPLE.replace("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
            EXAMPLE.replace('\n', "\r\n"),
            format!("{EXAMPLE}\n"),
            format!("{EXAMPLE}\nChain ID: 2"),
            EXAMPLE.replace("\n\nURI", "\nURI"),
            String::new(),
        ];
        for text in broken {
            assert!(Message::parse(&text).is_err(), "{text}");
        }
    }
}
