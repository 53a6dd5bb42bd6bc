package drain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunks      = "3\r\nabc\r\n0\r\n\r\n"
	both        = "POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
	three       = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
	get         = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	inside      = "16\r\n\nContent-Length: 3\r\n\r\n\r\n0\r\n\r\n"
)

// found plays what a connection reads, piece by piece, and tells after the last whether the request with chunks contradicts itself.
func found(pieces []string, bodies ...int64) bool {
	watched := &framing{}
	for _, piece := range pieces {
		watched.see([]byte(piece), true)
	}
	for _, body := range bodies {
		watched.begin(body)
	}
	return watched.contradicts()
}

func TestALengthBesideChunksIsFoundHoweverItArrives(t *testing.T) {
	for at := range len(both) {
		assert.True(t, found([]string{both[:at], both[at:]}, -1), at)
	}
	assert.True(t, found(strings.Split(both, ""), -1))
	assert.True(t, found([]string{strings.ReplaceAll(both, "\r\n", "\n")}, -1))
	assert.True(t, found([]string{both + chunks}, -1))
}

func TestALengthBesideChunksIsFoundBehindOtherRequests(t *testing.T) {
	assert.True(t, found([]string{get + both}, 0, -1))
	assert.True(t, found([]string{three + "abc" + both[:20], both[20:]}, 3, -1))
}

func TestChunksAloneAreNoContradiction(t *testing.T) {
	for at := range len(chunkedHead) {
		assert.False(t, found([]string{chunkedHead[:at], chunkedHead[at:]}, -1), at)
	}
	assert.False(t, found([]string{chunkedHead + inside}, -1))
	assert.False(t, found([]string{three + "abc" + chunkedHead}, 3, -1))
	assert.False(t, found([]string{strings.Replace(chunkedHead, "Host", "X-Content-Length", 1)}, -1))
}

func TestWhatEarlierRequestsAnnouncedIsForgotten(t *testing.T) {
	for _, earlier := range []struct {
		pieces []string
		body   int64
	}{
		{[]string{three + "abc"}, 3}, {[]string{three, "abc"}, 3}, {[]string{chunkedHead, inside}, -1}, {[]string{get}, 0},
	} {
		watched := &framing{}
		for index, piece := range earlier.pieces {
			watched.see([]byte(piece), index == 0)
			if index == 0 {
				watched.begin(earlier.body)
			}
		}
		watched.see([]byte(chunkedHead), true)
		watched.begin(-1)

		assert.False(t, watched.contradicts(), earlier.pieces)
		assert.Equal(t, 1, watched.first.requests, earlier.pieces)
	}
}

func TestWhatWasSentBeforeAnAnswerCameIsNotTakenForTheFirst(t *testing.T) {
	watched := &framing{}
	watched.see([]byte(get+"P"), true)
	watched.begin(0)
	watched.see([]byte(both[1:]), true)
	watched.begin(-1)

	assert.True(t, watched.contradicts())
}
