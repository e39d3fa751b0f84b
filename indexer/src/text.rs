//! Text from a chain may be anything; text in a table may not.

use alloy::primitives::Bytes;
use alloy::sol_types::SolValue;

/// Longest text that is kept, in characters. Names of real tokens are far below.
const LONGEST: usize = 256;

/// Longest link that is kept, in characters: what every browser takes.
const LONGEST_LINK: usize = 2_048;

/// Text that any table and any screen can take: NUL replaced, length capped.
pub(crate) fn clean(text: &str) -> String {
    capped(text, LONGEST)
}

/// [`clean`] for a link, which may be longer than a name.
pub(crate) fn clean_link(text: &str) -> String {
    capped(text, LONGEST_LINK)
}

fn capped(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// What `name()` or `symbol()` returned: a string, or the 32 bytes of tokens older than the standard's text.
pub(crate) fn from_return(data: &Bytes) -> Option<String> {
    // As bytes, since the string need not be UTF-8.
    if let Ok(bytes) = Bytes::abi_decode(data)
        && data.len() > 32
    {
        return Some(clean(&String::from_utf8_lossy(&bytes)));
    }
    let word: &[u8] = data.get(..32)?;
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    (data.len() == 32).then(|| clean(&String::from_utf8_lossy(&word[..end])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_no_table_could_take_is_made_harmless() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        assert_eq!(clean(&"x".repeat(10_000)).len(), LONGEST);
    }

    #[test]
    fn names_are_read_as_string_and_as_word() {
        let string = Bytes::from("Dai".to_owned().abi_encode());
        assert_eq!(from_return(&string).as_deref(), Some("Dai"));
        let mut word = [0; 32];
        word[..3].copy_from_slice(b"MKR");
        assert_eq!(from_return(&word.to_vec().into()).as_deref(), Some("MKR"));
        let broken = Bytes::from(Bytes::from(vec![0xff, 0xfe, b'x']).abi_encode());
        assert_eq!(from_return(&broken).as_deref(), Some("\u{fffd}\u{fffd}x"));
        assert_eq!(from_return(&Bytes::new()), None);
    }
}
