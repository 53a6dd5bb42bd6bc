package hold

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConnectionsStayOpenUntilTheyAreClosed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()

	held, err := Open(t.Context(), strings.TrimPrefix(server.URL, "http://"), "/", 100)
	if err != nil || held.Count() != 100 {
		t.Fatalf("%d are held: %v", held.Count(), err)
	}
	defer held.Close()

	for _, socket := range held.sockets {
		if _, err := fmt.Fprint(socket, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(socket), nil)
		if err != nil {
			t.Fatalf("a connection that was held is of no use: %v", err)
		}
		_ = answer.Body.Close()
	}
}

func TestWhatIsRefusedIsSaid(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	held, err := Open(t.Context(), strings.TrimPrefix(server.URL, "http://"), "/", 3)

	if err == nil || held.Count() != 0 {
		t.Errorf("%d are held: %v", held.Count(), err)
	}
}
