package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway"
	"tricorn/gateway/library"
	"tricorn/telemetry"
)

func TestAGetReadsItsPathAndAnswersJSON(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book})

	answer := asked(handler(t, backend), "GET", "/v1/books/b%201", "", "Authorization: Bearer ann")

	want := `{"bookId":"b 1","title":"Emma","genre":"GENRE_UNSPECIFIED","copies":"3","etag":"5"}`
	if answer.Code != 200 || answer.Body.String() != want || answer.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	if identity := backend.Questions()[0].Identity; identity.UserID != "ann" {
		t.Fatalf("the call is made for %v", identity)
	}
}

// request is what the library was asked last, as JSON without white space.
func request(t *testing.T, backend *library.Library) string {
	t.Helper()
	questions := backend.Questions()
	if len(questions) == 0 {
		t.Fatal("nobody was asked")
	}
	text, err := protojson.Marshal(questions[len(questions)-1].Message)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), "")
}

func TestPathsQueriesAndBodiesFillTheRequest(t *testing.T) {
	for _, each := range []struct{ verb, path, body, want string }{
		{"GET", "/v1/shelves/s1/books/b1", "", `{"name":"shelves/s1/books/b1"}`},
		{"GET", "/v1/shelves/mine", "", `{}`},
		{"POST", "/v1/books/b1:lend", `{"reader":"ann"}`, `{"bookId":"b1","reader":"ann"}`},
		{"POST", "/v1/books/b1:lend", ``, `{"bookId":"b1"}`},
		{"GET", "/v1/covers/a/b%20c/d.png", "", `{"path":"a/bc/d.png"}`},
		{"PATCH", "/v1/books/b1", `{"title":"Emma","pageCount":null}`,
			`{"bookId":"b1","book":{"title":"Emma"},"updateMask":"title,pageCount"}`},
		{"PATCH", "/v1/books/b1?updateMask=title", `{"title":"Emma","page_count":3}`,
			`{"bookId":"b1","book":{"title":"Emma","pageCount":3},"updateMask":"title"}`},
		{"GET", "/v1/books?page_size=3&filter.author=a+b&filter.genres=GENRE_NOVEL&filter.genres=2&filter.lent=true&readMask=bookId",
			"", `{"pageSize":3,"filter":{"author":"ab","genres":["GENRE_NOVEL","GENRE_POETRY"],"lent":true},"readMask":"bookId"}`},
		{"GET", "/v1/books?filter.after=2026-01-31T12:00:00Z&filter.pages=7&&", "",
			`{"filter":{"after":"2026-01-31T12:00:00Z","pages":7}}`},
		{"PUT", "/v1/books/b1/cover", "bytes", `{"bookId":"b1","image":{"contentType":"image/png","data":"Ynl0ZXM="}}`},
	} {
		backend := &library.Library{}

		answer := asked(handler(t, backend), each.verb, each.path, each.body, "Authorization: Bearer ann", "Content-Type: "+
			map[bool]string{true: "image/png", false: "application/json"}[each.verb == "PUT"])

		if answer.Code != 200 || request(t, backend) != each.want {
			t.Errorf("%s %s: %d, asked %s, not %s", each.verb, each.path, answer.Code, request(t, backend), each.want)
		}
	}
}

func TestWhatDoesNotFitIsRefusedByName(t *testing.T) {
	for _, each := range []struct{ verb, path, body, field, message string }{
		{"GET", "/v1/books?colour=red", "", "colour", "there is no such query parameter"},
		{"GET", "/v1/books?pageSize=ten", "", "pageSize", "must be an integer"},
		{"GET", "/v1/books?pageSize=1&page_size=1", "", "page_size", "is given twice"},
		{"GET", "/v1/books?labels.a=1", "", "labels.a", "there is no such query parameter"},
		{"GET", "/v1/books?filter=x", "", "filter", "there is no such query parameter"},
		{"GET", "/v1/books?pageToken=%zz", "", "pageToken", "holds a % that is no escape"},
		{"GET", "/v1/books?pageToken=%ff", "", "pageToken", "is not UTF-8"},
		{"GET", "/v1/books?pageToken=%00", "", "pageToken", "must not contain U+0000"},
		{"GET", "/v1/books?" + strings.Repeat("a=1&", 300), "", "", "there are more than 256 query parameters"},
		{"GET", "/v1/books/%ff", "", "bookId", "is not UTF-8"},
		{"GET", "/v1/books/b1?bookId=b2", "", "bookId", "there is no such query parameter"},
		{"GET", "/v1/books", "{}", "", "this takes no body"},
		{"POST", "/v1/books/b1:lend?reader=x", "", "reader", "there is no such query parameter"},
		{"POST", "/v1/books/b1:lend", `{"bookId":"b2"}`, "bookId", "differs from the one in the path"},
		{"POST", "/v1/books/b1:lend", `{"bookId":""}`, "bookId", "differs from the one in the path"},
		{"POST", "/v1/books/b1:lend", `{"reader":5}`, "reader", "must be a string, not a number"},
		{"PATCH", "/v1/books/b1", `{"titel":"x"}`, "titel", "there is no such field"},
	} {
		backend := &library.Library{}

		answer := asked(handler(t, backend), each.verb, each.path, each.body, "Authorization: Bearer ann", "Content-Type: application/json")

		problem := refused(t, answer, 400, "MALFORMED_REQUEST")
		if each.field == "" {
			if problem.Detail != each.message {
				t.Errorf("%s %s: %s", each.verb, each.path, problem.Detail)
			}
			continue
		}
		if len(problem.Violations) != 1 || problem.Violations[0].Field != each.field || problem.Violations[0].Message != each.message {
			t.Errorf("%s %s: %+v", each.verb, each.path, problem.Violations)
		}
		if len(backend.Questions()) > 0 {
			t.Errorf("%s %s reached the backend", each.verb, each.path)
		}
	}
}

func TestAPathThatNobodyHasIs404AndAVerbThatItLacks405(t *testing.T) {
	to := handler(t, &library.Library{})

	for _, path := range []string{"/", "/v1", "/v1/books/", "//v1/books", "/library.v1.LibraryService/GetBook"} {
		refused(t, asked(to, "GET", path, ""), 404, "NOT_FOUND")
	}
	refused(t, asked(to, "POST", "/v1/books/b1:nope", ""), 404, "NOT_FOUND")
	answer := asked(to, "PROPFIND", "/v1/books", "")
	refused(t, answer, 405, "METHOD_NOT_ALLOWED")
	if allow := answer.Header().Get("Allow"); allow != "GET, HEAD, OPTIONS, POST" {
		t.Fatal(allow)
	}
	options := asked(to, "OPTIONS", "/v1/books/b1", "")
	if options.Code != 204 || options.Header().Get("Allow") != "DELETE, GET, HEAD, OPTIONS, PATCH" {
		t.Fatalf("%d %v", options.Code, options.Header())
	}
}

func TestTheFormThatIsSpokenIsAgreedOn(t *testing.T) {
	for _, each := range []struct {
		headers string
		status  int
		code    string
	}{
		{"Content-Type: text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Content-Type: application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Content-Encoding: gzip", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Accept: text/html", 406, "NOT_ACCEPTABLE"},
		{"Accept: application/json;q=0, */*", 406, "NOT_ACCEPTABLE"},
		{"Accept: application/*", 200, ""},
		{"Content-Type: application/merge-patch+json", 200, ""},
	} {
		answer := asked(handler(t, &library.Library{}), "POST", "/v1/books/b1:lend", "{}", each.headers)

		if each.code != "" {
			refused(t, answer, each.status, each.code)
		} else if answer.Code != each.status {
			t.Errorf("%s: %d", each.headers, answer.Code)
		}
	}
}

func TestHeadersFillFieldsAndContradictionsAreRefused(t *testing.T) {
	for _, each := range []struct {
		verb, path, body string
		headers          []string
		want             string // the request; or, beginning with !, the problem's detail
	}{
		{"POST", "/v1/books", `{"title":"E"}`, []string{"Idempotency-Key: k1"}, `{"title":"E","idempotencyKey":"k1"}`},
		{"POST", "/v1/books", `{"title":"E","idempotencyKey":"k1"}`, []string{"Idempotency-Key: k1"}, `{"title":"E","idempotencyKey":"k1"}`},
		{"POST", "/v1/books", `{"title":"E","idempotencyKey":"k2"}`, []string{"Idempotency-Key: k1"},
			"!idempotencyKey: differs from the header Idempotency-Key"},
		{"POST", "/v1/books", `{}`, []string{"Idempotency-Key: "}, "!the header Idempotency-Key must be visible ASCII"},
		{"POST", "/v1/books", `{}`, []string{"Idempotency-Key: a", "Idempotency-Key: b"}, "!the header idempotency-key stands twice"},
		{"DELETE", "/v1/books/b1", "", []string{`If-Match: W/"5"`}, `{"bookId":"b1","etag":"5"}`},
		{"DELETE", "/v1/books/b1", "", []string{`If-Match: *`}, `{"bookId":"b1"}`},
		{"DELETE", "/v1/books/b1?etag=6", "", []string{`If-Match: "5"`}, "!etag: differs from the header If-Match"},
		{"DELETE", "/v1/books/b1", "", []string{`If-Match: 5`}, `!If-Match must be one ETag in quotes, such as "5", or *`},
		{"POST", "/v1/books/b1:lend", "{}", []string{`If-Match: "5"`}, "!this cannot be made to depend on If-Match"},
	} {
		backend := &library.Library{}

		answer := asked(handler(t, backend), each.verb, each.path, each.body, append(each.headers, "Authorization: "+librarian)...)

		if detail, ok := strings.CutPrefix(each.want, "!"); ok {
			if problem := refused(t, answer, 400, "MALFORMED_REQUEST"); problem.Detail != detail {
				t.Errorf("%v: %s", each.headers, problem.Detail)
			}
		} else if answer.Code >= 300 || request(t, backend) != each.want {
			t.Errorf("%v: %d, asked %s", each.headers, answer.Code, request(t, backend))
		}
	}
}

func TestAnETagIsTheVersionInQuotesAndAnswers304(t *testing.T) {
	to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book}))

	first := asked(to, "GET", "/v1/books/b1", "")
	same := asked(to, "GET", "/v1/books/b1", "", `If-None-Match: "4", W/"5"`)
	other := asked(to, "GET", "/v1/books/b1", "", `If-None-Match: "6"`)

	if first.Header().Get("ETag") != `"5"` || same.Code != 304 || same.Body.Len() != 0 || other.Code != 200 {
		t.Fatalf("%v %d %s %d", first.Header(), same.Code, same.Body, other.Code)
	}
}

func TestSuccessHasTheStatusOfItsPolicy(t *testing.T) {
	to := handler(t, &library.Library{})

	made := asked(to, "POST", "/v1/books", `{"title":"E"}`, "Authorization: "+librarian)
	gone := asked(to, "DELETE", "/v1/books/b1", "", "Authorization: Bearer ann")

	if made.Code != 201 || gone.Code != 204 || gone.Body.Len() != 0 {
		t.Fatalf("%d %d %s", made.Code, gone.Code, gone.Body)
	}
}

func TestCachingSaysWhoMayKeepAnAnswer(t *testing.T) {
	to := handler(t, &library.Library{})
	for path, want := range map[string]string{
		"/v1/books/b1":     "private, no-cache|Accept-Encoding",
		"/v1/shelves/mine": "private, no-cache|Authorization, Accept-Encoding",
		"/v1/shelves/s1":   "public, max-age=30|Accept-Encoding",
	} {
		header := asked(to, "GET", path, "", "Authorization: Bearer ann").Header()
		if got := header.Get("Cache-Control") + "|" + header.Get("Vary"); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
	if kept := asked(to, "POST", "/v1/login", "{}").Header().Get("Cache-Control"); kept != "no-store" {
		t.Error(kept)
	}
}

func TestResponseBodyAndHTTPBodyAnswerWhatTheyName(t *testing.T) {
	to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"ListBooks": func(_ context.Context, _, answer protoreflect.Message) error {
			books := answer.Mutable(answer.Descriptor().Fields().ByName("books")).List()
			one := books.NewElement()
			field(one.Message(), "title", "Emma \"é\"\u2028")
			books.Append(one)
			return nil
		},
		"GetCover": func(_ context.Context, _, answer protoreflect.Message) error {
			field(answer, "content_type", "image/png")
			field(answer, "data", []byte{0, 1, 2})
			return nil
		},
	}))

	titles := asked(to, "GET", "/v1/titles", "")
	cover := asked(to, "GET", "/v1/covers/x.png", "", "Accept: image/*")

	if want := `[{"bookId":"","title":"Emma \"é\"` + "\u2028" + `","genre":"GENRE_UNSPECIFIED","copies":"0","etag":""}]`; titles.Body.String() != want {
		t.Errorf("%s", titles.Body)
	}
	if cover.Body.String() != "\x00\x01\x02" || cover.Header().Get("Content-Type") != "image/png" {
		t.Errorf("%v %q", cover.Header(), cover.Body)
	}
}

func TestLongAnswersArePackedForWhoCanUnpackThem(t *testing.T) {
	to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetBook": func(_ context.Context, _, answer protoreflect.Message) error {
			field(answer, "title", strings.Repeat("long ", 1000))
			return nil
		},
	}))

	packed := asked(to, "GET", "/v1/books/b1", "", "Accept-Encoding: br, gzip;q=0.5")
	plain := asked(to, "GET", "/v1/books/b1", "", "Accept-Encoding: gzip;q=0")

	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Body.Len() > 500 || plain.Body.Len() < 5000 {
		t.Fatalf("%v %d %d", packed.Header(), packed.Body.Len(), plain.Body.Len())
	}
}

func TestFailuresShowWhatTheyMayAndNothingElse(t *testing.T) {
	for name, each := range map[string]struct {
		fail   func() error
		status int
		code   string
	}{
		"a refusal":         {func() error { return contract.Refuse("NOT_FOUND", "no such book") }, 404, "NOT_FOUND"},
		"unavailable":       {func() error { return contract.Refuse("UNAVAILABLE", "not now") }, 503, "UNAVAILABLE"},
		"an unknown reason": {func() error { return contract.Refuse("SECRET_REASON", "secret") }, 500, "INTERNAL"},
		"an unknown error":  {func() error { return errors.New("secret") }, 500, "INTERNAL"},
		"a panic":           {func() error { panic("secret") }, 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
				"GetBook": func(context.Context, protoreflect.Message, protoreflect.Message) error { return each.fail() },
			}))

			answer := asked(to, "GET", "/v1/books/b1", "")

			refused(t, answer, each.status, each.code)
			if strings.Contains(answer.Body.String(), "secret") {
				t.Fatalf("%s", answer.Body)
			}
			if after := answer.Header().Get("Retry-After"); (after == "1") != (each.status == 503) {
				t.Fatalf("Retry-After: %s", after)
			}
		})
	}
}

func TestBrokenRulesAreNamedAsJSONSpellsThem(t *testing.T) {
	body := `{"title":"E","chapters":[{"chapterTitle":"` + strings.Repeat("x", 21) + `"}]}`

	answer := asked(handler(t, &library.Library{}), "POST", "/v1/books", body, "Authorization: "+librarian)

	problem := refused(t, answer, 400, "INVALID_ARGUMENT")
	if len(problem.Violations) != 1 || problem.Violations[0].Field != "chapters[0].chapterTitle" {
		t.Fatalf("%+v", problem.Violations)
	}
}

func TestABackendThatIgnoresTimeIsGivenUp(t *testing.T) {
	to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"LendBook": func(ctx context.Context, _, _ protoreflect.Message) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}))

	refused(t, asked(to, "POST", "/v1/books/b1:lend", "{}"), 504, "DEADLINE_EXCEEDED")
}

func TestTheCallersTraceAndRequestIDComeBackWithTimes(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"

	header := asked(handler(t, &library.Library{}), "GET", "/v1/books/b1", "",
		"traceparent: 00-"+trace+"-b7ad6b7169203331-01", "X-Request-Id: mine-1").Header()
	plain := asked(handler(t, &library.Library{}), "GET", "/nothing", "", "X-Request-Id: not fit").Header()

	if header.Get("X-Trace-Id") != trace || header.Get("X-Request-Id") != "mine-1" || !strings.Contains(header.Get("Server-Timing"), "call;dur=") {
		t.Fatalf("%v", header)
	}
	if plain.Get("X-Request-Id") != plain.Get("X-Trace-Id") || plain.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%v", plain)
	}
}

func TestACallerDoesNotSayWhetherTheirTraceIsRecorded(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	var within string
	to := handler(t, served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetBook": func(ctx context.Context, _, _ protoreflect.Message) error {
			within = telemetry.Traceparent(ctx)
			return nil
		},
	}))

	asked(to, "GET", "/v1/books/b1", "", "traceparent: 00-"+trace+"-b7ad6b7169203331-00")

	if !strings.HasPrefix(within, "00-"+trace) || !strings.HasSuffix(within, "-01") {
		t.Fatal(within)
	}
}

func TestBrowsersMayCallFromTheOriginsOfTheSettingsOnly(t *testing.T) {
	to := handler(t, &library.Library{}, func(c *gateway.Config) { c.CORS.Origins = []string{"https://shop.example"} })

	good := asked(to, "GET", "/v1/books/b1", "", "Origin: https://shop.example").Header()
	bad := asked(to, "GET", "/v1/books/b1", "", "Origin: https://other.example").Header()
	preflight := asked(to, "OPTIONS", "/v1/books", "", "Origin: https://shop.example", "Access-Control-Request-Method: POST").Header()

	if good.Get("Access-Control-Allow-Origin") != "https://shop.example" || bad.Get("Access-Control-Allow-Origin") != "" {
		t.Fatalf("%v %v", good, bad)
	}
	if preflight.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS, POST" || bad.Values("Vary")[1] != "Origin" {
		t.Fatalf("%v %v", preflight, bad)
	}
}

func TestPagesAreThere(t *testing.T) {
	to := handler(t, &library.Library{}, func(c *gateway.Config) {
		c.OpenAPI = []byte(`{ "openapi": "3.1.0" }`)
		c.Ready = func(context.Context) map[string]bool { return map[string]bool{"shelves": false} }
	})
	for _, each := range []struct {
		path   string
		status int
		begins string
	}{
		{"/health/live", 200, `{"status":"ok"}`},
		{"/health", 503, `{"checks":{"shelves":false},"status":"unavailable"}`},
		{"/openapi.json", 200, `{"openapi":"3.1.0"}`},
		{"/docs", 200, "<!doctype html>"},
		{"/docs/docs.js", 200, ""},
		{"/problems", 200, "<!doctype html>"},
		{"/problems/not-found", 200, "<!doctype html>"},
	} {
		answer := asked(to, "GET", each.path, "")
		if answer.Code != each.status || !strings.HasPrefix(strings.ToLower(answer.Body.String()), each.begins) {
			t.Errorf("%s: %d %s", each.path, answer.Code, answer.Body)
		}
	}
	refused(t, asked(to, "GET", "/problems/nope", ""), 404, "NOT_FOUND")
}

func TestAContractThatDoesNotFitIsAnErrorAtStart(t *testing.T) {
	for want, change := range map[string]func(*gateway.Config){
		`rate class "read"`:       func(c *gateway.Config) { c.Rates = nil },
		`role "librarian"`:        func(c *gateway.Config) { c.Roles = nil },
		"needs a user":            func(c *gateway.Config) { c.Auth = false },
		"find the contract no.No": func(c *gateway.Config) { c.Contracts = []string{"no.No"} },
	} {
		_, err := gateway.New(configured(t, &library.Library{}, change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
