package auth

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tricorn/contract"
	tricornv1 "tricorn/v1"
)

const (
	smallestModulus = 2048
	largestModulus  = 8192
	issuerTime      = 2 * time.Second
	firstPause      = 200 * time.Millisecond
	// spread is the part of the interval by which gateways ask sooner or later, so that they do not all ask at once.
	spread = 0.2
)

// KeySet is the issuer's public keys by id.
//
// An unknown id makes it ask again, one question at a time and at most one in each interval, so that invented ids stall
// nobody: whoever names a known key never waits. It asks besides every so often while tokens come, since one that the issuer
// withdrew may be named by nobody else. While the issuer is down the keys it gave last stay good.
type KeySet struct {
	ask      func(context.Context) (*tricornv1.JsonWebKeySet, error)
	interval time.Duration
	renewal  time.Duration
	clock    func() time.Duration
	log      *slog.Logger
	known    atomic.Pointer[map[string]*rsa.PublicKey]
	// withdrawn counts how often the issuer stopped showing a key.
	withdrawn atomic.Uint64
	// due is when the keys are old.
	due atomic.Int64

	mu     sync.Mutex
	asked  time.Duration
	ever   bool
	asking chan struct{}
}

func newKeySet(
	ask func(context.Context) (*tricornv1.JsonWebKeySet, error), interval, renewal time.Duration,
	clock func() time.Duration, log *slog.Logger,
) *KeySet {
	set := &KeySet{ask: ask, interval: interval, renewal: renewal, clock: clock, log: log}
	set.due.Store(math.MaxInt64)
	set.known.Store(&map[string]*rsa.PublicKey{})
	return set
}

// Find gives the key of an id; nil when the issuer does not know it. It fails with UNAVAILABLE when the issuer never
// answered yet.
func (s *KeySet) Find(ctx context.Context, id string) (*rsa.PublicKey, error) {
	if key := (*s.known.Load())[id]; key != nil {
		s.Renew()
		return key, nil
	}
	s.Refresh(ctx)
	known := *s.known.Load()
	if len(known) == 0 {
		return nil, contract.Refuse(contract.ReasonUnavailable, "tokens cannot be checked at the moment").After(time.Second)
	}
	return known[id], nil
}

// Renew asks for the keys when they are old. Nobody waits for the answer.
func (s *KeySet) Renew() {
	if int64(s.clock()) >= s.due.Load() {
		s.begin(context.Background())
	}
}

// Refresh asks for the keys, unless that was done a moment ago, and waits for the answer, but not longer than ctx.
func (s *KeySet) Refresh(ctx context.Context) {
	going := s.begin(ctx)
	if going == nil {
		return
	}
	select {
	case <-going:
	case <-ctx.Done():
	}
}

// begin joins the question under way or asks one; nil when it is too early to ask again.
func (s *KeySet) begin(ctx context.Context) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking != nil {
		return s.asking
	}
	wait := s.interval
	if len(*s.known.Load()) == 0 {
		wait = min(firstPause, wait)
	}
	now := s.clock()
	if s.ever && now-s.asked < wait {
		return nil
	}
	s.asked, s.ever = now, true
	s.due.Store(int64(now) + int64(float64(s.renewal)*(1-spread+2*spread*rand.Float64())))
	going := make(chan struct{})
	s.asking = going
	// Others may wait for the answer when whoever asked first has left.
	go s.fetch(context.WithoutCancel(ctx), going)
	return going
}

func (s *KeySet) fetch(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, issuerTime)
	defer cancel()
	defer func() {
		s.mu.Lock()
		s.asking = nil
		s.mu.Unlock()
		close(done)
	}()
	answer, err := s.ask(ctx)
	if err != nil {
		s.log.ErrorContext(ctx, "the issuer did not give its keys; the ones known stay good", "error", err)
		return
	}
	keys := make(map[string]*rsa.PublicKey, len(answer.GetKeys()))
	for _, said := range answer.GetKeys() {
		if key := publicKey(said); key != nil {
			keys[said.GetKid()] = key
		}
	}
	if len(keys) == 0 {
		s.log.ErrorContext(ctx, "the issuer answered with no usable key; the ones known stay good")
		return
	}
	before := *s.known.Swap(&keys)
	for id, key := range before {
		if now := keys[id]; now == nil || !now.Equal(key) {
			s.withdrawn.Add(1)
			return
		}
	}
}

// publicKey is what a key says, if it is one that tokens may be signed with.
func publicKey(said *tricornv1.JsonWebKey) *rsa.PublicKey {
	if said.GetKty() != "RSA" || said.GetKid() == "" {
		return nil
	}
	if said.GetAlg() != "" && said.GetAlg() != "RS256" || said.GetUse() != "" && said.GetUse() != "sig" {
		return nil
	}
	modulus, badN := unsigned(said.GetN())
	exponent, badE := unsigned(said.GetE())
	if badN != nil || badE != nil || modulus.BitLen() < smallestModulus || modulus.BitLen() > largestModulus {
		return nil
	}
	if modulus.Bit(0) == 0 || exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
}

func unsigned(text string) (*big.Int, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(raw), nil
}
