package host

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"tricorn/telemetry"
)

const (
	reports   = "wire"
	leastTime = time.Second
)

// report is <home>/wire/<process>.json, for `tricorn status` and for whoever waits until a change holds everywhere.
type report struct {
	path    string
	process string
	said    *reported
	at      time.Time
}

type reported struct {
	Process      string     `json:"process"`
	PID          int        `json:"pid"`
	Generation   int64      `json:"generation"`
	Problems     []string   `json:"problems"`
	OpenBreakers []string   `json:"openBreakers"`
	Fallbacks    []fellBack `json:"fallbacks"`
}

type fellBack struct {
	Method         string `json:"method"`
	Implementation string `json:"implementation"`
	Why            string `json:"why"`
	Calls          int64  `json:"calls"`
}

func newReport(home, process string) *report {
	return &report{path: filepath.Join(home, reports, process+".json"), process: process}
}

// write replaces the file when there is something new: at once for another generation or a problem, else once a second at most.
func (r *report) write(generation int64, problems, openBreakers []string, fallbacks map[telemetry.Fallback]int64) {
	said := &reported{r.process, os.Getpid(), generation, problems, openBreakers, []fellBack{}}
	for name, calls := range fallbacks {
		said.Fallbacks = append(said.Fallbacks, fellBack{name.Method, name.Implementation, name.Why, calls})
	}
	slices.SortFunc(said.Fallbacks, func(a, b fellBack) int {
		return cmp.Or(strings.Compare(a.Method, b.Method), strings.Compare(a.Implementation, b.Implementation),
			strings.Compare(a.Why, b.Why))
	})
	if reflect.DeepEqual(said, r.said) {
		return
	}
	urgent := r.said == nil || said.Generation != r.said.Generation || !slices.Equal(said.Problems, r.said.Problems)
	if !urgent && time.Since(r.at) < leastTime {
		return
	}
	if err := r.replace(said); err != nil {
		log.Warn("the report of calls could not be written", "file", r.path, "error", err)
	}
	r.said, r.at = said, time.Now()
}

// remove lets this process say nothing any more. The file may be another's by now: one gateway follows the other under one name.
func (r *report) remove() {
	var said reported
	text, err := os.ReadFile(r.path)
	if err == nil && json.Unmarshal(text, &said) == nil && said.PID == os.Getpid() {
		_ = os.Remove(r.path)
	}
}

func (r *report) replace(said *reported) error {
	text, err := json.MarshalIndent(said, "", " ")
	if err != nil {
		return fmt.Errorf("write it as JSON: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	scratch := fmt.Sprintf("%s.%d", strings.TrimSuffix(r.path, ".json"), os.Getpid())
	if err := os.WriteFile(scratch, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write it beside: %w", err)
	}
	if err := os.Rename(scratch, r.path); err != nil {
		return fmt.Errorf("put it in place: %w", err)
	}
	return nil
}

func serviceOf(method string) string {
	service, _, _ := strings.Cut(method, "/")
	return service
}
