package http1

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const request = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"

// serving starts a server, and counts its connections.
func serving(t *testing.T, handler http.HandlerFunc) (address string, connections *atomic.Int32) {
	t.Helper()
	connections = &atomic.Int32{}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), connections
}

func ask(t *testing.T, connection *Connection, times int) []load.Answer {
	t.Helper()
	t.Cleanup(connection.Close)
	answers := make([]load.Answer, times)
	for number := range answers {
		answers[number] = connection.Call(t.Context(), []byte(request))
	}
	return answers
}

func TestAnswersOfEveryKindAreReadWhole(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a length":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"no body":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"long body": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 100_000)) },
		"in pieces": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, "piece")
				_ = http.NewResponseController(w).Flush()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := serving(t, handler)

			answers := ask(t, New(address, false, 0), 3)

			for _, answer := range answers {
				if !answer.OK {
					t.Errorf("%+v", answer)
				}
			}
			if connections.Load() != 1 {
				t.Errorf("it took %d connections", connections.Load())
			}
		})
	}
}

func TestAFreshConnectionIsMadeForEveryRequest(t *testing.T) {
	address, connections := serving(t, func(http.ResponseWriter, *http.Request) {})

	ask(t, New(address, true, 0), 3)

	if connections.Load() != 3 {
		t.Errorf("it took %d connections", connections.Load())
	}
}

func TestAServerThatClosesIsConnectedToAgain(t *testing.T) {
	address, connections := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })

	answers := ask(t, New(address, false, 0), 2)

	if !answers[0].OK || !answers[1].OK || connections.Load() != 2 {
		t.Errorf("%+v on %d connections", answers, connections.Load())
	}
}

func TestOnlyWhatIsExpectedIsGood(t *testing.T) {
	address, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })

	if answer := ask(t, New(address, false, 0), 1)[0]; answer.OK || answer.Status != http.StatusUnauthorized {
		t.Errorf("%+v", answer)
	}
	if answer := ask(t, New(address, false, http.StatusUnauthorized), 1)[0]; !answer.OK {
		t.Errorf("%+v", answer)
	}
}

func TestACutAnswerIsAFailureAndNothingIsRepeated(t *testing.T) {
	asked := &atomic.Int32{}
	address, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
		panic(http.ErrAbortHandler)
	})

	answer := ask(t, New(address, false, 0), 1)[0]

	if answer != (load.Answer{}) || asked.Load() != 1 {
		t.Errorf("%+v, asked %d times", answer, asked.Load())
	}
}

func TestNobodyThereIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(nil)
	address := strings.TrimPrefix(server.URL, "http://")
	server.Close()

	if answer := ask(t, New(address, false, 0), 1)[0]; answer != (load.Answer{}) {
		t.Errorf("%+v", answer)
	}
}
