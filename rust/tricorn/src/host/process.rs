//! A process from its command line to its end.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use std::{env, fmt, io, panic, thread};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::arguments::{Arguments, USAGE};
use super::environment::Environment;
use super::life::{Life, say_ready};
use super::stats::{STATS, Statistics, methods};
use crate::contract::{PLATFORM, Service, said};
use crate::telemetry::export::Tracer;
use crate::telemetry::exposition::serve_metrics;
use crate::telemetry::{CallStats, Level, configure_logging, log};
use crate::wire::dispatch::{Dispatch, route};
use crate::wire::listen::{Listener, listen};
use crate::wire::unary::Calls;

const LOGGER: &str = "tricorn.host";
const HEALTH: &str = "grpc.health.v1.Health";
const SHUTDOWN: Duration = Duration::from_secs(10);
const MISUSED: u8 = 2;
const PAUSE: Duration = Duration::from_millis(100);

/// Why a process cannot begin, or ended.
pub type Error = Box<dyn StdError + Send + Sync>;

/// What a process's contracts are made with.
pub struct Start {
    /// The folder of the application's state.
    pub home: PathBuf,
    /// Settings.
    pub environment: Environment,
}

/// Runs a native process until SIGTERM, SIGINT or its supervisor's end: the whole of its `main`.
///
/// `implementation` is the language's name in bindings, `descriptors` the encoded set of the application's contracts, and
/// `host` adds to the service what this process answers. It is called once the supervisor has let the process begin.
pub fn run(
    implementation: &str,
    descriptors: &'static [u8],
    host: impl FnOnce(&Start, &mut Service) -> Result<(), Error>,
) -> ExitCode {
    let mut words = env::args();
    let program = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if words.iter().any(|word| word == "--help") {
        println!("usage: {program} {USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{program}: {wrong}\nusage: {program} {USAGE}");
            return ExitCode::from(MISUSED);
        }
    };
    match begin(implementation, descriptors, &arguments, host) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(Level::Error, LOGGER, "the process failed", &[("error", error.to_string().into())]);
            ExitCode::FAILURE
        }
    }
}

fn begin(
    implementation: &str,
    descriptors: &'static [u8],
    arguments: &Arguments,
    host: impl FnOnce(&Start, &mut Service) -> Result<(), Error>,
) -> Result<(), Error> {
    let process = arguments.process.clone().unwrap_or_else(|| implementation.to_owned());
    let mut life = arguments.life.map(Life::open).transpose()?;
    let said = life.as_mut().map(Life::wait).transpose();
    let environment = said.as_ref().ok().cloned().flatten().unwrap_or_default();
    let level = environment.get("TRICORN_LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let level = Level::named(&level);
    configure_logging(&process, level.unwrap_or(Level::Info));
    said.map_err(|error| format!("no word from the supervisor: {error}"))?;
    level.ok_or("TRICORN_LOG_LEVEL is none of debug, info, warning, error")?;
    log_panics();
    let statistics = Arc::new(Statistics {
        process,
        implementation: implementation.to_owned(),
        started: SystemTime::now(),
        calls: OnceLock::new(),
    });
    let mut service = Service::new(descriptors)?;
    let start = Start { home: arguments.home.clone(), environment };
    host(&start, &mut service)?;
    service.host(STATS, methods(statistics.clone()))?;
    let limit = match start.environment.get("TRICORN_SHUTDOWN_SECONDS").map(|said| said.parse::<f64>()) {
        None => SHUTDOWN,
        Some(said) => said
            .ok()
            .and_then(|said| Duration::try_from_secs_f64(said).ok())
            .ok_or("TRICORN_SHUTDOWN_SECONDS is no number of seconds")?,
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build()?;
    let hosted = Hosted { implementation, descriptors, service, statistics, start, limit, cores };
    let outcome = runtime.block_on(serve(hosted, arguments, life));
    // Work that nobody waits for must not hold the process.
    runtime.shutdown_background();
    outcome
}

struct Hosted<'a> {
    implementation: &'a str,
    descriptors: &'static [u8],
    service: Service,
    statistics: Arc<Statistics>,
    start: Start,
    limit: Duration,
    cores: usize,
}

async fn serve(hosted: Hosted<'_>, arguments: &Arguments, life: Option<Life>) -> Result<(), Error> {
    let Hosted { implementation, descriptors, service, statistics, start, limit, cores } = hosted;
    let (tracer, sending) = Tracer::configure(&start.environment, &statistics.process)?;
    let calls = Arc::new(Calls::new(service, CallStats::new(implementation), tracer, cores));
    let _ = statistics.calls.set(calls.clone());
    let names = calls.service.services();
    let reporter = HealthReporter::new();
    let dispatch = dispatch(&calls, &reporter, &names, descriptors)?;
    let stopping = stop_on_signals(life)?;
    let (listener, address) =
        listen(&arguments.listen).map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    if let Some(metrics) = &arguments.metrics {
        let note = start.home.join(format!("{}.metrics", statistics.process));
        serve_metrics(metrics, &note, calls.clone(), statistics.started)
            .await
            .map_err(|error| format!("cannot serve metrics on {metrics}: {error}"))?;
    }
    let mut stopped = stopping.clone();
    let signal = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let server = Server::builder();
    let (serving, owned) = match listener {
        Listener::Unix(listener, owned) => {
            let incoming = unhurried(UnixListenerStream::new(listener));
            (tokio::spawn(server.serve_with_incoming_shutdown(dispatch, incoming, signal)), Some(owned))
        }
        Listener::Tcp(listener) => {
            let incoming = unhurried(TcpIncoming::from(listener).with_nodelay(Some(true)));
            (tokio::spawn(server.serve_with_incoming_shutdown(dispatch, incoming, signal)), None)
        }
    };
    for name in &names {
        reporter.set_service_status(name, ServingStatus::Serving).await;
    }
    let fields = [("address", address.to_string().into()), ("contracts", names.join(", ").into())];
    log(Level::Info, LOGGER, "serving", &fields);
    if let Some(descriptor) = arguments.ready {
        say_ready(descriptor)?;
    }
    end(serving, stopping, reporter, &names, limit).await;
    drop(owned);
    if let Some(sending) = sending {
        let _ = tokio::time::timeout(limit, sending.end()).await;
    }
    log(Level::Info, LOGGER, "stopped", &[]);
    Ok(())
}

/// Connections as they come. After one that could not be accepted, most likely for want of a free descriptor, there is a
/// pause: the server would try again at once, and again.
fn unhurried<C>(incoming: impl Stream<Item = io::Result<C>>) -> impl Stream<Item = io::Result<C>> {
    incoming.then(|accepted| async move {
        if let Err(error) = &accepted {
            log(Level::Warning, LOGGER, "a connection was not accepted", &[("error", error.to_string().into())]);
            tokio::time::sleep(PAUSE).await;
        }
        accepted
    })
}

/// Waits for the word to stop, then lets calls in flight end within the limit.
async fn end(
    mut serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    mut stopping: watch::Receiver<bool>,
    mut reporter: HealthReporter,
    names: &[String],
    limit: Duration,
) {
    let _ = stopping.wait_for(|stop| *stop).await;
    log(Level::Info, LOGGER, "stopping", &[]);
    for name in names.iter().map(String::as_str).chain([""]) {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
        // Whoever watches was told; watching on would keep the connection open.
        reporter.clear_service_status(name).await;
    }
    if tokio::time::timeout(limit, &mut serving).await.is_err() {
        log(Level::Warning, LOGGER, "calls in flight were cut off", &[("seconds", limit.as_secs_f64().into())]);
        serving.abort();
    }
}

fn dispatch(
    calls: &Arc<Calls>,
    reporter: &HealthReporter,
    names: &[String],
    descriptors: &'static [u8],
) -> Result<Dispatch, Error> {
    let reflection = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(PLATFORM)
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(HEALTH);
        for name in names {
            builder = builder.with_service_name(name);
        }
        builder
    };
    let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
    Ok(Dispatch::new(
        calls.clone(),
        vec![
            (HEALTH, route(health)),
            ("grpc.reflection.v1.ServerReflection", route(reflection().build_v1()?)),
            ("grpc.reflection.v1alpha.ServerReflection", route(reflection().build_v1alpha()?)),
        ],
    ))
}

/// Becomes true at SIGTERM, SIGINT, or the end of the supervisor.
fn stop_on_signals(life: Option<Life>) -> Result<watch::Receiver<bool>, Error> {
    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signals.recv().await;
            stop.send_replace(true);
        });
    }
    if let Some(life) = life {
        life.watch(move || {
            log(Level::Warning, LOGGER, "the supervisor is gone", &[]);
            stop.send_replace(true);
        });
    }
    Ok(stopping)
}

/// Where it happened, and what it said; the call that it ended answers `INTERNAL`.
fn log_panics() {
    panic::set_hook(Box::new(|panicked| {
        let at = panicked.location().map(ToString::to_string).unwrap_or_default();
        let said = said(panicked.payload());
        log(Level::Error, LOGGER, "panicked", &[("at", at.into()), ("exception", said.into())]);
    }));
}

impl fmt::Debug for Start {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Start").field("home", &self.home).finish_non_exhaustive()
    }
}
