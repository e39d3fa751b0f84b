//! One registry per process, into which every room registers.
//!
//! Keep each metric in a `static LazyLock` made by the functions here. Names begin with `tokenx_` and end in their unit
//! (`_seconds`, `_bytes`) or, for counters, in `_total`.

use std::sync::OnceLock;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The process's registry. On Linux it also has the process's own figures (memory, CPU, open files).
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        made(registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())));
        registry
    })
}

/// A counter.
#[must_use]
pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

/// Counters by label.
#[must_use]
pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge.
#[must_use]
pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

/// Gauges by label.
#[must_use]
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram with these upper bounds.
#[must_use]
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
}

/// Histograms by label, with these upper bounds.
#[must_use]
pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

fn registered<C: Collector + Clone + 'static>(metric: prometheus::Result<C>) -> C {
    let metric = made(metric);
    made(registry().register(Box::new(metric.clone())));
    metric
}

/// Names and labels are literals: a wrong or doubled one is a mistake in the program, found by the first run that
/// touches the metric.
#[allow(clippy::expect_used, reason = "a start-up check of literals")]
fn made<T>(result: prometheus::Result<T>) -> T {
    result.expect("metric with a valid name, registered once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rooms_share_one_registry() {
        counter("tokenx_registry_test_total", "A test's own.").inc_by(3);
        let families = registry().gather();
        let family = families.iter().find(|family| family.name() == "tokenx_registry_test_total").unwrap();
        assert!((family.get_metric()[0].get_counter().get_value() - 3.0).abs() < f64::EPSILON);
        if cfg!(target_os = "linux") {
            assert!(families.iter().any(|family| family.name().starts_with("process_")));
        }
    }
}
