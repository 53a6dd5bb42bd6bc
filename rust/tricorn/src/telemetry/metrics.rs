//! Counts and times of calls, kept by this process. One [`CallStats`] feeds the stats contract and the Prometheus text, so
//! that the two never disagree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bounds of buckets are powers of two, each cut into 8 equal parts: an estimate is 12.5 % high at most.
const PARTS: i32 = 8;
/// Everything below 2^-20 s, a microsecond.
const LOWEST_EXPONENT: i32 = -19;
/// Everything above 2^8 s.
const HIGHEST_EXPONENT: i32 = 8;
const BUCKETS: usize = ((HIGHEST_EXPONENT - LOWEST_EXPONENT + 1) * PARTS) as usize;
/// What is shown as Prometheus buckets: from 0.1 ms to 64 s.
const SHOWN_EXPONENTS: std::ops::RangeInclusive<i32> = -13..=6;

#[derive(Clone)]
struct Times {
    calls: u64,
    errors: u64,
    seconds: f64,
    buckets: [u64; BUCKETS],
}

/// Calls since the start of the process; times in milliseconds. `p99` is an estimate, at most 12.5 % too high.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Calls answered.
    pub calls: u64,
    /// Those that ended with a defect of the server's side.
    pub errors: u64,
    /// The mean time.
    pub mean: f64,
    /// The time that 99 of 100 calls keep below.
    pub p99: f64,
}

/// Call counts and latency histograms by service and method.
pub struct CallStats {
    implementation: String,
    methods: Mutex<BTreeMap<(String, String), Times>>,
}

impl CallStats {
    /// None counted yet.
    #[must_use]
    pub fn new(implementation: &str) -> Self {
        Self { implementation: implementation.to_owned(), methods: Mutex::default() }
    }

    /// Counts one call of `package.Service` and its method.
    pub fn observe(&self, service: &str, method: &str, time: Duration, error: bool) {
        let seconds = time.as_secs_f64();
        let mut methods = self.methods();
        let nothing = Times { calls: 0, errors: 0, seconds: 0.0, buckets: [0; BUCKETS] };
        let times = methods.entry((service.to_owned(), method.to_owned())).or_insert(nothing);
        times.calls += 1;
        times.seconds += seconds;
        times.errors += u64::from(error);
        times.buckets[bucket(seconds)] += 1;
    }

    /// The figures of a service, over its methods.
    #[must_use]
    pub fn figures(&self, service: &str) -> Figures {
        let methods = self.methods();
        let of_service: Vec<&Times> =
            methods.iter().filter(|((name, _), _)| name == service).map(|(_, times)| times).collect();
        let calls: u64 = of_service.iter().map(|times| times.calls).sum();
        if calls == 0 {
            return Figures::default();
        }
        let mut buckets = [0; BUCKETS];
        for times in &of_service {
            for (sum, count) in buckets.iter_mut().zip(times.buckets) {
                *sum += count;
            }
        }
        let seconds: f64 = of_service.iter().map(|times| times.seconds).sum();
        Figures {
            calls,
            errors: of_service.iter().map(|times| times.errors).sum(),
            mean: 1000.0 * seconds / as_float(calls),
            p99: 1000.0 * quantile(&buckets, 0.99),
        }
    }

    /// `tricorn_calls_total`, `tricorn_call_errors_total` and `tricorn_call_seconds` in Prometheus' text.
    #[must_use]
    pub fn exposition(&self) -> String {
        let methods = self.methods();
        let mut calls =
            String::from("# HELP tricorn_calls_total Calls answered.\n# TYPE tricorn_calls_total counter\n");
        let mut errors = String::from(
            "# HELP tricorn_call_errors_total Calls that ended with an error.\n# TYPE tricorn_call_errors_total counter\n",
        );
        let mut seconds = String::from(
            "# HELP tricorn_call_seconds Time from request to answer.\n# TYPE tricorn_call_seconds histogram\n",
        );
        for ((service, method), times) in methods.iter() {
            let labels =
                format!("service=\"{service}\",method=\"{method}\",implementation=\"{}\"", self.implementation);
            // Writing to a string cannot fail.
            let _ = writeln!(calls, "tricorn_calls_total{{{labels}}} {}", times.calls);
            let _ = writeln!(errors, "tricorn_call_errors_total{{{labels}}} {}", times.errors);
            for exponent in SHOWN_EXPONENTS {
                let end = usize::try_from((exponent - LOWEST_EXPONENT + 1) * PARTS).unwrap_or(BUCKETS);
                let up_to: u64 = times.buckets[..end].iter().sum();
                let bound = 2f64.powi(exponent);
                let _ = writeln!(seconds, "tricorn_call_seconds_bucket{{{labels},le=\"{bound:?}\"}} {up_to}");
            }
            let _ = writeln!(seconds, "tricorn_call_seconds_bucket{{{labels},le=\"+Inf\"}} {}", times.calls);
            let _ = writeln!(seconds, "tricorn_call_seconds_count{{{labels}}} {}", times.calls);
            let _ = writeln!(seconds, "tricorn_call_seconds_sum{{{labels}}} {}", times.seconds);
        }
        calls + &errors + &seconds
    }

    fn methods(&self) -> MutexGuard<'_, BTreeMap<(String, String), Times>> {
        // Counters are whole after every step: a panic elsewhere leaves them right.
        self.methods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::cast_precision_loss)]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// As `math.frexp` has it: half a power of two at least, and the exponent.
fn bucket(seconds: f64) -> usize {
    let bits = seconds.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1022;
    if seconds <= 0.0 || exponent < LOWEST_EXPONENT {
        return 0;
    }
    if exponent > HIGHEST_EXPONENT {
        return BUCKETS - 1;
    }
    // The mantissa's first three bits say which of the eight parts.
    let part = usize::try_from((bits >> 49) & 7).unwrap_or(0);
    usize::try_from((exponent - LOWEST_EXPONENT) * PARTS).unwrap_or(0) + part
}

/// The upper bound in seconds of the bucket that holds the call at `share`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quantile(buckets: &[u64; BUCKETS], share: f64) -> f64 {
    let total: u64 = buckets.iter().sum();
    let wanted = (as_float(total) * share).ceil() as u64;
    let mut seen = 0;
    for (index, count) in (0i32..).zip(buckets) {
        seen += count;
        if *count > 0 && seen >= wanted {
            let (exponent, part) = (index / PARTS, index % PARTS);
            return (0.5 + f64::from(part + 1) / f64::from(2 * PARTS)) * 2f64.powi(exponent + LOWEST_EXPONENT);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_all_methods_of_a_service() {
        let stats = CallStats::new("rust");
        for milliseconds in 1..=100 {
            stats.observe(
                "a.B",
                if milliseconds % 2 == 0 { "C" } else { "D" },
                Duration::from_millis(milliseconds),
                false,
            );
        }
        stats.observe("a.B", "C", Duration::from_millis(10), true);

        let figures = stats.figures("a.B");

        assert_eq!((figures.calls, figures.errors), (101, 1));
        assert!((figures.mean - 50.1).abs() < 0.01, "{figures:?}");
        assert!((99.0..=112.5).contains(&figures.p99), "{figures:?}");
        assert_eq!(stats.figures("a.E"), Figures::default());
    }

    #[test]
    fn a_bucket_s_upper_bound_is_at_most_an_eighth_above() {
        for seconds in [1e-6, 0.000_123, 0.5, 1.0, 3.7, 200.0] {
            let mut buckets = [0; BUCKETS];
            buckets[bucket(seconds)] += 1;

            let bound = quantile(&buckets, 1.0);

            assert!(seconds <= bound && bound <= seconds * 1.126, "{seconds} {bound}");
        }
    }

    #[test]
    fn times_beyond_the_buckets_fall_into_the_outermost() {
        assert_eq!(bucket(0.0), 0);
        assert_eq!(bucket(1e-9), 0);
        assert_eq!(bucket(1e9), BUCKETS - 1);
    }

    #[test]
    fn the_exposition_counts_up_to_each_bound() {
        let stats = CallStats::new("rust");
        stats.observe("a.B", "C", Duration::from_millis(300), false);

        let text = stats.exposition();

        let labels = r#"service="a.B",method="C",implementation="rust""#;
        assert!(text.contains(&format!("tricorn_calls_total{{{labels}}} 1\n")), "{text}");
        assert!(text.contains(&format!("tricorn_call_seconds_bucket{{{labels},le=\"0.25\"}} 0\n")), "{text}");
        assert!(text.contains(&format!("tricorn_call_seconds_bucket{{{labels},le=\"0.5\"}} 1\n")), "{text}");
    }
}
