//! One call: from metadata to its deadline, its span, its work, its answer or refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

use crate::contract::{Call, Identity, Method, Refusal, Service};
use crate::telemetry::export::Tracer;
use crate::telemetry::{CallStats, Level, TraceContext, log, logs};

/// As in every implementation of the platform.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// What an answer needs to reach the caller before it gives up, so that it reads why and not only that.
const ON_THE_WAY: Duration = Duration::from_millis(2);
const SERVER_ERROR: i32 = 500;
/// How much heavy work may wait for each that runs, before more is turned away.
const WAITING_EACH: usize = 64;
const LOGGER: &str = "tricorn.wire";

/// What all calls of a process share.
pub(crate) struct Calls {
    pub service: Service,
    pub stats: CallStats,
    pub tracer: Tracer,
    workers: Arc<Semaphore>,
    most_waiting: usize,
    waiting: AtomicUsize,
}

impl Calls {
    /// `workers` is how much heavy work runs at once.
    pub fn new(service: Service, stats: CallStats, tracer: Tracer, workers: usize) -> Self {
        let waiting = AtomicUsize::new(0);
        let most_waiting = workers * WAITING_EACH;
        Self { service, stats, tracer, workers: Arc::new(Semaphore::new(workers)), most_waiting, waiting }
    }

    /// Answers a call of `full_name`. Dropping the future ends the work.
    pub async fn answer(
        self: Arc<Self>,
        full_name: String,
        metadata: MetadataMap,
        request: Bytes,
    ) -> Result<Bytes, Refusal> {
        let Some(method) = self.service.method(&full_name) else {
            return Err(Refusal::new("UNIMPLEMENTED", format!("{full_name} is not hosted here")));
        };
        let parent = text(&metadata, "traceparent").and_then(TraceContext::parse);
        let span = self.tracer.start(&full_name, parent);
        let call = incoming(method, &metadata, span.context);
        let mut served = Served { calls: &self, method, call: call.clone(), started: Instant::now(), failed: false };
        let deadline = call.deadline.unwrap_or(served.started + method.policy.deadline);
        let work = self.clone().work(full_name.clone(), request, call);
        let outcome = match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(Ok(answer)) if answer.len() > MAX_MESSAGE_BYTES => Err(too_large()),
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::too_late(&method.policy.name)),
        };
        served.end(&outcome);
        span.finish(outcome.as_ref().err());
        outcome.map(Bytes::from)
    }

    async fn work(self: Arc<Self>, full_name: String, request: Bytes, call: Call) -> Result<Vec<u8>, Refusal> {
        let trace = call.trace.unwrap_or_else(TraceContext::begin);
        let defect = |said: &str| failed(&full_name, said);
        if let Some(outcome) = trace.scope(|| self.service.call_if_quick(&full_name, &request, &call, &defect)) {
            return outcome;
        }
        let permit = self.permit().await?;
        let work = move || {
            let _permit = permit;
            trace.scope(|| {
                let fields = [("method", full_name.as_str().into())];
                log(Level::Debug, LOGGER, "call begun", &fields);
                let outcome = self.service.call(&full_name, &request, &call, &|said| failed(&full_name, said));
                if call.is_over() {
                    log(Level::Debug, LOGGER, "call ended without its caller", &fields);
                }
                outcome
            })
        };
        // Only a runtime that is shutting down does not run it to its end.
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Refusal::new("UNAVAILABLE", "this process is ending")))
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        if let Ok(permit) = self.workers.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _one = Waiting::begin(self)?;
        let full = |_| Refusal::new("UNAVAILABLE", "this process is ending");
        self.workers.clone().acquire_owned().await.map_err(full)
    }
}

fn failed(full_name: &str, said: &str) {
    log(Level::Error, LOGGER, "call failed", &[("method", full_name.into()), ("exception", said.into())]);
}

/// One call that waits for a worker.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(calls: &'a Calls) -> Result<Self, Refusal> {
        let one = Self(&calls.waiting);
        if calls.waiting.fetch_add(1, Ordering::Relaxed) < calls.most_waiting {
            return Ok(one);
        }
        let mut refusal = Refusal::new("UNAVAILABLE", "more work is waiting here than can be done in time; try again");
        refusal.retry_after = Some(Duration::from_secs(1));
        Err(refusal)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a call when it ends, also when its caller goes away, and then ends its work.
struct Served<'a> {
    calls: &'a Calls,
    method: &'a Method,
    call: Call,
    started: Instant,
    failed: bool,
}

impl Served<'_> {
    fn end(&mut self, outcome: &Result<Vec<u8>, Refusal>) {
        let reason = outcome.as_ref().err().map(|refusal| refusal.reason.as_str());
        let http = reason.and_then(|name| self.calls.service.contracts().reason(name)).map_or(0, |entry| entry.http);
        self.failed = http >= SERVER_ERROR;
        if logs(Level::Debug) {
            let milliseconds = self.started.elapsed().as_secs_f64() * 1000.0;
            let mut fields: Vec<(&str, Value)> =
                vec![("method", self.method.policy.full_name.as_str().into()), ("milliseconds", milliseconds.into())];
            fields.extend(reason.map(|name| ("reason", name.into())));
            let trace = self.call.trace.unwrap_or_else(TraceContext::begin);
            trace.scope(|| log(Level::Debug, LOGGER, "call answered", &fields));
        }
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.call.cancel();
        let policy = &self.method.policy;
        self.calls.stats.observe(&policy.service, &policy.name, self.started.elapsed(), self.failed);
    }
}

/// For a message in either direction.
pub(crate) fn too_large() -> Refusal {
    let detail = format!("a message is larger than the {MAX_MESSAGE_BYTES} bytes that are taken");
    Refusal::new("PAYLOAD_TOO_LARGE", detail)
}

fn incoming(method: &Method, metadata: &MetadataMap, trace: TraceContext) -> Call {
    let mut call = Call::default();
    call.trace = Some(trace);
    let asked = text(metadata, "grpc-timeout").and_then(timeout);
    let limit =
        asked.map_or(method.policy.deadline, |asked| asked.saturating_sub(ON_THE_WAY).min(method.policy.deadline));
    call.deadline = Some(Instant::now() + limit);
    if let Some(user_id) = text(metadata, "tricorn-user-id").filter(|id| !id.is_empty()) {
        let roles = text(metadata, "tricorn-roles").unwrap_or_default();
        call.identity = Some(Identity {
            user_id: user_id.to_owned(),
            session_id: text(metadata, "tricorn-session-id").unwrap_or_default().to_owned(),
            roles: roles.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        });
    }
    text(metadata, "tricorn-causation").unwrap_or_default().clone_into(&mut call.causation);
    call.shadow = text(metadata, "tricorn-shadow").is_some();
    for pair in metadata.iter() {
        if let KeyAndValueRef::Ascii(key, value) = pair
            && let Some(name) = key.as_str().strip_prefix("tricorn-meta-")
            && let Ok(value) = value.to_str()
        {
            call.metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    call
}

fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key).and_then(|value| value.to_str().ok())
}

/// Eight digits at most and a unit, as gRPC over HTTP/2 has it.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(timeout("7n"), Some(Duration::from_nanos(7)));
        for broken in ["", "m", "-1S", "1", "123456789S", "1 S", "1s", "é"] {
            assert_eq!(timeout(broken), None, "{broken}");
        }
    }
}
