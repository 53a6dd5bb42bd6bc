package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/host"
	"tricorn/internal/toy"
	tricornv1 "tricorn/v1"
)

const longest = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a process in this one, started as a supervisor starts it.
type running struct {
	home, socket string
	life, ready  *os.File
	log          *safeBuffer
	status       chan int
}

type safeBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *safeBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(text)
}

func (b *safeBuffer) lines(t *testing.T) []map[string]any {
	t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var made []map[string]any
	for line := range strings.Lines(b.text.String()) {
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &said), line)
		made = append(made, said)
	}
	return made
}

// start starts a process; its supervisor has not said go yet.
func start(t *testing.T, register func(context.Context, *host.Host) error, words ...string) *running {
	t.Helper()
	home := t.TempDir()
	made := &running{home: home, socket: filepath.Join(home, "s"), log: &safeBuffer{}, status: make(chan int, 1)}
	lifeEnd, life, err := os.Pipe()
	require.NoError(t, err)
	ready, readyEnd, err := os.Pipe()
	require.NoError(t, err)
	made.life, made.ready = life, ready
	words = append([]string{
		"--listen", "unix:" + made.socket, "--home", home, "--process", "toy",
		"--life-fd", fmt.Sprint(release(t, lifeEnd)), "--ready-fd", fmt.Sprint(release(t, readyEnd)),
	}, words...)
	go func() {
		made.status <- host.Run(context.Background(), words, host.Options{Name: "go", Register: register}, io.Discard, made.log)
	}()
	t.Cleanup(func() {
		_ = life.Close()
		_ = ready.Close()
	})
	return made
}

func (r *running) go_(t *testing.T, environment string) {
	t.Helper()
	_, err := r.life.WriteString(`{"environment": {` + environment + `}}` + "\n")
	require.NoError(t, err)
}

func (r *running) awaitReady(t *testing.T) {
	t.Helper()
	require.NoError(t, r.ready.SetReadDeadline(time.Now().Add(longest)))
	said, err := io.ReadAll(r.ready)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(said))
}

// end lets the supervisor be gone.
func (r *running) end(t *testing.T) int {
	t.Helper()
	require.NoError(t, r.life.Close())
	return r.await(t)
}

func (r *running) await(t *testing.T) int {
	t.Helper()
	select {
	case status := <-r.status:
		return status
	case <-time.After(longest):
		t.Fatal("the process did not end")
		return -1
	}
}

func (r *running) conn(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+r.socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	t.Cleanup(cancel)
	return ctx
}

func hosting(text string) func(context.Context, *host.Host) error {
	return func(_ context.Context, h *host.Host) error {
		h.RegisterService(&toy.Desc, &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
			return toy.Answer(text + h.Environment.Get("TOY_NAME")), nil
		}})
		return nil
	}
}

func TestAProcessWaitsForTheWordThenAnswersAndEndsWithItsSupervisor(t *testing.T) {
	process := start(t, hosting("hello "), "--metrics", "127.0.0.1:0")
	process.go_(t, `"TOY_NAME": "ada", "TRICORN_DATABASE_X": 7`)
	process.awaitReady(t)
	conn, answer := process.conn(t), toy.Empty()

	require.NoError(t, conn.Invoke(within(t), "/"+toy.Service+"/Say", toy.Request("", "", 0), answer))
	stats, err := tricornv1.NewStatsServiceClient(conn).GetProcessStats(within(t), &tricornv1.GetProcessStatsRequest{})
	require.NoError(t, err)
	address, err := os.ReadFile(filepath.Join(process.home, "toy.metrics"))
	require.NoError(t, err)
	metrics := get(t, "http://"+strings.TrimSpace(string(address))+"/metrics")

	assert.Equal(t, "hello ada", toy.Text(answer, "text"))
	assert.Equal(t, "toy", stats.GetProcess())
	assert.EqualValues(t, os.Getpid(), stats.GetPid())
	assert.Equal(t, []string{toy.Service, "tricorn.v1.StatsService"}, names(stats))
	assert.EqualValues(t, 1, stats.GetServices()[0].GetCalls())
	assert.Contains(t, metrics, `tricorn_calls_total{implementation="go",method="Say",service="toy.echo.v1.EchoService"} 1`)
	assert.Contains(t, metrics, "process_resident_memory_bytes")
	require.NoError(t, conn.Close())
	assert.Zero(t, process.end(t))
	assert.NoFileExists(t, process.socket)
	assert.NoFileExists(t, filepath.Join(process.home, "wire", "toy.json"))
	events := map[any]bool{}
	for _, line := range process.log.lines(t) {
		assert.Equal(t, "toy", line["process"])
		events[line["event"]] = true
	}
	assert.True(t, events["serving"] && events["the supervisor is gone"] && events["stopped"], events)
}

func TestAProcessWithoutAWordNeverBegins(t *testing.T) {
	process := start(t, hosting(""), "--metrics", "off")

	assert.Equal(t, 1, process.end(t))
	assert.NoFileExists(t, process.socket)
}

func TestAProcessThatCannotBeginSaysWhy(t *testing.T) {
	process := start(t, func(ctx context.Context, h *host.Host) error {
		_, err := h.Database(ctx, "inventory")
		return err
	}, "--metrics", "off")
	process.go_(t, "")

	assert.Equal(t, 1, process.await(t))
	lines := process.log.lines(t)
	assert.Contains(t, lines[len(lines)-1]["error"], "TRICORN_DATABASE_INVENTORY is not set")
}

func TestBindingsHoldWithinASecondAndItIsReported(t *testing.T) {
	bound := make(chan *host.Host, 1)
	process := start(t, func(ctx context.Context, h *host.Host) error {
		bound <- h
		return hosting("")(ctx, h)
	}, "--metrics", "off")
	process.go_(t, "")
	process.awaitReady(t)
	path := filepath.Join(process.home, "bindings.json")
	text := `{"version": 1, "generation": 9, "bindings": {"toy.echo.v1.EchoService": {"shares": {"rust": 10000}}}}`
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))

	require.NoError(t, os.Rename(path+".new", path))

	directory := (<-bound).Directory
	require.Eventually(t, func() bool { return directory.Bindings().Generation == 9 }, longest, 10*time.Millisecond)
	var said struct {
		Process    string
		PID        int
		Generation int
		Problems   []string
	}
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(process.home, "wire", "toy.json"))
		return err == nil && json.Unmarshal(text, &said) == nil && said.Generation == 9
	}, longest, 10*time.Millisecond)
	assert.Equal(t, []string{"toy.echo.v1.EchoService to rust, which has no address: Python answers"}, said.Problems)
	assert.Equal(t, os.Getpid(), said.PID)
	assert.Zero(t, process.end(t))
}

func TestThePublicSideDrainsBeforeTheRestEnds(t *testing.T) {
	var order []string
	public, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	file, err := public.File()
	require.NoError(t, err)
	began, works := make(chan string, 1), make(chan struct{})
	process := start(t, func(_ context.Context, h *host.Host) error {
		h.ServePublic(func(ctx context.Context, listener net.Listener) error {
			began <- listener.Addr().String()
			<-ctx.Done()
			order = append(order, "public")
			return listener.Close()
		})
		h.Background("caches", func(ctx context.Context) error {
			close(works)
			<-ctx.Done()
			order = append(order, "background")
			return nil
		})
		h.OnStop(func(context.Context) { order = append(order, "first") })
		h.OnStop(func(context.Context) { order = append(order, "second") })
		return nil
	}, "--metrics", "off", "--public-fd", fmt.Sprint(release(t, file)))
	process.go_(t, "")
	process.awaitReady(t)

	assert.Equal(t, public.Addr().String(), <-began)
	<-works
	assert.Zero(t, process.end(t))

	assert.Equal(t, []string{"public", "background", "second", "first"}, order)
	require.NoError(t, public.Close())
}

func TestWorkInTheBackgroundThatFailsStartsAgain(t *testing.T) {
	again := make(chan struct{})
	runs := 0
	process := start(t, func(_ context.Context, h *host.Host) error {
		h.Background("work", func(ctx context.Context) error {
			if runs++; runs == 1 {
				panic("no luck")
			}
			if runs == 2 {
				return contract.Refuse(contract.ReasonUnavailable, "not now")
			}
			close(again)
			<-ctx.Done()
			return nil
		})
		return nil
	}, "--metrics", "off")
	process.go_(t, "")
	process.awaitReady(t)

	<-again
	assert.Zero(t, process.end(t))
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: longest, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

func names(stats *tricornv1.ProcessStats) []string {
	var made []string
	for _, each := range stats.GetServices() {
		made = append(made, each.GetService())
	}
	return made
}
