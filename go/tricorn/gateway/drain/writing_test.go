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
