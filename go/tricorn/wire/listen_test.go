package wire_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/wire"
)

func TestASocketIsForItsUserOnlyAndGoneAfterwards(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "s")

	listener, address, err := wire.Listen("unix:" + path)

	require.NoError(t, err)
	assert.Equal(t, "unix:"+path, address)
	status, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), status.Mode().Perm())
	require.NoError(t, listener.Close())
	assert.NoFileExists(t, path)
}

func TestALivePathIsRefusedAndADeadOneTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	require.FileExists(t, path)

	first, _, err := wire.Listen("unix:" + path)
	require.NoError(t, err)
	_, _, err = wire.Listen("unix:" + path)

	assert.ErrorContains(t, err, "is served by another process")
	require.NoError(t, first.Close())
	again, _, err := wire.Listen("unix:" + path)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestAFreePortIsNamed(t *testing.T) {
	listener, address, err := wire.Listen("127.0.0.1:0")

	require.NoError(t, err)
	assert.False(t, strings.HasSuffix(address, ":0"))
	require.NoError(t, listener.Close())
}

func TestAnAddressThatIsNoneIsNamed(t *testing.T) {
	for _, address := range []string{"", "unix:", "/run/x.sock", "localhost:99999", ":80", "localhost"} {
		assert.Error(t, wire.CheckAddress(address), address)
	}
	assert.NoError(t, wire.CheckAddress("[::1]:50051"))
}
