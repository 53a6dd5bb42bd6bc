package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tricorn/gateway/auth"
	tricornv1 "tricorn/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var privateKeys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	made := make(map[string]*rsa.PrivateKey)
	for _, id := range []string{"k1", "k2"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		made[id] = key
	}
	return made
})

// issuer issues tokens and shows its keys, on clocks that stand still until they are moved.
type issuer struct {
	mu        sync.Mutex
	shown     []string
	questions int
	down      bool
	revoked   []*tricornv1.SessionRevoked
	wall      time.Time
	clock     time.Duration
	held      chan struct{}
}

func newIssuer() *issuer {
	return &issuer{shown: []string{"k1"}, wall: time.Unix(1_800_000_000, 0), clock: time.Hour}
}

func (i *issuer) authenticator(change func(*auth.Config)) *auth.Authenticator {
	config := auth.Config{
		Issuer: "https://library.example", Audience: "library", Keys: i.keys, Revocations: i.revocations,
		Wall:  func() time.Time { i.mu.Lock(); defer i.mu.Unlock(); return i.wall },
		Clock: func() time.Duration { i.mu.Lock(); defer i.mu.Unlock(); return i.clock },
	}
	if change != nil {
		change(&config)
	}
	return auth.New(config)
}

func (i *issuer) keys(ctx context.Context) (*tricornv1.JsonWebKeySet, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.questions++
	if held := i.held; held != nil {
		i.mu.Unlock()
		<-held
		i.mu.Lock()
	}
	if i.down {
		return nil, errors.New("down")
	}
	answer := &tricornv1.JsonWebKeySet{}
	for _, id := range i.shown {
		answer.Keys = append(answer.Keys, webKey(id, &privateKeys()[id].PublicKey))
	}
	return answer, ctx.Err()
}

func (i *issuer) revocations(context.Context) (*tricornv1.ListRevocationsResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return nil, errors.New("down")
	}
	return &tricornv1.ListRevocationsResponse{Revocations: i.revoked}, nil
}

func (i *issuer) change(what func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	what()
}

func webKey(id string, key *rsa.PublicKey) *tricornv1.JsonWebKey {
	text := base64.RawURLEncoding.EncodeToString
	return &tricornv1.JsonWebKey{
		Kty: "RSA", Use: "sig", Alg: "RS256", Kid: id,
		N: text(key.N.Bytes()), E: text(big.NewInt(int64(key.E)).Bytes()),
	}
}

func (i *issuer) claims(changed map[string]any) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": "https://library.example", "aud": "library", "sub": "ann", "sid": "s1", "roles": []string{"librarian"},
		"exp": i.wall.Unix() + 900,
	}
	for name, value := range changed {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func (i *issuer) sign(method jwt.SigningMethod, key any, kid any, changed map[string]any) string {
	token := jwt.NewWithClaims(method, i.claims(changed))
	if kid != nil {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}

func (i *issuer) token(kid string, changed map[string]any) string {
	return "Bearer " + i.sign(jwt.SigningMethodRS256, privateKeys()[kid], kid, changed)
}

func refusalOf(t *testing.T, a *auth.Authenticator, header string) string {
	t.Helper()
	identity, refusal := a.Authenticate(t.Context(), header)
	if refusal == nil {
		return ""
	}
	assert.Nil(t, identity)
	return refusal.Reason
}

func TestAGoodTokenSaysWhoCalls(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	header := i.token("k1", nil)

	identity, refusal := a.Authenticate(t.Context(), header)

	require.Nil(t, refusal)
	assert.Equal(t, "ann", identity.UserID)
	assert.Equal(t, "s1", identity.SessionID)
	assert.Equal(t, []string{"librarian"}, identity.Roles)
	assert.Equal(t, *identity, a.Remembered(header).Identity)
	assert.Same(t, a.Remembered(header), a.Remembered(header), "what was found of a caller is found again")
}

func TestATokenWithAWrongClaimIsRefused(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	now := i.wall.Unix()
	for number, claims := range []map[string]any{
		{"iss": "https://someone.else"}, {"iss": nil}, {"aud": "other"}, {"aud": []string{"other"}},
		{"aud": []any{"library", 5}}, {"aud": nil}, {"exp": now - 60}, {"exp": nil}, {"exp": "soon"}, {"exp": true},
		{"nbf": now + 600}, {"nbf": "now"}, {"iat": now + 600}, {"sub": nil}, {"sub": ""}, {"sub": 5}, {"sid": nil},
		{"sid": ""}, {"sid": 5}, {"roles": nil}, {"roles": "librarian"}, {"roles": []any{1}}, {"jti": 5},
	} {
		assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, i.token("k1", claims)), "%d: %v", number, claims)
	}
	assert.Empty(t, refusalOf(t, a, i.token("k1", map[string]any{"aud": []string{"x", "library"}, "exp": now - 4})))
}

func TestOtherAlgorithmsAndNamelessKeysAreRefused(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	good := i.sign(jwt.SigningMethodRS256, privateKeys()["k1"], "k1", nil)
	for name, token := range map[string]string{
		"hmac":       i.sign(jwt.SigningMethodHS256, []byte("secretsecretsecret"), "k1", nil),
		"none":       i.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", nil),
		"nameless":   i.sign(jwt.SigningMethodRS256, privateKeys()["k1"], nil, nil),
		"odd name":   i.sign(jwt.SigningMethodRS256, privateKeys()["k1"], 5, nil),
		"longer":     i.sign(jwt.SigningMethodRS512, privateKeys()["k1"], "k1", nil),
		"padded":     i.sign(jwt.SigningMethodPS256, privateKeys()["k1"], "k1", nil),
		"other key":  i.sign(jwt.SigningMethodRS256, privateKeys()["k2"], "k1", nil),
		"cut short":  good[:len(good)-8],
		"changed":    good[:len(good)-4] + "AAAA",
		"twice":      good + "." + good,
		"empty":      "",
		"two dots":   "..",
		"one letter": "x",
		"beyond":     "é",
		"long":       good + string(make([]byte, 9000)),
	} {
		assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, "Bearer "+token), name)
	}
	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, "Basic YTpi"))
	assert.Empty(t, refusalOf(t, a, "bearer  "+good+" "))
}

func TestATokenThatClaimsAnotherAlgorithmThanItIsSignedWithIsRefused(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, i.claims(nil))
	token.Header = map[string]any{"alg": "HS256", "kid": "k1"}
	signed, err := token.SignedString(privateKeys()["k1"])
	require.NoError(t, err)

	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, "Bearer "+signed))
}

func TestARevokedSessionIsRefusedAtOnce(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	mine, other := i.token("k1", nil), i.token("k1", map[string]any{"sid": "s2"})
	require.Empty(t, refusalOf(t, a, mine))

	a.Revoke("s1", i.wall.Add(900*time.Second))

	assert.Nil(t, a.Remembered(mine))
	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, mine))
	assert.Empty(t, refusalOf(t, a, other))
}

func TestRevocationsOfTheIssuerAreReadAgainWhenSomeMayHaveBeenMissed(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	header := i.token("k1", nil)
	require.Empty(t, refusalOf(t, a, header))
	ctx, stop := context.WithCancel(t.Context())
	missed, ended := make(chan struct{}), make(chan struct{})
	go func() { a.Follow(ctx, missed); close(ended) }()
	defer func() { stop(); <-ended }()
	known, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, a.Known(known))

	i.change(func() {
		i.revoked = []*tricornv1.SessionRevoked{
			{SessionId: "s1", ExpireTime: timestamppb.New(i.wall.Add(900 * time.Second))},
		}
	})
	missed <- struct{}{}

	assert.Eventually(t, func() bool { return a.Remembered(header) == nil }, 5*time.Second, time.Millisecond)
}

func TestRevocationsAreReadAgainWhenTheTimeOfDayHasJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		i.revoked = []*tricornv1.SessionRevoked{{SessionId: "s1", ExpireTime: timestamppb.New(i.wall.Add(900 * time.Second))}}
		a := i.authenticator(nil)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go a.Follow(ctx, nil)
		synctest.Wait()
		header := i.token("k1", nil)
		require.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, header))

		for _, jump := range []time.Duration{time.Hour, -time.Hour} {
			i.change(func() { i.wall = i.wall.Add(jump) })
			time.Sleep(time.Minute)
		}

		assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, header))
	})
}

func TestARevocationIsForgottenWhenItsLastTokenHasEnded(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	a.Revoke("s1", i.wall.Add(100*time.Second))
	require.NoError(t, a.ReadRevocations(t.Context()))
	require.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, i.token("k1", nil)))

	i.change(func() { i.wall = i.wall.Add(200 * time.Second) })
	require.NoError(t, a.ReadRevocations(t.Context()))

	assert.Empty(t, refusalOf(t, a, i.token("k1", nil)))
}

func TestARememberedTokenEndsWhenItEnds(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	header := i.token("k1", map[string]any{"exp": i.wall.Unix() + 100})
	require.Empty(t, refusalOf(t, a, header))
	require.NotNil(t, a.Remembered(header))

	i.change(func() { i.wall = i.wall.Add(200 * time.Second) })

	assert.Nil(t, a.Remembered(header))
	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, header))
}

func TestMemoryOfTokensIsBounded(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(func(config *auth.Config) { config.Tokens = 16 })
	var headers []string
	for number := range 64 {
		headers = append(headers, i.token("k1", map[string]any{"sub": fmt.Sprint(number)}))
		require.Empty(t, refusalOf(t, a, headers[number]))
	}

	remembered := 0
	for _, header := range headers {
		if a.Remembered(header) != nil {
			remembered++
		}
	}

	assert.LessOrEqual(t, remembered, 16)
	assert.NotNil(t, a.Remembered(headers[63]))
}

func TestATokenInUseStaysThoughManyComeOnce(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(func(config *auth.Config) { config.Tokens = 32 })
	used := i.token("k1", map[string]any{"sub": "ann"})
	require.Empty(t, refusalOf(t, a, used))

	for number := range 64 {
		require.NotNil(t, a.Remembered(used), number)
		require.Empty(t, refusalOf(t, a, i.token("k1", map[string]any{"sub": fmt.Sprint(number)})))
	}
}

func TestANewKeyIsLearntWhenATokenNamesIt(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	require.Empty(t, refusalOf(t, a, i.token("k1", nil)))
	i.change(func() { i.shown = []string{"k1", "k2"} })
	require.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, i.token("k2", nil)))

	i.change(func() { i.clock += 6 * time.Second })

	assert.Empty(t, refusalOf(t, a, i.token("k2", nil)))
	assert.Equal(t, 2, i.questions)
}

func TestARememberedTokenIsCheckedAgainWhenItsKeyWasWithdrawn(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	stolen := i.token("k1", map[string]any{"sub": "mallory", "exp": i.wall.Unix() + 1_000_000_000})
	require.Empty(t, refusalOf(t, a, stolen))
	i.change(func() { i.shown = []string{"k2"}; i.clock += 6 * time.Second })
	mine := i.token("k2", nil)
	require.Empty(t, refusalOf(t, a, mine))

	assert.Nil(t, a.Remembered(stolen))
	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, stolen))
	require.Empty(t, refusalOf(t, a, mine))
	assert.NotNil(t, a.Remembered(mine))
}

func TestAWithdrawnKeyIsNoticedThoughNobodyNamesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		a := i.authenticator(nil)
		stolen := i.token("k1", map[string]any{"sub": "mallory", "exp": i.wall.Unix() + 1_000_000_000})
		require.Empty(t, refusalOf(t, a, stolen))
		i.change(func() { i.shown = []string{"k2"} })
		require.NotNil(t, a.Remembered(stolen))
		synctest.Wait()
		require.Equal(t, 1, i.questions)
		i.change(func() { i.clock += time.Minute })

		a.Remembered(stolen)
		synctest.Wait()

		assert.Nil(t, a.Remembered(stolen))
		assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, stolen))
		assert.Equal(t, 2, i.questions)
	})
}

func TestKeysThatAreOldStayGoodWhileTheIssuerIsDownWhichIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		a := i.authenticator(nil)
		mine := i.token("k1", map[string]any{"exp": i.wall.Unix() + 1_000_000_000})
		require.Empty(t, refusalOf(t, a, mine))

		for range 3 {
			i.change(func() { i.down, i.clock = true, i.clock+time.Minute })
			for range 10 {
				assert.Empty(t, refusalOf(t, a, mine))
				synctest.Wait()
			}
		}

		assert.Equal(t, 4, i.questions)
	})
}

func TestInventedKeyIDsCauseOneQuestionAndStallNobody(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	known := i.token("k1", nil)
	require.Empty(t, refusalOf(t, a, known))
	i.change(func() { i.clock += 6 * time.Second; i.held = make(chan struct{}) })
	var inventing sync.WaitGroup
	for number := range 50 {
		forged := i.sign(jwt.SigningMethodRS256, privateKeys()["k2"], fmt.Sprint("x", number), nil)
		inventing.Go(func() { assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, "Bearer "+forged)) })
	}
	require.Eventually(t, func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.questions == 2
	}, 5*time.Second, time.Millisecond)

	other := refusalOf(t, a, i.token("k1", map[string]any{"sub": "bob"}))
	close(i.held)
	inventing.Wait()

	assert.Empty(t, other)
	assert.Equal(t, 2, i.questions)
}

func TestKnownKeysStayGoodWhileTheIssuerIsDown(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	require.Empty(t, refusalOf(t, a, i.token("k1", nil)))
	i.change(func() { i.down = true; i.clock += time.Minute })

	assert.Equal(t, "UNAUTHENTICATED", refusalOf(t, a, i.token("k2", nil)))
	assert.Empty(t, refusalOf(t, a, i.token("k1", map[string]any{"sub": "bob"})))
}

func TestAnIssuerThatNeverAnsweredMakesTokensUncheckableNotBad(t *testing.T) {
	i := newIssuer()
	i.down = true

	assert.Equal(t, "UNAVAILABLE", refusalOf(t, i.authenticator(nil), i.token("k1", nil)))
}

func FuzzNoHeaderThatTheIssuerDidNotMakeIsBelieved(f *testing.F) {
	i := newIssuer()
	a := i.authenticator(nil)
	good := i.token("k1", nil)
	_, refusal := a.Authenticate(f.Context(), good)
	require.Nil(f, refusal)
	f.Add(good + "x")
	f.Add("Bearer eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.")
	f.Add("Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.AAAA")
	f.Add("Bearer W10.W10.W10")
	f.Fuzz(func(t *testing.T, header string) {
		identity, refusal := a.Authenticate(t.Context(), header)
		if refusal == nil && (identity.UserID != "ann" || identity.SessionID != "s1") {
			t.Fatalf("%q was believed to be %v", header, identity)
		}
		a.Remembered(header)
	})
}
