package drain

import (
	"bytes"
	"sync"
)

const (
	announces = "content-length:"
	blankEnd  = "\r\n\r\n"
)

// framing looks at what a connection reads for heads that announce a length. net/http forgets that header where a body comes in chunks, too: what
// such a request means depends on who reads it, so nobody should.
//
// What it knows begins anew with each request that surely begins with a read. Of those that were sent before an answer came, it can only say that
// one of them may have announced a length.
type framing struct {
	mutex sync.Mutex // net/http waits for the next request in a goroutine of its own
	first first
}

type first struct {
	read      int64 // bytes since it began anew
	head      int64 // of these the first head; zero until it ended
	body      int64 // what the first request announced, as net/http understands it
	requests  int
	matched   int  // of announces, at the beginning of a line; negative elsewhere
	announced bool // in the first head
	later     bool // behind it
	ended     bool // the last read did, as a head or chunks do
}

// see takes what was read, before anybody else does; idle while no request is being answered.
func (w *framing) see(data []byte, idle bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	f := &w.first
	if idle && f.requests > 0 && (f.ended || (f.body >= 0 && f.read == f.head+f.body)) {
		*f = first{}
	}
	if f.read == 0 {
		f.matched = -1 // the first line is no header
	}
	f.ended = bytes.HasSuffix(data, []byte(blankEnd))
	whole := len(data)
	for len(data) > 0 {
		if f.matched >= 0 {
			data = f.match(data, whole)
			continue
		}
		next := bytes.IndexByte(data, '\n')
		if next < 0 {
			break
		}
		data, f.matched = data[next+1:], 0
	}
	f.read += int64(whole)
}

// match compares the beginning of a line, and gives what comes after it or is none; whole is the size of all that was read at once.
func (f *first) match(data []byte, whole int) []byte {
	if f.matched == 0 && data[0] == '\r' {
		return data[1:]
	}
	if f.matched == 0 && data[0] == '\n' {
		if f.head == 0 {
			f.head = f.read + int64(whole-len(data)) + 1
		}
		return data[1:]
	}
	for len(data) > 0 && f.matched < len(announces) && data[0]|0x20 == announces[f.matched] {
		data = data[1:]
		f.matched++
	}
	switch {
	case f.matched == len(announces):
		f.announced = f.announced || f.head == 0
		f.later = f.later || f.head != 0
		f.matched = -1
	case len(data) > 0:
		f.matched = -1
	}
	return data
}

// begin notes that a request is answered; body is what it announced, negative where that is unknown.
func (w *framing) begin(body int64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.first.requests++
	if w.first.requests == 1 {
		w.first.body = body
	}
}

// contradicts tells whether a request whose body comes in chunks announced a length as well, or may have.
func (w *framing) contradicts() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.first.requests == 1 {
		return w.first.announced
	}
	return w.first.later
}
