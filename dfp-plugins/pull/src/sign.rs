//! Signatures of requests: Duo's, and AWS's version 4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::{digest, hmac};
use std::fmt::Write as _;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// Duo's `Authorization`: HMAC-SHA-512 over date, method, host, path and canonical parameters.
pub(crate) fn duo(
    key: &str,
    secret: &str,
    date: &str,
    method: &str,
    host: &str,
    path: &str,
    query: &str,
) -> String {
    let canonical = [date, &method.to_ascii_uppercase(), &host.to_ascii_lowercase(), path, query].join("\n");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes()), canonical.as_bytes());
    format!("Basic {}", STANDARD.encode(format!("{key}:{}", hex(signature.as_ref()))))
}

/// The date as Duo wants it in the header and the signature.
pub(crate) fn rfc2822(now: i64) -> String {
    stamp(now, "%a, %d %b %Y %H:%M:%S -0000")
}

/// A time in a format of its own; the epoch where there is no such year.
pub(crate) fn stamp(second: i64, format: &str) -> String {
    let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// What AWS requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AwsKeys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) session: Option<String>,
}

/// SHA-256 of nothing, as hexadecimal digits: the body of every GET.
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The headers of a signed S3 GET. `path` and `query` are encoded, the query sorted.
pub(crate) fn s3_get(
    keys: &AwsKeys,
    region: &str,
    host: &str,
    path: &str,
    query: &str,
    now: i64,
) -> Vec<(String, String)> {
    let mut headers = vec![
        ("host".to_owned(), host.to_owned()),
        ("x-amz-content-sha256".to_owned(), EMPTY_SHA256.to_owned()),
        ("x-amz-date".to_owned(), stamp(now, "%Y%m%dT%H%M%SZ")),
    ];
    if let Some(session) = &keys.session {
        headers.push(("x-amz-security-token".to_owned(), session.clone()));
    }
    let authorization = aws4(keys, region, path, query, &headers, now);
    headers.push(("authorization".to_owned(), authorization));
    headers
}

/// `Authorization` of version 4 over a GET whose `headers` are sorted by their lower-case names.
fn aws4(
    keys: &AwsKeys,
    region: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    now: i64,
) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String =
        headers.iter().fold(String::new(), |text, (name, value)| text + name + ":" + value.trim() + "\n");
    let canonical = format!("GET\n{path}\n{query}\n{lines}\n{names}\n{EMPTY_SHA256}");
    let day = stamp(now, "%Y%m%d");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", stamp(now, "%Y%m%dT%H%M%SZ"));
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let first = sign(format!("AWS4{}", keys.secret).as_bytes(), &day);
    let key = [region, "s3", "aws4_request"].iter().fold(first, |key, part| sign(key.as_ref(), part));
    let signature = hex(sign(key.as_ref(), &to_sign).as_ref());
    format!("AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}", keys.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url;

    /// The vector that Duo's own client publishes for HMAC-SHA-512.
    #[test]
    fn duo_signs_as_published() {
        let pairs = [
            (
                "\u{469a}\u{287b}\u{35d0}\u{8ef3}\u{6727}\u{502a}\u{0810}\u{d091}\u{c8}\u{c170}",
                "\u{0f45}\u{1a76}\u{341a}\u{654c}\u{c23f}\u{9b09}\u{abe2}\u{8343}\u{1b27}\u{60d0}",
            ),
            (
                "\u{7449}\u{7e4b}\u{ccfb}\u{59ff}\u{fe5f}\u{83b7}\u{adcc}\u{900c}\u{cfd1}\u{7813}",
                "\u{8db7}\u{5022}\u{92d3}\u{42ef}\u{207d}\u{8730}\u{acfe}\u{5617}\u{0946}\u{4e30}",
            ),
            (
                "\u{7470}\u{9314}\u{901c}\u{9eae}\u{40d8}\u{4201}\u{82d8}\u{8c70}\u{1d31}\u{a042}",
                "\u{17d9}\u{0ba8}\u{9358}\u{aadf}\u{a42a}\u{48be}\u{fb96}\u{6fe9}\u{b7ff}\u{32f3}",
            ),
            (
                "\u{c2c5}\u{2c1d}\u{2620}\u{3617}\u{96b3}F\u{8605}\u{20e8}\u{ac21}\u{5934}",
                "\u{fba9}\u{41aa}\u{bd83}\u{840b}\u{2615}\u{3e6e}\u{652d}\u{a8b5}\u{d56b}U",
            ),
        ];
        let signed = duo(
            "test_ikey",
            "gtdfxv9YgVBYcF6dl2Eq17KUQJN2PLM2ODVTkvoT",
            "Fri, 07 Dec 2012 17:18:00 -0000",
            "PoSt",
            "foO.BAr52.cOm",
            "/Foo/BaR2/qux",
            &url::query(&pairs),
        );
        let signature = "0508065035a03b2a1de2f453e629e791d180329e157f65df6b3e0f08299d4321e1c5c7a7c7ee6b9e5fc80d1fb6fbf3ad5eb7c44dd3b3985a02c37aca53ec3698";
        assert_eq!(signed, format!("Basic {}", STANDARD.encode(format!("test_ikey:{signature}"))));
        assert_eq!(rfc2822(1_354_900_680), "Fri, 07 Dec 2012 17:18:00 -0000");
    }

    fn example_keys() -> AwsKeys {
        AwsKeys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session: None,
        }
    }

    /// The examples of the S3 manual: listing a bucket, its lifecycle, a range of an object.
    #[test]
    fn s3_requests_are_signed_as_published() {
        const MAY_24_2013: i64 = 1_369_353_600;
        let host = "examplebucket.s3.amazonaws.com";
        for (path, query, signature) in [
            ("/", "max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            ("/", "lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ] {
            let headers = s3_get(&example_keys(), "us-east-1", host, path, query, MAY_24_2013);
            let (name, value) = headers.last().unwrap();
            assert_eq!(name, "authorization");
            assert_eq!(
                value,
                &format!(
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                     SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}"
                )
            );
        }
        let headers = [
            ("host", host),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", "20130524T000000Z"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let signed = aws4(&example_keys(), "us-east-1", "/test.txt", "", &headers, MAY_24_2013);
        assert!(
            signed.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{signed}"
        );
    }

    #[test]
    fn session_tokens_are_signed_too() {
        let keys = AwsKeys { session: Some("token".to_owned()), ..example_keys() };
        let headers = s3_get(&keys, "eu-west-1", "h", "/", "", 0);
        assert!(headers.iter().any(|(name, value)| name == "x-amz-security-token" && value == "token"));
        assert!(headers.last().unwrap().1.contains(";x-amz-security-token,"));
    }
}
