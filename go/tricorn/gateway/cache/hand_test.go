package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/wire"
)

func TestWhatIsAtHandOfACallerCountsAsLongAsTheCacheWouldGiveIt(t *testing.T) {
	for name, change := range map[string]func(*bench){
		"a call with effects":          func(b *bench) { b.Wrote("ann") },
		"a method that was forgotten":  func(b *bench) { b.Forget("me") },
		"everything that was":          func(b *bench) { b.Clear() },
		"another binding":              func(b *bench) { b.generation++ },
		"its end":                      func(b *bench) { b.pass(ttl) },
		"an answer to something newer": func(b *bench) { b.Wrote("ann"); b.pass(1); b.fetch(nil, "me", "r") },
	} {
		b, ann := newBench(t, nil), &exchange.Caller{Identity: wire.Identity{UserID: "ann"}}
		b.fetch(ann, "me", "r")
		b.fetch(ann, "me", "r")
		assert.Equal(t, "1", b.fetch(ann, "me", "r"), name)

		b.pass(1)
		change(b)
		b.pass(1)

		assert.Equal(t, "2", b.fetch(ann, "me", "r"), name)
		assert.Equal(t, []string{"2", "3", "4"}, []string{
			b.fetch(ann, "me", "r"), b.fetch(ann, "me", "other"), b.fetch(ann, "orders", "r"),
		}, name)
	}
}

func TestWhatIsAtHandOfACallerIsRenewedBeforeItEnds(t *testing.T) {
	ann := &exchange.Caller{Identity: wire.Identity{UserID: "ann"}}
	b := newBench(t, nil)
	b.fetch(ann, "me", "r")
	b.fetch(ann, "me", "r")

	b.pass(ttl - time.Second)
	old := b.fetch(ann, "me", "r")

	assert.Equal(t, "1", old)
	assert.Eventually(t, func() bool { return b.fetch(ann, "me", "r") == "2" }, 5*time.Second, time.Millisecond)
}

// fetch asks for Ann, of whom something may be at hand.
func (b *bench) fetch(ann *exchange.Caller, method, request string) string {
	b.t.Helper()
	x := &exchange.Exchange{
		Policy:   &contract.Policy{FullName: method, Cache: &contract.CachePolicy{TTL: ttl, VaryUser: true}},
		Identity: &wire.Identity{UserID: "ann"}, Caller: ann,
	}
	answer, _, err := b.Fetch(b.t.Context(), x, request, b.ask)
	require.NoError(b.t, err)
	return string(answer.Body)
}
