package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/gateway"
	"tricorn/gateway/cache"
	"tricorn/gateway/library"
	"tricorn/gateway/shed"
)

// TestWhatIsTooMuchIsRefusedBeforeAnythingIsKnownOfIt fills a gateway of one place with a request that waits.
func TestWhatIsTooMuchIsRefusedBeforeAnythingIsKnownOfIt(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	waits := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-leave
			next.ServeHTTP(w, r)
		})
	}
	served := handler(t, &library.Library{}, func(c *gateway.Config) {
		c.Shed = shed.New(shed.Limits{Calls: 1, Streams: 1})
		c.Guards = append([]func(http.Handler) http.Handler{waits}, c.Guards...)
	}, below("/admin", "/nowhere"))
	var inside sync.WaitGroup
	inside.Go(func() { assert.Equal(t, http.StatusOK, asked(served, "GET", "/v1/books/b1", "").Code) })
	<-entered

	full := map[string]int{}
	for _, path := range []string{"/v1/books/b1", "/nothing", "/admin/", "/openapi.json", "/health/live"} {
		full[path] = asked(served, "GET", path, "").Code
	}
	refused := asked(served, "GET", "/nothing", "")
	close(leave)
	inside.Wait()

	assert.Equal(t, map[string]int{
		"/v1/books/b1": 503, "/nothing": 503, "/admin/": 503, "/openapi.json": 503, "/health/live": 200,
	}, full)
	assert.Equal(t, "1", refused.Header().Get("Retry-After"))
	assert.Equal(t, http.StatusNotFound, asked(served, "GET", "/nothing", "").Code)
}

func TestWhoLeavesHasTheirPlaceUntilTheWorkForThemEnds(t *testing.T) {
	library.Contract(t)
	synctest.Test(t, func(t *testing.T) {
		answers, err := cache.New(cache.Options{Bytes: 1 << 20, LongestTTL: time.Minute})
		require.NoError(t, err)
		defer answers.Close()
		end := make(chan struct{})
		backend := served(map[string]func(context.Context, protoreflect.Message, protoreflect.Message) error{
			"GetShelf": func(context.Context, protoreflect.Message, protoreflect.Message) error {
				<-end
				return nil
			},
		})
		served := handler(t, backend, func(c *gateway.Config) {
			c.Shed, c.Cache = shed.New(shed.Limits{Calls: 1, Streams: 1}), answers
		})
		ctx, leave := context.WithCancel(t.Context())
		go served.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/shelves/s1", nil))
		synctest.Wait()

		leave()
		synctest.Wait()
		during := asked(served, "GET", "/nothing", "").Code
		close(end)
		synctest.Wait()

		assert.Equal(t, []int{503, 404}, []int{during, asked(served, "GET", "/nothing", "").Code})
	})
}
