// Package gateway is the public HTTP API of an application: routes, rules and answers follow from the contracts alone.
//
// A request passes one look-up to its endpoint. REST, server-sent events and RPC from outside share routes, guards and the call; what differs is
// how a message is read and an answer written. A client sees the same as from the gateway in Python.
package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tricorn/contract"
	"tricorn/gateway/drain"
	"tricorn/gateway/exchange"
	"tricorn/gateway/limits"
	"tricorn/gateway/mounts"
	"tricorn/gateway/pages"
	"tricorn/gateway/problem"
	"tricorn/gateway/rpc"
	"tricorn/gateway/shed"
	"tricorn/gateway/transcode"
	"tricorn/telemetry"
)

const (
	statusClientGone = 499
	// watched are pages by which somebody decides whether the gateway is of use: it is not less so for being busy.
	watched = "/health"
)

var (
	log = telemetry.Logger("tricorn.gateway")
	// once are headers that may stand twice only with one value, in order of name.
	once = []string{
		"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Traceparent", "X-Request-Id",
	}
	requestID = regexp.MustCompile(`^[A-Za-z0-9._~:/+=-]{1,128}$`)
)

// route is whoever answers a path and a verb.
type route struct {
	name    string
	policy  *contract.Policy // nil: a page
	handler http.Handler
}

// gateway finds who answers a request, and says on every answer what all answers say.
type gateway struct {
	config    Config
	router    *transcode.Router[*route]
	mounts    *mounts.Mounts
	addresses *limits.Addresses
	cors      *cors
	rpc       map[string]*route // by path
	drained   chan struct{}     // closed when the gateway goes away
}

func newGateway(config Config) (*gateway, error) {
	policies, err := config.policies()
	if err != nil {
		return nil, fmt.Errorf("read the contracts: %w", err)
	}
	g := &gateway{config: config, router: transcode.NewRouter[*route](), rpc: map[string]*route{}, drained: make(chan struct{})}
	if g.addresses, err = limits.NewAddresses(config.TrustedProxies); err != nil {
		return nil, err
	}
	g.mounts, err = mounts.New(config.Mounts, mounts.Rules{
		Patience: config.Limits.MountTime, Body: config.Limits.Body, Trusts: g.addresses.Trusts, Changed: g.changed,
	})
	if err != nil {
		return nil, err
	}
	if len(config.CORS.Origins) > 0 {
		g.cors = newCORS(config.CORS)
	}
	asked := &backend{conn: config.Backend, cache: config.Cache}
	for _, policy := range policies {
		if err := g.addMethod(policy, asked); err != nil {
			return nil, err
		}
	}
	return g, g.addPages()
}

func (g *gateway) addMethod(policy *contract.Policy, asked *backend) error {
	for _, at := range policy.Routes {
		binding, err := transcode.NewBinding(policy, at)
		if err != nil {
			return err
		}
		served := newEndpoint(binding, asked, &g.config.Limits, g.drained)
		made := &route{name: binding.Name(), policy: policy, handler: g.guarded(served)}
		if err := g.router.Add(at.Verb, binding.Template, made); err != nil {
			return err
		}
	}
	if policy.ClientStreaming {
		return nil
	}
	handler := rpc.NewHandler(policy, rpc.Backend{Call: asked.call, Open: asked.open, Wrote: asked.wrote}, int(g.config.Limits.Body))
	g.rpc["/"+policy.FullName] = &route{name: "/" + policy.FullName, policy: policy, handler: g.guarded(handler)}
	return nil
}

// changed says that anything may have been changed behind a mount.
func (g *gateway) changed() {
	if g.config.Cache != nil {
		g.config.Cache.Clear()
	}
}

func (g *gateway) addPages() error {
	for path, page := range pages.All(g.config.OpenAPI, g.config.Ready) {
		template, err := transcode.ParseTemplate(path)
		if err != nil {
			return err
		}
		if err := g.router.Add(http.MethodGet, template, &route{name: "GET " + path, handler: page}); err != nil {
			return err
		}
	}
	return nil
}

func (g *gateway) guarded(handler http.Handler) http.Handler {
	for _, guard := range slices.Backward(g.config.Guards) {
		handler = guard(handler)
	}
	return handler
}

// ServeHTTP answers a request.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.serveOn(r.Context(), arrival{peer: drain.Host(r.RemoteAddr)}, w, r)
}

// arrival is how a request came here, which its head does not say.
type arrival struct {
	// peer is the address at the other end of the connection.
	peer string
	// conn carries the answer where it speaks HTTP/1; nil: another does.
	conn *drain.Conn
	// known: the head was read and checked before; caller is whose token it has, nil where that is not known.
	known  bool
	caller *exchange.Caller
}

// serveOn answers a request, in a context that is not that of r where others have the same r.
func (g *gateway) serveOn(ctx context.Context, came arrival, w http.ResponseWriter, r *http.Request) *exchange.Exchange {
	began := time.Now()
	ctx, span := telemetry.StartServer(ctx, header(r, "Traceparent"), r.Method)
	var traceID [2 * len(span.Context.TraceID)]byte
	hex.Encode(traceID[:], span.Context.TraceID[:])
	made := &served{exchange: exchange.Exchange{
		Peer: came.peer, Client: came.peer, Started: began, TraceID: string(traceID[:]), Caller: came.caller,
	}}
	x := &made.exchange
	x.Timings = made.timings[:0]
	if came.conn != nil {
		x.Lines = made.lines[:0]
	}
	if forwarded := r.Header["X-Forwarded-For"]; len(forwarded) > 0 {
		x.Client = g.addresses.Client(came.peer, forwarded)
	}
	if sent := header(r, "X-Request-Id"); sent != "" && requestID.MatchString(sent) {
		x.RequestID = sent
	}
	r = r.WithContext(exchange.With(ctx, x))
	answer := &made.answer
	*answer = answerWriter{ResponseWriter: w, gateway: g, exchange: x, request: r, conn: came.conn}
	defer func() {
		abort := g.recover(answer, r, recover())
		span.Set("http.route", x.Route)
		span.End(failed(x))
		g.observe(r, x)
		if abort {
			panic(http.ErrAbortHandler)
		}
	}()
	g.serve(answer, r, x, came.known)
	return x
}

// served is all that answering a request takes, in one piece of memory.
type served struct {
	exchange exchange.Exchange
	answer   answerWriter
	timings  [4]exchange.Timing
	lines    [256]byte
}

// header is http.Header.Get for a name in its canonical form.
func header(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func failed(x *exchange.Exchange) error {
	if x.Status < http.StatusInternalServerError {
		return nil
	}
	return errors.New(x.Code)
}

// recover answers where a handler panicked. It tells whether the connection is to be broken off instead: half an answer must not look like a whole
// one.
func (g *gateway) recover(w *answerWriter, r *http.Request, cause any) bool {
	if cause == nil {
		return !w.began && w.exchange.Status == statusClientGone
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // it is a value, not an error that was wrapped
		return true
	}
	log.ErrorContext(r.Context(), "a request failed",
		"route", w.exchange.Route, "path", r.URL.Path, "panic", fmt.Sprint(cause), "stack", telemetry.Stack())
	if w.began {
		return true
	}
	w.exchange.Refuse(w, r, problem.Internal())
	return false
}

func (g *gateway) serve(w *answerWriter, r *http.Request, x *exchange.Exchange, checked bool) {
	path, query := target(r)
	place, fits := g.config.Shed.Enter(path == watched || strings.HasPrefix(path, watched+"/"))
	defer place.Leave()
	if !fits {
		x.Refuse(w, r, shed.Busy())
		return
	}
	if !checked {
		if found := g.checkHead(r, path, query); found != nil {
			x.Refuse(w, r, found)
			return
		}
	}
	if method := g.rpc[path]; method != nil && rpc.Speaks(r) {
		x.Route, x.Policy, x.RefuseWith = method.name, method.policy, rpc.Refuse
		if stays(w, r, x, &place) {
			method.handler.ServeHTTP(w, r)
		}
		return
	}
	leaf, segments := g.router.Find(path, r.Method)
	if leaf == nil {
		if mount := g.mounts.Find(path); mount != nil {
			if header(r, "Upgrade") == "" || stays(w, r, x, &place) {
				w.bare = true
				mount.ServeHTTP(w, r)
			}
			return
		}
		x.Refuse(w, r, problem.New(contract.ReasonNotFound, "there is nothing at "+path[:min(len(path), 200)]))
		return
	}
	found := leaf.Routes[r.Method]
	if found == nil && r.Method == http.MethodHead {
		found = leaf.Routes[http.MethodGet]
	}
	if found == nil {
		g.otherwise(w, r, x, leaf)
		return
	}
	x.Route, x.Policy, x.Segments = found.name, found.policy, segments
	if stays(w, r, x, &place) {
		found.handler.ServeHTTP(w, r)
	}
}

// stays counts a request that may last among the streams; false when it was refused, since there are as many as allowed.
func stays(w *answerWriter, r *http.Request, x *exchange.Exchange, place *shed.Place) bool {
	if x.Route != "" && (x.Policy == nil || !x.Policy.ServerStreaming) {
		return true
	}
	if place.Stay() {
		return true
	}
	x.Refuse(w, r, shed.Busy())
	return false
}

// otherwise answers a verb that a path lacks.
func (g *gateway) otherwise(w *answerWriter, r *http.Request, x *exchange.Exchange, leaf *transcode.Leaf[*route]) {
	verbs := []string{http.MethodOptions}
	for verb := range leaf.Routes {
		verbs = append(verbs, verb)
		if verb == http.MethodGet {
			verbs = append(verbs, http.MethodHead)
		}
	}
	slices.Sort(verbs)
	allowed := strings.Join(slices.Compact(verbs), ", ")
	if r.Method != http.MethodOptions {
		detail := r.Method[:min(len(r.Method), 20)] + " is not among " + allowed
		x.Refuse(w, r, problem.New(contract.ReasonMethodNotAllowed, detail).WithHeader("Allow", allowed))
		return
	}
	w.Header().Set("Allow", allowed)
	if g.cors != nil {
		g.cors.preflight(r, w.Header(), allowed)
	}
	w.WriteHeader(http.StatusNoContent)
}

// checkHead refuses heads that go beyond a limit, and headers that contradict themselves.
func (g *gateway) checkHead(r *http.Request, path, query string) *problem.Problem {
	if len(path)+len(query) > g.config.Limits.Target {
		return problem.New(contract.ReasonPayloadTooLarge, "the request's target is too long").
			WithStatus(http.StatusRequestURITooLong).WithHeader("Connection", "close")
	}
	if !isASCII(path) || !isASCII(query) {
		return problem.New(contract.ReasonMalformedRequest, unreadable).WithHeader("Connection", "close")
	}
	count, size := 1, len("host")+len(r.Host) // net/http keeps it apart
	twice := ""
	for name, values := range r.Header {
		count += len(values)
		for _, value := range values {
			size += len(name) + len(value)
			if value != values[0] && slices.Contains(once, name) && (twice == "" || name < twice) {
				twice = name
			}
		}
	}
	if count > g.config.Limits.HeaderCount || size > g.config.Limits.HeaderBytes {
		return tooManyHeaders(&g.config.Limits)
	}
	if twice != "" {
		return problem.New(contract.ReasonMalformedRequest, "the header "+strings.ToLower(twice)+" stands twice")
	}
	return nil
}

func tooManyHeaders(limits *Limits) *problem.Problem {
	detail := fmt.Sprintf("there may be %d headers of %d bytes in all", limits.HeaderCount, limits.HeaderBytes)
	return problem.New(contract.ReasonPayloadTooLarge, detail).
		WithStatus(http.StatusRequestHeaderFieldsTooLarge).WithHeader("Connection", "close")
}

// target is the path and the query as they were sent.
func target(r *http.Request) (string, string) {
	sent, _, _ := strings.Cut(r.RequestURI, "#")
	path, query, _ := strings.Cut(sent, "?")
	if !strings.HasPrefix(path, "/") { // a proxy's form, http://host/path, or a test's
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	return path, query
}

func isASCII(text string) bool {
	for index := range len(text) {
		if text[index] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func rawQuery(r *http.Request) string {
	_, query := target(r)
	return query
}

func (g *gateway) observe(r *http.Request, x *exchange.Exchange) {
	if g.config.Observe == nil {
		return
	}
	seen := Observation{
		Method: r.Method, Route: x.Route, Status: x.Status, Code: x.Code, Took: time.Since(x.Started), Timings: x.Timings,
		TraceID: x.TraceID, UserID: x.UserID(), Client: x.Client,
	}
	if x.Policy != nil {
		seen.RPC = x.Policy.FullName
	}
	g.config.Observe(seen)
}
