package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tricorn/contract"
	"tricorn/gateway/drain"
	"tricorn/gateway/problem"
	"tricorn/gateway/repeat"
	"tricorn/telemetry"
)

const (
	readAhead = 3
	// heads is how many heads are known at once: as many as tokens.
	heads      = 20_000
	unreadable = "Invalid HTTP request received."
)

// errLate is what a body that did not come in time ends with; where the connection is from and to is nobody's business.
var errLate = fmt.Errorf("the body did not come in time: %w", os.ErrDeadlineExceeded)

// Server serves a gateway on listening sockets.
type Server struct {
	gateway  *gateway
	heads    *repeat.Heads
	repeated atomic.Int64
}

// New makes a gateway. It fails when the contracts and the configuration do not fit: a rate class or role that is not declared, two methods at one
// path, a route that cannot be served.
func New(config Config) (*Server, error) {
	if config.Limits == (Limits{}) {
		config.Limits = DefaultLimits()
	}
	made, err := newGateway(config)
	if err != nil {
		return nil, fmt.Errorf("make the gateway: %w", err)
	}
	return &Server{gateway: made, heads: repeat.New(heads)}, nil
}

// Repeated is how many requests were answered so far whose head was known from before.
func (s *Server) Repeated() int64 { return s.repeated.Load() }

// Handler answers requests without a socket, for tests.
func (s *Server) Handler() http.Handler { return s.gateway }

// Serve answers what comes in by a listener until the context ends, and then drains: the listener is closed (a successor has a descriptor of its
// own), answers say "Connection: close", event streams end, and requests under way get Limits.DrainTime. A server serves once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	limits := s.gateway.config.Limits
	accepting := &drain.Listener{
		Listener: listener, WriteTime: limits.WriteTime, KeepAlive: limits.KeepAlive, Again: s.serveAgain, Fault: fault,
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		Protocols:         protocols,
		ReadHeaderTimeout: limits.HeaderTime,
		IdleTimeout:       limits.KeepAlive,
		// OPTIONS * is a path like any other here: there is nothing at it.
		DisableGeneralOptionsHandler: true,
		// More is read than is taken, so that what is too much can be told from what cannot be read.
		MaxHeaderBytes: readAhead * limits.HeaderBytes,
		ConnContext:    drain.WithConn,
		ErrorLog:       stdlog.New(quiet{}, "", 0),
	}
	leave := func() { close(s.gateway.drained) }
	err := drain.Serve(ctx, server, accepting, leave, limits.IdleTime, limits.DrainTime, s.gateway.config.Hurry)
	if err != nil {
		return fmt.Errorf("serve the gateway: %w", err)
	}
	return nil
}

// serveHTTP answers, and lets the connection know what is left of the request.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	conn := drain.Of(r.Context())
	head := conn.Noted()
	conn.Begin(r.ContentLength)
	if isUnreadable(r, conn) {
		conn.Refuse()
		conn.End(true)
		panic(http.ErrAbortHandler)
	}
	came := arrival{peer: drain.Host(r.RemoteAddr)}
	if !conn.Framed() {
		came.conn = conn
	}
	if r.ContentLength == 0 {
		defer conn.End(false)
		if x := s.gateway.serveOn(r.Context(), came, w, r); x.Repeats {
			s.heads.Keep(head, r, x.Caller)
		}
		return
	}
	body := &watchedBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
	body.Within(s.gateway.config.Limits.BodyTime)
	defer func() {
		unfinished := !body.leave() && r.ProtoMajor == 1
		if unfinished {
			s.limitRest(w)
		}
		conn.End(unfinished)
	}()
	r.Body = body
	s.gateway.serveOn(r.Context(), came, w, r)
}

// serveAgain answers a request that came before with the same bytes, as serveHTTP does when net/http has read them.
func (s *Server) serveAgain(answer *drain.Answer, head []byte) bool {
	conn := answer.Conn()
	known, worth := s.heads.Find(head)
	if known != nil {
		s.repeated.Add(1)
		came := arrival{peer: conn.Peer(), conn: conn, known: true, caller: known.Caller}
		s.gateway.serveOn(conn.Context(), came, answer, &known.Request)
		return true
	}
	if worth {
		conn.Note(string(head))
	}
	return false
}

// isUnreadable tells whether a request is one of those that net/http reads and that are no HTTP to others, so that no handler should see them: for a
// proxy, with a target beyond ASCII, with a body of two lengths, or in HTTP/1 that calls itself HTTP/2.
func isUnreadable(r *http.Request, conn *drain.Conn) bool {
	return !conn.Framed() && (r.ProtoMajor != 1 || r.Method == http.MethodConnect || !isASCII(r.RequestURI) ||
		(len(r.TransferEncoding) > 0 && conn.Contradicts()))
}

// limitRest bounds the time in which net/http reads what a handler left of a body, so that it can keep the connection.
func (s *Server) limitRest(w http.ResponseWriter) {
	rest := time.Now()
	if w.Header().Get("Connection") != "close" {
		rest = rest.Add(s.gateway.config.Limits.BodyTime)
	}
	_ = http.NewResponseController(w).SetReadDeadline(rest) // where it fails the connection is gone
}

// watchedBody knows whether all of it was read; whoever has read it may take their time.
type watchedBody struct {
	io.ReadCloser
	control *http.ResponseController

	mutex sync.Mutex // a mount's may be read by another goroutine
	until time.Time
	ended bool
	left  bool
	err   error
}

// Within gives the client this time to send it, from now on.
func (b *watchedBody) Within(limit time.Duration) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.until = time.Now().Add(limit)
	_ = b.control.SetReadDeadline(b.until) // where it fails the connection is gone
}

// Read reads.
func (b *watchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err == nil {
		return n, nil
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch {
	case err == io.EOF: //nolint:errorlint // readers give it bare
		if !b.ended && !b.left {
			b.ended = true
			_ = b.control.SetReadDeadline(time.Time{}) // where it fails the connection is gone
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err, err = errLate, errLate
	default:
		b.err = err
	}
	return n, err
}

// Late tells whether it did not come in time. net/http ends the request's context before the reader is told.
func (b *watchedBody) Late() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return !b.ended && !time.Now().Before(b.until)
}

// broke tells whether it ended with an error: what its client sends from then on is no request.
func (b *watchedBody) broke() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.err != nil
}

// leave says that nobody reads any more, and tells whether all of it was read.
func (b *watchedBody) leave() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.left = true
	return b.ended
}

// fault is the whole answer to a request that could not be read as HTTP.
func fault(what drain.Fault) []byte {
	var found *problem.Problem
	switch what.Status {
	case http.StatusRequestTimeout:
		found = problem.New(contract.ReasonDeadlineExceeded, "the headers did not come in time").WithStatus(what.Status)
	case http.StatusRequestHeaderFieldsTooLarge:
		found = problem.New(contract.ReasonPayloadTooLarge, "the headers are too large").WithStatus(what.Status)
	default:
		found = problem.New(contract.ReasonMalformedRequest, unreadable)
	}
	trace, _ := telemetry.Trace(telemetry.Continue(context.Background(), ""))
	traceID := fmt.Sprintf("%x", trace.TraceID)
	body := found.Body(traceID)
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Trace-Id: %s\r\n"+
		"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
		found.Status, http.StatusText(found.Status), problem.ContentType, len(body), traceID)
	return append(head, body...)
}

// quiet takes what net/http says of connections that broke, which is nobody's business in the log of a public port.
type quiet struct{}

// Write notes a line.
func (quiet) Write(line []byte) (int, error) {
	log.Debug("the server said", "line", strings.TrimSpace(string(line)))
	return len(line), nil
}
