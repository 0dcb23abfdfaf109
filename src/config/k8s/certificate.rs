//! Whether a text can be a certificate, and when it ended: as much of PEM and DER as that takes.

/// Certificates that ended before this day are of no use to anybody who runs this program. The day
/// of the run is not asked for: the same files get the same answer on every day.
const LONG_AGO: &str = "20260101000000";

/// What is wrong with a certificate in PEM; nothing is said of who signed it.
pub(super) fn certificate_problem(pem: &[u8]) -> Option<String> {
    let Some(der) = decode_pem(pem) else {
        return Some("its certificate is not PEM".to_owned());
    };
    let Some(end) = not_after(&der) else {
        return Some("its certificate cannot be read".to_owned());
    };
    (end.as_str() < LONG_AGO).then(|| {
        let (year, month, day) = (&end[..4], &end[4..6], &end[6..8]);
        format!("its certificate ended on {year}-{month}-{day}")
    })
}

/// The first block of a PEM text.
fn decode_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (_, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    decode_base64(body)
}

/// Base64 with or without line breaks and padding.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    let data = text.bytes().filter(|b| !b.is_ascii_whitespace());
    for byte in data.take_while(|b| *b != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

/// One element of DER: its tag, what is inside, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (bytes, rest) = rest.split_at(count);
        let length = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
        (length, rest)
    };
    (length <= rest.len()).then(|| (tag, &rest[..length], &rest[length..]))
}

/// `notAfter` of an X.509 certificate as `YYYYMMDDhhmmss`.
fn not_after(der: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let inside = |der, wanted| element(der).filter(|(tag, ..)| *tag == wanted);
    let (_, certificate, _) = inside(der, SEQUENCE)?;
    let (_, signed, _) = inside(certificate, SEQUENCE)?;
    // A version comes first, except in the oldest form.
    let (tag, _, after_first) = element(signed)?;
    let at_serial = if tag == VERSION { after_first } else { signed };
    let (_, _, at_algorithm) = element(at_serial)?;
    let (_, _, at_issuer) = inside(at_algorithm, SEQUENCE)?;
    let (_, _, at_validity) = inside(at_issuer, SEQUENCE)?;
    let (_, validity, _) = inside(at_validity, SEQUENCE)?;
    let (_, _, at_end) = element(validity)?;
    let (tag, end, _) = element(at_end)?;
    full_year(tag, std::str::from_utf8(end).ok()?)
}

/// A UTCTime or GeneralizedTime with all four digits of its year.
fn full_year(tag: u8, time: &str) -> Option<String> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = time.strip_suffix('Z')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match (tag, digits.len()) {
        // Two digits mean 1950 to 2049.
        (UTC_TIME, 12) => {
            let century = if digits < "50" { "20" } else { "19" };
            Some(format!("{century}{digits}"))
        }
        (GENERALIZED_TIME, 14) => Some(digits.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate with nothing in it but its validity.
    fn pem(end_tag: u8, end: &str) -> String {
        let wrap = |tag: u8, inside: Vec<u8>| {
            let mut all = vec![tag, u8::try_from(inside.len()).expect("short")];
            all.extend(inside);
            all
        };
        let mut validity = wrap(0x17, b"200101000000Z".to_vec());
        validity.extend(wrap(end_tag, end.as_bytes().to_vec()));
        let mut signed = wrap(0xa0, vec![2, 1, 2]);
        signed.extend(wrap(2, vec![7]));
        signed.extend(wrap(0x30, vec![]));
        signed.extend(wrap(0x30, vec![]));
        signed.extend(wrap(0x30, validity));
        let der = wrap(0x30, wrap(0x30, signed));
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in der.chunks(3) {
            let bits = chunk.iter().fold(0u32, |sum, b| sum << 8 | u32::from(*b))
                << (8 * (3 - chunk.len()));
            for at in 0..=chunk.len() {
                let value = (bits >> (18 - 6 * at)) & 63;
                text.push(char::from(alphabet[value as usize]));
            }
        }
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn certificates_that_ended_long_ago_are_found_without_a_clock() {
        let problem = |pem: &str| certificate_problem(pem.as_bytes());
        assert_eq!(problem(&pem(0x17, "491231235959Z")), None);
        assert_eq!(problem(&pem(0x18, "20990101000000Z")), None);
        assert_eq!(
            problem(&pem(0x17, "230314061540Z")).as_deref(),
            Some("its certificate ended on 2023-03-14")
        );
        assert_eq!(
            problem(&pem(0x17, "990314061540Z")).as_deref(),
            Some("its certificate ended on 1999-03-14")
        );
        for broken in [
            "",
            "hush",
            "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
        ] {
            assert!(problem(broken).is_some(), "{broken}");
        }
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for text in ["aHVzaA==", "aHVz\naA"] {
            assert_eq!(decode_base64(text).as_deref(), Some(&b"hush"[..]));
        }
        assert_eq!(decode_base64("a-b"), None);
    }
}
