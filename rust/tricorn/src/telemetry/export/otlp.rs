//! The messages of OTLP and their way to a collector.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Finished;
use super::settings::Settings;
use crate::telemetry::{Level, log};

const LOGGER: &str = "tricorn.telemetry";
const KIND_SERVER: i32 = 2;
const STATUS_ERROR: i32 = 2;

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
#[allow(clippy::struct_field_names)] // They are the contract's.
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

pub(super) struct Sender {
    settings: Settings,
}

impl Sender {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Sends batches until it is stopped, then what is queued.
    pub async fn run(self, mut waiting: mpsc::Receiver<Finished>, mut stopped: oneshot::Receiver<()>) {
        let mut ticks = interval(self.settings.delay.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let mut more = true;
        while more {
            let due = tokio::select! {
                _ = &mut stopped => {
                    more = false;
                    while let Ok(span) = waiting.try_recv() {
                        batch.push(span);
                    }
                    true
                }
                span = waiting.recv() => {
                    more = span.is_some();
                    batch.extend(span);
                    !more || batch.len() >= self.settings.batch
                }
                _ = ticks.tick() => true,
            };
            if due && !batch.is_empty() {
                self.send(&std::mem::take(&mut batch)).await;
            }
        }
    }

    async fn send(&self, batch: &[Finished]) {
        let body = self.message(batch).encode_to_vec();
        let problem = match timeout(self.settings.timeout, self.post(&body)).await {
            Ok(Ok(200..=299)) => return,
            Ok(Ok(status)) => format!("it answered {status}"),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not answer in time".to_owned(),
        };
        let fields = [
            ("spans", batch.len().into()),
            ("collector", self.settings.authority.as_str().into()),
            ("problem", problem.into()),
        ];
        log(Level::Warning, LOGGER, "spans could not be sent", &fields);
    }

    /// The status with which the collector answered.
    async fn post(&self, body: &[u8]) -> io::Result<u16> {
        let Settings { authority, path, headers, .. } = &self.settings;
        let mut stream = TcpStream::connect(authority.as_str()).await?;
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/x-protobuf\r\n");
        for (name, value) in headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        // No more than the first line is needed: a collector may leave the connection open all the same.
        let mut answer = String::new();
        BufReader::new(stream).take(1024).read_line(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
    }

    fn message(&self, batch: &[Finished]) -> Export {
        let attribute = |(key, value): &(String, String)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue { string_value: Some(value.clone()) }),
        };
        let attributes = self.settings.resource.iter().map(attribute).collect();
        let scope = Scope { name: "tricorn".to_owned() };
        let spans = batch.iter().map(span).collect();
        Export {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource { attributes }),
                scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
            }],
        }
    }
}

fn span(finished: &Finished) -> Span {
    let parent = if finished.parent == 0 { Vec::new() } else { finished.parent.to_be_bytes().to_vec() };
    let status = finished.error.as_ref().map(|reason| Status { message: reason.clone(), code: STATUS_ERROR });
    Span {
        trace_id: finished.context.trace_id.to_be_bytes().to_vec(),
        span_id: finished.context.span_id.to_be_bytes().to_vec(),
        parent_span_id: parent,
        name: finished.name.clone(),
        kind: KIND_SERVER,
        start_time_unix_nano: nanoseconds(finished.start),
        end_time_unix_nano: nanoseconds(finished.end),
        status,
        flags: u32::from(finished.context.sampled),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}
