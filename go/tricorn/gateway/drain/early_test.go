package drain

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// held are connections of which each write waits until one byte of the next request was read or it was closed.
type held struct {
	net.Listener
	written chan struct{}
}

type heldConn struct {
	net.Conn
	written, read, closed chan struct{}
}

func (h *held) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &heldConn{conn, h.written, make(chan struct{}, 9), make(chan struct{})}, nil
}

func (c *heldConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if n == 1 {
		c.read <- struct{}{}
	}
	return n, err
}

func (c *heldConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	c.written <- struct{}{}
	select {
	case <-c.read:
	case <-c.closed:
	}
	return n, err
}

func (c *heldConn) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

// judged serves, and tells of each request whether it contradicts itself.
func judged(t *testing.T) (client net.Conn, written chan struct{}, found chan bool) {
	t.Helper()
	written, found = make(chan struct{}, 9), make(chan bool, 9)
	public, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{ConnContext: WithConn, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		conn := Of(r.Context())
		conn.Begin(r.ContentLength)
		defer conn.End(false)
		_, _ = io.Copy(io.Discard, r.Body)
		found <- len(r.TransferEncoding) > 0 && conn.Contradicts()
	})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		listener := &Listener{Listener: &held{public, written}, WriteTime: time.Minute}
		ended <- Serve(ctx, server, listener, func() {}, 0, 0, nil)
	}()
	client, err = net.Dial("tcp", public.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = client.Close()
		stop()
		assert.NoError(t, <-ended)
	})
	require.NoError(t, client.SetDeadline(time.Now().Add(10*time.Second)))
	return client, written, found
}

const hosted = "POST / HTTP/1.1\r\nHost: a\r\n"

func TestAByteThatComesWhileAnAnswerIsSentDoesNotHideALengthBesideChunks(t *testing.T) {
	client, written, found := judged(t)

	_, err := io.WriteString(client, get+hosted+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	<-written
	_, err = io.WriteString(client, "0")
	require.NoError(t, err)
	assert.False(t, <-found)
	_, err = io.WriteString(client, "\r\n\r\nG")
	require.NoError(t, err)

	assert.True(t, <-found)
}

func TestAByteThatComesWhileAnAnswerIsSentIsTheFirstOfTheNextRequest(t *testing.T) {
	client, written, found := judged(t)
	reader := bufio.NewReader(client)
	next := hosted + "Transfer-Encoding: chunked\r\n\r\n" + chunks
	_, err := io.WriteString(client, next)
	require.NoError(t, err)

	for _, next := range []string{hosted + "Content-Length: 3\r\n\r\nabc", next, next, get, next, "P"} {
		<-written
		_, err := io.WriteString(client, next[:1])
		require.NoError(t, err)
		answer, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, answer.StatusCode)
		assert.False(t, <-found)
		_, err = io.WriteString(client, next[1:])
		require.NoError(t, err)
	}
}
