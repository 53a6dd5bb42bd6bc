//! `tricorn.v1.StatsService`: every process answers for itself.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::contract::{Methods, Refusal};
use crate::proto::{GetProcessStatsRequest, ProcessStats, ServiceStats};
use crate::telemetry::exposition::cpu_seconds;
use crate::wire::unary::Calls;

pub(crate) const STATS: &str = "tricorn.v1.StatsService";

/// What the statistics are read from: the calls are there only once the service they count is whole.
pub(crate) struct Statistics {
    pub process: String,
    pub implementation: String,
    pub started: SystemTime,
    pub calls: OnceLock<Arc<Calls>>,
}

pub(crate) fn methods(statistics: Arc<Statistics>) -> Methods {
    Methods::new().light("GetProcessStats", move |_: &GetProcessStatsRequest, _| Ok::<_, Refusal>(statistics.read()))
}

impl Statistics {
    fn read(&self) -> ProcessStats {
        let services = self.calls.get().map(|calls| {
            let of = |service: String| {
                let figures = calls.stats.figures(&service);
                ServiceStats {
                    service,
                    implementation: self.implementation.clone(),
                    calls: i64::try_from(figures.calls).unwrap_or(i64::MAX),
                    errors: i64::try_from(figures.errors).unwrap_or(i64::MAX),
                    mean_milliseconds: figures.mean,
                    p99_milliseconds: figures.p99,
                    // It answers itself whatever it is asked.
                    fallbacks: 0,
                }
            };
            calls.service.services().into_iter().map(of).collect()
        });
        ProcessStats {
            process: self.process.clone(),
            pid: i64::from(std::process::id()),
            start_time: Some(self.started.into()),
            services: services.unwrap_or_default(),
            cpu_seconds: cpu_seconds().unwrap_or_default(),
        }
    }
}
