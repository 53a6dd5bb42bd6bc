package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// grace is how long an orderly end may take after the supervisor's own.
const grace = 15 * time.Second

// life is the supervised end of the pipe whose other end only the supervisor holds. The supervisor writes one line, the word to go, and
// keeps the pipe open for as long as it lives.
type life struct {
	pipe   io.ReadCloser
	reader *bufio.Reader
	over   chan struct{}
}

func openLife(descriptor int) (*life, error) {
	// Only then does closing it end a read that waits.
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		return nil, fmt.Errorf("open the supervisor's pipe %d: %w", descriptor, err)
	}
	pipe := inherited(descriptor, "life")
	return &life{pipe, bufio.NewReader(pipe), make(chan struct{})}, nil
}

// wait blocks until the supervisor says go, and gives what it says along.
func (l *life) wait() (Environment, error) {
	line, err := l.reader.ReadBytes('\n')
	if err != nil {
		return Environment{}, fmt.Errorf("wait for the supervisor's word: it is gone: %w", err)
	}
	var word struct {
		Environment map[string]any `json:"environment"`
	}
	if err := json.Unmarshal(line, &word); err != nil {
		return Environment{}, fmt.Errorf("read the supervisor's word: %w", err)
	}
	said := map[string]string{}
	for name, value := range word.Environment {
		if text, ok := value.(string); ok {
			said[name] = text
		}
	}
	return NewEnvironment(said), nil
}

// watch calls end when the supervisor's end closes, and ends the process for good when close does not come within a grace.
func (l *life) watch(end func()) {
	_, _ = io.Copy(io.Discard, l.reader)
	end()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-l.over:
	case <-patience.C:
		os.Exit(1)
	}
}

// close says that the process has ended by itself.
func (l *life) close() {
	close(l.over)
	_ = l.pipe.Close()
}

// sayReady tells the supervisor that requests are answered from now on.
func sayReady(descriptor int) error {
	pipe := inherited(descriptor, "ready")
	_, err := pipe.WriteString("ready\n")
	if err := errors.Join(err, pipe.Close()); err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return nil
}

// inherited is a descriptor that the supervisor passed; what this process starts does not get it.
func inherited(descriptor int, name string) *os.File {
	syscall.CloseOnExec(descriptor)
	return os.NewFile(uintptr(descriptor), name)
}
