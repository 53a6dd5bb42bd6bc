//! Spans that are recorded and sent over OTLP/HTTP, by the standard environment variables.

mod otlp;
mod settings;

use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::TraceContext;
use crate::contract::Refusal;
use crate::host::Environment;
use otlp::Sender;
use settings::{Sampler, Settings};

/// Starts spans. Without an endpoint a span is an id.
pub(crate) struct Tracer {
    recording: Option<Recording>,
}

struct Recording {
    sampler: Sampler,
    queue: mpsc::Sender<Finished>,
}

/// What sends the spans, in the background.
pub(crate) struct Sending {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sending {
    /// Sends what is still queued, then ends.
    pub async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// A span that has ended.
pub(crate) struct Finished {
    name: String,
    context: TraceContext,
    /// Zero for the first span of a trace.
    parent: u64,
    start: SystemTime,
    end: SystemTime,
    /// The reason, for a span that failed.
    error: Option<String>,
}

impl Tracer {
    /// Exports if the environment names an endpoint. Needs the runtime.
    pub fn configure(environment: &Environment, process: &str) -> Result<(Self, Option<Sending>), String> {
        let Some(settings) = Settings::read(environment, process)? else {
            return Ok((Self { recording: None }, None));
        };
        // As many as the SDKs keep; when more wait, a collector that does not answer costs spans, never calls.
        let (queue, waiting) = mpsc::channel(settings.queue);
        let sampler = settings.sampler;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(Sender::new(settings).run(waiting, stopped));
        Ok((Self { recording: Some(Recording { sampler, queue }) }, Some(Sending { stop, task })))
    }

    /// Begins the span of a served call, below its caller's.
    pub fn start(&self, name: &str, parent: Option<TraceContext>) -> Span {
        let around = parent.unwrap_or_else(TraceContext::begin);
        let mut context = around.child();
        let recording = self.recording.as_ref().filter(|recording| {
            context.sampled = recording.sampler.samples(parent, context.trace_id);
            context.sampled
        });
        let queue = recording.map(|recording| recording.queue.clone());
        let record = queue.map(|queue| (queue, name.to_owned(), SystemTime::now()));
        Span { context, parent: around.span_id, record }
    }
}

/// A call that is being served.
pub(crate) struct Span {
    pub context: TraceContext,
    parent: u64,
    record: Option<(mpsc::Sender<Finished>, String, SystemTime)>,
}

impl Span {
    /// Ends it, marked as failed by a refusal.
    pub fn finish(mut self, refusal: Option<&Refusal>) {
        self.end(refusal.map(|refusal| refusal.reason.clone()));
    }

    fn end(&mut self, error: Option<String>) {
        let Some((queue, name, start)) = self.record.take() else { return };
        let end = SystemTime::now();
        let _ = queue.try_send(Finished { name, context: self.context, parent: self.parent, start, end, error });
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Nobody finished it: the caller went away.
        self.end(Some("CANCELLED".to_owned()));
    }
}
