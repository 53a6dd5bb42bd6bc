package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/gateway"
	"tricorn/gateway/exchange"
	"tricorn/wire"
)

func TestADrainAnswersAKnownHeadAndEndsItsConnection(t *testing.T) {
	at := serve(t, served(answers{"GetBook": book}), keeping(t), func(c *gateway.Config) { c.Limits.IdleTime = 10 * time.Second })
	conn := keep(t, at)
	before, _ := conn.learn(t, at, shelf)
	known := at.server.Repeated()

	at.leave()
	waitUntilRefused(t, at.address)
	during := conn.ask(t, shelf)

	if before.header.Get("Connection") != "" || during.status != 200 || during.header.Get("Connection") != "close" {
		t.Fatalf("%v, then %d %v", before.header, during.status, during.header)
	}
	if at.server.Repeated() != known+1 {
		t.Fatal("net/http answered it")
	}
	conn.ended(t)
	<-at.left
}

func TestADrainWaitsForTheAnswerToAKnownHead(t *testing.T) {
	var waits atomic.Bool
	asked, goOn := make(chan struct{}), make(chan struct{})
	at := serve(t, served(nil), keeping(t), between(func(_ *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if waits.Load() {
			close(asked)
			<-goOn
		}
		next.ServeHTTP(w, r)
	}))
	conn, idle := keep(t, at), keep(t, at)
	conn.learn(t, at, shelf)
	idle.learn(t, at, shelf)
	waits.Store(true)

	conn.send(t, shelf)
	<-asked
	at.leave()
	idle.ended(t) // connections that nobody asks anything on have been closed
	close(goOn)
	got := conn.read(t)

	if got.status != 200 || got.header.Get("Connection") != "close" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	conn.ended(t)
	<-at.left
}

func TestAPanicOverAKnownHeadIsAFailureOrEndsTheConnectionAndNoMore(t *testing.T) {
	for name, each := range map[string]struct {
		panics func(w http.ResponseWriter, r *http.Request, next http.Handler)
		status int // zero: none is sent
	}{
		"before the answer":  {func(http.ResponseWriter, *http.Request, http.Handler) { panic("broken") }, 500},
		"after a part of it": {func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r); panic("broken") }, 0},
		"that gives up":      {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, 0},
		"that gives up after a part": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			panic(http.ErrAbortHandler)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var breaks atomic.Bool
			at := serve(t, served(nil), keeping(t), between(
				func(_ *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
					if breaks.Load() {
						each.panics(w, r, next)
						return
					}
					next.ServeHTTP(w, r)
				}))
			conn, other := keep(t, at), keep(t, at)
			conn.learn(t, at, shelf)
			other.learn(t, at, shelf)
			for range 3 {
				breaks.Store(true)
				if each.status != 0 {
					if got := conn.again(t, at, shelf); got.status != each.status || len(got.header["Cache-Control"]) != 1 {
						t.Fatalf("%d %v", got.status, got.header)
					}
				} else {
					conn.send(t, shelf)
					conn.ended(t)
					conn = keep(t, at)
				}
				breaks.Store(false)

				if got := other.again(t, at, shelf); got.status != 200 || got.header.Get("Connection") != "" {
					t.Fatalf("%d %v", got.status, got.header)
				}
				conn.learn(t, at, shelf)
			}
		})
	}
}

func TestNobodyIsGivenTheAnswerOfAnotherWhileManyAskAndAreRefused(t *testing.T) {
	const people, rounds, forms = 16, 150, 7
	var revoked [people]atomic.Bool
	backend := served(answers{"GetMine": func(ctx context.Context, _, answer protoreflect.Message) error {
		field(answer, "shelf_id", wire.CallOf(ctx).Identity.UserID)
		return nil
	}})
	at := serve(t, backend, keeping(t), between(func(_ *exchange.Exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
		var who int
		if _, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer user%d", &who); err == nil && revoked[who].Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}))
	var clients sync.WaitGroup
	failures := make(chan error, people)
	for who := range people {
		clients.Go(func() { failures <- asksForTheirs(at, who, rounds, forms, &revoked[who]) })
	}
	clients.Wait()
	for range people {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if at.server.Repeated() == 0 {
		t.Error("no head was known")
	}
}

func asksForTheirs(at *place, who, rounds, forms int, revoked *atomic.Bool) error {
	conn, err := net.Dial("tcp", at.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	reader := newKept(conn).reader
	for round := range rounds {
		refused := round%5 == 4
		revoked.Store(refused)
		id := fmt.Sprintf("r-%d-%d", who, round%forms)
		if _, err := fmt.Fprintf(conn, "%sAuthorization: Bearer user%d\r\nX-Request-Id: %s\r\n\r\n", mineHead, who, id); err != nil {
			return err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if got := answer.Header["X-Request-Id"]; len(got) != 1 || got[0] != id {
			return fmt.Errorf("%q is the answer to %s", got, id)
		}
		if refused != (answer.StatusCode == http.StatusForbidden) || (!refused && !strings.Contains(string(body), fmt.Sprintf(`"user%d"`, who))) {
			return fmt.Errorf("user %d: %d %s", who, answer.StatusCode, body)
		}
	}
	return nil
}
