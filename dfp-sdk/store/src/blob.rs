//! Bytes as they lie in the database: a checksum over the key and the content, so that damage is found before
//! anything is decoded, and so that content under a wrong key counts as damage too.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

const CHECKSUM: usize = size_of::<u32>();

fn checksum(key: &str, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// `content` with its checksum in front. `key` says where it will lie.
pub(crate) fn seal(key: &str, content: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(CHECKSUM + content.len());
    sealed.extend_from_slice(&checksum(key, content).to_le_bytes());
    sealed.extend_from_slice(content);
    sealed
}

/// The content of sealed bytes found at `key`.
pub(crate) fn unseal<'a>(key: &str, sealed: &'a [u8]) -> Result<&'a [u8]> {
    let (stored, content) =
        sealed.split_first_chunk::<CHECKSUM>().ok_or_else(|| Error::damaged(key, "it is cut short"))?;
    if u32::from_le_bytes(*stored) == checksum(key, content) {
        Ok(content)
    } else {
        Err(Error::damaged(key, "its checksum does not match"))
    }
}

/// `value` as sealed JSON.
pub(crate) fn seal_json<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Error::Io { doing: format!("writing {key} as JSON"), source: error.into() })?;
    Ok(seal(key, &json))
}

/// The value of sealed JSON found at `key`.
pub(crate) fn unseal_json<T: DeserializeOwned>(key: &str, sealed: &[u8]) -> Result<T> {
    serde_json::from_slice(unseal(key, sealed)?).map_err(|error| Error::damaged(key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let sealed = seal("key", b"some content");
        assert_eq!(unseal("key", &sealed).unwrap(), b"some content");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(unseal("key", &damaged), Err(Error::Damaged { .. })), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(unseal("key", &sealed[..length]).is_err(), "cut to {length}");
        }
        assert!(unseal("yek", &sealed).is_err());
    }
}
