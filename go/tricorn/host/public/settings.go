package public

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tricorn/gateway"
	"tricorn/gateway/mounts"
	"tricorn/host"
)

// settings are what an operator says of a gateway; the variables are those of the gateway in Python.
type settings struct {
	limits     gateway.Limits
	rateFactor float64
	proxies    []string
	cors       []string
	hsts       bool
	redisURL   string
	mounts     []mounts.Mount
}

func read(environment host.Environment) (*settings, error) {
	said := &settings{limits: gateway.DefaultLimits(), rateFactor: 1, redisURL: environment.Get("REDIS_URL")}
	body, err := environment.Number("TRICORN_MAX_BODY_BYTES", int(said.limits.Body))
	if err != nil {
		return nil, err
	}
	said.limits.Body = int64(body)
	if said.limits.DrainTime, err = environment.Seconds("TRICORN_SHUTDOWN_SECONDS", said.limits.DrainTime); err != nil {
		return nil, err
	}
	if factor := environment.Get("TRICORN_RATE_FACTOR"); factor != "" {
		if said.rateFactor, err = strconv.ParseFloat(factor, 64); err != nil || said.rateFactor <= 0 {
			return nil, fmt.Errorf("TRICORN_RATE_FACTOR is %q, which is no number above zero", factor)
		}
	}
	if hsts := environment.Get("TRICORN_HSTS"); hsts != "" {
		if said.hsts, err = strconv.ParseBool(hsts); err != nil {
			return nil, fmt.Errorf("TRICORN_HSTS is %q, which is neither true nor false", hsts)
		}
	}
	for name, into := range map[string]any{
		"TRICORN_TRUSTED_PROXIES": &said.proxies, "TRICORN_CORS_ORIGINS": &said.cors,
	} {
		if err := readJSON(environment, name, into); err != nil {
			return nil, err
		}
	}
	var mounted map[string]string
	if err := readJSON(environment, "TRICORN_MOUNTS", &mounted); err != nil {
		return nil, err
	}
	for prefix, socket := range mounted {
		said.mounts = append(said.mounts, mounts.Mount{Prefix: prefix, Socket: strings.TrimPrefix(socket, "unix:")})
	}
	return said, nil
}

func readJSON(environment host.Environment, name string, into any) error {
	text := environment.Get(name)
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s is not the JSON that it must be: %w", name, err)
	}
	return nil
}

const (
	corsMaxAge   = 10 * time.Minute
	callers      = 100_000
	answersBytes = 64 << 20
)
