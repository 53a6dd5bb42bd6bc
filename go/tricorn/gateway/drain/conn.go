package drain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lingerTime is for how long a client may go on sending what no one wants after it has got its last answer.
	lingerTime = 5 * time.Second
	// writePiece is what a client must take within the time that it gets for reading its answer.
	writePiece = 64 << 10
)

// Conn is a connection that knows whether it is busy, gives up on clients that do not read, and lets clients that are still sending read their last
// answer before it ends.
type Conn struct {
	net.Conn
	listener *Listener
	busy     atomic.Int32 // requests that are being answered
	unread   atomic.Int64 // bytes that came since the last request was answered
	linger   atomic.Bool  // the client may still be sending
	faulted  atomic.Bool  // an answer was sent by Fault
	framed   atomic.Bool  // it speaks HTTP/2, where a connection reads frames all the time
	aborted  atomic.Bool  // net/http ended a read of its own, by a deadline long past
	closing  sync.Once
	armed    sync.Mutex    // keeps writable and the socket's own deadline alike
	writable time.Duration // until when, since the process began, the client may take what was written; zero: not known
	framing  framing
	head     []byte // lines that the next answer's head has besides those that net/http writes
	base     context.Context
	peer     string       // as Peer gives it, once it was asked for
	noted    string       // the head of the request that net/http reads, where somebody may want to know
	readable atomic.Int64 // until when, since the process began, the next request may be waited for, where again has said so
}

var began = time.Now()

type connKey struct{}

// WithConn is for http.Server.ConnContext: requests find their connection by it.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(*Conn)
	if !ok {
		return ctx
	}
	conn.base = context.WithValue(ctx, connKey{}, conn)
	return conn.base
}

// Of gives the connection of a request; nil when it did not come by a Listener.
func Of(ctx context.Context) *Conn {
	conn, _ := ctx.Value(connKey{}).(*Conn)
	return conn
}

// watch is for http.Server.ConnState. What net/http reads until a connection is active is a head; what it reads from then until it is idle is not,
// though behind a body it may be the beginning of one.
func watch(c net.Conn, state http.ConnState) {
	if conn, ok := c.(*Conn); ok {
		conn.framing.taken.Store(state == http.StateActive || state == http.StateHijacked)
	}
}

// Begin says that a request is being answered, until End; body is the length that it announced, negative where that is unknown.
func (c *Conn) Begin(body int64) {
	if c != nil {
		c.busy.Add(1)
		c.unread.Store(0)
		c.framing.begin(body)
	}
}

// Framed tells whether it speaks HTTP/2.
func (c *Conn) Framed() bool { return c != nil && c.framed.Load() }

// Contradicts tells whether the request that is being answered, whose body comes in chunks, announced a length as well.
func (c *Conn) Contradicts() bool { return c != nil && c.framing.contradicts() }

// Refuse answers as to what cannot be read. The handler then gives the connection up: nobody waits for what is left of the request.
func (c *Conn) Refuse() {
	c.fail(Fault{Status: http.StatusBadRequest})
	_ = c.SetReadDeadline(time.Now())
}

// End says that a request was answered; unfinished when the client may not have sent all of it.
func (c *Conn) End(unfinished bool) {
	if c == nil {
		return
	}
	if unfinished {
		c.linger.Store(true)
	}
	c.busy.Add(-1)
}

// Busy tells whether a request is being read or answered.
func (c *Conn) Busy() bool {
	return c.busy.Load() > 0 || (c.unread.Load() > 0 && !c.framed.Load())
}

// SetReadDeadline says until when reads may wait.
func (c *Conn) SetReadDeadline(until time.Time) error {
	c.aborted.Store(!until.IsZero() && time.Since(until) > time.Minute)
	c.readable.Store(0)
	return c.Conn.SetReadDeadline(until)
}

// Read reads what is not answered here. Where the head of a request does not come in time, its client is told.
func (c *Conn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	for err == nil && c.begins(into) {
		answered, failure := c.again(into[:n])
		if failure != nil {
			return 0, failure
		}
		if !answered {
			break
		}
		n, err = c.Conn.Read(into)
	}
	if n > 0 && !c.framed.Load() {
		c.framed.Store(c.framing.see(into[:n]))
	}
	if c.busy.Load() > 0 {
		return n, err
	}
	c.unread.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.aborted.Load() && c.unread.Load() > 0 && !c.framed.Load() {
		c.fail(Fault{Status: 408})
	}
	return n, err
}

// plainEnd is how net/http ends the head of an answer to what it could not read; no handler writes such a head, as each has a date.
const plainEnd = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// Write writes. What net/http says to requests that it could not read is said by Listener.Fault instead.
func (c *Conn) Write(data []byte) (int, error) {
	if c.busy.Load() == 0 && bytes.HasPrefix(data, []byte("HTTP/1.1 ")) {
		if line, _, _ := bytes.Cut(data, []byte("\r\n")); bytes.HasPrefix(data[len(line):], []byte(plainEnd)) && len(line) >= 12 {
			status := int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
			c.fail(Fault{Status: status})
			return len(data), nil
		}
	}
	if len(c.head) > 0 && bytes.HasPrefix(data, []byte("HTTP/1.")) {
		return c.writeWithHead(data)
	}
	return c.write(data)
}

func (c *Conn) write(data []byte) (int, error) {
	written := 0
	for written < len(data) {
		piece := data[written:min(len(data), written+writePiece)]
		if err := c.allowWrite(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// allowWrite gives the client its time to take what comes. A deadline that was set a moment ago is left as it is, so that of the time an eighth may
// be gone: to move it at every answer costs more than to look.
func (c *Conn) allowWrite() error {
	c.armed.Lock()
	defer c.armed.Unlock()
	now, whole := time.Since(began), c.listener.WriteTime
	if c.writable-now >= whole-whole/8 {
		return nil
	}
	if err := c.Conn.SetWriteDeadline(began.Add(now + whole)); err != nil {
		return err
	}
	c.writable = now + whole
	return nil
}

// SetWriteDeadline says until when a write may wait, until the next one. There is always a time: to take it away, as net/http does after each answer,
// changes nothing, since each write sees to it that it has enough.
func (c *Conn) SetWriteDeadline(until time.Time) error {
	if until.IsZero() {
		return nil
	}
	c.armed.Lock()
	defer c.armed.Unlock()
	c.writable = 0
	return c.Conn.SetWriteDeadline(until)
}

// SetDeadline says until when reads and the next write may wait. Whoever takes a connection over begins without.
func (c *Conn) SetDeadline(until time.Time) error {
	c.armed.Lock()
	defer c.armed.Unlock()
	c.writable = 0
	return c.Conn.SetDeadline(until)
}

func (c *Conn) fail(fault Fault) {
	if c.faulted.Swap(true) {
		return
	}
	c.linger.Store(true)
	if answer := c.listener.Fault; answer != nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Conn.Write(answer(fault)) // whoever left does not miss it
	}
}

// CloseWrite says that nothing more will come.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes: at once, or, when the client is still sending, once it has stopped. A socket closed with input unread resets the connection, and the
// client loses the answer that it has not read yet.
func (c *Conn) Close() error {
	var err error
	c.closing.Do(func() {
		if !c.linger.Load() || c.CloseWrite() != nil {
			err = c.end()
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		c.listener.lingering.Go(func() {
			_, _ = io.Copy(io.Discard, c.Conn) // until the client stops, or its time is over
			_ = c.end()
		})
	})
	return err
}

// cut closes without waiting for anybody.
func (c *Conn) cut() {
	c.linger.Store(false)
	_ = c.SetReadDeadline(time.Now())
	_ = c.Close()
}

func (c *Conn) end() error {
	c.listener.forget(c)
	return c.Conn.Close()
}
