package repeat

import (
	"bufio"
	"fmt"
	"hash/maphash"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const plain = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

// keep has a head kept, if it may be.
func keep(t *testing.T, heads *Heads, head string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if assert.NoError(t, err) {
		heads.Keep(head, r, nil)
	}
}

// kept tells whether a head is known once it was to be kept.
func kept(t *testing.T, heads *Heads, head string) bool {
	t.Helper()
	keep(t, heads, head)
	known, _ := heads.Find([]byte(head))
	return known != nil
}

func TestAHeadIsWorthKeepingFromItsSecondTimeOn(t *testing.T) {
	heads := New(100)

	for count := range 3 {
		known, worth := heads.Find([]byte(plain))

		assert.Nil(t, known)
		assert.Equal(t, count > 0, worth)
	}
}

func TestAHeadWithTheHashOfAnotherIsNotTakenForIt(t *testing.T) {
	heads := New(100)
	require.True(t, kept(t, heads, plain))
	other := strings.Replace(plain, "/a", "/b", 1)
	heads.known.Put(maphash.String(heads.seed, other), heads.known.Get(maphash.String(heads.seed, plain)))

	known, _ := heads.Find([]byte(other))

	assert.Nil(t, known)
}

func TestHeadsAreKeptInABoundedNumberAndThoseInUseStay(t *testing.T) {
	heads := New(160)
	require.True(t, kept(t, heads, plain))

	for count := range 5000 {
		keep(t, heads, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", count))
		known, _ := heads.Find([]byte(plain))
		require.NotNil(t, known, count)
	}

	left := 0
	for count := range 5000 {
		if known, _ := heads.Find(fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", count)); known != nil {
			left++
		}
	}
	assert.Less(t, left, 160)
}

func TestNoHeadThatIsKeptTakesMuchMoreThanItsBytes(t *testing.T) {
	const many, most = 2000, 6 << 10
	heads := New(2 * 16 * many)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	for count := range many {
		lines := []int{1, 10, 32, 33, 97}[count%5]
		var head strings.Builder
		fmt.Fprintf(&head, "GET /%d HTTP/1.1\r\nHost: a\r\n", count)
		for line := range lines {
			fmt.Fprintf(&head, "H%d: %s\r\n", line, strings.Repeat("x", 1950/lines-8))
		}
		head.WriteString("\r\n")
		require.LessOrEqual(t, head.Len(), longest)
		keep(t, heads, head.String())
	}

	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(many*most))
	runtime.KeepAlive(heads)
}

func TestEachHeaderOfAKnownHeadHasItsOwnValues(t *testing.T) {
	heads := New(100)
	head := "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-B: a\r\nX-A: c\r\nX-Empty:\r\n\r\n"
	require.True(t, kept(t, heads, head))

	known, _ := heads.Find([]byte(head))

	assert.Equal(t, http.Header{"X-A": {"b", "c"}, "X-B": {"a"}, "X-Empty": {""}}, known.Request.Header)
	assert.Equal(t, "a", known.Request.Host)
	assert.Equal(t, "/a", known.Request.RequestURI)
}

func TestManyMayKeepFindAndPushOutHeadsAtOnce(t *testing.T) {
	heads := New(16)
	var all sync.WaitGroup
	for who := range 8 {
		all.Go(func() {
			for count := range 500 {
				path := fmt.Sprintf("/%d", (who+count)%40)
				head := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
				if known, _ := heads.Find([]byte(head)); known != nil {
					assert.Equal(t, path, known.Request.RequestURI)
					continue
				}
				keep(t, heads, head)
			}
		})
	}
	all.Wait()
}
