// Package telemetry counts what inventory does for Prometheus.
package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agora/native/inventory/batch"
)

// Batches counts batches of reservations.
type Batches struct {
	sizes   *prometheus.HistogramVec
	waited  prometheus.Histogram
	took    *prometheus.HistogramVec
	waiting prometheus.Gauge
}

var _ batch.Observer = (*Batches)(nil)

var manners = map[batch.Manner]string{batch.Eager: "eager", batch.Patient: "patient", batch.Stubborn: "stubborn"}

// NewBatches registers its metrics.
func NewBatches(registry prometheus.Registerer) *Batches {
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 13)
	b := &Batches{
		sizes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agora_inventory_batch_size", Help: "Reservations that were decided in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8),
		}, []string{"manner"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "agora_inventory_batch_wait_seconds", Help: "How long the oldest reservation of a batch had waited for it.",
			Buckets: seconds,
		}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agora_inventory_batch_seconds", Help: "How long a batch took, from its first statement to its commit.",
			Buckets: seconds,
		}, []string{"manner"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "agora_inventory_waiting", Help: "Reservations that wait for a batch.",
		}),
	}
	registry.MustRegister(b.sizes, b.waited, b.took, b.waiting)
	return b
}

// Ran counts a batch.
func (b *Batches) Ran(manner batch.Manner, size int, waited, took time.Duration) {
	b.sizes.WithLabelValues(manners[manner]).Observe(float64(size))
	b.waited.Observe(waited.Seconds())
	b.took.WithLabelValues(manners[manner]).Observe(took.Seconds())
}

// Waiting shows how many wait.
func (b *Batches) Waiting(number int) { b.waiting.Set(float64(number)) }
