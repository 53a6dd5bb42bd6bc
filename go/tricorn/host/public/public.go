// Package public makes the gateway of an application in a native process: what its manifest, its contracts and an
// operator's settings say, put together.
package public

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"tricorn/contract"
	"tricorn/events"
	"tricorn/gateway"
	"tricorn/gateway/auth"
	"tricorn/gateway/cache"
	"tricorn/gateway/limits"
	"tricorn/gateway/shared"
	"tricorn/gateway/shed"
	"tricorn/host"
	"tricorn/host/manifest"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
)

// patience is how long a gateway waits at its start for what it should know before it answers.
const patience = 2 * time.Second

// Options are what an application adds.
type Options struct {
	// Published reads the published views of all contexts.
	Published *pgxpool.Pool
	// OpenAPI is the document that describes the API; nil: none is shown.
	OpenAPI []byte
	// Kept are methods whose answers are kept for each user and at most for so long, though their contracts say nothing of
	// it. The application says by Front.Answers when what is kept of a user changed.
	Kept map[string]time.Duration
}

// Front is a gateway in the making: events may still be subscribed to, then Serve.
type Front struct {
	// Events are what contexts publish; subscribe before Serve.
	Events *events.Broadcasts
	// Answers are those that the gateway keeps.
	Answers *cache.Answers

	host      *host.Host
	options   Options
	manifest  *manifest.Manifest
	settings  *settings
	redis     *shared.Redis
	identify  *auth.Authenticator
	shedder   *shed.Shedder
	contracts []string
}

// New reads what there is to know of the application, whose generated packages are linked in.
func New(h *host.Host, options Options) (*Front, error) {
	if h.Manifest == "" {
		return nil, errors.New("a gateway must know its application: --manifest is missing")
	}
	application, err := manifest.Load(h.Manifest)
	if err != nil {
		return nil, err
	}
	said, err := read(h.Environment)
	if err != nil {
		return nil, err
	}
	front := &Front{
		Events: events.New(options.Published, events.DefaultTimes),
		host:   h, options: options, manifest: application, settings: said,
		shedder: shed.New(shed.DefaultLimits), contracts: application.Contracts(),
	}
	if said.redisURL != "" {
		if front.redis, err = shared.Open(said.redisURL, application.Application.Name); err != nil {
			return nil, err
		}
		h.OnStop(func(context.Context) { _ = front.redis.Close() })
	}
	if application.Auth != nil {
		front.identify = auth.New(front.authConfig(application.Auth))
	}
	if front.Answers, err = front.makeAnswers(); err != nil {
		return nil, err
	}
	h.OnStop(func(context.Context) { front.Answers.Close() })
	return front, nil
}

// Serve makes the gateway and has the host serve it, with the events that it follows.
func (f *Front) Serve() error {
	config := f.config()
	f.followRevocations()
	for _, source := range f.Events.Sources() {
		f.Events.Of(source).OnGap(func(context.Context) error {
			f.Answers.Clear()
			return nil
		})
	}
	server, err := gateway.New(config)
	if err != nil {
		return err
	}
	f.host.Background("events", func(ctx context.Context) error {
		f.Events.Run(ctx)
		return nil
	})
	f.host.Metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tricorn_gateway_shed_total", Help: "Requests that were refused because too much was going on.",
	}, func() float64 { return float64(f.shedder.Refused()) }))
	f.host.Metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tricorn_gateway_repeated_total", Help: "Requests whose head came before with the same bytes, and was not read again.",
	}, func() float64 { return float64(server.Repeated()) }))
	f.host.ServePublic(func(ctx context.Context, listener net.Listener) error {
		f.awaitNews(ctx)
		return server.Serve(ctx, listener)
	})
	return nil
}

func (f *Front) config() gateway.Config {
	rates := make(map[string]limits.Rate, len(f.manifest.Rates))
	names := make(map[string]bool, len(f.manifest.Rates))
	for name, rate := range f.manifest.Rates {
		rates[name] = limits.Rate{
			Limit: rate.Limit, Period: time.Duration(rate.PeriodSeconds * float64(time.Second)), Burst: rate.Burst,
			Closed: rate.WhenBlind == "closed",
		}.Scaled(f.settings.rateFactor)
		names[name] = true
	}
	roles := make(map[string]bool, len(f.manifest.Roles))
	for name := range f.manifest.Roles {
		roles[name] = true
	}
	var store limits.Store = limits.NewMemory(nil, callers)
	if f.redis != nil {
		store = shared.NewLimits(f.redis, store)
	}
	tricornv1.RegisterLimitsServiceServer(f.host, limits.NewServer(store, rates))
	var guards []func(http.Handler) http.Handler
	if f.identify != nil {
		guards = append(guards, f.identify.Identify)
	}
	return gateway.Config{
		Contracts:      f.contracts,
		Backend:        f.host.Wire,
		Hurry:          f.host.Hurry,
		Guards:         append(guards, limits.Guard(store, rates), auth.Admit),
		Shed:           f.shedder,
		Cache:          f.Answers,
		Kept:           f.options.Kept,
		Roles:          roles,
		Rates:          names,
		Auth:           f.identify != nil,
		Limits:         f.settings.limits,
		Mounts:         f.settings.mounts,
		CORS:           gateway.CORS{Origins: f.settings.cors, MaxAge: corsMaxAge},
		TrustedProxies: f.settings.proxies,
		HSTS:           f.settings.hsts,
		OpenAPI:        f.options.OpenAPI,
		Ready:          f.ready,
		Observe:        f.observe,
	}
}

func (f *Front) makeAnswers() (*cache.Answers, error) {
	longest := time.Duration(0)
	for _, name := range f.contracts {
		policies, err := contract.ServicePolicies(name)
		if err != nil {
			return nil, err
		}
		for _, policy := range policies {
			if policy.Cache != nil {
				longest = max(longest, policy.Cache.TTL)
			}
		}
	}
	for _, ttl := range f.options.Kept {
		longest = max(longest, ttl)
	}
	options := cache.Options{
		Bytes: answersBytes, LongestTTL: longest, Silent: f.options.Kept,
		Generation: func() int64 { return f.host.Directory.Bindings().Generation },
	}
	if f.redis != nil {
		options.Second = shared.NewAnswers(f.redis)
	}
	return cache.New(options)
}

func (f *Front) authConfig(said *manifest.Auth) auth.Config {
	return auth.Config{
		Issuer: said.Issuer, Audience: said.Audience, Wall: f.host.Clock,
		Keys: func(ctx context.Context) (*tricornv1.JsonWebKeySet, error) {
			answer := &tricornv1.JsonWebKeySet{}
			err := f.host.Wire.Invoke(ctx, "/"+said.Keys, &tricornv1.GetJsonWebKeySetRequest{}, answer)
			return answer, err
		},
		Revocations: func(ctx context.Context) (*tricornv1.ListRevocationsResponse, error) {
			answer := &tricornv1.ListRevocationsResponse{}
			err := f.host.Wire.Invoke(ctx, "/"+said.Revocations, &tricornv1.ListRevocationsRequest{}, answer)
			return answer, err
		},
	}
}

// followRevocations has revoked sessions refused as the context that issues tokens publishes them. The whole list is
// read at the start, and when some may have been missed.
func (f *Front) followRevocations() {
	if f.identify == nil {
		return
	}
	service, _, _ := strings.Cut(f.manifest.Auth.Revocations, "/")
	missed := make(chan struct{}, 1)
	for name, each := range f.manifest.Contexts {
		if !slices.Contains(each.Contracts, service) {
			continue
		}
		tail := f.Events.Of(name)
		events.On(tail, func(_ context.Context, event *tricornv1.SessionRevoked, _ events.Meta) error {
			f.identify.Revoke(event.GetSessionId(), event.GetExpireTime().AsTime())
			return nil
		})
		tail.OnGap(func(context.Context) error {
			select {
			case missed <- struct{}{}:
			default:
			}
			return nil
		})
	}
	f.host.Background("revocations", func(ctx context.Context) error {
		f.identify.Follow(ctx, missed)
		return nil
	})
}

// awaitNews waits a while for the revoked sessions and the events; what is not there then comes later.
func (f *Front) awaitNews(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := f.Events.Started(limited)
	if err == nil && f.identify != nil {
		err = f.identify.Known(limited)
	}
	if err != nil && ctx.Err() == nil {
		telemetry.Logger("tricorn.host").WarnContext(ctx, "serving before all is known", "error", err)
	}
}

// ready reports the contexts that have a database; all are in the one whose published views are read.
func (f *Front) ready(ctx context.Context) map[string]bool {
	good := f.options.Published.Ping(ctx) == nil
	found := make(map[string]bool)
	for name, each := range f.manifest.Contexts {
		if each.Database == nil || *each.Database {
			found[name] = good
		}
	}
	return found
}

// observe counts requests by route beside the calls, so that the metrics show both.
func (f *Front) observe(seen gateway.Observation) {
	route := seen.Route
	if route == "" {
		route = "none"
	}
	f.host.Stats.ObserveIn("http", route, "gateway", seen.Took, seen.Status >= http.StatusInternalServerError)
}
