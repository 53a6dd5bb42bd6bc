package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/gateway"
	"tricorn/gateway/library"
)

const service = "/" + library.Service + "/"

// dialled is a gRPC client of a served gateway.
func dialled(t *testing.T, at *place) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("dns:///"+at.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func message(t *testing.T, name, text string) proto.Message {
	t.Helper()
	made := library.Message(t, name)
	if err := protojson.Unmarshal([]byte(text), made); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestGRPCFromOutsideIsAnsweredOnTheSamePort(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book})
	conn := dialled(t, serve(t, backend))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer ann", "tricorn-user-id", "root")
	answer := library.Message(t, "Book")

	err := conn.Invoke(ctx, service+"GetBook", message(t, "GetBookRequest", `{"bookId":"b1"}`), answer)

	if err != nil || get(answer.ProtoReflect(), "title").String() != "Emma" {
		t.Fatalf("%v %v", err, answer)
	}
	if asked := backend.Questions()[0]; asked.Identity.UserID != "ann" || len(asked.Call.Metadata) != 1 {
		t.Fatalf("%+v %+v", asked.Identity, asked.Call)
	}
}

func TestGRPCRefusalsCarryTheirReason(t *testing.T) {
	conn := dialled(t, serve(t, &library.Library{}))
	for name, each := range map[string]struct {
		method, request string
		code            codes.Code
		reason          string
	}{
		"by a guard":    {"GetMine", "GetMineRequest", codes.Unauthenticated, "UNAUTHENTICATED"},
		"by a rule":     {"ListBooks", "ListBooksRequest", codes.InvalidArgument, "INVALID_ARGUMENT"},
		"an inner call": {"Recount", "GetMineRequest", codes.Unimplemented, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := "{}"
			if each.method == "ListBooks" {
				text = `{"pageSize":-1}`
			}

			err := conn.Invoke(t.Context(), service+each.method, message(t, each.request, text), library.Message(t, "Shelf"))

			said := status.Convert(err)
			reason := ""
			for _, detail := range said.Details() {
				if info, ok := detail.(*errdetails.ErrorInfo); ok {
					reason = info.GetReason()
				}
			}
			if said.Code() != each.code || reason != each.reason {
				t.Fatalf("%v %q", err, reason)
			}
		})
	}
}

func TestTheTimeForHeadsDoesNotEndConnectionsThatSpeakGRPC(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book})
	at := serve(t, backend, quick)
	conn := dialled(t, at)
	ask := func(peer *peer.Peer) error {
		return conn.Invoke(t.Context(), service+"GetBook", message(t, "GetBookRequest", "{}"), library.Message(t, "Book"), grpc.Peer(peer))
	}
	var before, after peer.Peer

	first := ask(&before)
	at.raw(t, "GET /v1/books HTTP/1.1\r\nHost: a\r\n") // answered when the time for its head is over
	second := ask(&after)

	if first != nil || second != nil || before.LocalAddr.String() != after.LocalAddr.String() {
		t.Fatalf("%v %v: %v, then %v", first, second, before.LocalAddr, after.LocalAddr)
	}
}

func TestGRPCStreamsAreStreams(t *testing.T) {
	conn := dialled(t, serve(t, watched(finished, "Emma", "Persuasion")))
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, service+"WatchBook")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(message(t, "WatchBookRequest", `{}`)), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}

	var titles []string
	for {
		answer := library.Message(t, "Book")
		if err = stream.RecvMsg(answer); err != nil {
			break
		}
		titles = append(titles, get(answer.ProtoReflect(), "title").String())
	}

	if !errors.Is(err, io.EOF) || strings.Join(titles, ",") != "Emma,Persuasion" {
		t.Fatalf("%v %v", titles, err)
	}
}

func TestARequestWithoutEndIsGivenUp(t *testing.T) {
	at := serve(t, &library.Library{}, quick)

	answer := at.raw(t, "POST "+service+"GetBook HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")

	if !strings.HasPrefix(answer, "HTTP/1.1 504 ") || !strings.Contains(answer, "deadline_exceeded") || strings.Contains(answer, "127.0.0.1") {
		t.Fatalf("%s", answer)
	}
}

func TestAnAnswerOnHTTP2ThatNobodyTakesIsGivenUp(t *testing.T) {
	seen := make(chan gateway.Observation, 1)
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"GetBook": func(_ context.Context, _, answer protoreflect.Message) error {
			field(answer, "title", strings.Repeat("x", 8<<20)) // more than a client's window
			return nil
		},
	})
	at := serve(t, backend, func(c *gateway.Config) {
		c.Limits.WriteTime = 100 * time.Millisecond
		c.Observe = func(what gateway.Observation) { seen <- what }
	})
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	asking, err := http.NewRequestWithContext(t.Context(), "GET", at.url("/v1/books/b1"), nil)
	if err != nil {
		t.Fatal(err)
	}

	answer, err := transport.RoundTrip(asking)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()

	select {
	case <-seen:
	case <-time.After(10 * time.Second):
		t.Fatal("the request holds its place")
	}
}

func TestASilentGRPCStreamIsNotTakenForAClientThatDoesNotRead(t *testing.T) {
	const writeTime = 50 * time.Millisecond
	goOn := make(chan struct{})
	at := serve(t, watched(func(context.Context) error {
		<-goOn
		return io.EOF
	}, "Emma"), func(c *gateway.Config) { c.Limits.WriteTime = writeTime })
	stream, err := dialled(t, at).NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, service+"WatchBook")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(message(t, "WatchBookRequest", `{}`)), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	first := stream.RecvMsg(library.Message(t, "Book"))

	time.AfterFunc(3*writeTime, func() { close(goOn) })
	last := stream.RecvMsg(library.Message(t, "Book"))

	if first != nil || !errors.Is(last, io.EOF) {
		t.Fatalf("%v, then %v", first, last)
	}
}

func TestConnectIsAnsweredWithTheSameStrictnessAsREST(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book})
	to := handler(t, backend)

	good := asked(to, "POST", service+"GetBook", `{"bookId":"b1"}`, "Content-Type: application/json")
	bad := asked(to, "POST", service+"GetBook", `{"bookId":"b1","bookId":"b2"}`, "Content-Type: application/json")
	denied := asked(to, "POST", service+"GetMine", `{}`, "Content-Type: application/json")
	byGet := asked(to, "GET", service+"GetBook?connect=v1&encoding=json&message=%7B%22bookId%22%3A%22b1%22%7D", "")

	if good.Code != 200 || !strings.Contains(good.Body.String(), `"copies":"3"`) {
		t.Errorf("%d %s", good.Code, good.Body)
	}
	if bad.Code != 400 || !strings.Contains(bad.Body.String(), "stands twice in one object") {
		t.Errorf("%d %s", bad.Code, bad.Body)
	}
	if denied.Code != 401 || !strings.Contains(denied.Body.String(), "UNAUTHENTICATED") {
		t.Errorf("%d %s", denied.Code, denied.Body)
	}
	if byGet.Code != 200 || byGet.Body.String() != good.Body.String() {
		t.Errorf("%d %s", byGet.Code, byGet.Body)
	}
}

func TestAnInternalMethodIsThereByNoProtocol(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
		"Recount": func(context.Context, protoreflect.Message, protoreflect.Message) error { return nil },
	})
	conn := dialled(t, serve(t, backend))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer ann")

	err := conn.Invoke(ctx, service+"Recount", message(t, "GetMineRequest", `{}`), library.Message(t, "Shelf"))
	byConnect := asked(
		handler(t, backend), "POST", service+"Recount", `{}`, "Content-Type: application/json", "Authorization: Bearer ann",
	)

	if status.Code(err) != codes.Unimplemented || byConnect.Code != 404 || len(backend.Questions()) != 0 {
		t.Fatalf("%v %d %v", err, byConnect.Code, backend.Questions())
	}
}

func TestGRPCWebIsAnswered(t *testing.T) {
	backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{"GetBook": book})
	packed, err := proto.Marshal(message(t, "GetBookRequest", `{"bookId":"b1"}`))
	if err != nil {
		t.Fatal(err)
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(packed))), packed...)

	answer := asked(handler(t, backend), "POST", service+"GetBook", string(frame), "Content-Type: application/grpc-web+proto")

	if answer.Code != http.StatusOK || !bytes.Contains(answer.Body.Bytes(), []byte("Emma")) ||
		!bytes.Contains(answer.Body.Bytes(), []byte("grpc-status: 0")) {
		t.Fatalf("%d %s", answer.Code, base64.StdEncoding.EncodeToString(answer.Body.Bytes()))
	}
}
