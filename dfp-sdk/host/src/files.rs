//! Files that nobody but their owner and the administrator can change, opened once.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use hmac_sha256::Hash;

use crate::error::{Error, Result};

/// Bytes hashed at once.
const CHUNK: usize = 64 << 10;

/// A regular file, open for reading, that others cannot change.
#[derive(Debug)]
pub(crate) struct CheckedFile {
    /// Without symbolic links.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// Opens the file behind `path`, if nobody but us and the administrator can change it or a directory above it. On systems
/// other than Unix only the kind of file is looked at: their rights need calls that the standard library does not have.
pub(crate) fn checked_file(path: &Path) -> Result<CheckedFile> {
    if !path.is_absolute() {
        return Err(Error::Relative { path: path.to_owned() });
    }
    let doing = |source| Error::Inspect { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(doing)?;
    // Looked at before it is opened, because opening a pipe blocks.
    let before = path.symlink_metadata().map_err(doing)?;
    if !before.is_file() {
        return Err(Error::NotAFile { path });
    }
    for part in path.ancestors() {
        let metadata = part.metadata().map_err(doing)?;
        if let Some(why) = rights::changeable_by_others(&metadata) {
            return Err(Error::Exposed { part: part.to_owned(), path, why });
        }
    }
    let file = File::open(&path).map_err(doing)?;
    let metadata = file.metadata().map_err(doing)?;
    if identity(&path, &metadata) != identity(&path, &before) {
        return Err(Error::Replaced { path });
    }
    if let Some(why) = rights::changeable_by_others(&metadata) {
        return Err(Error::Exposed { part: path.clone(), path, why });
    }
    Ok(CheckedFile { path, file, metadata })
}

impl CheckedFile {
    /// What makes it this file, whatever it is called.
    pub(crate) fn identity(&self) -> Identity {
        identity(&self.path, &self.metadata)
    }

    /// The SHA-256 of what the descriptor leads to.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let mut hash = Hash::new();
        let mut chunk = vec![0; CHUNK];
        let mut file = &self.file;
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(Digest(hash.finalize())),
                Ok(n) => hash.update(&chunk[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Inspect { path: self.path.clone(), source }),
            }
        }
    }
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).expect("half a byte is one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes behind exactly that many lower-case hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(unix)]
pub(crate) type Identity = (u64, u64);

#[cfg(unix)]
fn identity(_path: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
pub(crate) type Identity = PathBuf;

#[cfg(not(unix))]
fn identity(path: &Path, _metadata: &Metadata) -> Identity {
    path.to_owned()
}

#[cfg(unix)]
mod rights {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    /// Why others could change a file or what lies in a directory. Directories with the sticky bit, as `/tmp` has it,
    /// protect what lies in them.
    pub(super) fn changeable_by_others(metadata: &Metadata) -> Option<String> {
        const WRITABLE_BY_OTHERS: u32 = 0o022;
        const STICKY: u32 = 0o1000;
        let (mode, owner) = (metadata.mode(), metadata.uid());
        if owner != 0 && owner != effective_user() {
            return Some(format!("it belongs to user {owner}"));
        }
        let sticky = metadata.is_dir() && mode & STICKY != 0;
        (mode & WRITABLE_BY_OTHERS != 0 && !sticky).then(|| {
            format!("its mode is {:03o}; remove the write permission of group and others", mode & 0o777)
        })
    }

    fn effective_user() -> u32 {
        unsafe extern "C" {
            safe fn geteuid() -> u32;
        }
        geteuid()
    }
}

#[cfg(not(unix))]
mod rights {
    pub(super) fn changeable_by_others(_metadata: &std::fs::Metadata) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_everybody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(checked_file(&path).unwrap().digest().unwrap().to_string(), known);
    }

    #[test]
    fn hexadecimal_digits_are_exact() {
        assert_eq!(unhex::<2>("0aff"), Some([0x0a, 0xff]));
        for wrong in ["", "0a", "0aff00", "0AFF", "0g00", "0a f"] {
            assert_eq!(unhex::<2>(wrong), None, "{wrong}");
        }
        assert_eq!(hex(&[0x0a, 0xff]), "0aff");
    }
}
