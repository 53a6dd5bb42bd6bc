//! The `/metrics` endpoint: Prometheus text on a listener of its own, never where calls are answered.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::wire::listen::{Address, Listener, listen};
use crate::wire::unary::Calls;

const REQUEST_LIMIT: usize = 16 * 1024;
const REQUEST_TIME: Duration = Duration::from_secs(5);
const TICKS_PER_SECOND: f64 = 100.0;

/// Serves until the runtime ends. The address, with its actual port, is written to `note`.
pub(crate) async fn serve_metrics(
    address: &Address,
    note: &Path,
    calls: Arc<Calls>,
    started: SystemTime,
) -> io::Result<()> {
    let (listener, actual) = listen(address)?;
    fs::write(note, format!("{actual}\n"))?;
    tokio::spawn(async move {
        loop {
            let accepted = match &listener {
                Listener::Unix(listener, _) => {
                    listener.accept().await.map(|(stream, _)| spawn(stream, &calls, started))
                }
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| spawn(stream, &calls, started)),
            };
            if accepted.is_err() {
                // Most likely there is no free descriptor.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    Ok(())
}

fn spawn(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, calls: &Arc<Calls>, started: SystemTime) {
    let calls = calls.clone();
    tokio::spawn(tokio::time::timeout(REQUEST_TIME, answer(stream, calls, started)));
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    calls: Arc<Calls>,
    started: SystemTime,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > REQUEST_LIMIT || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = if target.split('?').next() != Some("/metrics") {
        ("404 Not Found", "metrics are at /metrics\n".to_owned())
    } else if !["GET", "HEAD"].contains(&method) {
        ("405 Method Not Allowed\r\nAllow: GET, HEAD", "GET only\n".to_owned())
    } else {
        ("200 OK", calls.stats.exposition() + &process(started))
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let mut said = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        said.push_str(&body);
    }
    stream.write_all(said.as_bytes()).await?;
    stream.shutdown().await
}

/// The process's own figures under the names that Prometheus' clients give them; those that the system tells.
fn process(started: SystemTime) -> String {
    let mut text = String::new();
    let mut add = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    let start = started.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64());
    add("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", kilobytes("VmSize:"));
    add("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", kilobytes("VmRSS:"));
    add("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", start);
    add("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu_seconds());
    add("process_open_fds", "gauge", "Number of open file descriptors.", open_descriptors());
    text
}

/// CPU seconds of the process since its start, user and system, to a hundredth; `None` where the system does not tell.
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything.
    let mut numbers = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

fn kilobytes(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}
