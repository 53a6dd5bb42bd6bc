package host

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"tricorn/data"
	"tricorn/events"
	"tricorn/telemetry"
	"tricorn/wire"
)

const databasePrefix = "TRICORN_DATABASE_"

// Host is what a process's registrations are made with. It is a grpc.ServiceRegistrar: what generated packages register is hosted.
type Host struct {
	// Process is its name in logs, metrics and statistics; Home the folder of the application's state; Manifest the path of tricorn.toml, if one was
	// named.
	Process  string
	Home     string
	Manifest string

	// Hurry is closed when nobody follows this process, so that it waits for no client who might ask more.
	Hurry <-chan struct{}

	Environment Environment
	Service     *wire.Service
	Directory   *wire.Directory
	Wire        *wire.Client
	// Stats counts the calls that are answered here, Asked those that are asked of implementations elsewhere.
	Stats   *telemetry.Stats
	Asked   *telemetry.Stats
	Metrics *prometheus.Registry
	// Clock tells the time, off by TRICORN_CLOCK_OFFSET.
	Clock func() time.Time

	publics       []func(context.Context, net.Listener) error
	subscriptions []*events.Subscription
	backgrounds   []background
	stops         []func(context.Context)
}

type background struct {
	name string
	run  func(context.Context) error
}

// RegisterService hosts all methods of a contract.
func (h *Host) RegisterService(desc *grpc.ServiceDesc, server any) {
	h.Service.RegisterService(desc, server)
}

// RegisterMethods hosts some methods of a contract, by their names in it.
func (h *Host) RegisterMethods(desc *grpc.ServiceDesc, server any, names ...string) {
	h.Service.RegisterMethods(desc, server, names...)
}

// Database opens the pool of a context's role, or of the one that reads published views ("published"), which closes as the process ends.
// The connections that the process may hold are shared evenly by the databases that it was given.
func (h *Host) Database(ctx context.Context, name string) (*pgxpool.Pool, error) {
	variable := databasePrefix + strings.ToUpper(name)
	dsn := h.Environment.Get(variable)
	if dsn == "" {
		return nil, fmt.Errorf("open the database %s: %s is not set", name, variable)
	}
	connections, err := h.Environment.Number(databasePrefix+"CONNECTIONS", data.DefaultConnections)
	if err != nil {
		return nil, err
	}
	share := max(1, connections/max(1, h.Environment.databases()))
	pool, err := data.Open(ctx, dsn, data.Options{Connections: int32(min(share, 1000)), Name: h.Process})
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", name, err)
	}
	h.OnStop(func(context.Context) { pool.Close() })
	return pool, nil
}

// Subscribe lets the process take the events of groups; each has all its handlers by then.
func (h *Host) Subscribe(subscriptions ...*events.Subscription) {
	h.subscriptions = append(h.subscriptions, subscriptions...)
}

// Background runs work beside the calls, from when they are answered until the process ends, whose context then ends. Work that fails is
// logged and starts again after a while.
func (h *Host) Background(name string, run func(context.Context) error) {
	h.backgrounds = append(h.backgrounds, background{name, run})
}

// OnStop lets something be done once nothing is answered any more, the last that was asked for first.
func (h *Host) OnStop(do func(context.Context)) { h.stops = append(h.stops, do) }

// ServePublic serves the public listener: that of --public-fd, or of --port. Serving drains and returns when the context ends; the process
// ends when it returns earlier. Without either option it is an error.
func (h *Host) ServePublic(serve func(context.Context, net.Listener) error) {
	h.publics = append(h.publics, serve)
}

func (e Environment) databases() int {
	count := 0
	for name, value := range e.said {
		if strings.HasPrefix(name, databasePrefix) && strings.HasPrefix(value, "postgres") {
			count++
		}
	}
	return count
}
