package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/mounts"
	"tricorn/gateway/shed"
)

// Limits are sizes in bytes and lengths of time.
type Limits struct {
	// Body is the most that a request's body may have, and BodyTime how long it may take to come.
	Body     int64
	BodyTime time.Duration
	// MountTime is how long the body of a request to a mount may take to come, and then the head of the answer.
	MountTime time.Duration
	// HeaderBytes, HeaderCount and HeaderTime bound the head of a request, Target its path with the query.
	HeaderBytes int
	HeaderCount int
	HeaderTime  time.Duration
	Target      int
	// KeepAlive is how long a connection without a request is kept, WriteTime how long a client may read nothing of its answer.
	KeepAlive time.Duration
	WriteTime time.Duration
	// GzipFrom is the size from which answers are packed for those who can unpack them.
	GzipFrom int
	// Heartbeat is the longest silence on an event stream.
	Heartbeat time.Duration
	// IdleTime is how long connections without a request stay open when the server ends, so that a request already under way is still answered;
	// DrainTime how long requests in progress get after that.
	DrainTime time.Duration
	IdleTime  time.Duration
}

// DefaultLimits are those of the gateway in Python.
func DefaultLimits() Limits {
	return Limits{
		Body:        1 << 20,
		BodyTime:    10 * time.Second,
		MountTime:   30 * time.Second,
		HeaderBytes: 32 << 10,
		HeaderCount: 100,
		HeaderTime:  10 * time.Second,
		Target:      8 << 10,
		KeepAlive:   30 * time.Second,
		WriteTime:   30 * time.Second,
		GzipFrom:    1024,
		Heartbeat:   15 * time.Second,
		DrainTime:   10 * time.Second,
		IdleTime:    10 * time.Second,
	}
}

// CORS names the origins that browsers may call from ("https://shop.example"); "*" for all. Empty: none.
type CORS struct {
	Origins []string
	MaxAge  time.Duration
}

// Observation is what is known of a request when it is answered, or its client went away (status 499).
type Observation struct {
	Method string
	// Route is "GET /api/v1/products/{product_id}"; "" when there was none.
	Route string
	// RPC is the method's full name; "" for pages and mounts.
	RPC     string
	Status  int
	Code    string
	Took    time.Duration
	Timings []exchange.Timing
	TraceID string
	UserID  string
	Client  string
}

// Config is everything that a gateway is told when it is made.
type Config struct {
	// Contracts are full names of services; the generated packages that declare them must be linked in. Methods with a route that are not internal
	// are served as REST, and all that are not internal by Connect, gRPC-web and gRPC.
	Contracts []string
	// Backend answers the methods.
	Backend grpc.ClientConnInterface
	// Hurry, when it is closed, ends the wait of a server that ends for connections without a request; nil: never.
	Hurry <-chan struct{}
	// Guards stand between routing and a method, outermost first; see exchange.Exchange for what they find and leave.
	Guards []func(http.Handler) http.Handler
	// Shed counts what is in hand, before anything is known of a request, and turns away what is too much; nil: nothing is.
	Shed *shed.Shedder
	// Cache keeps answers; nil: none are kept.
	Cache exchange.Cache
	// Kept are methods, by full name, whose answers the cache keeps for each user and for so long though their contracts say nothing of it: whoever
	// names them ends what is kept as soon as it changes.
	Kept map[string]time.Duration
	// Roles and Rates are the names that are declared: a contract may use no others. Auth says that somebody verifies tokens.
	Roles map[string]bool
	Rates map[string]bool
	Auth  bool

	Limits Limits
	Mounts []mounts.Mount
	CORS   CORS
	// TrustedProxies are networks ("10.0.0.0/8") whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []string
	// HSTS sends Strict-Transport-Security: only where every request comes over TLS.
	HSTS bool
	// OpenAPI is the document at /openapi.json; nil: none is there.
	OpenAPI []byte
	// Ready says what must work for the gateway to be of use, by name, and whether it does; nil: nothing.
	Ready func(context.Context) map[string]bool
	// Observe takes what was seen of each request; it must not block. nil: nobody looks.
	Observe func(Observation)
}

// policies are the methods that may be called from outside.
func (c *Config) policies() ([]*contract.Policy, error) {
	var found []*contract.Policy
	var problems []error
	for _, name := range c.Contracts {
		policies, err := contract.ServicePolicies(name)
		if err != nil {
			return nil, err
		}
		for _, policy := range policies {
			if policy.Level == contract.Internal {
				continue
			}
			problems = append(problems, c.check(policy))
			if ttl, kept := c.Kept[policy.FullName]; kept && policy.Cache == nil && policy.Safe {
				copied := *policy
				copied.Cache = &contract.CachePolicy{TTL: ttl, VaryUser: true}
				policy = &copied
			}
			found = append(found, policy)
		}
	}
	return found, errors.Join(problems...)
}

func (c *Config) check(policy *contract.Policy) error {
	if policy.Rate != "" && !c.Rates[policy.Rate] {
		return fmt.Errorf("%s has the rate class %q, which is not declared", policy.FullName, policy.Rate)
	}
	for _, role := range policy.AnyRole {
		if !c.Roles[role] {
			return fmt.Errorf("%s asks for the role %q, which is not declared", policy.FullName, role)
		}
	}
	if policy.ClientStreaming && len(policy.Routes) > 0 {
		return fmt.Errorf("%s takes a stream, which no HTTP route can carry", policy.FullName)
	}
	if policy.Level == contract.User && !c.Auth {
		return fmt.Errorf("%s needs a user, but nobody says whose tokens are believed", policy.FullName)
	}
	return nil
}
