//! Where a process listens: `unix:/path` or `host:port`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::{fmt, io, net};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

const BACKLOG: i32 = 1024;

/// What `--listen` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: needs a path".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self::Tcp(text.to_owned())),
                _ => Err(format!("{text:?} is neither unix:/path nor host:port")),
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(address) => out.write_str(address),
        }
    }
}

/// A socket that accepts, and for a path what says whose it is.
pub(crate) enum Listener {
    Unix(UnixListener, Owned),
    Tcp(TcpListener),
}

/// A socket's path: the lock beside it is held as long as this lives, and the socket is removed with it.
pub(crate) struct Owned {
    path: PathBuf,
    _lock: File,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens. Only the process's user can reach a path.
pub(crate) fn listen(address: &Address) -> io::Result<(Listener, Address)> {
    match address {
        Address::Unix(path) => {
            let owned = take(path)?;
            // Nobody can connect before the mode is right: until it listens a socket refuses.
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&SockAddr::unix(path)?)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
            Ok((Listener::Unix(listener, owned), address.clone()))
        }
        Address::Tcp(wanted) => {
            let listener = net::TcpListener::bind(wanted.as_str())?;
            listener.set_nonblocking(true)?;
            let host = wanted.rsplit_once(':').map_or("", |(host, _)| host);
            let actual = Address::Tcp(format!("{host}:{}", listener.local_addr()?.port()));
            Ok((Listener::Tcp(TcpListener::from_std(listener)?), actual))
        }
    }
}

/// Takes a path over from whoever died on it, never from a living process.
fn take(path: &Path) -> io::Result<Owned> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is served by another process", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(Owned { path: path.to_owned(), _lock: lock }),
    }
}
