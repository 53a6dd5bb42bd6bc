package host_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"tricorn/host"
)

func TestWhatIsWrongWithACommandLineIsNamed(t *testing.T) {
	for _, each := range []struct {
		words []string
		said  string
	}{
		{nil, "--listen is missing"},
		{[]string{"--listen", "unix:/x", "--home", "."}, "--metrics is missing"},
		{[]string{"--listen", "unix:", "--home", ".", "--metrics", "off"}, "unix: needs a path"},
		{[]string{"--listen", "/run/x", "--home", ".", "--metrics", "off"}, `"/run/x" is neither unix:/path nor host:port`},
		{[]string{"--listen=unix:/x", "--home"}, "--home needs a value"},
		{[]string{"--verbose"}, "--verbose is none of its options"},
		{[]string{"--ready-fd", "-1"}, `--ready-fd is "-1", which is no descriptor`},
		{[]string{"--port", "70000"}, `--port is "70000", which is no port`},
	} {
		var said bytes.Buffer

		status := host.Run(context.Background(), each.words, host.Options{Name: "go"}, &said, &said)

		assert.Equal(t, 2, status, each.words)
		assert.Contains(t, said.String(), each.said)
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	var said bytes.Buffer

	status := host.Run(context.Background(), []string{"--help"}, host.Options{Name: "go"}, &said, &said)

	assert.Zero(t, status)
	for _, option := range []string{"--listen", "--home", "--metrics", "--life-fd", "--public-fd", "--manifest"} {
		assert.Contains(t, said.String(), option)
	}
}
