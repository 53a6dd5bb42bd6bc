// Package auth says who calls: bearer tokens (JWT, RS256 only), the keys that sign them, and the sessions that were
// revoked.
package auth

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/recent"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

// Config says whose tokens are believed.
type Config struct {
	Issuer   string
	Audience string
	// Keys asks the issuer for its public keys.
	Keys func(context.Context) (*tricornv1.JsonWebKeySet, error)
	// Revocations asks for every session that was revoked and whose tokens may still be unexpired; nil: nobody knows.
	Revocations func(context.Context) (*tricornv1.ListRevocationsResponse, error)
	// Leeway is how far clocks may be apart; zero: 5 s.
	Leeway time.Duration
	// RefreshInterval lies between two questions for keys that an unknown key id may cause; zero: 5 s.
	RefreshInterval time.Duration
	// RenewInterval lies, more or less, between two questions for keys while tokens come: by then a withdrawn one is known;
	// zero: 30 s.
	RenewInterval time.Duration
	// Tokens is how many verified tokens are remembered; zero: 20,000.
	Tokens int
	// Wall is the time; nil: the system's.
	Wall func() time.Time
	// Clock is the time since some fixed moment; nil: that of the process.
	Clock func() time.Duration
}

// Authenticator turns an Authorization header into an identity.
//
// A token that was verified is remembered until it ends or the issuer withdraws a key, so that its signature is checked
// once; each call still asks whether its session was revoked.
type Authenticator struct {
	config   Config
	keys     *KeySet
	log      *slog.Logger
	tokens   *recent.Memory[*remembered]
	seed     maphash.Seed
	revoking sync.RWMutex
	revoked  map[string]float64 // session id -> the Unix second when its last token has ended
	known    chan struct{}
	once     sync.Once
}

const (
	retryPause = time.Second
	sweepPause = 30 * time.Second
)

type remembered struct {
	recent.Use
	token   string
	expires float64
	// withdrawn is KeySet.withdrawn from before its key was looked up.
	withdrawn uint64
	caller    exchange.Caller
}

// New makes an authenticator that remembers nothing yet.
func New(config Config) *Authenticator {
	if config.Leeway == 0 {
		config.Leeway = 5 * time.Second
	}
	if config.RefreshInterval == 0 {
		config.RefreshInterval = 5 * time.Second
	}
	if config.RenewInterval == 0 {
		config.RenewInterval = 30 * time.Second
	}
	if config.Tokens == 0 {
		config.Tokens = 20_000
	}
	if config.Wall == nil {
		config.Wall = time.Now
	}
	if config.Clock == nil {
		began := time.Now()
		config.Clock = func() time.Duration { return time.Since(began) }
	}
	log := telemetry.Logger("tricorn.gateway.auth")
	made := &Authenticator{
		config: config, seed: maphash.MakeSeed(), log: log, revoked: make(map[string]float64), known: make(chan struct{}),
		tokens: recent.New[*remembered](config.Tokens),
	}
	made.keys = newKeySet(config.Keys, config.RefreshInterval, config.RenewInterval, config.Clock, log)
	return made
}

// Revoke refuses a session from now on. ends is when its last token ends and this may be forgotten.
func (a *Authenticator) Revoke(session string, ends time.Time) {
	until := float64(ends.UnixNano()) / 1e9
	a.revoking.Lock()
	defer a.revoking.Unlock()
	a.revoked[session] = max(a.revoked[session], until)
}

// Remembered is the caller of a token that was verified before; nil: ask Authenticate.
func (a *Authenticator) Remembered(header string) *exchange.Caller {
	token, ok := bearer(header)
	if !ok {
		return nil
	}
	found := a.tokens.Get(maphash.String(a.seed, token))
	if found == nil || found.token != token || !a.holds(found) {
		return nil
	}
	return &found.caller
}

// still is Remembered for a header that the caller is known to have sent before.
func (a *Authenticator) still(caller *exchange.Caller) bool {
	found, ok := caller.Proven.(*remembered)
	return ok && a.holds(found)
}

// holds tells whether a token is still as good as when it was verified.
func (a *Authenticator) holds(found *remembered) bool {
	if found.expires <= a.wall() || a.isRevoked(found.caller.Identity.SessionID) {
		return false
	}
	a.keys.Renew()
	return found.withdrawn == a.keys.withdrawn.Load()
}

// Authenticate is the identity in an Authorization header. It refuses with UNAUTHENTICATED when the token is bad, has
// ended or was revoked, with UNAVAILABLE when it cannot be checked.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (*wire.Identity, *contract.Refusal) {
	token, ok := bearer(header)
	if !ok {
		return nil, refused("the Authorization header holds no bearer token")
	}
	withdrawn := a.keys.withdrawn.Load()
	identity, ends, failure := a.verify(ctx, token)
	if failure != nil {
		return nil, failure
	}
	if a.isRevoked(identity.SessionID) {
		return nil, refused("the session has ended; log in again")
	}
	made := &remembered{
		token: token, expires: ends + a.config.Leeway.Seconds(), withdrawn: withdrawn, caller: exchange.Caller{Identity: *identity},
	}
	made.caller.Proven = made
	a.tokens.Put(maphash.String(a.seed, token), made)
	return identity, nil
}

// ReadRevocations takes over what the issuer says was revoked, and forgets what has ended.
func (a *Authenticator) ReadRevocations(ctx context.Context) error {
	if a.config.Revocations != nil {
		limited, cancel := context.WithTimeout(ctx, issuerTime)
		defer cancel()
		answer, err := a.config.Revocations(limited)
		if err != nil {
			return fmt.Errorf("ask the issuer for revoked sessions: %w", err)
		}
		for _, each := range answer.GetRevocations() {
			a.Revoke(each.GetSessionId(), each.GetExpireTime().AsTime().Truncate(time.Second).Add(time.Second))
		}
	}
	a.once.Do(func() { close(a.known) })
	a.forgetEnded()
	return nil
}

// Follow reads the revoked sessions at the start, whenever missed says that the news of some may have been missed, and when
// the time of day jumped, again and again until it succeeds, and forgets those that ended. It returns when ctx ends.
func (a *Authenticator) Follow(ctx context.Context, missed <-chan struct{}) {
	apart := a.apart()
	for due := true; ; {
		wait := sweepPause
		if due {
			err := a.ReadRevocations(ctx)
			if due = err != nil; due {
				a.log.WarnContext(ctx, "the revoked sessions are not known, asking again in a second", "error", err)
				wait = retryPause
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-missed:
			timer.Stop()
			due = true
		case <-timer.C:
			a.forgetEnded()
			// What had not ended may have been forgotten by a clock that was wrong.
			if now := a.apart(); math.Abs(now-apart) > a.config.Leeway.Seconds() {
				apart, due = now, true
			}
		}
	}
}

// apart is by how many seconds the time of day and the clock differ; it changes when one of them jumps.
func (a *Authenticator) apart() float64 { return a.wall() - a.config.Clock().Seconds() }

// Known waits until the revoked sessions were read for the first time, or ctx ends.
func (a *Authenticator) Known(ctx context.Context) error {
	select {
	case <-a.known:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the revoked sessions: %w", context.Cause(ctx))
	}
}

func (a *Authenticator) forgetEnded() {
	now := a.wall() - a.config.Leeway.Seconds()
	a.revoking.Lock()
	defer a.revoking.Unlock()
	maps.DeleteFunc(a.revoked, func(_ string, ends float64) bool { return ends <= now })
}

func (a *Authenticator) isRevoked(session string) bool {
	a.revoking.RLock()
	defer a.revoking.RUnlock()
	_, revoked := a.revoked[session]
	return revoked
}

func (a *Authenticator) wall() float64 { return float64(a.config.Wall().UnixNano()) / 1e9 }
