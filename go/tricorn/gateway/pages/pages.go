// Package pages answers /health, /problems, /openapi.json and /docs.
package pages

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/negotiate"
	"tricorn/gateway/problem"
)

const (
	readyTime = 2 * time.Second
	htmlType  = "text/html; charset=utf-8"
	policy    = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'"
)

// The reader of the OpenAPI document is that of the gateway in Python; a test holds the files equal.
//
//go:embed docs.html docs.js docs.css
var files embed.FS

// Ready says what must work for the gateway to be of use, by name, and whether it does.
type Ready func(context.Context) map[string]bool

// All gives the pages by path template. openapi is the document at /openapi.json; without one that path is not there.
func All(openapi []byte, ready Ready) map[string]http.Handler {
	docs := map[string]string{"Content-Security-Policy": policy}
	made := map[string]http.Handler{
		"/health":          health(ready),
		"/health/live":     http.HandlerFunc(live),
		"/health/ready":    health(ready),
		"/docs":            file("docs.html", htmlType, docs),
		"/docs/docs.js":    file("docs.js", "text/javascript; charset=utf-8", nil),
		"/docs/docs.css":   file("docs.css", "text/css; charset=utf-8", nil),
		"/problems":        http.HandlerFunc(problemList),
		"/problems/{name}": http.HandlerFunc(problemPage),
	}
	if openapi != nil {
		made["/openapi.json"] = page(compact(openapi), negotiate.JSON, map[string]string{"Access-Control-Allow-Origin": "*"})
	}
	return made
}

// compact leaves out the white space that makes a document readable in a repository.
func compact(document []byte) []byte {
	var made bytes.Buffer
	if err := json.Compact(&made, document); err != nil {
		return document
	}
	return made.Bytes()
}

func live(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", negotiate.JSON)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever left does not miss it
}

func health(ready Ready) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		checks := map[string]bool{}
		if ready != nil {
			checks = ask(r.Context(), ready)
		}
		status, word := http.StatusOK, "ok"
		for _, good := range checks {
			if !good {
				status, word = http.StatusServiceUnavailable, "unavailable"
				w.Header().Set("Retry-After", "1")
			}
		}
		body, err := json.Marshal(map[string]any{"status": word, "checks": checks})
		if err != nil { // names and truths always have a form
			panic(err)
		}
		send(w, status, body)
	}
}

func ask(ctx context.Context, ready Ready) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	answered := make(chan map[string]bool, 1)
	go func() { answered <- ready(ctx) }()
	select {
	case checks := <-answered:
		if checks == nil {
			return map[string]bool{}
		}
		return checks
	case <-ctx.Done():
		return map[string]bool{"answered in time": false}
	}
}

func file(name, contentType string, more map[string]string) http.Handler {
	body, err := files.ReadFile(name)
	if err != nil { // it is part of the program
		panic(err)
	}
	return page(body, contentType, more)
}

// page is something that is the same for everyone.
func page(body []byte, contentType string, more map[string]string) http.Handler {
	answer := &exchange.Answer{Body: body}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range more {
			w.Header().Set(name, value)
		}
		write(w, r, answer, contentType)
	})
}

func write(w http.ResponseWriter, r *http.Request, answer *exchange.Answer, contentType string) {
	header, body := w.Header(), answer.Body
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept-Encoding")
	if negotiate.AcceptsGzip(strings.Join(r.Header["Accept-Encoding"], ", ")) {
		body = answer.Packed(negotiate.Gzip)
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // whoever left does not miss it
}

func problemList(w http.ResponseWriter, r *http.Request) {
	entries := slices.SortedFunc(maps.Values(contract.Reasons()), func(a, b contract.ReasonEntry) int {
		return cmp.Or(cmp.Compare(a.HTTP, b.HTTP), cmp.Compare(a.Name, b.Name))
	})
	var rows strings.Builder
	for _, entry := range entries {
		fmt.Fprintf(&rows, `<tr><td><a href="%s">%s</a></td><td>%d</td><td>%s</td></tr>`,
			problem.Type(entry.Name), entry.Name, entry.HTTP, grpcName(entry))
	}
	table := "<table><thead><tr><th>code</th><th>HTTP</th><th>gRPC</th></tr></thead><tbody>" + rows.String() + "</tbody></table>"
	document(w, r, "Problems", table)
}

func problemPage(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	name := x.Segments[len(x.Segments)-1]
	entry, known := contract.Reasons()[strings.ReplaceAll(strings.ToUpper(name), "-", "_")]
	if !known {
		detail := "there is no problem named " + name[:min(len(name), 100)]
		x.Refuse(w, r, problem.New(contract.ReasonNotFound, detail))
		return
	}
	document(w, r, problem.Title(entry.Name), fmt.Sprintf(
		`<p>Code <code>%s</code>, HTTP status %d, gRPC status %s.</p>`+
			`<p>The field <code>detail</code> of an answer says what was wrong. <a href="/problems">All problems</a></p>`,
		entry.Name, entry.HTTP, grpcName(entry)))
}

func document(w http.ResponseWriter, r *http.Request, title, body string) {
	title = html.EscapeString(title)
	text := `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>` + title + `</title>` +
		`<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/docs.css"></head>` +
		`<body><main class="plain"><h1>` + title + `</h1>` + body + `</main></body></html>`
	w.Header().Set("Content-Security-Policy", policy)
	write(w, r, &exchange.Answer{Body: []byte(text)}, htmlType)
}

// grpcName spells a code as the contracts do: INVALID_ARGUMENT for InvalidArgument, and CANCELLED, which Go alone writes with one L.
func grpcName(entry contract.ReasonEntry) string {
	if entry.GRPC == codes.Canceled {
		return "CANCELLED"
	}
	var made strings.Builder
	for index, letter := range entry.GRPC.String() {
		if index > 0 && letter >= 'A' && letter <= 'Z' {
			made.WriteByte('_')
		}
		made.WriteRune(letter)
	}
	return strings.ToUpper(made.String())
}
