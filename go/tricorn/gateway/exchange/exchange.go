// Package exchange is what is known of one HTTP request while it is answered; it travels in the request's context.
package exchange

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"tricorn/contract"
	"tricorn/gateway/problem"
	"tricorn/wire"
)

// Exchange is one request and what became of it. The gateway makes it; one goroutine at a time writes to it.
type Exchange struct {
	// Policy is that of the method that is asked for; nil for pages and mounts.
	Policy *contract.Policy
	// Route is "GET /api/v1/products/{product_id}", or "/package.Service/Method" for RPC from outside; "" when there is none.
	Route string
	// Segments are the path's, still percent-encoded and without a custom verb.
	Segments []string
	// Peer is the address at the other end of the connection, Client that of whoever sent the request, behind trusted proxies.
	Peer, Client string
	// Started is when the head of the request was read.
	Started time.Time
	TraceID string
	// RequestID is the caller's own id for the request; "" when there is none that is fit to be repeated.
	RequestID string

	// Identity is whoever calls; nil for nobody in particular. Denied says why there is none where one was claimed or is needed. Caller is what is
	// at hand of them; nil: nothing is.
	Identity *wire.Identity
	Denied   *contract.Refusal
	Caller   *Caller

	// Status and Code are those of the answer: Code is the reason of a failure, "" for success.
	Status int
	Code   string
	// Repeats says that the answer was kept or may be: the same request is likely to come again, and to be answered from memory.
	Repeats bool
	// Timings are the parts of the answer's time, in the order they ended.
	Timings []Timing

	// Lines are of the answer's head ("Name: value\r\n"), for whoever sends it; Say adds to them. nil: nobody takes them, the http.Header has all.
	Lines []byte

	// RefuseWith writes a failure in the form of the request's protocol; nil: as problem+json.
	RefuseWith func(http.ResponseWriter, *http.Request, *problem.Problem)
}

// Caller is somebody whose token is remembered, with what guards and caches found of them the last time: among many callers each look-up in a memory
// of its own costs more than what it finds. It lasts as long as the token is remembered. Whoever puts something here can tell whether it still
// holds, and is the only one who reads it; several requests may do so at once.
type Caller struct {
	Identity wire.Identity
	// Proven is what whoever identified them knows of their token; it stays as it is.
	Proven any
	// Counted is the limits', Answered the cache's.
	Counted, Answered atomic.Value
}

// Timing is where a part of an answer's time went.
type Timing struct {
	Name string
	Took time.Duration
}

type key struct{}

// With gives a context in which Of finds the exchange.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, key{}, x)
}

// Of is the exchange that a context belongs to; outside of the gateway an empty one, never nil.
func Of(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(key{}).(*Exchange); ok {
		return x
	}
	return &Exchange{Started: time.Now()}
}

// Took notes how long a part of the work was, for Server-Timing and the log.
func (x *Exchange) Took(name string, d time.Duration) {
	for index := range x.Timings {
		if x.Timings[index].Name == name {
			x.Timings[index].Took = d
			return
		}
	}
	x.Timings = append(x.Timings, Timing{name, d})
}

// Say puts into the answer's head what every answer of a kind has: as a line, which costs less than an entry of the header, where there is who takes
// it. The value has no line ends, and nothing is said twice.
func (x *Exchange) Say(w http.ResponseWriter, name, value string) {
	if x.Lines == nil {
		w.Header()[name] = []string{value}
		return
	}
	x.Lines = append(append(append(append(x.Lines, name...), ": "...), value...), "\r\n"...)
}

// SayNumber is Say for a number.
func (x *Exchange) SayNumber(w http.ResponseWriter, name string, value int) {
	if x.Lines == nil {
		w.Header()[name] = []string{strconv.Itoa(value)}
		return
	}
	x.Lines = append(strconv.AppendInt(append(append(x.Lines, name...), ": "...), int64(value), 10), "\r\n"...)
}

// UserID is the caller's; "" for nobody in particular.
func (x *Exchange) UserID() string {
	if x.Identity == nil {
		return ""
	}
	return x.Identity.UserID
}

// Refuse answers with a failure.
func (x *Exchange) Refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	x.Code, x.Status = p.Code, p.Status
	if x.RefuseWith != nil {
		x.RefuseWith(w, r, p)
		return
	}
	header := w.Header()
	for name, values := range p.Header {
		header[name] = values
	}
	body := p.Body(x.TraceID)
	header.Set("Content-Type", problem.ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever left does not miss it
	}
}
