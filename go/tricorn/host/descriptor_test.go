package host_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// release gives a descriptor that the process under test owns from now on, as it would own an inherited one.
func release(t *testing.T, file *os.File) int {
	t.Helper()
	descriptor, err := syscall.Dup(int(file.Fd()))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return descriptor
}
