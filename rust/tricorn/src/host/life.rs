//! What a supervised process does about its supervisor: waits for its word, and does not outlive it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::environment::Environment;

/// After the supervisor's end: how long an orderly end may take.
const GRACE: Duration = Duration::from_secs(15);

/// The supervised end of the pipe whose other end only the supervisor holds.
///
/// The supervisor writes one line, the word to go, and keeps the pipe open for as long as it lives.
pub(crate) struct Life {
    pipe: BufReader<File>,
}

impl Life {
    /// The inherited pipe, opened anew under its number: to take the descriptor itself would need unsafe code.
    pub fn open(descriptor: u32) -> io::Result<Self> {
        Ok(Self { pipe: BufReader::new(File::open(format!("/dev/fd/{descriptor}"))?) })
    }

    /// Blocks until the supervisor says go; what it says along.
    pub fn wait(&mut self) -> io::Result<Environment> {
        let mut line = String::new();
        self.pipe.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the supervisor is gone"));
        }
        let word: Value = serde_json::from_str(&line)?;
        let mut said = HashMap::new();
        for (name, value) in word.get("environment").and_then(Value::as_object).into_iter().flatten() {
            said.extend(value.as_str().map(|value| (name.clone(), value.to_owned())));
        }
        Ok(Environment::new(said))
    }

    /// From now on, calls `end` when the supervisor's end closes, and ends the process for good after a grace.
    pub fn watch(mut self, end: impl FnOnce() + Send + 'static) {
        thread::spawn(move || {
            let mut ignored = [0; 64];
            while matches!(self.pipe.read(&mut ignored), Ok(1..)) {}
            end();
            thread::sleep(GRACE);
            process::exit(1);
        });
    }
}

/// Tells the supervisor that requests are answered from now on.
pub(crate) fn say_ready(descriptor: u32) -> io::Result<()> {
    OpenOptions::new().write(true).open(format!("/dev/fd/{descriptor}"))?.write_all(b"ready\n")
}
