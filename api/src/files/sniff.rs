//! What a file is, by its own bytes. Names and declared types are not believed, and bytes behind the end of an image are
//! refused: what is two things at once is one of them to somebody else.

/// A type that may be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum FileType {
    Png,
    Jpeg,
    Webp,
    Pdf,
}

/// What a PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A PDF's end mark is within this much of its end.
const PDF_TAIL: usize = 1_024;

impl FileType {
    /// Every type.
    pub const ALL: [FileType; 4] = [FileType::Png, FileType::Jpeg, FileType::Webp, FileType::Pdf];

    /// The type of these bytes; `None` where they are no whole file of any type here.
    pub fn of(bytes: &[u8]) -> Option<FileType> {
        let found = FileType::ALL.into_iter().find(|of| match of {
            FileType::Png => is_png(bytes),
            FileType::Jpeg => bytes.starts_with(b"\xff\xd8\xff") && bytes.ends_with(b"\xff\xd9"),
            FileType::Webp => is_webp(bytes),
            FileType::Pdf => is_pdf(bytes),
        })?;
        // JPEG says nowhere how long it is: at least nothing that others would run may be in it.
        (found != FileType::Jpeg || !holds_markup(bytes)).then_some(found)
    }

    /// The end of its name.
    pub fn extension(self) -> &'static str {
        match self {
            FileType::Png => "png",
            FileType::Jpeg => "jpeg",
            FileType::Webp => "webp",
            FileType::Pdf => "pdf",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            FileType::Png => "image/png",
            FileType::Jpeg => "image/jpeg",
            FileType::Webp => "image/webp",
            FileType::Pdf => "application/pdf",
        }
    }

    /// Whether it is a picture.
    pub fn is_image(self) -> bool {
        self != FileType::Pdf
    }

    /// The type of this extension.
    pub fn of_extension(extension: &str) -> Option<FileType> {
        FileType::ALL.into_iter().find(|of| of.extension() == extension)
    }
}

/// Chunks from the header to `IEND`, and nothing behind it.
fn is_png(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(PNG) else { return false };
    let mut first = true;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        if first && &kind != b"IHDR" {
            return false;
        }
        first = false;
        // The chunk's data and its checksum.
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(next) = length.checked_add(4).and_then(|length| after.get(length..)) else { return false };
        if &kind == b"IEND" {
            return next.is_empty();
        }
        rest = next;
    }
    false
}

/// A RIFF container of exactly the length that it says.
fn is_webp(bytes: &[u8]) -> bool {
    let (Some(riff), Some(length), Some(kind)) = (bytes.get(..4), bytes.get(4..8), bytes.get(8..15)) else {
        return false;
    };
    let length = <[u8; 4]>::try_from(length).map_or(0, |length| u32::from_le_bytes(length) as usize);
    riff == b"RIFF" && kind == b"WEBPVP8" && length.checked_add(8) == Some(bytes.len())
}

/// Begins with its mark and ends with its other.
fn is_pdf(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(PDF_TAIL)..];
    let end = tail.windows(5).rposition(|window| window == b"%%EOF");
    let ends = end.is_some_and(|at| tail[at + 5..].iter().all(u8::is_ascii_whitespace));
    (bytes.starts_with(b"%PDF-1.") || bytes.starts_with(b"%PDF-2.")) && ends
}

fn holds_markup(bytes: &[u8]) -> bool {
    let lower: Vec<u8> = bytes.to_ascii_lowercase();
    let marks: [&[u8]; 4] = [b"<script", b"<html", b"<?php", b"%pdf-1."];
    marks.iter().any(|mark| lower.windows(mark.len()).any(|window| window == *mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The smallest whole files of each type, as far as their frames go.
    fn whole(of: FileType) -> Vec<u8> {
        match of {
            FileType::Png => {
                let mut bytes = PNG.to_vec();
                for (kind, data) in [(b"IHDR", &[0; 13][..]), (b"IDAT", &[1, 2, 3]), (b"IEND", &[])] {
                    bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
                    bytes.extend(kind);
                    bytes.extend(data);
                    bytes.extend([0; 4]);
                }
                bytes
            }
            FileType::Jpeg => b"\xff\xd8\xff\xe0 a picture \xff\xd9".to_vec(),
            FileType::Webp => [&b"RIFF"[..], &16_u32.to_le_bytes(), b"WEBPVP8 \x04\0\0\0data"].concat(),
            FileType::Pdf => b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n".to_vec(),
        }
    }

    #[test]
    fn a_file_is_what_its_bytes_are_from_the_first_to_the_last() {
        for of in FileType::ALL {
            let bytes = whole(of);
            assert_eq!(FileType::of(&bytes), Some(of));
            assert_eq!(FileType::of_extension(of.extension()), Some(of));
            assert_eq!(FileType::of(&[&b" "[..], &bytes].concat()), None, "{of:?} with something before it");
            assert_eq!(FileType::of(&[&bytes[..], b"<script>"].concat()), None, "{of:?} with something behind it");
            assert_eq!(FileType::of(&bytes[..bytes.len() - 3]), None, "{of:?} cut short");
        }
    }

    #[test]
    fn what_others_would_run_is_no_file() {
        let within_jpeg = b"\xff\xd8\xff\xe0 <ScRipt>alert(1)</script> \xff\xd9";
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
        let gif = b"GIF89a/*\xff\xd9";
        for bytes in [&within_jpeg[..], svg, gif, b"", b"MZ", b"PK\x03\x04", b"<html>%PDF-1.7\n%%EOF"] {
            assert_eq!(FileType::of(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(start in 0_usize..5, bytes: Vec<u8>) {
            let start = FileType::ALL.get(start).map(|of| whole(*of)).unwrap_or_default();
            let _ = FileType::of(&bytes);
            let _ = FileType::of(&[start, bytes].concat());
        }
    }
}
