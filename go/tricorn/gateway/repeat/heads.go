// Package repeat knows requests by the bytes of their heads, so that one that was read and understood before need not be read again.
//
// What is known of a head is only what follows from its bytes: how it reads. Who asks, whether they still may, and what is answered is found out for
// each request.
package repeat

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"

	"tricorn/gateway/exchange"
	"tricorn/gateway/recent"
)

const (
	// longest is the most that a head may have which is kept, and most how many values of headers: short ones take several times their bytes.
	longest = 2 << 10
	most    = 32
	// sightings is how many heads that came once are told from new ones.
	sightings = 1 << 16
)

// asks is how a head begins that may be kept: of others, which may have a body behind them, not even a hash is made.
var asks = []byte("GET /")

// Heads are those of requests that came more than once, a bounded number.
type Heads struct {
	seed  maphash.Seed
	known *recent.Memory[*Known]
	// seen has a part of the hash of each head that came, where no other one has taken its place.
	seen [sightings]atomic.Uint32
}

// Known is a head that came before. Nobody changes it.
type Known struct {
	recent.Use
	head string
	// Request is how it reads; it belongs to no connection.
	Request http.Request
	// Caller is whose token it holds, where that was remembered; whether it still counts is to be asked.
	Caller *exchange.Caller
}

// New knows nothing yet, and later at most about so many; of each it holds some 6 KiB at most.
func New(count int) *Heads {
	return &Heads{seed: maphash.MakeSeed(), known: recent.New[*Known](count)}
}

// Find gives what is known by this head. nil: nothing; then worth tells whether the head came before and may be kept.
func (h *Heads) Find(head []byte) (known *Known, worth bool) {
	if !bytes.HasPrefix(head, asks) {
		return nil, false
	}
	hash := maphash.Bytes(h.seed, head)
	if known = h.known.Get(hash); known != nil && known.head == string(head) {
		return known, false
	}
	place, part := &h.seen[hash%sightings], uint32(hash>>32)|1
	if place.Load() != part {
		place.Store(part)
		return nil, false
	}
	return nil, len(head) <= longest && isWhole(head)
}

// isWhole tells whether these bytes are the head of one GET and nothing else, whoever reads them.
func isWhole(head []byte) bool {
	if !bytes.HasPrefix(head, asks) || !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		return false
	}
	for line := range bytes.Lines(head[:len(head)-len("\r\n")]) {
		if len(line) < len("\r\n")+1 || line[len(line)-2] != '\r' {
			return false
		}
	}
	return true
}

// Keep knows a request from now on, which was read from a head that Find called worth it. It keeps none whose answer may need more than an answer of
// known length on a connection that stays.
func (h *Heads) Keep(head string, r *http.Request, caller *exchange.Caller) {
	if head == "" || r.Method != http.MethodGet || r.Proto != "HTTP/1.1" || r.Close || r.ContentLength != 0 || len(r.TransferEncoding) > 0 ||
		len(r.Header["Expect"]) > 0 || len(r.Header["Upgrade"]) > 0 || len(r.Trailer) > 0 || values(r.Header) > most {
		return
	}
	known := &Known{head: head, Caller: caller, Request: http.Request{
		Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: within(head, r.Header), Body: http.NoBody, Host: r.Host, RequestURI: r.RequestURI,
	}}
	h.known.Put(maphash.String(h.seed, head), known)
}

func values(header http.Header) int {
	count := 0
	for _, each := range header {
		count += len(each)
	}
	return count
}

// within gives headers whose values lie in the head, and side by side: so they are held once, and at hand together.
func within(head string, header http.Header) http.Header {
	room, made := make([]string, 0, values(header)), make(http.Header, len(header))
	for name, values := range header {
		first := len(room)
		for _, value := range values {
			if at := strings.Index(head, value); at >= 0 {
				value = head[at : at+len(value)]
			}
			room = append(room, value)
		}
		made[name] = room[first:len(room):len(room)]
	}
	return made
}
