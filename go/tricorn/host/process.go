package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tricorn/events"
	"tricorn/prove"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

const (
	shutdownTime = 10 * time.Second
	pollTime     = 200 * time.Millisecond
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// run is a process from its command line to its end.
func run(ctx context.Context, arguments *arguments, options Options, errorOutput io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	telemetry.Configure(arguments.process, slog.LevelInfo, errorOutput)
	environment := NewEnvironment(nil)
	if arguments.lifeFD != none {
		pipe, err := openLife(arguments.lifeFD)
		if err != nil {
			return err
		}
		defer pipe.close()
		said, err := pipe.wait()
		if err != nil {
			return err
		}
		environment = said
		go pipe.watch(func() {
			if ctx.Err() == nil {
				log.Warn("the supervisor is gone")
			}
			stop()
		})
	}
	process, err := prepare(ctx, arguments, options, environment, errorOutput)
	if err != nil {
		return err
	}
	if err := process.begin(ctx, stop); err != nil {
		return errors.Join(err, process.end())
	}
	<-ctx.Done()
	return process.end()
}

// process is everything that runs, in the order in which it ends.
type process struct {
	*Host
	arguments *arguments
	limit     time.Duration
	bindings  *wire.Watched[*wire.Bindings]
	endpoints *wire.Watched[wire.Addresses]
	report    *report
	tallies   *prove.Tallies
	taps      *prove.Taps
	server    *wire.Server

	public, serving, following, working sync.WaitGroup
	stopPublic, stopWork                context.CancelFunc
	mutex                               sync.Mutex
	problem                             error
}

func prepare(
	ctx context.Context, arguments *arguments, options Options, environment Environment, errorOutput io.Writer,
) (*process, error) {
	if name := environment.Get("TRICORN_LOG_LEVEL"); name != "" {
		level, err := telemetry.ParseLevel(name)
		if err != nil {
			return nil, fmt.Errorf("read TRICORN_LOG_LEVEL: %w", err)
		}
		telemetry.Configure(arguments.process, level, errorOutput)
	}
	made := &process{
		Host: &Host{
			Process: arguments.process, Home: arguments.home, Manifest: arguments.manifest, Environment: environment,
			Stats: telemetry.NewStats(), Asked: telemetry.NewStats(), Hurry: options.Hurry,
		},
		arguments:  arguments,
		bindings:   wire.WatchBindings(arguments.bindings),
		endpoints:  wire.WatchEndpoints(arguments.endpoints),
		report:     newReport(arguments.home, arguments.process),
		tallies:    prove.New(arguments.home, arguments.process),
		stopPublic: func() {},
		stopWork:   func() {},
	}
	if err := made.settle(options); err != nil {
		return nil, err
	}
	if _, err := telemetry.ConfigureTracing(ctx, arguments.process); err != nil {
		return nil, err
	}
	if err := options.Register(ctx, made.Host); err != nil {
		return nil, errors.Join(fmt.Errorf("register what the process answers: %w", err), made.end())
	}
	tricornv1.RegisterStatsServiceServer(made, &statistics{host: made.Host, started: time.Now()})
	if err := errors.Join(made.sink(), made.Service.Err(), made.Service.Warm()); err != nil {
		return nil, errors.Join(err, made.end())
	}
	return made, nil
}

// sink hosts the subscriptions, if there are any.
func (p *process) sink() error {
	if len(p.subscriptions) == 0 {
		return nil
	}
	sink, err := events.NewSink(p.subscriptions...)
	if err != nil {
		return err
	}
	tricornv1.RegisterEventSinkServiceServer(p, sink)
	return nil
}

// settle reads the settings and makes what hangs on them.
func (p *process) settle(options Options) error {
	limit, err := p.Environment.Seconds("TRICORN_SHUTDOWN_SECONDS", shutdownTime)
	if err != nil {
		return err
	}
	offset, err := p.Environment.Seconds("TRICORN_CLOCK_OFFSET", 0)
	if err != nil {
		return err
	}
	most, err := p.Environment.Number("TRICORN_FALLBACK_CALLS", 0)
	if err != nil {
		return err
	}
	p.limit = limit
	p.Clock = func() time.Time { return time.Now().Add(offset) }
	p.Metrics = telemetry.NewRegistry(p.Stats, p.Asked)
	p.Service = wire.NewService(options.Name, p.Stats)
	p.Directory = wire.NewDirectory(p.Service, p.Asked)
	p.Wire = wire.NewClient(p.Directory, p.Asked, most)
	p.Wire.CountBy(p.tallies)
	p.taps = prove.NewTaps(p.Home, p.Process, p.Wire, p.Directory)
	return nil
}

// begin answers calls, then says so.
func (p *process) begin(ctx context.Context, stop context.CancelFunc) error {
	p.follow()
	listener, address, err := wire.Listen(p.arguments.listen)
	if err != nil {
		return err
	}
	p.server = wire.NewServer(p.Service)
	p.keep(&p.serving, stop, func() error { return p.server.Serve(listener) })
	if p.arguments.metrics != "off" {
		end, err := serveMetrics(p.arguments.metrics, p.Home, p.Process, p.Metrics)
		if err != nil {
			return err
		}
		p.OnStop(end)
	}
	if err := p.servePublic(stop); err != nil {
		return err
	}
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	p.stopWork = stopWork
	p.following.Go(func() { p.keepFollowing(working) })
	p.working.Go(func() { p.taps.Run(working) })
	for _, each := range p.backgrounds {
		p.working.Go(func() { keepRunning(working, each) })
	}
	keepHeapFloor()
	log.Info("serving", "address", address, "contracts", strings.Join(p.Service.Services(), ", "))
	if p.arguments.readyFD != none {
		return sayReady(p.arguments.readyFD)
	}
	return nil
}

// end lets what is in flight end within the limit, the public side first, and closes everything.
func (p *process) end() error {
	log.Info("stopping")
	// Until the last answer has left, caches must hear of changes, and bindings hold. How long that takes is limited there.
	p.stopPublic()
	p.public.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	p.stopWork()
	if p.server != nil && !p.server.Stop(ctx) {
		log.Warn("calls in flight were cut off", "seconds", p.limit.Seconds())
	}
	p.await(ctx, "what is served", &p.serving)
	p.await(ctx, "background work", &p.working)
	p.following.Wait()
	for _, do := range slices.Backward(p.stops) {
		do(ctx)
	}
	p.report.remove()
	if err := p.tallies.Close(); err != nil {
		log.Warn("what was counted could not be written", "error", err)
	}
	problem := errors.Join(p.problem, p.Directory.Close())
	if err := telemetry.ShutdownTracing(ctx); err != nil {
		log.Warn("the last spans were not sent", "error", err)
	}
	log.Info("stopped")
	return problem
}

// keep runs something that ends the process when it fails.
func (p *process) keep(group *sync.WaitGroup, stop context.CancelFunc, serve func() error) {
	group.Go(func() {
		if err := serve(); err != nil {
			p.mutex.Lock()
			p.problem = errors.Join(p.problem, err)
			p.mutex.Unlock()
		}
		stop()
	})
}

func (p *process) servePublic(stop context.CancelFunc) error {
	if len(p.publics) == 0 {
		return nil
	}
	listener, err := p.publicListener()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stopPublic = cancel
	log.Info("serving in public", "address", listener.Addr().String())
	for _, serve := range p.publics {
		p.keep(&p.public, stop, func() error { return serve(ctx, listener) })
	}
	return nil
}

func (p *process) publicListener() (net.Listener, error) {
	switch {
	case p.arguments.publicFD != none:
		file := inherited(p.arguments.publicFD, "public")
		listener, err := net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("take the public socket: %w", err)
		}
		return listener, nil
	case p.arguments.port != none:
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.arguments.port)))
		if err != nil {
			return nil, fmt.Errorf("listen in public: %w", err)
		}
		return listener, nil
	default:
		return nil, errors.New("a gateway needs --public-fd or --port")
	}
}

// follow takes what the bindings and endpoints files say now, and says what became of it.
func (p *process) follow() {
	moved := p.endpoints.Poll()
	if p.bindings.Poll() || moved {
		p.Directory.Update(p.bindings.Current(), p.endpoints.Current())
		log.Info("bindings hold", "generation", p.bindings.Current().Generation, "placeless", p.Directory.Placeless())
	}
	p.taps.Follow(p.bindings.Current())
	problems := []string{}
	for _, problem := range []string{p.bindings.Problem(), p.endpoints.Problem()} {
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, each := range p.Directory.Placeless() {
		problems = append(problems, each+", which has no address: Python answers")
	}
	if err := p.tallies.Write(); err != nil {
		log.Warn("what was counted could not be written", "error", err)
	}
	p.report.write(p.bindings.Current().Generation, problems, p.Wire.OpenBreakers(), p.Asked.Fallbacks())
}

func (p *process) keepFollowing(ctx context.Context) {
	ticks := time.NewTicker(pollTime)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			p.follow()
		case <-ctx.Done():
			return
		}
	}
}

func (p *process) await(ctx context.Context, what string, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		log.Warn("did not end in time", "what", what, "seconds", p.limit.Seconds())
	}
}

func keepRunning(ctx context.Context, work background) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		if err := running(ctx, work); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "background work failed and starts again", "work", work.name, "exception", err.Error())
			pause = min(pause*2, longestPause)
		}
		if time.Since(began) > longestPause {
			pause = firstPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func running(ctx context.Context, work background) (err error) {
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("%s panicked: %v\n%s", work.name, said, telemetry.Stack())
		}
	}()
	return work.run(ctx)
}
