//! Where secrets come from. Configurations name them (`{"$secret": "name"}`), so that configurations can be shown and logged.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use dfp_core::{Error, ErrorKind, Result};

use crate::files::checked_file;

/// No secret is longer.
const MAX_BYTES: u64 = 64 << 10;
/// No name is longer.
const MAX_NAME: usize = 128;

/// Where a host finds the secrets that its components ask for by name. Values are never printed, not even by `Debug`.
///
/// A name has letters, digits, `-`, `_` and `.`, and does not begin with a `.`.
#[derive(Clone)]
pub struct Secrets(From);

#[derive(Clone)]
enum From {
    Memory(BTreeMap<String, Vec<u8>>),
    Directory(PathBuf),
    Environment(String),
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({self})")
    }
}

impl fmt::Display for Secrets {
    /// Where they come from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            From::Memory(_) => f.write_str("the program's memory"),
            From::Directory(directory) => write!(f, "the directory {}", directory.display()),
            From::Environment(prefix) => write!(f, "environment variables {prefix}*"),
        }
    }
}

impl Secrets {
    /// Secrets the program already has, by name.
    pub fn of<N: Into<String>, V: Into<Vec<u8>>>(secrets: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(From::Memory(secrets.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// One file for each secret, named like it. A line end at the file's end is not part of the secret. The directory is an
    /// absolute path; files that others could change are refused.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self(From::Directory(directory.into()))
    }

    /// One environment variable for each secret: `prefix`, then its name in upper case with `_` for `-` and `.`.
    pub fn environment(prefix: impl Into<String>) -> Self {
        Self(From::Environment(prefix.into()))
    }

    /// The secret of that name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a name that is none, [`ErrorKind::NotFound`] if there is no such secret,
    /// [`ErrorKind::Permission`] for a file that others could change. No error holds a part of a secret.
    pub fn get(&self, name: &str) -> Result<Vec<u8>> {
        let doing = || format!("fetching secret {:?} from {self}", crop(name));
        if !is_name(name) {
            let rule = "a name has only letters, digits, '-', '_' and '.', and begins with no '.'";
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{}: {rule}", doing())));
        }
        let absent = || Error::new(ErrorKind::NotFound, format!("{}: there is none", doing()));
        match &self.0 {
            From::Memory(secrets) => secrets.get(name).cloned().ok_or_else(absent),
            From::Environment(prefix) => {
                let variable = format!("{prefix}{}", name.to_ascii_uppercase().replace(['-', '.'], "_"));
                let value = std::env::var_os(variable).ok_or_else(absent)?;
                Ok(value.into_encoded_bytes())
            }
            From::Directory(directory) => {
                let path = directory.join(name);
                if std::fs::symlink_metadata(&path)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
                {
                    return Err(absent());
                }
                read(&path).map_err(|error| error.context(doing()))
            }
        }
    }
}

/// Whether a configuration's reference, or a plugin, may ask for it.
pub(crate) fn is_name(name: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(named)
}

/// The start of a name that may be anything.
fn crop(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = checked_file(path)?;
    let mut value = Vec::new();
    let io = |error| Error::io(format!("reading {}", path.display()), error);
    file.file.take(MAX_BYTES + 1).read_to_end(&mut value).map_err(io)?;
    if value.len() as u64 > MAX_BYTES {
        let what = format!("reading {}: it is longer than {MAX_BYTES} bytes", path.display());
        return Err(Error::new(ErrorKind::ResourceExhausted, what));
    }
    for end in [b'\n', b'\r'] {
        if value.last() == Some(&end) {
            value.pop();
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_name_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("db.password"), "hunter2\r\n").unwrap();
        std::fs::write(dir.path().join("huge"), vec![b'x'; 70_000]).unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let files = Secrets::directory(dir.path());
        assert_eq!(files.get("db.password").unwrap(), b"hunter2");
        assert_eq!(files.get("absent").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(files.get("sub").unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(files.get("huge").unwrap_err().kind(), ErrorKind::ResourceExhausted);
        for name in ["", "../passwd", ".", "..", ".hidden", "a/b", "a\0b", "ä", &"x".repeat(129)] {
            assert_eq!(files.get(name).unwrap_err().kind(), ErrorKind::InvalidArgument, "{name:?}");
        }

        let memory = Secrets::of([("token", "s3cr3t")]);
        assert_eq!(memory.get("token").unwrap(), b"s3cr3t");
        let error = memory.get("tokens").unwrap_err().to_string();
        assert!(error.contains("tokens") && !error.contains("s3cr3t"), "{error}");
        assert!(!format!("{memory:?}").contains("s3cr3t"));

        // Cargo sets this one for every test.
        assert!(!Secrets::environment("CARGO_").get("manifest-dir").unwrap().is_empty());
        assert_eq!(Secrets::environment("DFP_NO_").get("such").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn files_that_others_could_change_are_no_secrets() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = Secrets::directory(dir.path()).get("token").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission);
    }
}
