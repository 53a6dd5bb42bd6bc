// Package prove is what a native process does to prove a move: it counts how the implementations of a method fare, for the guard of a cutover, who
// merges what all processes counted, in whatever language they are written; and it copies calls that are to be recorded or compared, for a Python
// process that does so.
package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	folder          = "prove"
	version         = 1
	keptGenerations = 16
	writeTime       = time.Second
)

// arm is one implementation of one method under one generation of the binding that decided the call.
type arm struct {
	method, implementation string
	generation             int64
}

// Tallies counts the calls of this process by method, implementation and generation, and writes them to <home>/prove/<process>-<pid>.json: of
// gateways that follow each other under one name, each has a file of its own.
type Tallies struct {
	folder  string
	path    string
	process string
	arms    sync.Map // arm -> *tally
	writing sync.Mutex
	read    bool
	gone    []string // files of processes that are no more, whose counts go on here
	changed time.Time
	written []byte
}

// New counts nothing yet, and touches nothing before Write.
func New(home, process string) *Tallies {
	into := filepath.Join(home, folder)
	name := fmt.Sprintf("%s-%d.json", process, os.Getpid())
	return &Tallies{folder: into, path: filepath.Join(into, name), process: process}
}

// Count counts a call that an implementation answered; failed when the answer tells of a broken server.
func (t *Tallies) Count(method, implementation string, generation int64, took time.Duration, failed bool) {
	t.of(arm{method, implementation, generation}).answered(took, failed)
}

// Missed counts a call that the reference answered in an implementation's place: for that one it is an error.
func (t *Tallies) Missed(method, implementation string, generation int64) {
	t.of(arm{method, implementation, generation}).missed()
}

func (t *Tallies) of(name arm) *tally {
	found, ok := t.arms.Load(name)
	if !ok {
		found, _ = t.arms.LoadOrStore(name, &tally{})
	}
	return found.(*tally)
}

// Write replaces the file if there is anything new to say, once a second at most. What processes of this name counted that are no more goes on in
// it.
func (t *Tallies) Write() error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if time.Since(t.changed) < writeTime {
		return nil
	}
	t.changed = time.Now()
	return t.write()
}

// Close writes what is not written yet.
func (t *Tallies) Close() error {
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.write()
}

func (t *Tallies) write() error {
	t.inherit()
	said := t.describe()
	if len(said) == 0 {
		return nil
	}
	text, err := json.Marshal(file{Version: version, Process: t.process, Shadowed: map[string]string{}, Tallies: said, Shadow: nothing})
	if err != nil {
		return fmt.Errorf("write down what was counted: %w", err)
	}
	if slices.Equal(text, t.written) {
		return nil
	}
	scratch := strings.TrimSuffix(t.path, ".json") + ".new"
	if err := errors.Join(os.MkdirAll(t.folder, 0o700), os.WriteFile(scratch, text, 0o600), os.Rename(scratch, t.path)); err != nil {
		return fmt.Errorf("write down what was counted: %w", err)
	}
	t.written = text
	for _, path := range t.gone {
		_ = os.Remove(path) // who counts it twice sees a process that did more, not another one
	}
	t.gone = nil
	return nil
}

// inherit takes over, once, what processes of this name counted that are no more, one that had the same number among them.
func (t *Tallies) inherit() {
	if t.read {
		return
	}
	t.read = true
	paths, err := filepath.Glob(filepath.Join(t.folder, t.process+"-*.json"))
	if err != nil {
		return
	}
	for _, path := range paths {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), t.process+"-"), ".json")
		pid, err := strconv.Atoi(number)
		if err != nil || (path != t.path && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)) {
			continue
		}
		var said file
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &said) != nil || said.Version != version {
			continue
		}
		for _, each := range said.Tallies {
			t.of(arm{each.Method, each.Implementation, each.Generation}).merge(each)
		}
		if path != t.path {
			t.gone = append(t.gone, path)
		}
	}
}

// describe gives every tally, those of long gone generations left out and forgotten.
func (t *Tallies) describe() []counted {
	generations := map[string][]int64{}
	t.arms.Range(func(name, _ any) bool {
		each := name.(arm)
		generations[each.method] = append(generations[each.method], each.generation)
		return true
	})
	for method, known := range generations {
		slices.Sort(known)
		known = slices.Compact(known)
		generations[method] = known[max(0, len(known)-keptGenerations):]
	}
	var made []counted
	t.arms.Range(func(name, found any) bool {
		each := name.(arm)
		if !slices.Contains(generations[each.method], each.generation) {
			t.arms.Delete(name)
			return true
		}
		made = append(made, found.(*tally).describe(each))
		return true
	})
	slices.SortFunc(made, order)
	return made
}
