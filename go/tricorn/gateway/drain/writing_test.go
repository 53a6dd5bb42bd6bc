package drain

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const brief = 200 * time.Millisecond

// paired is a connection, and its client's end.
func paired(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return &Conn{Conn: ours, listener: &Listener{WriteTime: brief}}, theirs
}

// taken has one answer written that the client reads.
func taken(t *testing.T, conn *Conn, client net.Conn) {
	t.Helper()
	got := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		got <- err
	}()
	_, err := conn.Write([]byte("a"))
	require.NoError(t, err)
	require.NoError(t, <-got)
}

func TestAClientThatReadOneAnswerAndNotTheNextIsGivenUp(t *testing.T) {
	conn, client := paired(t)
	taken(t, conn, client)

	_, err := conn.Write([]byte("b"))

	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestWhoeverTakesTheDeadlineAwayDoesNotLeaveTheNextWriteWithoutOne(t *testing.T) {
	conn, client := paired(t)
	taken(t, conn, client)
	require.NoError(t, conn.SetDeadline(time.Time{}))

	_, err := conn.Write([]byte("b"))

	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// counted is a socket that counts how often it got a time for writing, and knows the last.
type counted struct {
	net.Conn
	times int
	until time.Time
}

func (c *counted) SetWriteDeadline(until time.Time) error {
	c.times++
	c.until = until
	return c.Conn.SetWriteDeadline(until)
}

func (c *counted) SetDeadline(until time.Time) error {
	c.until = until
	return c.Conn.SetDeadline(until)
}

func TestAnswersThatFollowOneAnotherShareATime(t *testing.T) {
	conn, client := paired(t)
	socket := &counted{Conn: conn.Conn}
	conn.Conn, conn.listener.WriteTime = socket, time.Hour

	for range 3 {
		taken(t, conn, client)
		require.NoError(t, conn.SetWriteDeadline(time.Time{}), "as net/http does after each answer")
	}

	assert.Equal(t, 1, socket.times)
	assert.False(t, socket.until.IsZero())
}

func TestWhoeverTakesAConnectionOverIsNotCutByWhatWasSetBefore(t *testing.T) {
	conn, client := paired(t)
	socket := &counted{Conn: conn.Conn}
	conn.Conn = socket
	taken(t, conn, client)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(-time.Second)))

	require.NoError(t, conn.SetDeadline(time.Time{}), "as net/http does for who takes it")

	assert.True(t, socket.until.IsZero())
	taken(t, conn, client)
}
