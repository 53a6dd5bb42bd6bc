// Command benchload is what `tricorn bench` measures with: it loads, holds connections, times the disk, and answers as barely as can be. What it
// finds it prints as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"bench/bare"
	"bench/disk"
	"bench/hold"
	"bench/http1"
	"bench/load"
	"bench/rpc"
	"bench/stock"
)

var commands = map[string]func(context.Context, []string) error{
	"http":  loadHTTP,
	"grpc":  loadGRPC,
	"stock": loadStock,
	"hold":  holdConnections,
	"bare":  answerBarely,
	"fsync": timeDisk,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: benchload http|grpc|stock|hold|bare|fsync [options]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](context.Background(), os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchload:", err)
		os.Exit(1)
	}
}

// pace holds the options that every load has.
type pace struct {
	plan    string
	callers int
	seconds float64
	rate    float64
	seed    uint64
	once    bool
}

func (p *pace) register(flags *flag.FlagSet) {
	flags.StringVar(&p.plan, "plan", "", "file with the requests")
	flags.IntVar(&p.callers, "callers", 16, "how many ask at once, at most")
	flags.Float64Var(&p.seconds, "seconds", 5, "how long")
	flags.Float64Var(&p.rate, "rate", 0, "requests a second in an open loop; 0: as fast as they are answered")
	flags.BoolVar(&p.once, "once", false, "everything of the first class one time, in so many seconds at most")
	flags.Uint64Var(&p.seed, "seed", 1, "which requests are drawn")
}

func (p *pace) run(ctx context.Context, plan *load.Plan, callers []load.Caller) error {
	return say(load.Run(ctx, plan, callers, load.Options{
		Duration: time.Duration(p.seconds * float64(time.Second)),
		Rate:     p.rate,
		Patience: 10 * time.Second,
		Seed:     p.seed,
		Once:     p.once,
	}))
}

func loadHTTP(ctx context.Context, arguments []string) error {
	var pace pace
	flags := flag.NewFlagSet("http", flag.ExitOnError)
	pace.register(flags)
	address := flags.String("address", "", "HOST:PORT")
	fresh := flags.Bool("fresh", false, "open a connection for every request")
	expect := flags.Int("expect", 0, "the status that is wanted; 0: every 2xx")
	_ = flags.Parse(arguments) // ends the program itself
	plan, err := load.ReadPlan(pace.plan)
	if err != nil {
		return err
	}
	callers := make([]load.Caller, pace.callers)
	for number := range callers {
		callers[number] = http1.New(*address, *fresh, *expect)
	}
	return pace.run(ctx, plan, callers)
}

func loadGRPC(ctx context.Context, arguments []string) error {
	var pace pace
	flags := flag.NewFlagSet("grpc", flag.ExitOnError)
	pace.register(flags)
	address := flags.String("address", "", "unix:PATH or HOST:PORT")
	method := flags.String("method", "", "/SERVICE/METHOD")
	connections := flags.Int("connections", 4, "connections that the callers share")
	_ = flags.Parse(arguments) // ends the program itself
	plan, err := load.ReadPlan(pace.plan)
	if err != nil {
		return err
	}
	target, err := rpc.NewTarget(*address, *method, *connections)
	if err != nil {
		return err
	}
	defer target.Close()
	return pace.run(ctx, plan, target.Callers(pace.callers))
}

func loadStock(ctx context.Context, arguments []string) error {
	var pace pace
	flags := flag.NewFlagSet("stock", flag.ExitOnError)
	pace.register(flags)
	way := flags.String("way", stock.Conditional, stock.Locking+" or "+stock.Conditional)
	connections := flags.Int("connections", 16, "database connections that the callers share")
	_ = flags.Parse(arguments) // ends the program itself
	plan, err := load.ReadPlan(pace.plan)
	if err != nil {
		return err
	}
	// Not an option: whoever lists processes would read its password.
	shop, err := stock.Open(ctx, os.Getenv("BENCH_DATABASE"), *way, int32(*connections)) // #nosec G115 - a small number
	if err != nil {
		return err
	}
	defer shop.Close()
	return pace.run(ctx, plan, shop.Callers(pace.callers))
}

func holdConnections(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("hold", flag.ExitOnError)
	address := flags.String("address", "", "HOST:PORT")
	path := flags.String("path", "/health/live", "what each connection asks for once")
	count := flags.Int("connections", 10_000, "how many")
	_ = flags.Parse(arguments) // ends the program itself
	held, err := hold.Open(ctx, *address, *path, *count)
	if held == nil {
		return err
	}
	defer held.Close()
	said := map[string]any{"held": held.Count()}
	if err != nil {
		said["failure"] = err.Error()
	}
	if err := say(said); err != nil {
		return err
	}
	return untilEndOfInput()
}

func answerBarely(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("bare", flag.ExitOnError)
	like := flags.String("like", "", "file with the answer")
	_ = flags.Parse(arguments) // ends the program itself
	answer, err := bare.ReadAnswer(*like)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: bare.Handler(answer), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := say(map[string]any{"address": listener.Addr().String(), "pid": os.Getpid()}); err != nil {
		return err
	}
	if err := untilEndOfInput(); err != nil {
		return err
	}
	_ = server.Close() // nobody asks any more
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

func timeDisk(_ context.Context, arguments []string) error {
	flags := flag.NewFlagSet("fsync", flag.ExitOnError)
	folder := flags.String("folder", ".", "where")
	count := flags.Int("count", 200, "how often")
	_ = flags.Parse(arguments) // ends the program itself
	taken, err := disk.Synced(*folder, *count)
	if err != nil {
		return err
	}
	millis := func(share float64) float64 { return taken[int(share*float64(len(taken)-1))].Seconds() * 1000 }
	return say(map[string]any{"p50Ms": millis(0.5), "p95Ms": millis(0.95), "longestMs": millis(1)})
}

func untilEndOfInput() error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fmt.Errorf("waiting for the end of input: %w", err)
	}
	return nil
}

func say(found any) error {
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		return fmt.Errorf("saying what was found: %w", err)
	}
	return nil
}
