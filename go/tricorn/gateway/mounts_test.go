package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/gateway"
	"tricorn/gateway/cache"
	"tricorn/gateway/library"
	"tricorn/gateway/mounts"
)

// mounted is another process's server at a unix socket: it answers with what it was asked, and speaks in capitals after an upgrade.
func mounted(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "m") // t.TempDir makes paths that are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "http")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "capitals" {
			shout(w)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		if strings.HasSuffix(r.URL.Path, "/changed") {
			w.Header().Set("Tricorn-Changed", "1")
		}
		_, _ = fmt.Fprintf(w, "%s %s host=%s body=%s user=%q for=%q proto=%q prefix=%q", r.Method, r.RequestURI, r.Host, body,
			r.Header.Get("Tricorn-User-Id"), r.Header.Values("X-Forwarded-For"), r.Header.Values("X-Forwarded-Proto"),
			r.Header.Get("X-Forwarded-Prefix"))
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(func() {
		server.Close()
		os.RemoveAll(folder)
	})
	return socket
}

func shout(w http.ResponseWriter) {
	conn, stream, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\n")
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, strings.ToUpper(line))
	}
}

func below(prefix, socket string) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Mounts = []mounts.Mount{{Prefix: prefix, Socket: socket}} }
}

func TestARequestBelowAMountGoesToTheOtherProcessAsItIs(t *testing.T) {
	to := handler(t, &library.Library{}, below("/admin/", mounted(t)))

	answer := asked(to, "POST", "/admin/a%2Fb?x=1&y;z", "hello", "Tricorn-User-Id: root", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https",
		"X-Forwarded-Prefix: /elsewhere")
	beside := asked(to, "GET", "/administrator", "")

	want := `POST /admin/a%2Fb?x=1&y;z host=library.example body=hello user="" for=["192.0.2.1"] proto=["http"] prefix=""`
	if answer.Body.String() != want {
		t.Errorf("%s, not %s", answer.Body, want)
	}
	if frame := answer.Header().Get("X-Frame-Options"); frame != "SAMEORIGIN" || answer.Header().Get("X-Trace-Id") != "" {
		t.Errorf("%v", answer.Header())
	}
	refused(t, beside, 404, "NOT_FOUND")
}

func TestATrustedProxyMaySayWhoAsked(t *testing.T) {
	to := handler(t, &library.Library{}, below("/admin", mounted(t)), func(c *gateway.Config) { c.TrustedProxies = []string{"192.0.2.0/24"} })

	answer := asked(to, "GET", "/admin", "", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https")

	if !strings.Contains(answer.Body.String(), `for=["1.1.1.1" "192.0.2.1"] proto=["https" "http"]`) {
		t.Fatalf("%s", answer.Body)
	}
}

func TestAProcessThatIsNotThereIs503(t *testing.T) {
	to := handler(t, &library.Library{}, below("/admin", "/nowhere/at/all"))

	refused(t, asked(to, "GET", "/admin", ""), 503, "UNAVAILABLE")
}

func TestABodyReachesAMountOnAConnectionThatIsKept(t *testing.T) {
	conn := keep(t, serve(t, &library.Library{}, below("/admin", mounted(t))))

	for range 2 {
		conn.send(t, "POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		conn.answered(t, 200)
		conn.send(t, "POST /admin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		conn.answered(t, 200)
	}
}

func TestABodyThatAMountWaitsForInVainIsGivenUp(t *testing.T) {
	at := serve(t, &library.Library{}, quick, below("/admin", mounted(t)), func(c *gateway.Config) { c.Limits.MountTime = 100 * time.Millisecond })

	answer := at.raw(t, "POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")

	if !strings.HasPrefix(answer, "HTTP/1.1 408 ") || !strings.Contains(answer, `"code":"DEADLINE_EXCEEDED"`) {
		t.Fatalf("%s", answer)
	}
}

func TestABodyForAMountMayBeAsLargeAsAnyOther(t *testing.T) {
	at := serve(t, &library.Library{}, small, below("/admin", mounted(t)))
	const head = "POST /admin HTTP/1.1\r\nHost: a\r\n"

	conn := keep(t, at)
	conn.send(t, head+"Content-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
	conn.answered(t, 200)
	for name, sent := range map[string]string{
		"announced": "Content-Length: 1001\r\n\r\n",
		"in chunks": "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1f4\r\n"+strings.Repeat("x", 500)+"\r\n", 3),
	} {
		answer := at.raw(t, head+sent)

		if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || !strings.Contains(answer, `"code":"PAYLOAD_TOO_LARGE"`) {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestOnlyAMountThatSaysThatSomethingChangedEndsWhatIsKept(t *testing.T) {
	answers, err := cache.New(cache.Options{Bytes: 1 << 20, LongestTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(answers.Close)
	version := int32(0)
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetShelf": func(_ context.Context, _, answer protoreflect.Message) error {
			version++
			field(answer, "version", version)
			return nil
		},
	})
	to := handler(t, backend, below("/admin", mounted(t)), func(c *gateway.Config) { c.Cache = answers })
	read := func() string { return asked(to, "GET", "/v1/shelves/s1", "").Body.String() }
	first := read()

	asked(to, "POST", "/admin/form", "x")
	afterAForm := read()
	told := asked(to, "POST", "/admin/changed", "x")
	afterAChange := read()

	if afterAForm != first || afterAChange == first {
		t.Errorf("%s, then %s and %s", first, afterAForm, afterAChange)
	}
	if said := told.Header().Get("Tricorn-Changed"); said != "" {
		t.Errorf("the client was told %q", said)
	}
}

func TestAnUpgradeBelowAMountBecomesATunnel(t *testing.T) {
	at := serve(t, &library.Library{}, below("/live", mounted(t)))
	conn := keep(t, at)

	_, _ = io.WriteString(conn, "GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\n")
	answer, err := http.ReadResponse(conn.reader, nil)
	if err != nil || answer.StatusCode != 101 {
		t.Fatalf("%v %v", answer, err)
	}
	_, _ = io.WriteString(conn, "louder\n")
	line, err := conn.reader.ReadString('\n')

	if err != nil || line != "LOUDER\n" {
		t.Fatalf("%q %v", line, err)
	}
}

func TestAMountThatMakesNoSenseIsAnErrorAtStart(t *testing.T) {
	for _, declared := range [][]mounts.Mount{
		{{Prefix: "/", Socket: "s"}}, {{Prefix: "admin", Socket: "s"}}, {{Prefix: "/a"}}, {{Prefix: "/a", Socket: "s"}, {Prefix: "/a/", Socket: "t"}},
	} {
		_, err := gateway.New(configured(t, &library.Library{}, func(c *gateway.Config) { c.Mounts = declared }))
		if err == nil {
			t.Errorf("%v is taken", declared)
		}
	}
}
