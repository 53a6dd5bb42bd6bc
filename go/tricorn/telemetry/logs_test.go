package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tricorn/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line gives the one line that is written.
func line(t *testing.T, level slog.Level, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var text bytes.Buffer
	telemetry.Configure("toy", level, &text)
	write(telemetry.Logger("tricorn.test"))
	if text.Len() == 0 {
		return nil
	}
	var said map[string]any
	require.NoError(t, json.Unmarshal(text.Bytes(), &said), text.String())
	return said
}

func TestALineNamesItsProcessAndItsTrace(t *testing.T) {
	ctx := telemetry.Continue(context.Background(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

	said := line(t, slog.LevelInfo, func(log *slog.Logger) {
		log.With("order", 7).WarnContext(ctx, "order <placed>", "amount", 1.5, "why", errors.New("no \"luck\""), "level", "mine")
	})

	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, said["time"])
	delete(said, "time")
	assert.Equal(t, map[string]any{
		"level": "warning", "event": "order <placed>", "logger": "tricorn.test", "process": "toy", "order": 7.0, "amount": 1.5,
		"why": `no "luck"`, "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
	}, said)
}

func TestALineBelowTheLevelIsNotWritten(t *testing.T) {
	assert.Nil(t, line(t, slog.LevelWarn, func(log *slog.Logger) { log.Info("hush") }))
}

func TestSecretsAreNeverWritten(t *testing.T) {
	said := line(t, slog.LevelInfo, func(log *slog.Logger) {
		log.Info("reach postgresql://agora:hunter2@db/agora", "accessToken", "x", "signing_key", "x", "API-KEY", "x", "databaseUrl", "x",
			"dsn", "x", slog.Group("user", "password", "x", "name", "ada"), "nested", map[string]any{"card_number": "x", "at": []any{"http://a:b@c"}},
			"key_id", "k", "tokenizer", "t", "secretary", "s", "JWTClaims", "x")
	})

	for _, key := range []string{"accessToken", "signing_key", "API-KEY", "databaseUrl", "dsn", "user.password", "JWTClaims"} {
		assert.Equal(t, "[redacted]", said[key], key)
	}
	assert.Equal(t, "reach postgresql://agora:[redacted]@db/agora", said["event"])
	assert.Equal(t, map[string]any{"card_number": "[redacted]", "at": []any{"http://a:[redacted]@c"}}, said["nested"])
	assert.Equal(t, []any{"k", "t", "s", "ada"}, []any{said["key_id"], said["tokenizer"], said["secretary"], said["user.name"]})
}

func TestWhatIsNoJSONIsWrittenAsText(t *testing.T) {
	said := line(t, slog.LevelInfo, func(log *slog.Logger) { log.Info("odd", "value", make(chan int, 1), "number", complex(1, 2)) })

	assert.NotEmpty(t, said["value"])
	assert.Equal(t, "(1+2i)", said["number"])
}

func TestALevelIsReadByItsName(t *testing.T) {
	level, err := telemetry.ParseLevel("WARNING")
	require.NoError(t, err)
	assert.Equal(t, slog.LevelWarn, level)
	_, err = telemetry.ParseLevel("loud")
	assert.ErrorContains(t, err, "none of debug, info, warning, error, critical")
}
