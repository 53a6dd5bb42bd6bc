// Package hold keeps many connections open that do nothing, so that what each takes of a server can be weighed.
package hold

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	atOnce  = 64
	timeout = 20 * time.Second
)

// Held are the connections of one server.
type Held struct {
	mutex   sync.Mutex
	sockets []net.Conn
	failure error
}

// Open opens so many connections to HOST:PORT, each of which asks for the path once and is then kept. The count of those that were answered
// is what Count says; the error is the last of the others'.
func Open(ctx context.Context, address, path string, count int) (*Held, error) {
	held := &Held{}
	places := make(chan struct{}, atOnce)
	var opening sync.WaitGroup
	for range count {
		places <- struct{}{}
		opening.Go(func() {
			defer func() { <-places }()
			socket, err := one(ctx, address, path)
			held.mutex.Lock()
			defer held.mutex.Unlock()
			if err != nil {
				held.failure = err
				return
			}
			held.sockets = append(held.sockets, socket)
		})
	}
	opening.Wait()
	return held, held.failure
}

// Count says how many are held.
func (h *Held) Count() int { return len(h.sockets) }

// Close closes them all.
func (h *Held) Close() {
	for _, socket := range h.sockets {
		_ = socket.Close() // nothing is expected of it any more
	}
}

func one(ctx context.Context, address, path string) (_ net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	defer func() {
		if err != nil {
			_ = socket.Close() // it has failed already
		}
	}()
	if err := socket.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("setting the deadline: %w", err)
	}
	if _, err := fmt.Fprintf(socket, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address); err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(socket), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	_ = answer.Body.Close() // short, and in the buffer
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s was answered with %s", path, answer.Status)
	}
	return socket, nil
}
