// Package mounts passes path prefixes on to the HTTP sockets of other processes, upgrades included.
package mounts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
	"tricorn/telemetry"
)

const (
	connectTime = 2 * time.Second
	idleTime    = 5 * time.Second
	ours        = "Tricorn-"
	// changed is the header by which an answer says that somebody who may do so has changed something that others may have been told. It is for
	// the gateway alone.
	changed = ours + "Changed"
)

var log = telemetry.Logger("tricorn.gateway")

// Mount is a path prefix that the HTTP server at a unix socket answers.
type Mount struct {
	Prefix string
	Socket string
}

// Rules hold for all mounts.
type Rules struct {
	// Patience is how long a request's body may take to come, and then the head of its answer.
	Patience time.Duration
	// Body is the most bytes that a request's body may have.
	Body int64
	// Trusts tells whose X-Forwarded-* headers are believed.
	Trusts func(peer string) bool
	// Changed is called before an answer goes out that says by the header Tricorn-Changed that something was changed.
	Changed func()
}

// Mounts finds the mount of a path; the longest prefix wins.
type Mounts struct {
	mounts []mounted
	rules  Rules
}

// body is one that has its time to come.
type body interface {
	Within(limit time.Duration)
	Late() bool
}

type bodyKey struct{}

type mounted struct {
	prefix  string
	handler http.Handler
}

// New makes mounts ready. It fails when a prefix takes everything or stands twice, and when a socket is missing.
func New(declared []Mount, rules Rules) (*Mounts, error) {
	made := &Mounts{rules: rules}
	for _, mount := range declared {
		prefix := strings.TrimRight(mount.Prefix, "/")
		if !strings.HasPrefix(prefix, "/") {
			return nil, fmt.Errorf("the mount %q does not begin with / or takes everything", mount.Prefix)
		}
		if slices.ContainsFunc(made.mounts, func(other mounted) bool { return other.prefix == prefix }) {
			return nil, fmt.Errorf("the mount %s is declared twice", prefix)
		}
		if mount.Socket == "" {
			return nil, fmt.Errorf("the mount %s needs a socket", prefix)
		}
		made.mounts = append(made.mounts, mounted{prefix, made.proxy(mount.Socket)})
	}
	slices.SortFunc(made.mounts, func(a, b mounted) int { return len(b.prefix) - len(a.prefix) })
	return made, nil
}

// Find gives the handler of a path; nil when nobody has it.
func (m *Mounts) Find(path string) http.Handler {
	for _, each := range m.mounts {
		if rest, under := strings.CutPrefix(path, each.prefix); under && (rest == "" || rest[0] == '/') {
			return each.handler
		}
	}
	return nil
}

func (m *Mounts) proxy(socket string) http.Handler {
	dialer := &net.Dialer{Timeout: connectTime}
	proxy := &httputil.ReverseProxy{
		Rewrite: m.rewrite,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
			DisableCompression:    true,
			ResponseHeaderTimeout: m.rules.Patience,
			// A request on a kept connection is lost when the server closes it meanwhile; a new one to a unix socket costs little.
			DisableKeepAlives: true,
			IdleConnTimeout:   idleTime,
		},
		FlushInterval:  -1,
		ModifyResponse: m.hear,
		ErrorHandler:   unavailable,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > m.rules.Body {
			exchange.Of(r.Context()).Refuse(w, r, problem.BodyTooLarge(m.rules.Body))
			return
		}
		if r.ContentLength != 0 {
			ctx := r.Context()
			if limited, ok := r.Body.(body); ok {
				limited.Within(m.rules.Patience)
				ctx = context.WithValue(ctx, bodyKey{}, limited)
			}
			r = r.WithContext(ctx)
			r.Body = http.MaxBytesReader(w, r.Body, m.rules.Body)
		}
		proxy.ServeHTTP(w, r)
	})
}

// hear takes from an answer what it says to the gateway.
func (m *Mounts) hear(answer *http.Response) error {
	if answer.Header.Get(changed) != "" {
		m.rules.Changed()
	}
	for name := range answer.Header {
		if strings.HasPrefix(name, ours) {
			delete(answer.Header, name)
		}
	}
	return nil
}

// rewrite takes off what outsiders must not say: the platform's own headers, and X-Forwarded-* unless a trusted proxy sent them.
func (m *Mounts) rewrite(pr *httputil.ProxyRequest) {
	x := exchange.Of(pr.In.Context())
	pr.Out.URL.Scheme, pr.Out.URL.Host = "http", "mounted"
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Host = pr.In.Host
	for name := range pr.Out.Header {
		if strings.HasPrefix(name, ours) || isForwarded(name) {
			delete(pr.Out.Header, name)
		}
	}
	if m.rules.Trusts(x.Peer) {
		for name, values := range pr.In.Header {
			if isForwarded(name) {
				pr.Out.Header[name] = slices.Clone(values)
			}
		}
	}
	pr.Out.Header.Add("X-Forwarded-Proto", "http")
	pr.Out.Header.Add("X-Forwarded-For", x.Peer)
}

func isForwarded(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded"
}

func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	x := exchange.Of(r.Context())
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		x.Refuse(w, r, problem.BodyTooLarge(large.Limit))
		return
	}
	if limited, ok := r.Context().Value(bodyKey{}).(body); ok && limited.Late() {
		x.Refuse(w, r, problem.New(contract.ReasonDeadlineExceeded, "the body did not come in time").
			WithStatus(http.StatusRequestTimeout).WithHeader("Connection", "close"))
		return
	}
	if r.Context().Err() != nil {
		x.Status, x.Code = contract.Entry(contract.ReasonCancelled).HTTP, contract.ReasonCancelled
		return
	}
	log.WarnContext(r.Context(), "a mounted part did not answer", "path", r.URL.Path, "error", err)
	detail := "this part did not answer"
	if isDial(err) {
		detail = "this part is not running at the moment"
	}
	x.Refuse(w, r, problem.FromRefusal(contract.Refuse(contract.ReasonUnavailable, detail), nil))
}

func isDial(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}
