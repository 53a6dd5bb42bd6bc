package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type output struct {
	process string
	level   slog.Level
	mutex   sync.Mutex
	writer  io.Writer
}

var destination atomic.Pointer[output]

// ParseLevel reads a level as settings name it: debug, info, warning, error or critical.
func ParseLevel(name string) (slog.Level, error) {
	level, ok := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
		"critical": slog.LevelError + 4,
	}[strings.ToLower(name)]
	if !ok {
		return 0, fmt.Errorf("log level %q is none of debug, info, warning, error, critical", name)
	}
	return level, nil
}

// Configure says whose lines these are, which are written, and where to; before it, lines of info and above go to standard error.
func Configure(process string, level slog.Level, writer io.Writer) {
	destination.Store(&output{process: process, level: level, writer: writer})
	slog.SetDefault(Logger("go"))
}

// Logger gives a logger whose lines carry its name: one JSON object a line, with the ids of the context's trace. Values whose keys name a secret
// are redacted, and passwords in URLs. It may be made before Configure.
func Logger(name string) *slog.Logger { return slog.New(&handler{name: name}) }

type handler struct {
	name   string
	group  string
	fields []slog.Attr
}

var unconfigured = &output{level: slog.LevelInfo, writer: os.Stderr}

func to() *output {
	if set := destination.Load(); set != nil {
		return set
	}
	return unconfigured
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= to().level }

func (h *handler) WithAttrs(fields []slog.Attr) slog.Handler {
	more := slices.Clone(h.fields)
	for _, field := range fields {
		field.Key = h.group + field.Key
		more = append(more, field)
	}
	return &handler{name: h.name, group: h.group, fields: more}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{name: h.name, group: h.group + name + ".", fields: h.fields}
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	out := to()
	line := line{taken: map[string]bool{}}
	line.text.WriteByte('{')
	line.add("time", record.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	line.add("level", levelName(record.Level))
	line.add("event", withoutPasswords(record.Message))
	line.add("logger", h.name)
	line.add("process", out.process)
	if trace, ok := Trace(ctx); ok {
		line.add("trace_id", fmt.Sprintf("%x", trace.TraceID))
		if trace.SpanID != [8]byte{} {
			line.add("span_id", fmt.Sprintf("%x", trace.SpanID))
		}
	}
	for _, field := range h.fields {
		line.addField("", field)
	}
	record.Attrs(func(field slog.Attr) bool {
		line.addField(h.group, field)
		return true
	})
	line.text.WriteString("}\n")
	out.mutex.Lock()
	defer out.mutex.Unlock()
	// One write per line: with O_APPEND, lines of several processes do not mix. One that cannot be written is dropped: a full disk must not
	// fail requests.
	_, _ = out.writer.Write(line.text.Bytes())
	return nil
}

// Stack gives the running goroutine's stack, for the line about a panic.
func Stack() string {
	text := make([]byte, 16*1024)
	return string(text[:runtime.Stack(text, false)])
}

type line struct {
	text  bytes.Buffer
	taken map[string]bool
}

func (l *line) addField(group string, field slog.Attr) {
	value := field.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		inner := group
		if field.Key != "" {
			inner += field.Key + "."
		}
		for _, each := range value.Group() {
			l.addField(inner, each)
		}
		return
	}
	key := group + field.Key
	if field.Key == "" || l.taken[key] {
		return
	}
	if isSecret(key) {
		l.add(key, redacted)
		return
	}
	l.add(key, shown(value))
}

func (l *line) add(key string, value any) {
	text, err := marshal(value)
	if err != nil {
		text, _ = marshal(withoutPasswords(fmt.Sprintf("%+v", value)))
	}
	if len(l.taken) > 0 {
		l.text.WriteByte(',')
	}
	l.taken[key] = true
	name, _ := marshal(key)
	l.text.Write(name)
	l.text.WriteByte(':')
	l.text.Write(text)
}

func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(text.Bytes(), "\n"), nil
}

func shown(value slog.Value) any {
	switch value.Kind() {
	case slog.KindString:
		return withoutPasswords(value.String())
	case slog.KindDuration:
		return value.Duration().Seconds()
	case slog.KindTime:
		return value.Time().UTC().Format(time.RFC3339Nano)
	}
	switch it := value.Any().(type) {
	case error:
		return withoutPasswords(it.Error())
	case fmt.Stringer:
		return withoutPasswords(it.String())
	default:
		return redact(it, 0)
	}
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warning"
	case level == slog.LevelError:
		return "error"
	default:
		return "critical"
	}
}
