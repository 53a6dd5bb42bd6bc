package gateway_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tricorn/gateway"
	"tricorn/gateway/library"
)

// ofTheWay are headers that net/http adds on a connection.
var ofTheWay = map[string]bool{"Date": true, "Connection": true}

func TestAnswersHaveTheSameHeadOnAConnectionAsWithoutAndEachLineOnce(t *testing.T) {
	strict := func(c *gateway.Config) { c.HSTS, c.CORS.Origins = true, []string{"https://shop.example"} }
	at, plain := serve(t, &library.Library{}, strict), handler(t, &library.Library{}, strict)
	conn := keep(t, at)
	for _, each := range []struct{ verb, path, body, more string }{
		{"GET", "/v1/books/b1", "", ""},
		{"HEAD", "/v1/books/b1", "", ""},
		{"GET", "/nothing", "", "X-Request-Id: mine-1\r\n"},
		{"POST", "/v1/books/b1:lend", "{}", "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"},
		{"OPTIONS", "/v1/books/b1", "", "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n"},
		{"GET", "/health/live", "", ""},
		{"GET", "/v1/books/b1", "", "Connection: close\r\n"},
	} {
		if _, err := io.WriteString(conn, each.verb+" "+each.path+" HTTP/1.1\r\nHost: a\r\n"+each.more+"\r\n"+each.body); err != nil {
			t.Fatal(err)
		}

		answer, err := http.ReadResponse(conn.reader, &http.Request{Method: each.verb})
		for err == nil && answer.StatusCode < http.StatusOK {
			if len(answer.Header) > 0 {
				t.Fatalf("%s %s: a provisional answer has %v", each.verb, each.path, answer.Header)
			}
			answer, err = http.ReadResponse(conn.reader, &http.Request{Method: each.verb})
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}

		wanted := asked(plain, each.verb, each.path, each.body, strings.Split(strings.TrimSuffix(each.more, "\r\n"), "\r\n")...).Header()
		maps.DeleteFunc(answer.Header, func(name string, _ []string) bool { return ofTheWay[name] })
		maps.DeleteFunc(wanted, func(name string, _ []string) bool { return ofTheWay[name] || name == "Content-Length" })
		delete(answer.Header, "Content-Length")
		if got, want := slices.Sorted(maps.Keys(answer.Header)), slices.Sorted(maps.Keys(wanted)); !slices.Equal(got, want) {
			t.Errorf("%s %s has %v, without a connection %v", each.verb, each.path, got, want)
		}
		for name, values := range answer.Header {
			if len(values) != len(wanted[name]) {
				t.Errorf("%s %s: %s is %v", each.verb, each.path, name, values)
			}
		}
		if answer.Header.Get("Strict-Transport-Security") == "" || answer.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s %s: %v", each.verb, each.path, answer.Header)
		}
	}
}
