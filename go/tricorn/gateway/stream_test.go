package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway/library"
)

const watch = "/v1/books/b1:watch"

// watched is a library whose stream gives these titles and then ends as end says.
func watched(end func(ctx context.Context) error, titles ...string) *library.Library {
	return &library.Library{Streams: map[string]func(context.Context, protoreflect.Message) error{
		"WatchBook": func(ctx context.Context, answer protoreflect.Message) error {
			if len(titles) == 0 {
				return end(ctx)
			}
			field(answer, "title", titles[0])
			titles = titles[1:]
			return nil
		},
	}}
}

func finished(context.Context) error { return io.EOF }

func forever(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestEachMessageIsAnEventAndTheEndIsOneToo(t *testing.T) {
	answer := asked(handler(t, watched(finished, "Emma", "Line\nbreak")), "GET", watch, "", "Accept: text/event-stream")

	want := "retry: 1000\n\n" +
		`id: 1` + "\nevent: message\n" + `data: {"bookId":"","title":"Emma","genre":"GENRE_UNSPECIFIED","copies":"0","etag":""}` + "\n\n" +
		`id: 2` + "\nevent: message\n" + `data: {"bookId":"","title":"Line\nbreak","genre":"GENRE_UNSPECIFIED","copies":"0","etag":""}` + "\n\n" +
		"event: end\ndata: {}\n\n"
	if answer.Body.String() != want || answer.Header().Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %s", answer.Header(), answer.Body)
	}
}

func TestARefusalAtOnceIsAPlainProblem(t *testing.T) {
	refusal := func(context.Context) error { return contract.Refuse("NOT_FOUND", "no such book") }

	refused(t, asked(handler(t, watched(refusal)), "GET", watch, ""), 404, "NOT_FOUND")
}

func TestAFailureLaterIsAnEvent(t *testing.T) {
	failure := func(context.Context) error { return errors.New("secret") }

	answer := asked(handler(t, watched(failure, "Emma")), "GET", watch, "").Body.String()

	if !strings.Contains(answer, "event: problem\ndata: {") || !strings.Contains(answer, `"code":"INTERNAL"`) || strings.Contains(answer, "secret") {
		t.Fatal(answer)
	}
}

// stream opens the stream of a served gateway; the function that it gives reads lines until one begins with a text.
func stream(t *testing.T, at *place) (until func(prefix string) string, closed func()) {
	t.Helper()
	transport := &http.Transport{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	asking, err := http.NewRequestWithContext(ctx, "GET", at.url(watch), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(asking)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(answer.Body)
	until = func(prefix string) string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("no line begins with %q", prefix)
		return ""
	}
	return until, func() {
		cancel()
		answer.Body.Close()
		transport.CloseIdleConnections()
	}
}

func TestASilentStreamShowsSignsOfLife(t *testing.T) {
	until, closed := stream(t, serve(t, watched(forever)))
	defer closed()

	for range 3 {
		until(": still here")
	}
}

func TestAClientThatLeavesEndsTheStream(t *testing.T) {
	ended := make(chan struct{})
	until, closed := stream(t, serve(t, watched(func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}, "Emma")))
	until("data: ")

	closed()

	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on")
	}
}

func TestADrainEndsStreamsSoThatTheirClientsComeBack(t *testing.T) {
	at := serve(t, watched(forever, "Emma"))
	until, closed := stream(t, at)
	defer closed()
	until("data: ")

	at.leave()

	until("event: end")
	<-at.left
}
