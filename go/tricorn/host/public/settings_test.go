package public

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/gateway"
	"tricorn/gateway/mounts"
	"tricorn/host"
)

func TestAnOperatorsSettingsAreRead(t *testing.T) {
	said, err := read(host.NewEnvironment(map[string]string{
		"TRICORN_RATE_FACTOR":      "0.5",
		"TRICORN_TRUSTED_PROXIES":  `["10.0.0.0/8"]`,
		"TRICORN_CORS_ORIGINS":     `["https://shop.example"]`,
		"TRICORN_HSTS":             "true",
		"TRICORN_MAX_BODY_BYTES":   "2048",
		"TRICORN_SHUTDOWN_SECONDS": "1.5",
		"TRICORN_MOUNTS":           `{"/admin": "unix:/run/core.http"}`,
		"REDIS_URL":                "redis://somewhere",
	}))

	require.NoError(t, err)
	assert.InDelta(t, 0.5, said.rateFactor, 0)
	assert.Equal(t, []string{"10.0.0.0/8"}, said.proxies)
	assert.Equal(t, []string{"https://shop.example"}, said.cors)
	assert.True(t, said.hsts)
	assert.EqualValues(t, 2048, said.limits.Body)
	assert.Equal(t, 1500*time.Millisecond, said.limits.DrainTime)
	assert.Equal(t, []mounts.Mount{{Prefix: "/admin", Socket: "/run/core.http"}}, said.mounts)
	assert.Equal(t, "redis://somewhere", said.redisURL)
}

func TestWithoutSettingsTheyAreThoseOfTheGatewayInPython(t *testing.T) {
	said, err := read(host.NewEnvironment(nil))

	require.NoError(t, err)
	assert.Equal(t, gateway.DefaultLimits(), said.limits)
	assert.InDelta(t, 1, said.rateFactor, 0)
	assert.Empty(t, said.mounts)
}

func TestASettingThatSaysNothingIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"TRICORN_RATE_FACTOR": "0", "TRICORN_HSTS": "perhaps", "TRICORN_TRUSTED_PROXIES": "10.0.0.0/8",
		"TRICORN_MOUNTS": "[]", "TRICORN_MAX_BODY_BYTES": "much", "TRICORN_SHUTDOWN_SECONDS": "soon",
	} {
		_, err := read(host.NewEnvironment(map[string]string{name: value}))

		assert.ErrorContains(t, err, name)
	}
}
