//! The signer's keys, in the folder that the reference in Python keeps them in.
//!
//! `<key id>.key` is the active key's 32 secret bytes; `<key id>.pub` are 32 bytes for every key there ever was; `active`
//! names the active one. Any number of processes of any language may share the folder: all hold the lock while they read
//! or write more than one of these. A rotation, which is a command of the reference, is seen at the next signature.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use engine::signing::{Secret, SigningKey};
use engine_service::signing::Signer;
use tricorn::contract::Refusal;
use tricorn::telemetry::{Level, log};
use zeroize::Zeroizing;

const ACTIVE: &str = "active";

/// Ed25519 keys in a folder that only the process's user can enter: one active key, and the public halves of all.
pub struct KeyRing {
    folder: PathBuf,
    known: Mutex<Option<Known>>,
}

/// The key that was read, and the file `active` as it was then.
struct Known {
    mark: Mark,
    key: Arc<SigningKey>,
}

/// Another inode or time is another key: the file is only ever replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl KeyRing {
    /// The keys of a folder, which may not be there yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::new(None) }
    }

    /// The key to sign with; made on first use.
    fn current(&self) -> io::Result<Arc<SigningKey>> {
        let mark = match self.mark() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create()?;
                self.mark()?
            }
            other => other?,
        };
        // What is known is replaced whole: a panic elsewhere leaves it right.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(seen) if seen.mark == mark => Ok(seen.key.clone()),
            _ => {
                let key = Arc::new(self.load()?);
                *known = Some(Known { mark, key: key.clone() });
                Ok(key)
            }
        }
    }

    fn mark(&self) -> io::Result<Mark> {
        let status = fs::metadata(self.folder.join(ACTIVE))?;
        Ok(Mark { inode: status.ino(), seconds: status.mtime(), nanoseconds: status.mtime_nsec() })
    }

    fn load(&self) -> io::Result<SigningKey> {
        let _lock = self.locked()?;
        let key_id = fs::read_to_string(self.folder.join(ACTIVE))?;
        let bytes = Zeroizing::new(fs::read(self.folder.join(format!("{key_id}.key")))?);
        let mut secret = Secret::default();
        if bytes.len() != secret.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{key_id}.key has not 32 bytes")));
        }
        secret.copy_from_slice(&bytes);
        Ok(SigningKey::from_secret(&secret))
    }

    /// Makes the first key, unless another process was faster.
    fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let _lock = self.locked()?;
        let active = self.folder.join(ACTIVE);
        if active.exists() {
            return Ok(());
        }
        let mut secret = Secret::default();
        getrandom::fill(secret.as_mut_slice()).map_err(io::Error::other)?;
        let key = SigningKey::from_secret(&secret);
        write(&self.folder.join(format!("{}.pub", key.key_id())), &key.public())?;
        write(&self.folder.join(format!("{}.key", key.key_id())), secret.as_slice())?;
        write(&active, key.key_id().as_bytes())
    }

    /// Until the file is dropped no other process changes what is here.
    fn locked(&self) -> io::Result<File> {
        let lock = self.folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(lock)?;
        file.lock()?;
        Ok(file)
    }

    fn publics(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "pub")
                && let Some(key_id) = path.file_stem().and_then(|stem| stem.to_str())
            {
                keys.push((key_id.to_owned(), fs::read(&path)?));
            }
        }
        keys.sort();
        Ok(keys)
    }
}

impl Signer for KeyRing {
    fn active(&self) -> Result<Arc<SigningKey>, Refusal> {
        self.current().map_err(|error| unavailable(&error))
    }

    fn public_keys(&self) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        self.current().and_then(|_| self.publics()).map_err(|error| unavailable(&error))
    }
}

/// As in the reference: it is a defect of ours, and logged.
fn unavailable(error: &io::Error) -> Refusal {
    log(Level::Error, "agora.payments", "the signer's keys cannot be read", &[("error", error.to_string().into())]);
    Refusal::internal()
}

/// All of it or nothing, durable, and never readable by others.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
