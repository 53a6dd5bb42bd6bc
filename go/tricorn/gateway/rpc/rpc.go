// Package rpc answers methods by Connect, gRPC-web and gRPC, on the port of the REST API.
//
// Handlers follow from the descriptors alone: messages are of the generated types that the program links in, wrapped so that one handler's type
// fits all.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
	"tricorn/gateway/transcode"
	"tricorn/wire"
)

const clientAddress = "client-address"

// Backend asks the methods.
type Backend struct {
	Call  func(context.Context, *contract.Policy, *wire.Identity, map[string]string, proto.Message) (proto.Message, error)
	Open  func(context.Context, *contract.Policy, *wire.Identity, proto.Message) (func() (proto.Message, error), error)
	Wrote func(*exchange.Exchange)
}

// envelope holds a message of any type.
type envelope struct {
	message proto.Message
}

// NewHandler serves a method whose request is one message, at most largest bytes of it.
func NewHandler(policy *contract.Policy, backend Backend, largest int) http.Handler {
	options := []connect.HandlerOption{
		connect.WithSchema(policy.Descriptor),
		connect.WithRequestInitializer(func(_ connect.Spec, message any) error {
			if held, ok := message.(*envelope); ok {
				held.message = policy.NewRequest()
			}
			return nil
		}),
		connect.WithCodec(binaryCodec{}),
		connect.WithCodec(jsonCodec{}),
		connect.WithReadMaxBytes(largest),
	}
	if policy.Safe {
		options = append(options, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	}
	name := "/" + policy.FullName
	if policy.ServerStreaming {
		return connect.NewServerStreamHandler(name,
			func(ctx context.Context, request *connect.Request[envelope], stream *connect.ServerStream[envelope]) error {
				return streamed(ctx, policy, backend, request.Msg.message, stream)
			}, options...)
	}
	return connect.NewUnaryHandler(name,
		func(ctx context.Context, request *connect.Request[envelope]) (*connect.Response[envelope], error) {
			x := exchange.Of(ctx)
			about := map[string]string{clientAddress: x.Client}
			answer, err := backend.Call(ctx, policy, x.Identity, about, request.Msg.message)
			if !policy.Safe {
				backend.Wrote(x)
			}
			if err != nil {
				return nil, shown(x, err)
			}
			return connect.NewResponse(&envelope{answer}), nil
		}, options...)
}

func streamed(
	ctx context.Context, policy *contract.Policy, backend Backend, request proto.Message, to *connect.ServerStream[envelope],
) error {
	ctx, cancel := context.WithTimeout(ctx, policy.StreamTotal)
	defer cancel()
	x := exchange.Of(ctx)
	next, err := backend.Open(ctx, policy, x.Identity, request)
	for err == nil {
		var answer proto.Message
		if answer, err = next(); err == nil {
			err = to.Send(&envelope{answer})
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return shown(x, err)
}

// shown is an error as the client sees it: in the words of the vocabulary, and nothing of a defect.
func shown(x *exchange.Exchange, err error) error {
	refusal := wire.FromError(err)
	if contract.Entry(refusal.Reason).Name == contract.ReasonInternal {
		refusal = contract.InternalError()
	}
	x.Code = refusal.Reason
	return fromRefusal(refusal)
}

func fromRefusal(refusal *contract.Refusal) *connect.Error {
	status := wire.ToStatus(refusal)
	made := connect.NewError(connect.Code(status.Code()), errors.New(status.Message()))
	for _, detail := range status.Proto().GetDetails() {
		if packed, err := connect.NewErrorDetail(detail); err == nil {
			made.AddDetail(packed)
		}
	}
	return made
}

var errorWriter = connect.NewErrorWriter()

// Speaks tells whether a request to a method's path is by one of the protocols; whatever else comes there finds nothing.
func Speaks(r *http.Request) bool {
	isCall := r.Method == http.MethodPost || (r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "encoding="))
	return isCall && errorWriter.IsSupported(r)
}

// Refuse writes a failure that the gateway found in the form of the protocol that the client speaks.
func Refuse(w http.ResponseWriter, r *http.Request, found *problem.Problem) {
	refusal := contract.Refuse(found.Code, found.Detail)
	refusal.Metadata, refusal.Violations = found.Metadata, found.Violations
	for name, values := range found.Header {
		w.Header()[name] = values
	}
	_ = errorWriter.Write(w, r, fromRefusal(refusal)) // whoever left does not miss it
}

// binaryCodec is protobuf's own form, in envelopes or, for what the protocols themselves send, without.
type binaryCodec struct{}

// Name is how connect finds the codec.
func (binaryCodec) Name() string { return "proto" }

// Marshal packs a message.
func (binaryCodec) Marshal(message any) ([]byte, error) {
	held, err := inner(message)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(held)
}

// Unmarshal reads a message.
func (binaryCodec) Unmarshal(packed []byte, message any) error {
	held, err := inner(message)
	if err != nil {
		return err
	}
	return proto.Unmarshal(packed, held)
}

// MarshalStable packs a message the same way each time, as requests by GET want it.
func (binaryCodec) MarshalStable(message any) ([]byte, error) {
	held, err := inner(message)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(held)
}

// IsBinary tells that the form is no text.
func (binaryCodec) IsBinary() bool { return true }

// jsonCodec is the JSON mapping, written as the REST API writes it.
type jsonCodec struct{}

// Name is how connect finds the codec.
func (jsonCodec) Name() string { return "json" }

// Marshal writes a message.
func (jsonCodec) Marshal(message any) ([]byte, error) {
	held, err := inner(message)
	if err != nil {
		return nil, err
	}
	return transcode.AppendJSON(nil, held.ProtoReflect())
}

// Unmarshal reads a message.
func (jsonCodec) Unmarshal(text []byte, message any) error {
	held, err := inner(message)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		return errors.New("the body is empty: send {}")
	}
	if bad := transcode.ReadJSON(text, held.ProtoReflect()); bad != nil {
		return bad
	}
	return nil
}

// MarshalStable writes a message the same way each time.
func (c jsonCodec) MarshalStable(message any) ([]byte, error) { return c.Marshal(message) }

// IsBinary tells that the form is a text.
func (jsonCodec) IsBinary() bool { return false }

func inner(message any) (proto.Message, error) {
	switch held := message.(type) {
	case *envelope:
		return held.message, nil
	case proto.Message:
		return held, nil
	}
	return nil, fmt.Errorf("%T is no message", message)
}
