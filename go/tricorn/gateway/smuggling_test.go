package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"tricorn/gateway"
	"tricorn/gateway/library"
)

const both = "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

// kept is a connection on which requests are sent piece by piece.
type kept struct {
	net.Conn
	reader *bufio.Reader
}

func keep(t *testing.T, to *place) *kept {
	t.Helper()
	conn, err := net.Dial("tcp", to.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return newKept(conn)
}

func newKept(conn net.Conn) *kept { return &kept{conn, bufio.NewReader(conn)} }

func (k *kept) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(k, text); err != nil {
		t.Fatal(err)
	}
}

func (k *kept) answered(t *testing.T, status int) {
	t.Helper()
	answer, err := http.ReadResponse(k.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != status {
		t.Fatalf("%d, not %d", answer.StatusCode, status)
	}
}

func (k *kept) ended(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(k.reader); err != nil || len(rest) > 0 {
		t.Fatalf("%q %v", rest, err)
	}
}

func TestABodyThatComesAfterItsAnswerWasMadeDoesNotHideALengthBesideChunks(t *testing.T) {
	made := make(chan struct{}, 1)
	conn := keep(t, serve(t, &library.Library{}, func(c *gateway.Config) {
		c.Observe = func(gateway.Observation) { made <- struct{}{} }
	}))

	conn.send(t, "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	<-made
	conn.send(t, "a\n\n")
	conn.answered(t, 404)
	conn.send(t, both)

	conn.answered(t, 400)
	conn.ended(t)
}

func TestBlankLinesBeforeARequestDoNotHideALengthBesideChunks(t *testing.T) {
	conn := keep(t, serve(t, &library.Library{}))

	conn.send(t, "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	conn.answered(t, 404)
	conn.send(t, "\n\n"+both)

	conn.answered(t, 400)
	conn.ended(t)
}

func TestChunksAreReadOnAConnectionThatHadLengthsAndChunksBefore(t *testing.T) {
	conn := keep(t, serve(t, &library.Library{}))
	for _, each := range []string{
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "Content-Length: 3\r\n\r\nabc", "Content-Length: 3\r\n\r\nabc",
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		conn.send(t, "POST /nope HTTP/1.1\r\nHost: a\r\n"+each)
		conn.answered(t, 404)
	}
}
