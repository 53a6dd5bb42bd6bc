package wire

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"syscall"
	"time"
)

// Watched is what a file said when it last made sense: one that another process replaces as a whole while this one runs.
type Watched[T any] struct {
	path    string
	parse   func([]byte) (T, error)
	seen    *identity
	current atomic.Pointer[T]
	problem atomic.Pointer[string]
}

type identity struct {
	modified time.Time
	size     int64
	inode    uint64
}

// WatchBindings watches a bindings file; Python answers everything as long as there never was one.
func WatchBindings(path string) *Watched[*Bindings] {
	return Watch(path, ParseBindings, &Bindings{})
}

// WatchEndpoints watches an endpoints file; there are none as long as there never was a file.
func WatchEndpoints(path string) *Watched[Addresses] {
	return Watch(path, ParseEndpoints, Addresses{})
}

// Watch watches a file that parse reads; empty holds as long as there never was one. Nothing is read before Poll.
func Watch[T any](path string, parse func([]byte) (T, error), empty T) *Watched[T] {
	made := &Watched[T]{path: path, parse: parse}
	made.current.Store(&empty)
	made.problem.Store(new(string))
	return made
}

// Current gives what holds.
func (w *Watched[T]) Current() T { return *w.current.Load() }

// Problem says what is wrong with the file as it lies there now, while what it said before still holds; empty when nothing is.
func (w *Watched[T]) Problem() string { return *w.problem.Load() }

// Poll looks whether the file was replaced; true when something else holds now. Rubbish is logged, once, and changes nothing. It is for
// one goroutine.
func (w *Watched[T]) Poll() bool {
	status, err := os.Stat(w.path)
	if err != nil {
		if w.seen != nil {
			w.seen = nil
			w.complain("cannot be read any more: " + reasonOf(err))
		}
		return false
	}
	seen := identity{modified: status.ModTime(), size: status.Size()}
	if system, ok := status.Sys().(*syscall.Stat_t); ok {
		seen.inode = system.Ino
	}
	if w.seen != nil && *w.seen == seen {
		return false
	}
	w.seen = &seen
	found, err := w.read()
	if err != nil {
		w.complain(err.Error())
		return false
	}
	w.problem.Store(new(string))
	changed := !reflect.DeepEqual(found, w.Current())
	w.current.Store(&found)
	return changed
}

func (w *Watched[T]) read() (T, error) {
	var none T
	text, err := os.ReadFile(w.path)
	if err != nil {
		return none, fmt.Errorf("read the file: %w", err)
	}
	return w.parse(text)
}

func (w *Watched[T]) complain(what string) {
	said := filepath.Base(w.path) + ": " + what
	w.problem.Store(&said)
	log.Error("a file makes no sense; what it said before still holds", "file", w.path, "problem", what)
}

func reasonOf(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
