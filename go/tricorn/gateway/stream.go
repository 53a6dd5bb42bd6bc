package gateway

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
	"tricorn/gateway/sse"
)

// stream answers by events. What is refused at once is a plain problem.
func (e *endpoint) stream(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, message proto.Message) *problem.Problem {
	if r.Method == http.MethodHead {
		sse.Headers(w.Header())
		w.WriteHeader(e.policy.Status)
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), e.policy.StreamTotal)
	defer cancel()
	next, err := e.backend.open(ctx, e.policy, x.Identity, message)
	if err == nil {
		served := &sse.Stream{
			Next: next,
			Write: func(answer proto.Message) ([]byte, error) {
				body, _, err := e.binding.Answer(answer)
				return body, err
			},
			Problem:   func(err error) *problem.Problem { return e.failure(r, err) },
			TraceID:   x.TraceID,
			Status:    e.policy.Status,
			Heartbeat: min(e.limits.Heartbeat, e.policy.StreamIdle/2),
			Total:     e.policy.StreamTotal,
			Leaving:   e.drained,
		}
		err = served.Serve(ctx, w)
	}
	switch {
	case err == nil:
		return nil
	case r.Context().Err() != nil || errors.Is(err, context.Canceled):
		x.Status, x.Code = statusClientGone, contract.ReasonCancelled
		return nil
	}
	return e.failure(r, err)
}
