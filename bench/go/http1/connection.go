// Package http1 speaks as much HTTP/1.1 as a load needs, with little CPU: one write, one reading of the head, kept-alive connections.
package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"bench/load"
)

const (
	readBuffer = 16 << 10
	// AnswerSeconds is how long an answer may take.
	AnswerSeconds = 30

	contentLength    = "content-length"
	transferEncoding = "transfer-encoding"
	connection       = "connection"
)

var errBadAnswer = errors.New("the answer is no HTTP/1.1")

// Connection asks one server, with one request at a time. It never repeats a request: what fails is a failure.
type Connection struct {
	address string
	fresh   bool
	expect  int
	dialer  net.Dialer
	socket  net.Conn
	until   time.Time // the socket's deadline
	reader  *bufio.Reader
}

// New makes a connection to HOST:PORT, which is opened by the first request; a fresh one is opened for every request. What is expected is one
// status, or with 0 every 2xx.
func New(address string, fresh bool, expect int) *Connection {
	return &Connection{address: address, fresh: fresh, expect: expect, reader: bufio.NewReaderSize(nil, readBuffer)}
}

// Call implements load.Caller; a request is what goes over the wire. OK is what was expected.
func (c *Connection) Call(ctx context.Context, request []byte) load.Answer {
	status, err := c.ask(ctx, request)
	if err != nil {
		c.Close()
		return load.Answer{}
	}
	if c.fresh {
		c.Close()
	}
	return load.Answer{Status: status, OK: status == c.expect || c.expect == 0 && status >= 200 && status < 300}
}

// Close implements load.Caller.
func (c *Connection) Close() {
	if c.socket != nil {
		_ = c.socket.Close() // what it had to say was read
		c.socket = nil
	}
}

func (c *Connection) ask(ctx context.Context, request []byte) (int, error) {
	if c.socket == nil {
		socket, err := c.dialer.DialContext(ctx, "tcp", c.address)
		if err != nil {
			return 0, fmt.Errorf("connecting to %s: %w", c.address, err)
		}
		c.socket, c.until = socket, time.Time{}
		c.reader.Reset(socket)
	}
	if err := c.allow(ctx); err != nil {
		return 0, fmt.Errorf("setting the deadline: %w", err)
	}
	if _, err := c.socket.Write(request); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	head, err := readHead(c.reader)
	if err != nil {
		return 0, err
	}
	if err := head.skipBody(c.reader); err != nil {
		return 0, err
	}
	if head.closing {
		c.Close()
	}
	return head.status, nil
}

// allow gives the server its time to answer. What was said a moment ago stands: to say it for every request costs more than to look.
func (c *Connection) allow(ctx context.Context) error {
	until := time.Now().Add(AnswerSeconds * time.Second)
	if deadline, has := ctx.Deadline(); has && deadline.Before(until) {
		until = deadline
	}
	if until.Sub(c.until) < time.Second {
		return nil
	}
	c.until = until
	return c.socket.SetDeadline(until)
}

type head struct {
	status  int
	length  int
	chunked bool
	closing bool
}

func readHead(reader *bufio.Reader) (head, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return head{}, fmt.Errorf("reading an answer: %w", err)
	}
	const least = len("HTTP/1.1 200")
	if len(line) < least || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return head{}, errBadAnswer
	}
	status, err := strconv.Atoi(string(line[9:least]))
	if err != nil {
		return head{}, errBadAnswer
	}
	found := head{status: status}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return head{}, fmt.Errorf("reading a head: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return found, nil
		}
		if err := found.take(line); err != nil {
			return head{}, err
		}
	}
}

func (h *head) take(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch len(name) { // most headers are none of these, and told apart so
	case len(contentLength), len(transferEncoding), len(connection):
	default:
		return nil
	}
	value = bytes.TrimSpace(value)
	var err error
	switch {
	case strings.EqualFold(string(name), contentLength):
		h.length, err = strconv.Atoi(string(value))
	case strings.EqualFold(string(name), transferEncoding):
		h.chunked = strings.EqualFold(string(value), "chunked")
	case strings.EqualFold(string(name), connection):
		h.closing = strings.EqualFold(string(value), "close")
	}
	if err != nil {
		return errBadAnswer
	}
	return nil
}

func (h *head) skipBody(reader *bufio.Reader) error {
	if !h.chunked {
		if _, err := reader.Discard(h.length); err != nil {
			return fmt.Errorf("reading a body: %w", err)
		}
		return nil
	}
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(reader)); err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading a trailer: %w", err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}
