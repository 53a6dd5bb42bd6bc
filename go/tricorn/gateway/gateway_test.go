package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway"
	"tricorn/gateway/auth"
	"tricorn/gateway/exchange"
	"tricorn/gateway/library"
	"tricorn/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// known is a guard that believes whoever says who they are, so that tests need no tokens: "Bearer ann librarian".
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			words := strings.Fields(name)
			exchange.Of(r.Context()).Identity = &wire.Identity{UserID: words[0], SessionID: "s1", Roles: words[1:]}
		} else if exchange.Of(r.Context()).Policy.Level == contract.User {
			exchange.Of(r.Context()).Denied = contract.Refuse(contract.ReasonUnauthenticated, "log in first")
		}
		next.ServeHTTP(w, r)
	})
}

const librarian = "Bearer ann librarian"

// configured is the library's gateway; a change replaces settings.
func configured(t testing.TB, backend *library.Library, changes ...func(*gateway.Config)) gateway.Config {
	t.Helper()
	library.Contract(t)
	config := gateway.Config{
		Contracts: []string{library.Service},
		Backend:   backend,
		Guards:    []func(http.Handler) http.Handler{known, auth.Admit},
		Roles:     map[string]bool{"librarian": true},
		Rates:     map[string]bool{"read": true, "write": true},
		Auth:      true,
		Limits:    gateway.DefaultLimits(),
	}
	for _, change := range changes {
		change(&config)
	}
	return config
}

func handler(t testing.TB, backend *library.Library, changes ...func(*gateway.Config)) http.Handler {
	t.Helper()
	made, err := gateway.New(configured(t, backend, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return made.Handler()
}

// asked sends a request with headers ("Name: value") and gives the answer.
func asked(to http.Handler, verb, path, body string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(verb, "http://library.example/", strings.NewReader(body))
	request.RequestURI = path
	if parsed, err := url.ParseRequestURI(path); err == nil {
		request.URL = parsed
	}
	if body == "" {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	answer := httptest.NewRecorder()
	to.ServeHTTP(answer, request)
	return answer
}

type seen struct {
	Code       string
	Detail     string
	Status     int
	TraceID    string
	Violations []struct{ Field, Rule, Message string }
}

// refused checks that an answer is a problem with this status and code.
func refused(t testing.TB, answer *httptest.ResponseRecorder, status int, code string) seen {
	t.Helper()
	var problem seen
	if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%d is no problem: %v: %s", answer.Code, err, answer.Body)
	}
	if answer.Code != status || problem.Code != code || answer.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s, not %d %s", answer.Code, answer.Body, status, code)
	}
	if problem.Status != status || problem.TraceID != answer.Header().Get("X-Trace-Id") {
		t.Fatalf("the problem is of another answer: %s", answer.Body)
	}
	return problem
}

// field sets a field of an answer by its proto name.
func field(message protoreflect.Message, name string, value any) {
	message.Set(message.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(value))
}

func get(message protoreflect.Message, name string) protoreflect.Value {
	return message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

// book answers with the book that was asked for.
func book(_ context.Context, request, answer protoreflect.Message) error {
	field(answer, "book_id", get(request, "book_id").String())
	field(answer, "title", "Emma")
	field(answer, "copies", int64(3))
	field(answer, "etag", "5")
	return nil
}

func served(answers map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error) *library.Library {
	return &library.Library{Answers: answers}
}

// at serves a gateway on a port of its own until the test ends, or until leave is called; left ends when it has drained.
type place struct {
	server  *gateway.Server
	address string
	leave   context.CancelFunc
	left    <-chan struct{}
}

func serve(t testing.TB, backend *library.Library, changes ...func(*gateway.Config)) *place {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveBy(t, listener, backend, changes...)
}

// serveBy is serve for those who have a listener of their own.
func serveBy(t testing.TB, listener net.Listener, backend *library.Library, changes ...func(*gateway.Config)) *place {
	t.Helper()
	changes = append([]func(*gateway.Config){func(c *gateway.Config) {
		c.Limits.IdleTime, c.Limits.DrainTime = 0, 5*time.Second
	}}, changes...)
	made, err := gateway.New(configured(t, backend, changes...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		if err := made.Serve(ctx, listener); err != nil {
			t.Errorf("serving ended with %v", err)
		}
	}()
	t.Cleanup(func() {
		leave()
		<-left
	})
	return &place{made, listener.Addr().String(), leave, left}
}

// raw sends bytes and reads until the server closes.
func (p *place) raw(t testing.TB, parts ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("read after %q: %v", answer, err)
	}
	return string(answer)
}

func (p *place) url(path string) string { return fmt.Sprintf("http://%s%s", p.address, path) }
