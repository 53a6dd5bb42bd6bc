package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tricorn/gateway"
	"tricorn/gateway/library"
)

const handovers = 10

// client asks again and again, never twice for one answer, until it is told to stop. It keeps its connection until it is told to close it, or takes a
// new one for each request.
type client struct {
	address string
	keeps   bool
	asked   *atomic.Int64
	// ticks has one for each answer, as long as somebody takes them.
	ticks chan struct{}
}

func (c *client) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.oneConnection(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) oneConnection(ctx context.Context) error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	reader := bufio.NewReader(conn)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, "GET /v1/books/b1 HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return fmt.Errorf("read the head: %w", err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			return fmt.Errorf("read the body of %s: %w", answer.Status, err)
		}
		c.asked.Add(1)
		select {
		case c.ticks <- struct{}{}:
		default:
		}
		if answer.Close || !c.keeps {
			return nil
		}
	}
	return nil
}

// shared gives another descriptor of a listening socket, as a supervisor hands it to a successor.
func shared(t *testing.T, listener net.Listener) net.Listener {
	t.Helper()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	made, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestASuccessorTakesOverWithoutLosingARequest(t *testing.T) {
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	start := func() (leave context.CancelFunc, left chan error) {
		made, err := gateway.New(configured(t, &library.Library{}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(context.Background())
		left = make(chan error, 1)
		listener := shared(t, public)
		go func() { left <- made.Serve(ctx, listener) }()
		return leave, left
	}
	leave, left := start()
	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	var clients sync.WaitGroup
	failures, ticks := make(chan error, 8), make(chan struct{}, 100)
	for index := range 6 {
		each := client{public.Addr().String(), index%2 == 0, &asked, ticks}
		clients.Go(func() {
			if err := each.run(ctx); err != nil {
				failures <- err
			}
		})
	}

	for range handovers {
		next, nextLeft := start()
		for range 2 * cap(ticks) { // both serve for a while
			select {
			case <-ticks:
			case failure := <-failures:
				t.Fatalf("after %d requests: %v", asked.Load(), failure)
			}
		}
		leave()
		if err := <-left; err != nil {
			t.Fatalf("a drain ended with %v", err)
		}
		leave, left = next, nextLeft
	}
	stop()
	clients.Wait()
	leave()
	<-left

	close(failures)
	for failure := range failures {
		t.Errorf("after %d requests: %v", asked.Load(), failure)
	}
}
