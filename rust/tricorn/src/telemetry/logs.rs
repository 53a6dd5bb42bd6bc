//! Structured logs: one JSON object a line on standard error, each naming its process and its trace.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::current_trace;

const REDACTED: &str = "[redacted]";
const SECRET_WORDS: [&str; 15] = [
    "authorization",
    "authorisation",
    "cookie",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "dsn",
    "jwt",
    "passwd",
    "password",
    "secret",
    "secrets",
    "token",
    "tokens",
];
const SECRET_PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("private", "key"), ("signing", "key"), ("card", "number"), ("database", "url")];

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of use when something is being searched for.
    Debug,
    /// What an operator likes to know.
    Info,
    /// Something went wrong and was coped with.
    Warning,
    /// Something went wrong.
    Error,
}

impl Level {
    /// The level of that name, in lower case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warning, Self::Error].into_iter().find(|level| level.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

struct Settings {
    process: String,
    level: Level,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Says whose lines these are and which are written. The first call counts; before it nothing is written.
pub fn configure_logging(process: &str, level: Level) {
    let _ = SETTINGS.set(Settings { process: process.to_owned(), level });
}

/// Whether lines of this level are written.
#[must_use]
pub fn logs(level: Level) -> bool {
    SETTINGS.get().is_some_and(|settings| level >= settings.level)
}

/// Writes a line. Values whose keys name a secret are redacted, and passwords in URLs. A line that cannot be written is
/// dropped: a full disk must not fail requests.
pub fn log(level: Level, logger: &str, event: &str, fields: &[(&str, Value)]) {
    let Some(settings) = SETTINGS.get().filter(|settings| level >= settings.level) else { return };
    let mut line = Map::new();
    line.insert("time".to_owned(), time(SystemTime::now()).into());
    line.insert("level".to_owned(), level.name().into());
    line.insert("event".to_owned(), without_passwords(event).into());
    line.insert("logger".to_owned(), logger.into());
    line.insert("process".to_owned(), settings.process.as_str().into());
    if let Some(trace) = current_trace() {
        line.insert("trace_id".to_owned(), format!("{:032x}", trace.trace_id).into());
        if trace.span_id != 0 {
            line.insert("span_id".to_owned(), format!("{:016x}", trace.span_id).into());
        }
    }
    for (key, value) in fields {
        let shown = match value {
            _ if is_secret(key) => REDACTED.into(),
            Value::String(text) => without_passwords(text).into(),
            other => other.clone(),
        };
        line.entry((*key).to_owned()).or_insert(shown);
    }
    let mut text = Value::Object(line).to_string();
    text.push('\n');
    // One write per line: with O_APPEND, lines of several processes do not mix.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// UTC with milliseconds, as ISO 8601 has it. Days to dates by Howard Hinnant's `civil_from_days`.
fn time(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// A key is split at changes of case and at signs that are no letters, so `accessToken` and `access_token` are alike.
fn is_secret(key: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for letter in key.chars() {
        if letter.is_ascii_alphabetic() {
            let begins = !before.is_ascii_alphabetic() || (letter.is_ascii_uppercase() && before.is_ascii_lowercase());
            match words.last_mut() {
                Some(word) if !begins => word.push(letter.to_ascii_lowercase()),
                _ => words.push(letter.to_ascii_lowercase().to_string()),
            }
        }
        before = letter;
    }
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || words.windows(2).any(|pair| SECRET_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// `scheme://user:password@host` without the password, wherever in a text.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let authority = &after[..after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len())];
        rest = after;
        if let Some(end) = authority.rfind('@')
            && let Some(colon) = authority[..end].find(':')
        {
            shown.push_str(&authority[..=colon]);
            shown.push_str(REDACTED);
            rest = &after[end..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_iso_8601() {
        assert_eq!(time(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(UNIX_EPOCH + Duration::from_millis(1_709_210_096_007)), "2024-02-29T12:34:56.007Z");
        assert_eq!(time(UNIX_EPOCH + Duration::from_secs(4_102_444_799)), "2099-12-31T23:59:59.000Z");
    }

    #[test]
    fn keys_that_name_a_secret_are_known() {
        for key in ["password", "accessToken", "signing_key", "API-KEY", "databaseUrl"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["key_id", "tokenizer", "method", "secretary"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn passwords_in_urls_are_redacted() {
        let text = "cannot reach postgresql://agora:hunter2@db/agora nor http://collector:4318/v1";

        let shown = without_passwords(text);

        assert_eq!(shown, "cannot reach postgresql://agora:[redacted]@db/agora nor http://collector:4318/v1");
    }
}
