package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tricorn/wire"
)

const metricsTime = 5 * time.Second

// serveMetrics answers GET /metrics on a listener of its own, never where calls are answered. The address, with its actual port, is
// written to NAME.metrics of the home. What it gives ends it.
func serveMetrics(address, home, process string, registry *prometheus.Registry) (func(context.Context), error) {
	listener, actual, err := wire.Listen(address)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	note := filepath.Join(home, process+".metrics")
	if err := os.WriteFile(note, []byte(actual+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("name the address of metrics: %w", err), listener.Close())
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		http.Error(answer, "metrics are at /metrics", http.StatusNotFound)
	})
	server := &http.Server{
		Handler: routes, ReadHeaderTimeout: metricsTime, WriteTimeout: metricsTime, IdleTimeout: metricsTime,
		MaxHeaderBytes: 16 * 1024,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func(context.Context) {
		_ = server.Close()
		<-done
	}, nil
}
