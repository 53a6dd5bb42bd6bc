package drain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const alone = "GET /known HTTP/1.1\r\nHost: a\r\n\r\n"

// script is a socket that gives one piece at each read.
type script struct {
	net.Conn
	pieces  []string
	written strings.Builder
	until   time.Time
	timed   int
}

func (s *script) Read(into []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(into, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

func (s *script) Write(data []byte) (int, error)   { return s.written.Write(data) }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func (s *script) SetReadDeadline(until time.Time) error {
	s.until = until
	s.timed++
	return nil
}

// knowing is a connection of which the request alone is answered with a status.
func knowing(status int, pieces ...string) (*Conn, *script) {
	socket := &script{pieces: pieces}
	return &Conn{Conn: socket, listener: &Listener{WriteTime: time.Hour, KeepAlive: time.Hour, Again: func(answer *Answer, head []byte) bool {
		if string(head) != alone {
			return false
		}
		answer.WriteHeader(status)
		return true
	}}}, socket
}

// next reads as net/http does when nothing is left of what it read before.
func next(t *testing.T, conn *Conn) string {
	t.Helper()
	room := make([]byte, window)
	n, err := conn.Read(room)
	if err != nil {
		require.ErrorIs(t, err, io.EOF)
	}
	return string(room[:n])
}

// passed plays a request that net/http reads and that is answered.
func passed(t *testing.T, conn *Conn, body int64) {
	t.Helper()
	next(t, conn)
	watch(conn, http.StateActive)
	conn.Begin(body)
	conn.End(false)
	watch(conn, http.StateIdle)
}

func TestAKnownRequestIsAnsweredAndTheNextOneIsRead(t *testing.T) {
	conn, socket := knowing(http.StatusNoContent, alone, alone, get)

	assert.Equal(t, get, next(t, conn))

	assert.Equal(t, 2, strings.Count(socket.written.String(), "HTTP/1.1 204 No Content\r\n"))
	assert.NotContains(t, socket.written.String(), "Content-Length")
}

func TestAKnownRequestBehindOthersThatWereReadWholeIsAnswered(t *testing.T) {
	for name, before := range map[string]struct {
		sent string
		body int64
	}{"a head": {get, 0}, "a body": {three + "abc", 3}, "chunks": {chunkedHead + chunks, -1}} {
		t.Run(name, func(t *testing.T) {
			conn, socket := knowing(http.StatusOK, before.sent, alone)
			passed(t, conn, before.body)

			assert.Empty(t, next(t, conn))

			assert.Contains(t, socket.written.String(), "HTTP/1.1 200 OK\r\n")
		})
	}
}

func TestWhatFollowsAPartOfARequestThatCameWithTheOneBeforeIsNotARequest(t *testing.T) {
	for name, before := range map[string]struct {
		sent string
		body int64
	}{"behind a head": {get, 0}, "behind a body": {three + "abc", 3}, "behind chunks": {chunkedHead + chunks, -1}} {
		t.Run(name, func(t *testing.T) {
			conn, socket := knowing(http.StatusOK, before.sent+"GET / HTTP/1.1\r\n", alone)
			passed(t, conn, before.body)

			assert.Equal(t, alone, next(t, conn))

			assert.Empty(t, socket.written.String())
		})
	}
}

func TestNothingIsAnsweredOnAConnectionThatSomebodyHasTakenOver(t *testing.T) {
	conn, socket := knowing(http.StatusOK, get, alone)
	passed(t, conn, 0)
	watch(conn, http.StateHijacked)

	assert.Equal(t, alone, next(t, conn))

	assert.Empty(t, socket.written.String())
}

func TestNothingIsAnsweredInsideARequest(t *testing.T) {
	for name, during := range map[string]func(*Conn){
		"whose head is not whole":  func(conn *Conn) { next(t, conn) },
		"that is being answered":   func(conn *Conn) { next(t, conn); conn.Begin(5); watch(conn, http.StateIdle) },
		"whose body is not wanted": func(conn *Conn) { next(t, conn); watch(conn, http.StateActive); conn.Begin(5); conn.End(true) },
		"that speaks another HTTP": func(conn *Conn) { next(t, conn); conn.unread.Store(0); conn.framed.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			conn, socket := knowing(http.StatusOK, get, alone)
			during(conn)

			assert.Equal(t, alone, next(t, conn))

			assert.Empty(t, socket.written.String())
		})
	}
}

func TestNothingIsAnsweredBehindANewlineThatNobodyHasReadYet(t *testing.T) {
	conn, socket := knowing(http.StatusOK, "\r\n", alone)
	next(t, conn)

	assert.Equal(t, alone, next(t, conn))

	assert.Empty(t, socket.written.String())
}

func TestTheTimeForTheNextRequestBeginsWithTheLastAnswer(t *testing.T) {
	conn, socket := knowing(http.StatusOK, alone)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Second)), "as net/http does once it has answered")

	next(t, conn)

	assert.Greater(t, time.Until(socket.until), 50*time.Minute)
}

func TestAnswersThatFollowOneAnotherShareATimeForTheNextRequest(t *testing.T) {
	conn, socket := knowing(http.StatusOK, alone, alone, alone)

	next(t, conn)

	assert.Equal(t, 1, socket.timed)
}

func TestAClientThatDoesNotReadTheAnswerToAKnownRequestIsGivenUp(t *testing.T) {
	conn, client := paired(t)
	conn.listener.Again = func(*Answer, []byte) bool { return true }
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(client, alone)
		sent <- err
	}()

	n, err := conn.Read(make([]byte, window))

	require.NoError(t, <-sent)
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.Zero(t, n)
}

func TestAnAnswerHasItsLengthAndTheLinesThatWereSaid(t *testing.T) {
	conn, socket := knowing(http.StatusOK, alone)
	known := conn.listener.Again
	conn.listener.Again = func(answer *Answer, head []byte) bool {
		conn.SetHead(append(conn.Head(), "X-Said: once\r\n"...))
		answer.Header().Set("Content-Length", "99")
		answer.Header().Set("X-Split", "a\r\nSet-Cookie: b")
		known(answer, head)
		_, _ = answer.Write([]byte("ab"))
		_, _ = answer.Write([]byte("c"))
		return true
	}

	next(t, conn)

	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(socket.written.String())), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, "abc", string(body))
	assert.Equal(t, []string{"once"}, answer.Header["X-Said"])
	assert.EqualValues(t, 3, answer.ContentLength)
	assert.Empty(t, answer.Cookies())
	assert.NotEmpty(t, answer.Header["Date"])
}

func TestAfterTheLastAnswerOfAConnectionNothingIsRead(t *testing.T) {
	conn, socket := knowing(http.StatusOK, alone, alone)
	conn.listener.Again = func(answer *Answer, _ []byte) bool {
		answer.Header().Set("Connection", "close")
		return true
	}

	n, err := conn.Read(make([]byte, window))

	assert.ErrorIs(t, err, io.EOF)
	assert.Zero(t, n)
	assert.Len(t, socket.pieces, 1)
}

func TestWhatIsReadIntoLessRoomMayBeTheRestOfSomething(t *testing.T) {
	conn, socket := knowing(http.StatusOK, alone)

	n, err := conn.Read(make([]byte, window-1))

	require.NoError(t, err)
	assert.Equal(t, len(alone), n)
	assert.Empty(t, socket.written.String())
}

func TestTheDateIsThatOfTheAnswer(t *testing.T) {
	today.Store(&dated{1, "Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"})
	conn, socket := knowing(http.StatusOK, alone)

	next(t, conn)

	assert.NotContains(t, socket.written.String(), "1970")
}
