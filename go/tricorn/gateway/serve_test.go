package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/gateway"
	"tricorn/gateway/library"
)

func small(c *gateway.Config) { c.Limits.Body = 1000 }

func quick(c *gateway.Config) {
	c.Limits.BodyTime, c.Limits.HeaderTime = 100*time.Millisecond, 100*time.Millisecond
}

const announced = "POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"

func TestWhatCannotBeReadOrIsTooLargeIsAProblemAndTheLastAnswer(t *testing.T) {
	at, hurried := serve(t, &library.Library{}, small), serve(t, &library.Library{}, quick)
	for name, each := range map[string]struct{ sent, status, code string }{
		"no HTTP":              {"this is not HTTP at all\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"a bad version":        {"GET / HTTP/3.7\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"a bad header":         {"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"two lengths":          {"POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400", "MALFORMED_REQUEST"},
		"a length and chunks":  {"POST /v1/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"both, and silence":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"a proxy's, silently":  {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"a false HTTP/2":       {"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"an unknown coding":    {"POST /v1/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"bytes in the target":  {"GET /v1/books/\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", "400", "MALFORMED_REQUEST"},
		"too many headers":     {"GET /v1/books HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", "431", "PAYLOAD_TOO_LARGE"},
		"a large header":       {"GET /v1/books HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("x", 40_000) + "\r\n\r\n", "431", "PAYLOAD_TOO_LARGE"},
		"a huge header":        {"GET /v1/books HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("x", 400_000) + "\r\n\r\n", "431", "PAYLOAD_TOO_LARGE"},
		"a long target":        {"GET /" + strings.Repeat("x", 10_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414", "PAYLOAD_TOO_LARGE"},
		"a head without end":   {"GET /v1/books HTTP/1.1\r\nHost: a\r\n", "408", "DEADLINE_EXCEEDED"},
		"a body without end":   {"POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{", "408", "DEADLINE_EXCEEDED"},
		"a broken chunk":       {"POST /v1/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "MALFORMED_REQUEST"},
		"a large body":         {announced + strings.Repeat("x", 2000), "413", "PAYLOAD_TOO_LARGE"},
		"a large body, slowly": {announced, "413", "PAYLOAD_TOO_LARGE"},
		"a body in large chunks": {"POST /v1/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 2), "413", "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			to := at
			if each.status == "408" {
				to = hurried
			}

			answer := to.raw(t, each.sent)

			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+each.status+" ") || !strings.Contains(body, `"code":"`+each.code+`"`) ||
				!strings.Contains(strings.ToLower(head), "connection: close") || strings.Count(answer, "HTTP/1.1") != 1 {
				t.Fatalf("%s", answer)
			}
		})
	}
}

func TestAClientThatSendsAllBeforeItReadsStillGetsTheRefusal(t *testing.T) {
	at := serve(t, &library.Library{})

	answer := at.raw(t, "POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", strings.Repeat("x", 5_000_000))

	if !strings.HasPrefix(answer, "HTTP/1.1 413 ") {
		t.Fatalf("%.200s", answer)
	}
}

func TestALengthThatIsOnlyAnnouncedTakesNoRoom(t *testing.T) {
	const times, length = 100, 1 << 20
	to := handler(t, &library.Library{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	for range times {
		request := httptest.NewRequest("POST", "/v1/login", iotest.ErrReader(io.ErrUnexpectedEOF))
		request.ContentLength = length
		answer := httptest.NewRecorder()
		to.ServeHTTP(answer, request)
		refused(t, answer, 400, "MALFORMED_REQUEST")
	}

	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > times*length/4 {
		t.Fatalf("%d bytes for bodies that never came", took)
	}
}

func TestABodyLongerThanAnnouncedIsNotTakenForARequest(t *testing.T) {
	at := serve(t, &library.Library{})

	answer := at.raw(t, "POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}GET /v1/books HTTP/1.1\r\nHost: a\r\n\r\n"+
		"DELETE / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n")

	if strings.Count(answer, "HTTP/1.1 200") != 2 || strings.Count(answer, "HTTP/1.1 404") != 1 {
		t.Fatalf("%s", answer) // three requests in a row: what follows a body is the next request
	}
}

func TestAClientThatLeavesCancelsTheCall(t *testing.T) {
	asked, ended, codes := make(chan struct{}), make(chan error, 1), make(chan gateway.Observation, 1)
	at := serve(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetBook": func(ctx context.Context, _, _ protoreflect.Message) error {
			close(asked)
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		},
	}), func(c *gateway.Config) { c.Observe = func(seen gateway.Observation) { codes <- seen } })
	conn, err := net.Dial("tcp", at.address)
	if err != nil {
		t.Fatal(err)
	}

	_, _ = io.WriteString(conn, "GET /v1/books/b1 HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	conn.Close()

	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the call went on until %v", err)
	}
	if seen := <-codes; seen.Status != 499 || seen.Code != "CANCELLED" || seen.Route != "GET /v1/books/{book_id}" {
		t.Fatalf("%+v", seen)
	}
}

func TestADrainAnswersWhatWasAskedAndClosesTheConnection(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	at := serve(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetBook": func(context.Context, protoreflect.Message, protoreflect.Message) error {
			close(asked)
			<-goOn
			return nil
		},
	}))
	conn, err := net.Dial("tcp", at.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))

	_, _ = io.WriteString(conn, "GET /v1/books/b1 HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	at.leave()
	waitUntilRefused(t, at.address)
	close(goOn)
	answer, err := io.ReadAll(conn)
	<-at.left

	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") || !strings.Contains(string(answer), "Connection: close") {
		t.Fatalf("%v %s", err, answer)
	}
}

// waitUntilRefused waits until nobody listens at an address.
func waitUntilRefused(t *testing.T, address string) {
	t.Helper()
	for ends := time.Now().Add(5 * time.Second); time.Now().Before(ends); {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("somebody still listens")
}

func TestADrainWithASuccessorStillAnswersOnKeptConnections(t *testing.T) {
	at := serve(t, &library.Library{}, func(c *gateway.Config) { c.Limits.IdleTime = 10 * time.Second })
	conn := keep(t, at)
	ask := func() *http.Response {
		_, _ = io.WriteString(conn, "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
		answer, err := http.ReadResponse(conn.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer
	}

	before := ask()
	at.leave()
	waitUntilRefused(t, at.address)
	during := ask()
	<-at.left

	if before.Close || !during.Close || during.StatusCode != 200 {
		t.Fatalf("%v %v", before.Close, during)
	}
}

func TestADrainClosesConnectionsWithoutARequestWhenNobodyFollows(t *testing.T) {
	at := serve(t, &library.Library{})
	conn, err := net.Dial("tcp", at.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)

	at.leave()
	<-at.left

	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Fatalf("%q %v", rest, err)
	}
}
