package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway"
	"tricorn/gateway/exchange"
	"tricorn/gateway/library"
	"tricorn/gateway/problem"
)

// pipes are connections on which what is sent at once is read at once, and on its own: sending waits until all of it was read.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// halfless cannot be closed by halves, so that nobody waits for the other half.
type halfless struct{ net.Conn }

func (halfless) CloseWrite() error { return errors.ErrUnsupported }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p *pipes) keep(t *testing.T) *kept {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
	p.conns <- halfless{theirs}
	return newKept(ours)
}

func serveByPipes(t *testing.T, backend *library.Library, changes ...func(*gateway.Config)) (*place, *pipes) {
	t.Helper()
	by := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	return serveBy(t, by, backend, append([]func(*gateway.Config){keeping(t)}, changes...)...), by
}

// last asks for what ends the connection, and checks that nothing was answered that nobody waits for.
func (k *kept) last(t *testing.T) {
	t.Helper()
	if got := k.ask(t, "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); got.status != 404 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	k.ended(t)
}

func TestAKnownHeadInTwoSegmentsIsOneRequest(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{})
	for cut := 1; cut < len(shelf); cut += 3 {
		conn := by.keep(t)
		conn.learn(t, at, shelf)
		before := at.server.Repeated()

		conn.send(t, shelf[:cut])
		got := conn.ask(t, shelf[cut:])

		if got.status != 200 || at.server.Repeated() != before {
			t.Fatalf("cut at %d: %d", cut, got.status)
		}
		conn.last(t)
	}
}

func TestTwoKnownHeadsInOneSegmentAreTwoRequests(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{})
	conn := by.keep(t)
	conn.learn(t, at, shelf)
	for range 5 {
		before := at.server.Repeated()
		conn.send(t, shelf+shelf)
		for range 2 {
			if got := conn.read(t); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		if at.server.Repeated() != before {
			t.Fatal("two heads are known as one")
		}
		conn.learn(t, at, shelf)
	}
	conn.last(t)
}

func TestAKnownHeadInTheBodyOfARequestIsNotARequest(t *testing.T) {
	const post = "POST /v1/books/b1:lend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	const nowhere = "POST /nope HTTP/1.1\r\nHost: a\r\n"
	length, size := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(shelf)), fmt.Sprintf("%x\r\n", len(shelf))
	const chunked = "Transfer-Encoding: chunked\r\n\r\n"
	for name, each := range map[string]struct {
		pieces []string
		status int
	}{
		"of a length":                       {[]string{post + length, shelf}, 400},
		"in the same segment":               {[]string{post + length + shelf}, 400},
		"in chunks":                         {[]string{post + chunked + size, shelf, "\r\n0\r\n\r\n"}, 400},
		"of a length that nobody wants":     {[]string{nowhere + length, shelf}, 404},
		"in chunks that nobody wants":       {[]string{nowhere + chunked + size, shelf, "\r\n0\r\n\r\n"}, 404},
		"of a room's length, and not alone": {[]string{nowhere + "Content-Length: 4096\r\n\r\n", shelf, strings.Repeat("x", 4096-len(shelf))}, 404},
	} {
		t.Run(name, func(t *testing.T) {
			made := make(chan struct{}, 1000)
			at, by := serveByPipes(t, &library.Library{}, func(c *gateway.Config) {
				c.Observe = func(gateway.Observation) { made <- struct{}{} }
			})
			conn := by.keep(t)
			conn.learn(t, at, shelf)
			before := at.server.Repeated()
			for range len(made) {
				<-made
			}

			for index, piece := range each.pieces {
				conn.send(t, piece)
				if index == 0 && each.status == 404 {
					<-made // it is answered before its body came
				}
			}
			got := conn.read(t)

			if got.status != each.status || at.server.Repeated() != before {
				t.Fatalf("%d %s, %d more known", got.status, got.body, at.server.Repeated()-before)
			}
			conn.last(t)
		})
	}
}

func TestAKnownHeadThatGoesOnWithAnotherHeadIsNotARequest(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{})
	for name, before := range map[string]string{"on its own": "", "with the request before": shelf} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // net/http may read the first byte on its own while it answers
				conn := by.keep(t)
				conn.learn(t, at, shelf)
				known := at.server.Repeated()

				conn.send(t, before+"GET /nothing HTTP/1.1\r\n")
				if before != "" {
					conn.read(t)
				}
				conn.send(t, shelf)
				got := conn.read(t)

				if got.status != 400 || at.server.Repeated() != known {
					t.Fatalf("%d %s", got.status, got.body)
				}
				conn.ended(t)
			}
		})
	}
}

func TestAKnownHeadBehindBlankLinesIsOneRequest(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{})
	for _, blank := range []string{"\n", "\r\n", "\n\n", "\r\n\r\n"} {
		for _, pieces := range [][]string{{blank, shelf}, {blank + shelf}} {
			conn := by.keep(t)
			conn.learn(t, at, shelf)
			conn.send(t, "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
			conn.answered(t, 404)

			for _, piece := range pieces {
				conn.send(t, piece)
			}

			if got := conn.read(t); got.status != 200 {
				t.Fatalf("%q: %d %s", pieces, got.status, got.body)
			}
			conn.last(t)
		}
	}
}

func TestAKnownHeadOfWhichAByteCameDuringTheRequestBeforeIsOneRequest(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	at, by := serveByPipes(t, &library.Library{}, between(
		func(_ *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("X-Wait") != "" {
				asked <- struct{}{}
				<-goOn
			}
			next.ServeHTTP(w, r)
		}))
	conn := by.keep(t)
	conn.learn(t, at, shelf)
	for range 3 {
		conn.send(t, "GET /v1/shelves/s2 HTTP/1.1\r\nHost: a\r\nX-Wait: 1\r\nConnection: keep-alive\r\nTrailer: a\r\n\r\n")
		<-asked
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(conn, shelf[:1])
			sent <- err
		}()
		goOn <- struct{}{}

		conn.answered(t, 200)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		conn.send(t, shelf[1:])
		conn.answered(t, 200)
		conn.learn(t, at, shelf)
	}
	conn.last(t)
}

// frame is one of HTTP/2; whoever announces more than is there sends it later.
func frame(kind, flags, stream byte, announced int, payload string) string {
	return string([]byte{byte(announced >> 16), byte(announced >> 8), byte(announced), kind, flags, 0, 0, 0, stream}) + payload
}

// readFrame reads until a frame of a kind comes, and gives its payload.
func (k *kept) readFrame(kind byte) (string, error) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(k.reader, head[:]); err != nil {
			return "", err
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(k.reader, payload); err != nil || head[3] == kind {
			return string(payload), err
		}
	}
}

func TestAKnownHeadIsNotARequestOnAConnectionThatSpeaksHTTP2(t *testing.T) {
	const data, headers, settings, ping, room = 0, 1, 4, 6, 4096 // the size of net/http's room
	const fields = "\x83\x86\x01\x01a\x04\x11/v1/books/b1:lend\x40\x06x-wait\x011"
	asked, goOn := make(chan struct{}), make(chan struct{})
	at, by := serveByPipes(t, &library.Library{}, between(
		func(x *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("X-Wait") == "" {
				next.ServeHTTP(w, r)
				return
			}
			close(asked)
			<-goOn
			x.Refuse(w, r, problem.New(contract.ReasonNotFound, "no such book"))
		}))
	by.keep(t).learn(t, at, shelf)
	before := at.server.Repeated()
	conn := by.keep(t)
	answered, echoed := make(chan string, 1), make(chan error, 1)
	go func() {
		block, _ := conn.readFrame(headers)
		answered <- block
		_, err := conn.readFrame(ping)
		echoed <- err
	}()

	conn.send(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frame(settings, 0, 0, 0, ""))
	conn.send(t, frame(headers, 4, 1, len(fields), fields))
	<-asked
	conn.send(t, frame(data, 0, 1, room, ""))
	close(goOn)
	block := <-answered
	conn.send(t, shelf)
	conn.send(t, strings.Repeat("x", room-len(shelf)))
	conn.send(t, frame(ping, 0, 0, 8, "12345678"))

	if err := <-echoed; err != nil || !strings.HasPrefix(block, "\x8d") || at.server.Repeated() != before { // 0x8d is 404
		t.Fatalf("%q, then %v, %d more known", block, err, at.server.Repeated()-before)
	}
}

func TestAKnownHeadGoesThroughATunnel(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{}, below("/live", mounted(t)))
	conn := by.keep(t)
	conn.learn(t, at, shelf)
	before := at.server.Repeated()
	conn.send(t, "GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\n")
	if answer, err := http.ReadResponse(conn.reader, nil); err != nil || answer.StatusCode != 101 {
		t.Fatalf("%v %v", answer, err)
	}

	conn.send(t, shelf)

	for line := range strings.Lines(strings.ToUpper(shelf)) {
		if got, err := conn.reader.ReadString('\n'); err != nil || got != line {
			t.Fatalf("%q %v, not %q", got, err, line)
		}
	}
	if at.server.Repeated() != before {
		t.Fatal("it was answered")
	}
}

func TestOnlyWholeHeadsOfPlainRequestsAreKept(t *testing.T) {
	const line = "GET /v1/shelves/s1 HTTP/1.1\r\nHost: a\r\n"
	for name, each := range map[string]struct {
		sent   string
		status int
	}{
		"of HTTP/1.0":            {"GET /v1/shelves/s1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 200},
		"the last one":           {line + "Connection: close\r\n\r\n", 200},
		"with an expectation":    {line + "Expect: 100-continue\r\n\r\n", 200},
		"with an upgrade":        {line + "Connection: Upgrade\r\nUpgrade: capitals\r\n\r\n", 200},
		"with a body":            {line + "Content-Length: 2\r\n\r\n{}", 400},
		"with an announcement":   {line + "Content-Length: 4\r\n\r\n\r\n\r\n", 400},
		"with chunks":            {line + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
		"that is long":           {line + "X-Long: " + strings.Repeat("x", 2<<10) + "\r\n\r\n", 200},
		"with bare line ends":    {strings.ReplaceAll(shelf, "\r", ""), 200},
		"with one bare end":      {line + "X-A: b\n\r\n", 200},
		"with a bare end inside": {line + "X-A: b\nX-B: c\r\n\r\n", 200},
		"with a bare last end":   {line + "X-A: b\r\n\n", 200},
		"behind a blank line":    {"\n" + shelf, 400},
		"that changes things":    {"POST /v1/books/b1:lend HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200},
		"whose answer is not":    {"GET /v1/covers/c HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"of a page":              {"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"of nothing":             {"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404},
	} {
		t.Run(name, func(t *testing.T) {
			at, by := serveByPipes(t, &library.Library{})
			for range 6 {
				conn := by.keep(t)
				conn.learn(t, at, shelf)
				before := at.server.Repeated()

				got := conn.ask(t, each.sent)

				if got.status != each.status || at.server.Repeated() != before {
					t.Fatalf("%d %s, %d more known", got.status, got.body, at.server.Repeated()-before)
				}
				_ = conn.Close()
			}
		})
	}
}

func TestTheHeadOfARequestForAHeadIsNotKept(t *testing.T) {
	at, by := serveByPipes(t, &library.Library{})
	for range 6 {
		conn := by.keep(t)
		conn.learn(t, at, shelf)
		before := at.server.Repeated()

		conn.send(t, "HEAD"+strings.TrimPrefix(shelf, "GET"))
		answer, err := http.ReadResponse(conn.reader, &http.Request{Method: http.MethodHead})

		if err != nil || answer.StatusCode != 200 || at.server.Repeated() != before {
			t.Fatalf("%v %v", answer, err)
		}
		conn.last(t)
	}
}

func TestTheHeadOfALargeAnswerIsNotKept(t *testing.T) {
	at, by := serveByPipes(t, served(answers{"GetShelf": func(_ context.Context, request, answer protoreflect.Message) error {
		if get(request, "shelf_id").String() == "large" {
			field(answer, "shelf_id", strings.Repeat("x", 100<<10))
		}
		return nil
	}}))
	for range 6 {
		conn := by.keep(t)
		conn.learn(t, at, shelf)
		before := at.server.Repeated()

		got := conn.ask(t, strings.Replace(shelf, "s1", "large", 1))

		if len(got.body) < 100<<10 || at.server.Repeated() != before {
			t.Fatalf("%d bytes, %d more known", len(got.body), at.server.Repeated()-before)
		}
	}
}
