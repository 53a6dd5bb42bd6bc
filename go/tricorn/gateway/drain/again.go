package drain

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// window is the room in which net/http reads heads. It offers all of it only when nothing is left of what it read before.
	window = 4 << 10
	// largeAnswer is from which size on the room of an answer is not kept for the next one.
	largeAnswer = 64 << 10
)

// begins tells whether what is read into this room begins with the first byte of a request that nobody else has seen anything of.
func (c *Conn) begins(into []byte) bool {
	return len(into) == window && c.listener.Again != nil && c.busy.Load() == 0 && c.unread.Load() == 0 && !c.framing.taken.Load() &&
		!c.framed.Load() && c.framing.between()
}

// again has a request answered by Listener.Again. Where it was, net/http sees nothing of it, and goes on waiting for the next one.
func (c *Conn) again(head []byte) (bool, error) {
	c.busy.Add(1)
	defer c.busy.Add(-1)
	answer := answers.Get().(*Answer)
	defer answer.free()
	answer.conn = c
	if !c.listener.Again(answer, head) {
		return false, nil
	}
	if err := answer.send(); err != nil {
		return true, err
	}
	return true, c.allowIdle()
}

// allowIdle gives the client its time to send the next request. As with writes, of the time an eighth may be gone.
func (c *Conn) allowIdle() error {
	now, whole := time.Since(began), c.listener.KeepAlive
	if whole <= 0 || time.Duration(c.readable.Load())-now >= whole-whole/8 {
		return nil
	}
	if err := c.SetReadDeadline(began.Add(now + whole)); err != nil {
		return err
	}
	c.readable.Store(int64(now + whole))
	return nil
}

// Note keeps the head of the request that net/http reads next, until Noted.
func (c *Conn) Note(head string) { c.noted = head }

// Noted is what Note kept for the request that is being answered; "" when there is nothing.
func (c *Conn) Noted() string {
	if c == nil || c.framed.Load() { // many requests of HTTP/2 are answered at once
		return ""
	}
	noted := c.noted
	c.noted = ""
	return noted
}

// Context is that of the connection, for what does not end when a request does.
func (c *Conn) Context() context.Context { return c.base }

// Peer is the address at the other end, without its port.
func (c *Conn) Peer() string {
	if c.peer == "" {
		c.peer = Host(c.RemoteAddr().String())
	}
	return c.peer
}

// Host is an address without its port.
func Host(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// Answer is written in place of net/http's: whole, to a request of HTTP/1.1 without a body that is no HEAD. It is sent once its handler has returned.
type Answer struct {
	conn   *Conn
	header http.Header
	status int
	body   []byte
	whole  bytes.Buffer
}

var answers = sync.Pool{New: func() any { return &Answer{header: http.Header{}} }}

// Conn is the connection that it goes to.
func (a *Answer) Conn() *Conn { return a.conn }

// Header implements http.ResponseWriter.
func (a *Answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Only the first one counts, and none that is provisional.
func (a *Answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(part []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, part...)
	return len(part), nil
}

// send gives io.EOF after the last answer of a connection.
func (a *Answer) send() error {
	a.WriteHeader(http.StatusOK)
	to := &a.whole
	var room [16]byte
	to.WriteString("HTTP/1.1 ")
	to.Write(strconv.AppendInt(room[:0], int64(a.status), 10))
	to.WriteByte(' ')
	to.WriteString(http.StatusText(a.status))
	to.WriteString("\r\n")
	to.Write(a.conn.head)
	a.conn.head = a.conn.head[:0]
	bare := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	if !bare {
		delete(a.header, "Content-Length")
		to.WriteString("Content-Length: ")
		to.Write(strconv.AppendInt(room[:0], int64(len(a.body)), 10))
		to.WriteString("\r\n")
	}
	to.WriteString(dateLine())
	_ = a.header.Write(to) // a buffer takes everything
	to.WriteString("\r\n")
	if !bare {
		to.Write(a.body)
	}
	if _, err := a.conn.write(to.Bytes()); err != nil {
		return err
	}
	if closes := a.header["Connection"]; len(closes) > 0 && closes[0] == "close" {
		return io.EOF
	}
	return nil
}

func (a *Answer) free() {
	if a.whole.Cap() > largeAnswer || cap(a.body) > largeAnswer {
		return
	}
	a.whole.Reset()
	clear(a.header)
	a.conn, a.status, a.body = nil, 0, a.body[:0]
	answers.Put(a)
}

type dated struct {
	second int64
	line   string
}

var today atomic.Pointer[dated]

// dateLine is the line of the header Date, made once a second.
func dateLine() string {
	now := time.Now()
	if made := today.Load(); made != nil && made.second == now.Unix() {
		return made.line
	}
	made := &dated{now.Unix(), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
	today.Store(made)
	return made.line
}
