package wire_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/internal/toy"
	"tricorn/wire"
)

func TestTheHashGivesWhatIsWrittenForEveryLanguage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "src", "tricorn", "wire", "buckets.json"))
	require.NoError(t, err)
	var written struct {
		Values []struct {
			Target, Key string
			Bucket      int
		}
	}
	require.NoError(t, json.Unmarshal(text, &written))
	require.NotEmpty(t, written.Values)

	for _, each := range written.Values {
		assert.Equal(t, each.Bucket, wire.Bucket(each.Target, each.Key), each)
	}
}

func TestABindingOfAMethodHoldsInsteadOfItsContracts(t *testing.T) {
	parsed, err := wire.ParseBindings([]byte(`{"version": 1, "generation": 7, "bindings": {
	  "toy.echo.v1.EchoService": {"shares": {"rust": 2500}, "generation": 7, "by": "cutover", "auto": false, "shared": true,
	                              "shadow": {"implementation": "rust", "sample": 500, "methods": ["Say"]}, "record": {"to": "rust"}, "weather": "fine"},
	  "toy.echo.v1.EchoService/Keep": {"shares": {}, "generation": 6, "by": "guard"},
	  "toy.echo.v1.EchoService/Count": {"shares": {"go": 10000}, "record": {"gateway": true}},
	  "gateway": {"shares": {"go": 10000}, "generation": 5}}}`))

	require.NoError(t, err)
	assert.EqualValues(t, 7, parsed.Generation)
	assert.Equal(t, wire.Binding{
		Target: toy.Service, Native: "rust", Share: 2500, Generation: 7, Shared: true,
		Shadow: &wire.Shadow{Implementation: "rust", Sample: 500, Methods: []string{"Say"}},
	}, parsed.Of(policy(t, say)))
	assert.Equal(t, wire.Binding{Target: keep, Generation: 6}, parsed.Of(policy(t, keep)))
	assert.Equal(t, wire.Binding{Target: wire.Gateway, Native: "go", Share: wire.All, Generation: 5}, parsed.At(wire.Gateway))
	assert.True(t, parsed.Of(policy(t, count)).AtGateway)
	assert.Equal(t, wire.Binding{Target: "no.such.Service"}, parsed.At("no.such.Service"))
}

func broken(member, value string) string {
	said := map[string]json.RawMessage{
		"version": json.RawMessage("1"), "generation": json.RawMessage("1"),
	}
	binding := map[string]json.RawMessage{"shares": json.RawMessage(`{"rust": 1}`), "generation": json.RawMessage("1")}
	if _, top := said[member]; top || member == "bindings" {
		said[member] = json.RawMessage(value)
	} else {
		binding[member] = json.RawMessage(value)
	}
	if _, ok := said["bindings"]; !ok {
		inner, _ := json.Marshal(map[string]any{"shop.v1.Stock": binding})
		said["bindings"] = inner
	}
	text, _ := json.Marshal(said)
	return string(text)
}

func TestRubbishIsRefusedWithItsPlace(t *testing.T) {
	for _, each := range []struct{ text, where string }{
		{"", "not JSON"},
		{"\x00\xff", "not JSON"},
		{`{"version": 1`, "not JSON"},
		{"[]", "an object is expected"},
		{"null", "an object is expected"},
		{broken("version", "2"), "version: 1 is expected, not 2"},
		{broken("generation", "-1"), "generation: a whole number"},
		{broken("generation", "true"), "generation: a whole number"},
		{broken("bindings", "[]"), "bindings: an object"},
		{broken("bindings", `{"Stock": {}}`), "package.Service"},
		{broken("bindings", `{"shop.v1.Stock/": {}}`), "package.Service"},
		{broken("bindings", `{"shop.v1.Stock": 7}`), "bindings['shop.v1.Stock']: an object"},
		{broken("shares", `{"rust": 10001}`), "shares['rust']: basis points"},
		{broken("shares", `{"rust": 25.0}`), "shares['rust']: basis points"},
		{broken("shares", `{"rust": "25"}`), "shares['rust']: basis points"},
		{broken("shares", `{"python": 1}`), "has what is left"},
		{broken("shares", `{"rust": 1, "go": 1}`), "one implementation besides python"},
		{broken("by", `"nobody"`), "by: one of operator"},
		{broken("auto", "1"), "auto: true or false"},
		{broken("shadow", `{"implementation": "rust"}`), "shadow.sample: basis points"},
		{broken("shadow", `{"sample": 1}`), "shadow.implementation: a name"},
		{broken("record", "[]"), "record: an object"},
		{broken("bindings", `{"gateway": {"shares": {"go": 5000}}}`), "the public port cannot be divided"},
	} {
		_, err := wire.ParseBindings([]byte(each.text))
		assert.ErrorContains(t, err, each.where, each.text)
	}
}

func TestEndpointsAreReadByContractAndImplementation(t *testing.T) {
	parsed, err := wire.ParseEndpoints([]byte(`{"version": 1, "endpoints": {"a.B": ["unix:/run/x"], "c.D": {"go": ["h:1", "h:2"]}}}`))

	require.NoError(t, err)
	assert.Equal(t, wire.Addresses{"a.B": {"python": {"unix:/run/x"}}, "c.D": {"go": {"h:1", "h:2"}}}, parsed)
}

func TestEndpointsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "[]", "{}", `{"version": 1}`, `{"version": 2, "endpoints": {}}`, `{"version": 1, "endpoints": []}`,
		`{"version": 1, "endpoints": {"a.B": []}}`, `{"version": 1, "endpoints": {"a.B": [""]}}`, `{"version": 1, "endpoints": {"a.B": [1]}}`,
		`{"version": 1, "endpoints": {"a.B": "x"}}`, `{"version": 1, "endpoints": {"a.B": {"go": []}}}`,
	} {
		_, err := wire.ParseEndpoints([]byte(text))
		assert.Error(t, err, text)
	}
}

func TestAFileIsFollowedAndRubbishChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindings.json")
	watched := wire.WatchBindings(path)
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}

	assert.False(t, watched.Poll())
	write(`{"version": 1, "generation": 3, "bindings": {}}`)
	assert.True(t, watched.Poll())
	assert.False(t, watched.Poll())
	write(`{"version": 1, "generation": `)
	assert.False(t, watched.Poll())
	assert.EqualValues(t, 3, watched.Current().Generation)
	assert.Equal(t, "bindings.json: not JSON", watched.Problem())
	write(`{"version": 1, "generation": 4, "bindings": {}}`)
	assert.True(t, watched.Poll())
	assert.Empty(t, watched.Problem())
	require.NoError(t, os.Remove(path))
	assert.False(t, watched.Poll())
	assert.Contains(t, watched.Problem(), "cannot be read any more")
	assert.EqualValues(t, 4, watched.Current().Generation)
}

func TestWhatMustNotBeSplitIsNamedWithItsReason(t *testing.T) {
	assert.Empty(t, wire.WhyWhole(policy(t, say), false))
	assert.Contains(t, wire.WhyWhole(policy(t, keep), false), "share no rows")
	assert.Empty(t, wire.WhyWhole(policy(t, keep), true))
	keyless := *policy(t, keep)
	keyless.IdempotencyKeyField = ""
	assert.Contains(t, wire.WhyWhole(&keyless, true), "twice is once")
	keyless.Idempotent = true
	assert.Empty(t, wire.WhyWhole(&keyless, true))
	assert.Contains(t, wire.WhyWhole(policy(t, count), true), "names no split key")
	assert.Equal(t, "ada", wire.KeyOf(policy(t, say), toy.Request("ada", "", 0)))
}
