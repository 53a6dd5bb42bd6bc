//! The standard variables of OTLP exporters, as far as they hold here.

use std::time::Duration;

use crate::host::Environment;
use crate::telemetry::TraceContext;

const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Settings {
    /// `host:port`.
    pub authority: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub resource: Vec<(String, String)>,
    pub sampler: Sampler,
    pub queue: usize,
    pub batch: usize,
    pub delay: Duration,
    pub timeout: Duration,
}

impl Settings {
    /// `None` when no endpoint is set, or the SDK is disabled.
    pub fn read(environment: &Environment, process: &str) -> Result<Option<Self>, String> {
        let own = |name: &str| environment.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        let either = |name: &str| own(name).or_else(|| environment.get(&format!("OTEL_EXPORTER_OTLP_{name}")));
        let general = || environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
        let url = own("ENDPOINT").or_else(|| general().map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))));
        let Some(url) = url else { return Ok(None) };
        if environment.get("OTEL_SDK_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (authority, path) = split(&url)?;
        let milliseconds =
            |name: &str| environment.get(name).and_then(|said| said.parse().ok()).map(Duration::from_millis);
        let count = |name: &str, default: usize| {
            environment.get(name).and_then(|said| said.parse().ok()).filter(|said| *said > 0).unwrap_or(default)
        };
        let mut resource = pairs(&environment.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        resource.retain(|(name, _)| name != "service.name");
        let name = environment.get("OTEL_SERVICE_NAME").unwrap_or_else(|| process.to_owned());
        resource.push(("service.name".to_owned(), name));
        let queue = count("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE);
        Ok(Some(Self {
            authority,
            path,
            headers: pairs(&either("HEADERS").unwrap_or_default()),
            resource,
            sampler: Sampler::read(environment),
            queue,
            batch: count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH).min(queue),
            delay: milliseconds("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(DELAY),
            timeout: either("TIMEOUT").and_then(|said| said.parse().ok()).map_or(TIMEOUT, Duration::from_secs),
        }))
    }
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    /// The caller's decision holds where there is one.
    parent_based: bool,
    /// Of those that begin here, the ids below this are recorded.
    below: u64,
}

impl Sampler {
    fn read(environment: &Environment) -> Self {
        let said = environment.get("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (parent_based, kind) = match said.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, said.as_str()),
        };
        let ratio = || environment.get("OTEL_TRACES_SAMPLER_ARG").and_then(|said| said.parse::<f64>().ok());
        let below = match kind {
            "always_off" => 0,
            "traceidratio" => bound(ratio().unwrap_or(1.0)),
            _ => u64::MAX,
        };
        Self { parent_based, below }
    }

    pub fn samples(self, parent: Option<TraceContext>, trace_id: u128) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => {
                self.below == u64::MAX || u64::try_from(trace_id & u128::from(u64::MAX)).is_ok_and(|id| id < self.below)
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn bound(ratio: f64) -> u64 {
    // Beyond the range a cast saturates.
    (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}

fn split(url: &str) -> Result<(String, String), String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        format!("spans are sent over plain HTTP, and the endpoint is {url}: name a collector at http://host:port")
    })?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if authority.is_empty() || authority.contains('@') {
        return Err(format!("the endpoint {url} names no host"));
    }
    let port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if port { authority.to_owned() } else { format!("{authority}:80") };
    Ok((authority, path.to_owned()))
}

/// `name=value,name=value`, percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |each: &str| {
        let (name, value) = each.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())))
    };
    text.split(',').filter_map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let code = match (first, others) {
            (b'%', [high, low, ..]) => {
                let pair = [*high, *low];
                std::str::from_utf8(&pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(said: &[(&str, &str)]) -> Environment {
        Environment::new(said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_general_endpoint_gets_the_path_of_traces_and_an_own_one_is_taken_as_it_is() {
        let general = environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")]);
        let own = environment(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/spans")]);

        let general = Settings::read(&general, "engine").unwrap().unwrap();
        let own = Settings::read(&own, "engine").unwrap().unwrap();

        assert_eq!((general.authority.as_str(), general.path.as_str()), ("collector:4318", "/v1/traces"));
        assert_eq!((own.authority.as_str(), own.path.as_str()), ("collector:80", "/spans"));
        assert_eq!(general.resource, [("service.name".to_owned(), "engine".to_owned())]);
    }

    #[test]
    fn an_endpoint_that_cannot_be_reached_by_plain_http_is_refused() {
        let secure = environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")]);

        assert!(Settings::read(&secure, "engine").is_err());
    }

    #[test]
    fn headers_are_percent_decoded() {
        let wanted = [("a".to_owned(), "b c".to_owned()), ("d".to_owned(), "100%".to_owned())];

        assert_eq!(pairs("a=b%20c, d=100%"), wanted);
    }

    #[test]
    fn a_parent_s_decision_holds_where_the_sampler_says_so() {
        let parent = Some(TraceContext { sampled: false, ..TraceContext::begin() });
        let by_parent = Sampler::read(&environment(&[]));
        let always = Sampler::read(&environment(&[("OTEL_TRACES_SAMPLER", "always_on")]));
        let tenth = environment(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")]);

        assert!(!by_parent.samples(parent, 1));
        assert!(always.samples(parent, 1));
        assert!(Sampler::read(&tenth).samples(None, u128::from(u64::MAX / 11)));
        assert!(!Sampler::read(&tenth).samples(None, u128::from(u64::MAX / 9)));
    }
}
