// Package drain leaves a listening socket to a successor without losing a request.
//
// The socket belongs to a supervisor, which starts a successor on it before it stops this one. So stopping is a drain: stop accepting, say
// "Connection: close" on every answer, wait until the connections have gone, and only then shut the server down. net/http's own Shutdown closes idle
// connections and drops what is read after it starts.
package drain

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"tricorn/telemetry"
)

const (
	poll    = 20 * time.Millisecond
	lastEnd = 2 * time.Second
)

var log = telemetry.Logger("tricorn.gateway")

// Fault is a request that could not be read, with the status that says why.
type Fault struct {
	Status int
}

// Listener accepts connections and knows those that are open.
type Listener struct {
	net.Listener
	// WriteTime is how long a client may take nothing of its answer.
	WriteTime time.Duration
	// KeepAlive is how long a connection without a request is kept, as net/http is told.
	KeepAlive time.Duration
	// Again answers a request, of which these are the first bytes and likely all, if it knows them; false: net/http reads it. nil: nobody knows any.
	Again func(answer *Answer, head []byte) bool
	// Fault makes the whole answer to a request that could not be read.
	Fault func(Fault) []byte

	mutex     sync.Mutex
	open      map[*Conn]struct{}
	lingering sync.WaitGroup
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	made := &Conn{Conn: accepted, listener: l}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.open == nil {
		l.open = map[*Conn]struct{}{}
	}
	l.open[made] = struct{}{}
	return made, nil
}

func (l *Listener) forget(c *Conn) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.open, c)
}

func (l *Listener) conns() []*Conn {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	all := make([]*Conn, 0, len(l.open))
	for each := range l.open {
		all = append(all, each)
	}
	return all
}

// Serve serves until the context ends, and then drains: leave is called first, and has to make every answer say "Connection: close"; connections
// without a request are closed after idle, or at once when there is a hurry, since nobody follows who would answer their next one; all that are left
// after idle and limit.
func Serve(
	ctx context.Context, server *http.Server, listener *Listener, leave func(), idle, limit time.Duration, hurry <-chan struct{},
) error {
	server.ConnState = watch
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	leave()
	_ = listener.Listener.Close() // the successor has a descriptor of its own
	if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		log.Warn("accepting ended otherwise than expected", "error", err)
	}
	wait(listener, idle, idle+limit, hurry)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEnd)
	defer cancel()
	err := server.Shutdown(last)
	listener.lingering.Wait()
	return err
}

func wait(listener *Listener, idle, limit time.Duration, hurry <-chan struct{}) {
	began := time.Now()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for open := listener.conns(); len(open) > 0; open = listener.conns() {
		waited := time.Since(began)
		for _, each := range open {
			if waited >= limit || (waited >= idle && !each.Busy()) {
				each.cut()
			}
		}
		if waited >= limit {
			log.Warn("connections were cut after a drain", "connections", len(open), "seconds", waited.Seconds())
			return
		}
		select {
		case <-hurry:
			hurry, idle, limit = nil, 0, min(limit, time.Since(began)+limit-idle)
		case <-tick.C:
		}
	}
}
