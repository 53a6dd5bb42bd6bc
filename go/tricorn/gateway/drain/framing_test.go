package drain

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
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
		watched.see([]byte(piece))
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
			watched.see([]byte(piece))
			if index == 0 {
				watched.taken.Store(true)
				watched.begin(earlier.body)
			}
		}
		watched.taken.Store(false)
		watched.see([]byte(chunkedHead))
		watched.begin(-1)

		assert.False(t, watched.contradicts(), earlier.pieces)
		assert.Equal(t, 1, watched.span.requests, earlier.pieces)
	}
}

func TestWhatWasSentBeforeAnAnswerCameIsNotTakenForTheFirst(t *testing.T) {
	watched := &framing{}
	watched.see([]byte(get + "P"))
	watched.begin(0)
	watched.see([]byte(both[1:]))
	watched.begin(-1)

	assert.True(t, watched.contradicts())
}

// hides plays reads, requests that begin (by their lengths) and changes of the connection's state, and tells what is found of the last request.
func hides(steps ...any) bool {
	watched := &framing{}
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			watched.see([]byte(step))
		case int:
			watched.begin(int64(step))
		case http.ConnState:
			watched.taken.Store(step == http.StateActive)
		}
	}
	return !watched.contradicts()
}

func TestNothingThatComesInAnOddPlaceHidesALength(t *testing.T) {
	const active, idle, chunked = http.StateActive, http.StateIdle, -1
	for name, steps := range map[string][]any{
		"the byte comes before the request begins": {get + get + both, active, 0, idle, active, "0", 0, idle, active, chunked},
		"the byte comes behind chunks and a head":  {chunkedHead + chunks + both, active, chunked, "0", idle, active, chunked},
		"the byte is a body": {
			get + strings.Replace(three, "3", "1", 1), active, 0, idle, active, 1, "a", idle, "\n\n" + both, active, chunked,
		},
		"the byte is the next one's body": {
			chunkedHead + chunks + strings.Replace(three, "3", "1", 1), active, chunked, "a", idle, active, 1, idle, "\n\n" + both, active, chunked,
		},
		"the body is a head":                        {strings.Replace(three, "3", "99", 1), active, 99, chunkedHead, both, idle, active, chunked},
		"blank lines in reads of their own":         {three + "abc", active, 3, idle, "\n", "\r", "\n" + both, active, chunked},
		"a blank line while the answer is sent":     {three + "abc", active, 3, "\n", idle, "\n" + both, active, chunked},
		"a blank line behind chunks, while it is":   {chunkedHead + chunks, active, chunked, "\n", idle, "\n" + both, active, chunked},
		"a head that nobody saw the end of is read": {"POST / HTTP/1.1\r\n", active, chunked},
	} {
		assert.False(t, hides(steps...), name)
	}
}

func TestOnlyTheWholePrefaceAtTheBeginningMakesAConnectionOneOfFrames(t *testing.T) {
	watched := &framing{}
	assert.False(t, watched.see([]byte(preface[:14])))
	assert.True(t, watched.see([]byte(preface[14:])))

	assert.False(t, (&framing{}).see([]byte(preface[:16]+"Host: a\r\n\r\n")))
	watched = &framing{}
	watched.see([]byte(get))
	assert.False(t, watched.see([]byte(preface)))
}

// FuzzALengthBesideChunksIsFound has net/http's own reader of headers say what the first head announced.
func FuzzALengthBesideChunksIsFound(f *testing.F) {
	for at, sent := range []string{both, both + chunks, chunkedHead + inside, get + both, strings.ReplaceAll(both, "\r\n", "\n")} {
		f.Add([]byte(sent), uint(at*11))
	}
	f.Fuzz(func(t *testing.T, sent []byte, cut uint) {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
		if err != nil || len(request.TransferEncoding) == 0 {
			return
		}
		lines := textproto.NewReader(bufio.NewReader(bytes.NewReader(sent)))
		_, _ = lines.ReadLine()
		header, _ := lines.ReadMIMEHeader()
		at := cut % uint(len(sent))

		whole, pieces := found([]string{string(sent)}, -1), found([]string{string(sent[:at]), string(sent[at:])}, -1)

		if _, announced := header["Content-Length"]; announced && !whole {
			t.Fatalf("the length in %q is not found", sent)
		}
		if whole != pieces {
			t.Fatalf("%q says something else in one piece than cut at %d", sent, at)
		}
	})
}
