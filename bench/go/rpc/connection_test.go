package rpc

import (
	"net"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAMessageThatIsEncodedAlreadyIsAnswered(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	known := health.NewServer()
	healthpb.RegisterHealthServer(server, known)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		<-ended
	}()
	target, err := NewTarget(listener.Addr().String(), "/grpc.health.v1.Health/Check", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	callers := target.Callers(3)

	for service, wanted := range map[string]codes.Code{"": codes.OK, "nobody": codes.NotFound} {
		request, err := proto.Marshal(&healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		for _, caller := range callers {
			answer := caller.Call(t.Context(), request)
			if codes.Code(answer.Status) != wanted || answer.OK != (wanted == codes.OK) {
				t.Errorf("%q was answered with %+v", service, answer)
			}
		}
	}
}
