package host

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"tricorn/telemetry"
)

var log = telemetry.Logger("tricorn.host")

const (
	failed  = 1
	misused = 2
)

// Options of a process.
type Options struct {
	// Name is the language's name in bindings, and the process's where none is given.
	Name string
	// Register adds what the process answers. It is called once the supervisor has let the process begin; its context ends with the process.
	Register func(ctx context.Context, h *Host) error
	// Hurry is closed when nobody follows this process; by Main at a second signal.
	Hurry <-chan struct{}
	// HalfOfProcessors is for a process most of whose time is waiting for another on the same machine, such as PostgreSQL: Main has it use half of
	// the processors at most. Goroutines that wake each other then seldom wake another thread for it, which costs more than a small call.
	HalfOfProcessors bool
}

// Main runs a native process until SIGTERM, SIGINT or its supervisor's end: the whole of a program's main. It never returns.
func Main(options Options) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	hurry, signals := make(chan struct{}), make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		<-signals
		close(hurry)
	}()
	options.Hurry = hurry
	if options.HalfOfProcessors {
		keepToHalf()
	}
	status := Run(ctx, os.Args[1:], options, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Run is Main for a command line of one's own, until the context ends; it gives the exit status. Logs go to errors.
func Run(ctx context.Context, words []string, options Options, output, errors io.Writer) int {
	program := filepath.Base(os.Args[0])
	if slices.Contains(words, "--help") {
		_, _ = fmt.Fprintf(output, "usage: %s %s", program, usage)
		return 0
	}
	arguments, err := parse(words)
	if err != nil {
		_, _ = fmt.Fprintf(errors, "%s: %v\nusage: %s %s", program, err, program, usage)
		return misused
	}
	if arguments.process == "" {
		arguments.process = options.Name
	}
	if err := run(ctx, arguments, options, errors); err != nil {
		log.Error("the process failed", "error", err)
		return failed
	}
	return 0
}
