package gateway

import (
	"net/http"
	"strconv"
)

const (
	exposedHeaders = "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Server-Timing, X-Request-Id, " +
		"X-Trace-Id"
	allowedHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, Traceparent"
)

// cors says to browsers which pages may call. Credentials are bearer tokens, never cookies, so none are allowed.
type cors struct {
	origins map[string]bool
	any     bool
	maxAge  string
}

func newCORS(config CORS) *cors {
	made := &cors{origins: map[string]bool{}, maxAge: strconv.Itoa(int(config.MaxAge.Seconds()))}
	for _, origin := range config.Origins {
		made.origins[origin] = true
	}
	made.any = made.origins["*"]
	return made
}

// add puts on an answer what every answer has.
func (c *cors) add(r *http.Request, header http.Header) {
	if !c.any {
		header.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if origin == "" || !c.allows(origin) || header.Get("Access-Control-Allow-Origin") != "" {
		return
	}
	c.allow(origin, header)
	header.Set("Access-Control-Expose-Headers", exposedHeaders)
}

// preflight answers a browser that asks before it calls.
func (c *cors) preflight(r *http.Request, header http.Header, verbs string) {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Header.Get("Access-Control-Request-Method") == "" || !c.allows(origin) {
		return
	}
	c.allow(origin, header)
	header.Set("Access-Control-Allow-Methods", verbs)
	header.Set("Access-Control-Allow-Headers", allowedHeaders)
	header.Set("Access-Control-Max-Age", c.maxAge)
}

func (c *cors) allows(origin string) bool { return c.any || c.origins[origin] }

func (c *cors) allow(origin string, header http.Header) {
	if c.any {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
}
