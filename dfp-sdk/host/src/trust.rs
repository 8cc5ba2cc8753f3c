//! Which libraries a program is willing to run, who signed them, and who is told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dfp_core::{Error, ErrorKind, Result};
use ed25519_compact::{KeyPair, Seed, Signature};

use crate::files::{checked_file, hex, unhex};

/// How a secret key's file begins.
const SECRET_KEY: &str = "dfp-ed25519-secret:";
/// What a signature's message begins with, so that it can be taken for nothing else.
const DOMAIN: &[u8] = b"dfp-plugin-manifest-v1\n";

/// What must be known of a library before it is loaded. None of these is a sandbox: a library's code runs, with all rights of
/// the program, as soon as it is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Policy {
    /// Absolute paths and the named directories, in files that others cannot change. A manifest that states a hash is held to
    /// it.
    #[default]
    ExplicitOnly,
    /// Besides, every library needs a manifest that states its SHA-256.
    Hash,
    /// Besides, every manifest must be signed with one of these keys.
    Signed {
        /// Whose signatures count.
        keys: Vec<PublicKey>,
    },
}

impl Policy {
    /// The stricter of two. Between two lists of keys the first one stands.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::ExplicitOnly => 0,
            Self::Hash => 1,
            Self::Signed { .. } => 2,
        }
    }

    /// The policy of that name (`explicit-only`, `hash`, `signed`), the last with these keys.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for another name, for `signed` without keys, and for keys without `signed`.
    pub fn named(name: &str, keys: Vec<PublicKey>) -> Result<Self> {
        let wrong =
            |what: String| Err(Error::new(ErrorKind::InvalidConfig, format!("plugin policy: {what}")));
        match (name, keys.is_empty()) {
            ("explicit-only", true) => Ok(Self::ExplicitOnly),
            ("hash", true) => Ok(Self::Hash),
            ("signed", false) => Ok(Self::Signed { keys }),
            ("signed", true) => wrong("\"signed\" needs at least one public key".to_owned()),
            ("explicit-only" | "hash", false) => wrong(format!("keys are given, but {name:?} looks at none")),
            _ => wrong(format!("{name:?} is none of explicit-only, hash, signed")),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExplicitOnly => "explicit-only",
            Self::Hash => "hash",
            Self::Signed { .. } => "signed",
        })
    }
}

/// An Ed25519 public key, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether `signature` is this key's over a manifest's signed part.
    pub(crate) fn verifies(&self, signed: &[u8], signature: [u8; 64]) -> bool {
        let message = [DOMAIN, signed].concat();
        ed25519_compact::PublicKey::new(self.0).verify(message, &Signature::new(signature)).is_ok()
    }

    /// Reads the file that [`SecretKey::create`] wrote beside the secret key.
    ///
    /// # Errors
    /// If it cannot be read, others could change it, or it is no key.
    pub fn read(path: &Path) -> Result<Self> {
        read_text(path)?.trim_end().parse()
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let what = "a public key has 64 lower-case hexadecimal digits";
        unhex(text).map(Self).ok_or_else(|| Error::new(ErrorKind::InvalidConfig, what))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The key that signs manifests. Never printed.
pub struct SecretKey(KeyPair);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:?}", self.public())
    }
}

impl SecretKey {
    /// The key that grows from 32 random bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if they are not random at all.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self> {
        KeyPair::try_from_seed(Seed::new(seed))
            .map(Self)
            .map_err(|_| Error::new(ErrorKind::InvalidArgument, "making a key: the seed is not random"))
    }

    /// Makes a new key: the secret one in `path`, for its owner alone, the public one in `path` with `.pub` added. Answers
    /// with the public key's file.
    ///
    /// # Errors
    /// If a file is there already, cannot be written, or the system gives no random bytes.
    pub fn create(path: &Path) -> Result<(PublicKey, PathBuf)> {
        let key = Self::from_seed(random()?)?;
        let public = PathBuf::from(format!("{}.pub", path.display()));
        let seed: [u8; 32] = *key.0.sk.seed();
        write_new(path, 0o600, &format!("{SECRET_KEY}{}\n", hex(&seed)))?;
        write_new(&public, 0o644, &format!("{}\n", key.public()))?;
        Ok((key.public(), public))
    }

    /// Reads what [`create`](Self::create) wrote.
    ///
    /// # Errors
    /// If it cannot be read, others could read or change it, or it is no key.
    pub fn read(path: &Path) -> Result<Self> {
        private(path)?;
        let text = read_text(path)?;
        let seed = text.trim_end().strip_prefix(SECRET_KEY).and_then(unhex);
        let wrong = || format!("reading {}: it is no key made by dfp plugin keygen", path.display());
        Self::from_seed(seed.ok_or_else(|| Error::new(ErrorKind::BadData, wrong()))?)
    }

    /// The other half.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.pk)
    }

    /// Signs a manifest's signed part.
    pub(crate) fn sign(&self, signed: &[u8]) -> [u8; 64] {
        *self.0.sk.sign([DOMAIN, signed].concat(), None)
    }
}

fn read_text(path: &Path) -> Result<String> {
    let io = |error| Error::io(format!("reading {}", path.display()), error);
    let file = checked_file(&std::path::absolute(path).map_err(io)?)?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file.file, 4096), &mut text).map_err(io)?;
    Ok(text)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<()> {
    use std::io::Write;
    let io = |error| Error::io(format!("writing {}", path.display()), error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

#[cfg(unix)]
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let io = |error| Error::io(format!("reading {}", path.display()), error);
    let mode = std::fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("reading {}: others may use it (mode {mode:03o}); chmod 600", path.display());
        return Err(Error::new(ErrorKind::Permission, text));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn random() -> Result<[u8; 32]> {
    use std::io::Read;
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut seed))
        .map_err(|error| Error::io("reading random bytes from /dev/urandom", error))?;
    Ok(seed)
}

#[cfg(not(unix))]
fn random() -> Result<[u8; 32]> {
    let text = "making a key: this system's random numbers are not used; make the key on a Unix system";
    Err(Error::new(ErrorKind::Unsupported, text))
}

/// A decision about a library, as [`Plugins::audit`](crate::Plugins::audit) hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// What was looked at: a library or a manifest.
    pub path: PathBuf,
    /// The library's SHA-256, if it was needed.
    pub digest: Option<String>,
    /// Who signed the manifest, if that was checked.
    pub signer: Option<PublicKey>,
    /// Id and version: the library's own, or the manifest's if the library was refused.
    pub plugin: Option<(String, String)>,
    /// The version of the border and the fingerprint of the header that the manifest states.
    pub abi: Option<String>,
    /// The policy it was held to.
    pub policy: Policy,
    /// Why it was refused; `None` if it was loaded.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_everybody_else() {
        // RFC 8032, section 7.1, test 1: the key pair.
        let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = SecretKey::from_seed(seed).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public().to_string(), public);
        let signature = key.sign(b"text");
        assert!(key.public().verifies(b"text", signature));
        assert!(!key.public().verifies(b"test", signature));
        let other = SecretKey::from_seed([7; 32]).unwrap();
        assert!(!other.public().verifies(b"text", signature));
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_made_once_kept_private_and_read_back() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let (public, file) = SecretKey::create(&path).unwrap();
        assert_eq!(PublicKey::read(&file).unwrap(), public);
        let key = SecretKey::read(&path).unwrap();
        assert_eq!(key.public(), public);
        let secret = std::fs::read_to_string(&path).unwrap();
        assert!(!secret.contains(&public.to_string()));
        assert!(!format!("{key:?}").contains(&secret[SECRET_KEY.len()..60]));
        assert!(SecretKey::create(&path).is_err(), "it is not overwritten");
        assert_eq!(SecretKey::read(&file).unwrap_err().kind(), ErrorKind::Permission);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SecretKey::read(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn policies_have_names_and_an_order() {
        let key: PublicKey = SecretKey::from_seed([7; 32]).unwrap().public();
        let signed = Policy::named("signed", vec![key]).unwrap();
        for (first, second, result) in [
            (Policy::ExplicitOnly, Policy::Hash, Policy::Hash),
            (Policy::Hash, Policy::ExplicitOnly, Policy::Hash),
            (Policy::Hash, signed.clone(), signed.clone()),
            (signed.clone(), Policy::Signed { keys: vec![] }, signed.clone()),
        ] {
            assert_eq!(first.stricter(second), result);
        }
        for (name, keys) in [("signed", vec![]), ("hash", vec![key]), ("off", vec![]), ("", vec![])] {
            assert_eq!(Policy::named(name, keys).unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
        assert_eq!(Policy::named(&signed.to_string(), vec![key]).unwrap(), signed);
        assert!("D75a".parse::<PublicKey>().is_err());
    }
}
