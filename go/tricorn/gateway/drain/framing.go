package drain

import (
	"bytes"
	"sync"
	"sync/atomic"
)

const (
	announces = "content-length:"
	blankEnd  = "\r\n\r\n"
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// framing looks at what a connection reads for heads that announce a length. net/http forgets that header where a body comes in chunks, too: what
// such a request means depends on who reads it, so nobody should.
//
// What it knows begins anew with each request that surely begins with a read. Of those that were sent before an answer came, it can only say that
// one of them may have announced a length.
type framing struct {
	mutex   sync.Mutex  // net/http waits for the next request in a goroutine of its own
	greeted int         // how many bytes of the preface came; negative once something else did
	taken   atomic.Bool // net/http has read a head, and not yet all of its request
	early   []byte      // the byte that came while it had, after chunks: likely the first of the next request
	span    span
}

// span is what came since it began anew.
type span struct {
	started   bool  // with something else than blank lines, which net/http skips behind some requests
	read      int64 // bytes
	head      int64 // of these the first head; zero until it ended
	body      int64 // what the first request announced, as net/http understands it
	requests  int
	matched   int     // of announces, at the beginning of a line; negative elsewhere
	last      [4]byte // of what was read
	announced bool    // in the first head
	later     bool    // behind it
}

// see takes what was read, before anybody else does, and tells whether the connection began as one of HTTP/2 does: by the same bytes as net/http.
func (w *framing) see(data []byte) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for at := 0; at < len(data) && w.greeted >= 0 && w.greeted < len(preface); at++ {
		w.greeted++
		if data[at] != preface[w.greeted-1] {
			w.greeted = -1
		}
	}
	// Where net/http needs more for a head, and the last that came is a blank line, nothing is left of what came before.
	blank := string(w.span.last[:]) == blankEnd
	taken, early := w.taken.Load(), w.early
	w.early = nil
	switch {
	case w.span.requests == 0: // it is in the first head
	case w.span.body >= 0 && w.span.read == w.span.head+w.span.body, !taken && blank:
		w.span = span{}
	case taken && blank && len(data) == 1 && w.span.requests == 1 && w.span.body < 0:
		w.early = []byte{data[0]}
	case !taken && early != nil: // it is the first, or the end of the chunks, which is a blank line
		w.span = span{}
		w.span.take(early)
	}
	w.span.take(data)
	return w.greeted == len(preface)
}

// between tells whether nothing is left of what was read, where net/http waits for a request and its room is empty: the room is empty, too, behind
// the first lines of a head that came together with the request before it.
func (w *framing) between() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	s := &w.span
	return s.read == 0 || string(s.last[:]) == blankEnd || (s.requests == 1 && s.body >= 0 && s.read == s.head+s.body)
}

func (s *span) take(data []byte) {
	whole := len(data)
	if whole < len(s.last) {
		copy(s.last[:], s.last[whole:])
	}
	copy(s.last[max(0, len(s.last)-whole):], data[max(0, whole-len(s.last)):])
	if !s.started {
		data = bytes.TrimLeft(data, "\r\n")
		s.started = len(data) > 0
		s.matched = -1 // the first line is no header
	}
	for len(data) > 0 {
		if s.matched >= 0 {
			data = s.match(data, whole)
			continue
		}
		next := bytes.IndexByte(data, '\n')
		if next < 0 {
			break
		}
		data, s.matched = data[next+1:], 0
	}
	s.read += int64(whole)
}

// match compares the beginning of a line, and gives what comes after it or is none; whole is the size of all that was read at once.
func (s *span) match(data []byte, whole int) []byte {
	if s.matched == 0 && data[0] == '\r' {
		return data[1:]
	}
	if s.matched == 0 && data[0] == '\n' {
		if s.head == 0 {
			s.head = s.read + int64(whole-len(data)) + 1
		}
		return data[1:]
	}
	for len(data) > 0 && s.matched < len(announces) && data[0]|0x20 == announces[s.matched] {
		data = data[1:]
		s.matched++
	}
	switch {
	case s.matched == len(announces):
		s.announced = s.announced || s.head == 0
		s.later = s.later || s.head != 0
		s.matched = -1
	case len(data) > 0:
		s.matched = -1
	}
	return data
}

// begin notes that a request is answered; body is what it announced, negative where that is unknown.
func (w *framing) begin(body int64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.early = nil
	w.span.requests++
	if w.span.requests == 1 {
		w.span.body = body
	}
}

// contradicts tells whether a request whose body comes in chunks announced a length as well, or may have.
func (w *framing) contradicts() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.span.requests == 1 {
		return w.span.announced || w.span.head == 0
	}
	return w.span.later
}
