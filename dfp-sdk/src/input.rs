//! Which files a run reads: globs, dates, periods.

use std::path::Path;
use std::time::UNIX_EPOCH;

use dfp_core::{Error, ErrorKind, Result};

/// Expands globs and directories, with the directories in them, into files, each expansion sorted by name. Hidden files and
/// directories, and links to directories, are passed over unless named. Named twice, a file is read once.
///
/// # Errors
/// If a pattern is malformed or matches nothing: a run that silently reads nothing helps nobody.
pub fn expand(patterns: &[String]) -> Result<Vec<String>> {
    let mut files: Vec<String> = Vec::new();
    for pattern in patterns {
        let before = files.len();
        let is_glob = pattern.contains(['*', '?', '[']) && !Path::new(pattern).exists();
        if is_glob {
            let matches = glob::glob(pattern).map_err(|e| {
                Error::caused(ErrorKind::InvalidArgument, format!("reading the input pattern {pattern}"), e)
            })?;
            for entry in matches {
                let path = entry.map_err(|e| {
                    let doing = format!("expanding {pattern} at {}", e.path().display());
                    Error::io(doing, e.into())
                })?;
                if path.is_file() {
                    files.push(name(&path)?);
                }
            }
        } else if Path::new(pattern).is_dir() {
            files.extend(files_of(Path::new(pattern))?);
        } else {
            // Not checked here: opening it gives the better error.
            files.push(pattern.clone());
        }
        if files.len() == before {
            return Err(Error::new(ErrorKind::NotFound, format!("no file matches the input {pattern}")));
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}

fn files_of(directory: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let failed = |e| Error::io(format!("listing {}", directory.display()), e);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                directories.push(path);
            } else if path.is_file() {
                files.push(name(&path)?);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A path as text: plugins take names as JSON, which holds no other bytes.
fn name(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("the file name {} is not valid UTF-8", path.display()))
    })
}

/// The modification time of a file in nanoseconds since 1970; 0 if the file cannot be looked at, since opening it will
/// say why.
pub(crate) fn modified(path: &str) -> i64 {
    let modified = Path::new(path).metadata().and_then(|m| m.modified()).ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_directories_and_names_become_sorted_files_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.json", "c.csv"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir_all(dir.path().join("sub.json/2026")).unwrap();
        std::fs::create_dir(dir.path().join(".hidden")).unwrap();
        for name in ["sub.json/2026/d.json", ".hidden/e.json", ".f.csv"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub.json/round")).unwrap();
        let of = |pattern: &str| dir.path().join(pattern).to_str().unwrap().to_owned();
        let names = |patterns: &[String]| -> Vec<String> {
            let files = expand(patterns).unwrap();
            files.iter().map(|f| f.rsplit('/').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&[of("*.json"), of("a.json")]), ["a.json", "b.json"]);
        assert_eq!(
            names(&[dir.path().to_str().unwrap().to_owned()]),
            ["a.json", "b.json", "c.csv", "d.json"]
        );
        assert_eq!(expand(&[of("*.parquet")]).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(expand(&[of("a[")]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
