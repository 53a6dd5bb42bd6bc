package wire_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/telemetry"
	"tricorn/wire"
)

const (
	say       = toy.Service + "/Say"
	keep      = toy.Service + "/Keep"
	count     = toy.Service + "/Count"
	gather    = toy.Service + "/Gather"
	longest   = 20 * time.Second
	reference = "python"
	native    = "rust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// saying answers every call of Say and Keep with a text.
func saying(text string) *toy.Server {
	answer := func(context.Context, *dynamicpb.Message) (proto.Message, error) { return toy.Answer(text), nil }
	return &toy.Server{Say: answer, Keep: answer}
}

// served is a server in another place: it answers at an address, by gRPC.
type served struct {
	address string
	server  *wire.Server
	stats   *telemetry.Stats
	done    chan error
}

func serve(t *testing.T, implementation string, server *toy.Server) *served {
	t.Helper()
	made := &served{address: "unix:" + filepath.Join(t.TempDir(), "s"), stats: telemetry.NewStats(), done: make(chan error, 1)}
	service := wire.NewService(implementation, made.stats)
	service.RegisterService(&toy.Desc, server)
	require.NoError(t, service.Err())
	listener, _, err := wire.Listen(made.address)
	require.NoError(t, err)
	made.server = wire.NewServer(service)
	go func(listener net.Listener) { made.done <- made.server.Serve(listener) }(listener)
	t.Cleanup(made.stop)
	return made
}

func (s *served) stop() {
	if s.done == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	s.server.Stop(ctx)
	<-s.done
	s.done = nil
}

// calling is a process that calls others, and may host something itself.
type calling struct {
	client    *wire.Client
	directory *wire.Directory
	asked     *telemetry.Stats
}

func caller(t *testing.T, service *wire.Service, bindings string, endpoints wire.Addresses) *calling {
	t.Helper()
	if service == nil {
		service = wire.NewService("go", telemetry.NewStats())
	}
	made := &calling{asked: telemetry.NewStats()}
	made.directory = wire.NewDirectory(service, made.asked)
	made.client = wire.NewClient(made.directory, made.asked, 0)
	made.bind(t, bindings, endpoints)
	t.Cleanup(func() { require.NoError(t, made.directory.Close()) })
	return made
}

func (c *calling) bind(t *testing.T, bindings string, endpoints wire.Addresses) {
	t.Helper()
	if bindings == "" {
		bindings = "{}"
	}
	parsed, err := wire.ParseBindings([]byte(`{"version": 1, "generation": 1, "bindings": ` + bindings + `}`))
	require.NoError(t, err)
	c.directory.Update(parsed, endpoints)
}

func (c *calling) say(t *testing.T, name string) string {
	t.Helper()
	answer, err := c.client.Call(within(t), policy(t, say), toy.Request(name, "", 0))
	require.NoError(t, err)
	return toy.Text(answer, "text")
}

func policy(t *testing.T, fullName string) *contract.Policy {
	t.Helper()
	found, err := contract.MethodPolicy(fullName)
	require.NoError(t, err)
	return found
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	t.Cleanup(cancel)
	return ctx
}

func refusal(t *testing.T, err error) *contract.Refusal {
	t.Helper()
	var found *contract.Refusal
	require.ErrorAs(t, err, &found)
	return found
}

func at(implementation string, addresses ...string) wire.Addresses {
	return wire.Addresses{toy.Service: {implementation: addresses}}
}
