package recent

import (
	"sync"
	"testing"
)

type thing struct {
	Use
	name string
}

// hashes gives so many that share a shard.
func hashes(count int) []uint64 {
	made := make([]uint64, count)
	for i := range made {
		made[i] = uint64(i+1) * shards
	}
	return made
}

func TestWhatIsLookedForStaysAndTheOldestThatIsNotLeaves(t *testing.T) {
	memory, keys := New[*thing](4*shards), hashes(9)
	for _, key := range keys[:4] {
		memory.Put(key, &thing{})
	}
	memory.Get(keys[0])
	memory.Put(keys[4], &thing{})
	if memory.Get(keys[0]) == nil || memory.Get(keys[1]) != nil {
		t.Error("the second should have left, not the first")
	}
	for _, key := range keys[5:] {
		memory.Put(key, &thing{})
	}
	count := 0
	for _, key := range keys {
		if memory.Get(key) != nil {
			count++
		}
	}
	if count != 4 {
		t.Errorf("%d are remembered", count)
	}
}

func TestOfTwoWithTheSameHashTheLaterIsRemembered(t *testing.T) {
	memory := New[*thing](shards)
	memory.Put(7, &thing{name: "a"})
	memory.Put(7, &thing{name: "b"})
	if found := memory.Get(7); found == nil || found.name != "b" {
		t.Errorf("%v", found)
	}
}

func TestManyMayPutAndGetAtOnce(t *testing.T) {
	memory := New[*thing](2 * shards)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 2000 {
				key := uint64((i*7+worker)%200 + 1)
				memory.Put(key, &thing{name: "x"})
				if found := memory.Get(key + 1); found != nil && found.name != "x" {
					t.Error("something else was found")
				}
			}
		})
	}
	all.Wait()
}
