package shed_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/shed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a guarded handler whose requests stay until they are let go.
type room struct {
	handler http.Handler
	entered chan struct{}
	leave   chan struct{}
}

func newRoom(shedder *shed.Shedder) *room {
	made := &room{entered: make(chan struct{}), leave: make(chan struct{})}
	made.handler = shedder.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		made.entered <- struct{}{}
		<-made.leave
		w.WriteHeader(http.StatusNoContent)
	}))
	return made
}

func (r *room) ask(policy *contract.Policy) *http.Response {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	x := &exchange.Exchange{Policy: policy, Header: http.Header{}}
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, request.WithContext(exchange.With(request.Context(), x)))
	return answer.Result()
}

func TestWhatIsTooMuchIsRefusedAtOnceAndTheRestIsAnswered(t *testing.T) {
	shedder := shed.New(shed.Limits{Calls: 2, Streams: 1})
	busy := newRoom(shedder)
	call, stream := &contract.Policy{}, &contract.Policy{ServerStreaming: true}
	var inside sync.WaitGroup
	for _, policy := range []*contract.Policy{call, call, stream} {
		inside.Go(func() { assert.Equal(t, http.StatusNoContent, busy.ask(policy).StatusCode) })
		<-busy.entered
	}

	refusedCall, refusedStream := busy.ask(call), busy.ask(stream)
	close(busy.leave)
	inside.Wait()

	for _, refused := range []*http.Response{refusedCall, refusedStream} {
		assert.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		assert.Equal(t, "1", refused.Header.Get("Retry-After"))
	}
	assert.EqualValues(t, 2, shedder.Refused())
	go func() { <-busy.entered }()
	assert.Equal(t, http.StatusNoContent, busy.ask(call).StatusCode)
}
