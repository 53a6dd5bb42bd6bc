package gateway_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway"
	"tricorn/gateway/cache"
	"tricorn/gateway/exchange"
	"tricorn/gateway/library"
	"tricorn/gateway/limits"
	"tricorn/gateway/problem"
)

const (
	shelf    = "GET /v1/shelves/s1 HTTP/1.1\r\nHost: a\r\n\r\n"
	bookHead = "GET /v1/books/b1 HTTP/1.1\r\nHost: a\r\n"
	mineHead = "GET /v1/shelves/mine HTTP/1.1\r\nHost: a\r\n"
)

// keeping has answers of shelves and books kept, so that the heads of their requests are.
func keeping(t testing.TB) func(*gateway.Config) {
	t.Helper()
	answers, err := cache.New(cache.Options{Bytes: 1 << 20, LongestTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(answers.Close)
	return func(c *gateway.Config) {
		c.Cache = answers
		c.Kept = map[string]time.Duration{library.Service + "/GetBook": time.Minute}
	}
}

func between(guard func(x *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler)) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.Guards = append([]func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { guard(exchange.Of(r.Context()), w, r, next) })
		}}, c.Guards...)
	}
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	length int64
	body   string
}

// ask sends a request, and reads its answer.
func (k *kept) ask(t testing.TB, head string) reply {
	t.Helper()
	if _, err := io.WriteString(k, head); err != nil {
		t.Fatal(err)
	}
	return k.read(t)
}

func (k *kept) read(t testing.TB) reply {
	t.Helper()
	answer, err := http.ReadResponse(k.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Close {
		answer.Header.Set("Connection", "close")
	}
	return reply{answer.StatusCode, answer.Header, answer.ContentLength, string(body)}
}

// learn asks until the head is known, and gives the first answer, which net/http wrote, and the last one, which it did not. From then on what is sent
// is surely read as it is sent: while net/http answers, it may take the first byte of the next request on its own.
func (k *kept) learn(t testing.TB, at *place, head string) (first, last reply) {
	t.Helper()
	for count := range 200 {
		before := at.server.Repeated()
		last = k.ask(t, head)
		if count == 0 {
			first = last
		}
		if at.server.Repeated() > before {
			return first, last
		}
	}
	t.Fatalf("never known: %q", head)
	return
}

// again asks for what is known, and checks that it was.
func (k *kept) again(t testing.TB, at *place, head string) reply {
	t.Helper()
	before := at.server.Repeated()
	got := k.ask(t, head)
	if at.server.Repeated() != before+1 {
		t.Fatalf("net/http answered %q", head)
	}
	return got
}

// own are headers of which each answer may have its own value.
var own = []string{"X-Trace-Id", "X-Request-Id", "Server-Timing", "Date", "Age"}

func alike(t *testing.T, first, other reply) {
	t.Helper()
	if first.status != other.status || first.body != other.body || first.length != other.length {
		t.Errorf("%d (%d) %.100q, then %d (%d) %.100q", first.status, first.length, first.body, other.status, other.length, other.body)
	}
	was, is := maps.Clone(first.header), maps.Clone(other.header)
	delete(was, "Age") // the first answer may be new
	delete(is, "Age")
	if before, after := slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(is)); !slices.Equal(before, after) {
		t.Fatalf("%v, then %v", before, after)
	}
	for name, values := range was {
		if slices.Contains(own, name) {
			if len(values) != 1 || len(is[name]) != 1 {
				t.Errorf("%s: %q, then %q", name, values, is[name])
			}
		} else if slices.Sort(values); !slices.Equal(values, slices.Sorted(slices.Values(is[name]))) {
			t.Errorf("%s: %q, then %q", name, values, is[name])
		}
	}
}

// large answers with a shelf of many books.
func large(_ context.Context, _, answer protoreflect.Message) error {
	books := answer.Mutable(answer.Descriptor().Fields().ByName("book_ids")).List()
	for index := range 500 {
		books.Append(protoreflect.ValueOfString(fmt.Sprint("book-", index)))
	}
	return nil
}

type answers = map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error

func TestAnAnswerToAKnownHeadIsTheOneThatNetHTTPWrote(t *testing.T) {
	const browser = "Origin: https://shop.example\r\n"
	strict := func(c *gateway.Config) { c.HSTS, c.CORS.Origins = true, []string{"https://shop.example"} }
	counting := func(c *gateway.Config) {
		c.Guards = append(c.Guards, limits.Guard(limits.NewMemory(func() time.Duration { return 0 }, 100),
			map[string]limits.Rate{"read": {Limit: 1e9, Period: time.Hour}}))
	}
	for name, each := range map[string]struct {
		head   string
		status int
		has    map[string]string
	}{
		"plain":               {shelf, 200, map[string]string{"Cache-Control": "public, max-age=30", "Content-Type": "application/json"}},
		"of one user":         {bookHead + "Authorization: Bearer ann\r\n\r\n", 200, map[string]string{"Etag": `"5"`}},
		"known to who asks":   {bookHead + "If-None-Match: \"5\"\r\n\r\n", 304, map[string]string{"Etag": `"5"`}},
		"not what they know":  {bookHead + "If-None-Match: \"4\"\r\n\r\n", 200, map[string]string{"Etag": `"5"`}},
		"packed":              {mineHead + "Authorization: Bearer ann\r\nAccept-Encoding: gzip\r\n\r\n", 200, map[string]string{"Content-Encoding": "gzip"}},
		"not packed":          {mineHead + "Authorization: Bearer ann\r\n\r\n", 200, map[string]string{"Content-Encoding": ""}},
		"for a page":          {bookHead + browser + "\r\n", 200, map[string]string{"Access-Control-Allow-Origin": "https://shop.example"}},
		"for another page":    {bookHead + "Origin: https://else.example\r\n\r\n", 200, map[string]string{"Access-Control-Allow-Origin": ""}},
		"with an id":          {bookHead + "X-Request-Id: mine-1\r\n\r\n", 200, map[string]string{"X-Request-Id": "mine-1"}},
		"with a header twice": {bookHead + "X-A: b\r\nX-A: c\r\nX-Empty:\r\n\r\n", 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			at := serve(t, served(answers{"GetBook": book, "GetMine": large}), keeping(t), strict, counting)
			conn := keep(t, at)

			first, last := conn.learn(t, at, each.head)
			all := []reply{last}
			for range 5 {
				all = append(all, conn.again(t, at, each.head))
			}
			for range 2 {
				other := keep(t, at)
				_, known := other.learn(t, at, each.head)
				all = append(all, known, other.again(t, at, each.head))
			}

			if first.status != each.status || first.header.Get("Strict-Transport-Security") == "" {
				t.Fatalf("%d %v", first.status, first.header)
			}
			for name, value := range each.has {
				if first.header.Get(name) != value {
					t.Errorf("%s is %q", name, first.header.Get(name))
				}
			}
			traces := map[string]bool{first.header.Get("X-Trace-Id"): true}
			for _, other := range all {
				for _, header := range []http.Header{first.header, other.header} { // it counts down
					header.Del("Ratelimit-Remaining")
				}
				alike(t, first, other)
				traces[other.header.Get("X-Trace-Id")] = true
				if date, err := http.ParseTime(other.header.Get("Date")); err != nil || date.Location() != time.UTC {
					t.Errorf("Date: %q", other.header.Get("Date"))
				}
				if each.has["X-Request-Id"] != "" && other.header.Get("X-Request-Id") != each.has["X-Request-Id"] {
					t.Errorf("X-Request-Id: %q", other.header.Get("X-Request-Id"))
				}
			}
			if len(traces) != len(all)+1 {
				t.Errorf("%d answers have %d trace ids", len(all)+1, len(traces))
			}
		})
	}
}

func TestAKnownHeadIsAnsweredWithWhatHoldsNow(t *testing.T) {
	var version atomic.Int32
	at := serve(t, served(answers{"GetShelf": func(_ context.Context, _, answer protoreflect.Message) error {
		field(answer, "version", version.Load())
		return nil
	}}), keeping(t), func(c *gateway.Config) {
		c.Guards = append(c.Guards, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.Cache.Clear()
				next.ServeHTTP(w, r)
			})
		})
	})
	conn := keep(t, at)
	conn.learn(t, at, shelf)
	for wanted := range int32(5) {
		version.Store(wanted + 7)

		got := conn.again(t, at, shelf)

		if !strings.Contains(got.body, fmt.Sprintf(`"version":%d`, wanted+7)) {
			t.Fatalf("%s", got.body)
		}
	}
}

func TestWhoeverIsRefusedSinceIsRefusedThoughTheirHeadIsKnown(t *testing.T) {
	var against atomic.Pointer[problem.Problem]
	at := serve(t, served(answers{"GetBook": book}), keeping(t), between(
		func(x *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if found := against.Load(); found != nil {
				x.Refuse(w, r, found)
				return
			}
			next.ServeHTTP(w, r)
		}))
	conn, head := keep(t, at), bookHead+"Authorization: Bearer ann\r\n\r\n"
	conn.learn(t, at, head)
	for _, each := range []struct {
		reason, header, value string
		status                int
	}{
		{contract.ReasonUnauthenticated, "Www-Authenticate", `Bearer error="invalid_token"`, 401},
		{contract.ReasonPermissionDenied, "X-Why", "so", 403},
		{contract.ReasonRateLimited, "Retry-After", "7", 429},
	} {
		against.Store(problem.New(each.reason, "not now").WithHeader(each.header, each.value))
		refusal := conn.again(t, at, head)
		against.Store(nil)
		after := conn.again(t, at, head)

		if refusal.status != each.status || !slices.Equal(refusal.header[each.header], []string{each.value}) ||
			!strings.Contains(refusal.body, `"code":"`+each.reason+`"`) || strings.Contains(refusal.body, "Emma") ||
			!slices.Equal(refusal.header["Cache-Control"], []string{"no-store"}) || refusal.header.Get("Etag") != "" {
			t.Errorf("%d %v %s", refusal.status, refusal.header, refusal.body)
		}
		if after.status != 200 || after.header.Get(each.header) != "" || !slices.Equal(after.header["Cache-Control"], []string{"private, no-cache"}) {
			t.Errorf("%d %v %s", after.status, after.header, after.body)
		}
	}
}

func TestKnownHeadsCountAgainstTheLimit(t *testing.T) {
	const most = 20
	at := serve(t, served(answers{"GetBook": book}), keeping(t), func(c *gateway.Config) {
		store := limits.NewMemory(func() time.Duration { return 0 }, 100)
		c.Guards = append(c.Guards, limits.Guard(store, map[string]limits.Rate{"read": {Limit: most, Period: time.Hour}}))
	})
	conn, statuses := keep(t, at), map[int]int{}

	var last reply
	for range most + 5 {
		last = conn.ask(t, bookHead+"\r\n")
		statuses[last.status]++
	}

	if statuses[200] != most || statuses[429] != 5 || at.server.Repeated() < 5 {
		t.Fatalf("%v, %d of them known", statuses, at.server.Repeated())
	}
	for _, name := range []string{"Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "Retry-After"} {
		if len(last.header[name]) != 1 {
			t.Errorf("%s: %q", name, last.header[name])
		}
	}
}

func TestWhatWasSaidOfAKnownHeadIsNotSaidOfTheAnswerOfAMountBehindIt(t *testing.T) {
	at := serve(t, &library.Library{}, keeping(t), below("/admin", mounted(t)))
	conn := keep(t, at)
	conn.learn(t, at, shelf)

	got := conn.ask(t, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")

	if got.status != 200 || got.header.Get("X-Trace-Id") != "" || got.header.Get("Cache-Control") != "" {
		t.Fatalf("%d %v", got.status, got.header)
	}
}

// from is a connection from an address of this machine.
func from(t *testing.T, at *place, address string) *kept {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", at.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return newKept(conn)
}

func TestEachPeerIsSeenAsThemselvesThoughTheySendTheSameHead(t *testing.T) {
	const forwarded = "GET /v1/shelves/s1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
	seen := make(chan gateway.Observation, 500)
	at := serve(t, &library.Library{}, keeping(t), func(c *gateway.Config) {
		c.TrustedProxies = []string{"127.0.0.2"}
		c.Observe = func(each gateway.Observation) { seen <- each }
	})
	direct, proxied := from(t, at, "127.0.0.1"), from(t, at, "127.0.0.2")
	direct.learn(t, at, shelf)
	proxied.learn(t, at, shelf)
	direct.learn(t, at, forwarded)
	proxied.learn(t, at, forwarded)
	for range len(seen) {
		<-seen
	}

	for _, each := range []struct {
		by           *kept
		head, client string
	}{
		{direct, shelf, "127.0.0.1"}, {proxied, shelf, "127.0.0.2"}, {direct, forwarded, "127.0.0.1"}, {proxied, forwarded, "198.51.100.7"},
		{direct, shelf, "127.0.0.1"},
	} {
		each.by.again(t, at, each.head)

		if got := <-seen; got.Client != each.client || got.Route != "GET /v1/shelves/{shelf_id}" || got.Method != "GET" || got.Status != 200 {
			t.Errorf("%+v, not %s", got, each.client)
		}
	}
}
