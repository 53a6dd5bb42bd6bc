package drain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
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
	preface    = "PRI * HTTP/2.0"
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
}

type connKey struct{}

// WithConn is for http.Server.ConnContext: requests find their connection by it.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	if conn, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, conn)
	}
	return ctx
}

// Of gives the connection of a request; nil when it did not come by a Listener.
func Of(ctx context.Context) *Conn {
	conn, _ := ctx.Value(connKey{}).(*Conn)
	return conn
}

// Begin says that a request is being answered, until the function that it gives is called: with true when the client may not have sent all of its
// request.
func (c *Conn) Begin() func(unfinished bool) {
	if c == nil {
		return func(bool) {}
	}
	c.busy.Add(1)
	c.unread.Store(0)
	return func(unfinished bool) {
		if unfinished {
			c.linger.Store(true)
		}
		c.busy.Add(-1)
	}
}

// Busy tells whether a request is being read or answered.
func (c *Conn) Busy() bool {
	return c.busy.Load() > 0 || (c.unread.Load() > 0 && !c.framed.Load())
}

// SetReadDeadline says until when reads may wait.
func (c *Conn) SetReadDeadline(until time.Time) error {
	c.aborted.Store(!until.IsZero() && time.Since(until) > time.Minute)
	return c.Conn.SetReadDeadline(until)
}

// Read reads. Where the head of a request does not come in time, its client is told.
func (c *Conn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if c.busy.Load() > 0 {
		return n, err
	}
	if bytes.HasPrefix(into[:n], []byte(preface)) {
		c.framed.Store(true)
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
	written := 0
	for written < len(data) {
		piece := data[written:min(len(data), written+writePiece)]
		if err := c.SetWriteDeadline(time.Now().Add(c.listener.WriteTime)); err != nil {
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
