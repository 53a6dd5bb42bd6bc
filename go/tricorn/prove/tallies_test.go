package prove_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/prove"
)

const method = "toy.v1.EchoService/Say"

type written struct {
	Version int
	Process string
	Tallies []struct {
		Method, Implementation    string
		Generation, Calls, Errors int64
		Latency                   struct {
			Seconds float64
			Counts  map[string]int64
		}
	}
}

func read(t *testing.T, home string, pid int) written {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "prove", fmt.Sprintf("edge-%d.json", pid)))
	require.NoError(t, err)
	var said written
	require.NoError(t, json.Unmarshal(text, &said))
	return said
}

// gone is the number of a process that is no more.
func gone(t *testing.T) int {
	t.Helper()
	process := exec.Command("true")
	require.NoError(t, process.Run())
	return process.Process.Pid
}

func TestCallsAreCountedByWhoAnsweredAndUnderWhichBinding(t *testing.T) {
	home := t.TempDir()
	tallies := prove.New(home, "edge")

	tallies.Count(method, "rust", 7, time.Microsecond, false)
	tallies.Count(method, "rust", 7, 1100*time.Microsecond, true)
	tallies.Count(method, "rust", 8, 300*time.Second, false)
	tallies.Missed(method, "rust", 8)
	require.NoError(t, tallies.Close())

	said := read(t, home, os.Getpid())
	require.Len(t, said.Tallies, 2)
	first, second := said.Tallies[0], said.Tallies[1]
	assert.Equal(t, []int64{7, 2, 1}, []int64{first.Generation, first.Calls, first.Errors})
	assert.Equal(t, map[string]int64{"0": 1, "161": 1}, first.Latency.Counts)
	assert.InDelta(t, 0.001101, first.Latency.Seconds, 1e-9)
	assert.Equal(t, []int64{8, 2, 1}, []int64{second.Generation, second.Calls, second.Errors})
	assert.Equal(t, map[string]int64{"447": 1}, second.Latency.Counts)
}

func TestWhatAProcessOfTheSameNameCountedGoesOnOnceItIsNoMore(t *testing.T) {
	home, before := t.TempDir(), gone(t)
	earlier := prove.New(home, "edge")
	earlier.Count(method, "rust", 7, time.Millisecond, false)
	require.NoError(t, earlier.Close())
	mine := filepath.Join(home, "prove", fmt.Sprintf("edge-%d.json", os.Getpid()))
	require.NoError(t, os.Rename(mine, filepath.Join(home, "prove", fmt.Sprintf("edge-%d.json", before))))
	living := filepath.Join(home, "prove", fmt.Sprintf("edge-%d.json", os.Getppid()))
	require.NoError(t, os.WriteFile(living, []byte(`{"version": 1}`), 0o600))

	tallies := prove.New(home, "edge")
	tallies.Count(method, "rust", 7, time.Millisecond, false)
	require.NoError(t, tallies.Close())

	assert.EqualValues(t, 2, read(t, home, os.Getpid()).Tallies[0].Calls)
	assert.NoFileExists(t, filepath.Join(home, "prove", fmt.Sprintf("edge-%d.json", before)))
	assert.FileExists(t, living)
}

func TestOldGenerationsAreForgottenAndNothingIsWrittenOfNothing(t *testing.T) {
	home := t.TempDir()
	tallies := prove.New(home, "edge")
	require.NoError(t, tallies.Write())
	assert.NoDirExists(t, filepath.Join(home, "prove"))

	for generation := range int64(20) {
		tallies.Count(method, "rust", generation, time.Millisecond, false)
	}
	require.NoError(t, tallies.Close())

	said := read(t, home, os.Getpid())
	require.Len(t, said.Tallies, 16)
	assert.EqualValues(t, 4, said.Tallies[0].Generation)
}
