//! Settings from the environment: what the supervisor said when it let the process begin, then the process's own.

use std::collections::HashMap;
use std::env;

/// Environment variables, some of them overridden.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    said: HashMap<String, String>,
}

impl Environment {
    pub(crate) fn new(said: HashMap<String, String>) -> Self {
        Self { said }
    }

    /// A variable; `None` when it is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let own = || env::var(name).ok();
        self.said.get(name).cloned().or_else(own).filter(|value| !value.is_empty())
    }
}
