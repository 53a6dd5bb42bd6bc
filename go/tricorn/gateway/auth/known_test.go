package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/contract"
	"tricorn/gateway/auth"
	"tricorn/gateway/exchange"
)

// sendsAgain is the status for a caller who is known to have sent this header before.
func sendsAgain(a *auth.Authenticator, caller *exchange.Caller, header string) int {
	x := &exchange.Exchange{Policy: &contract.Policy{Level: contract.User}, Caller: caller}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request = request.WithContext(exchange.With(request.Context(), x))
	request.Header.Set("Authorization", header)
	answer := httptest.NewRecorder()
	a.Identify(auth.Admit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))).ServeHTTP(answer, request)
	return answer.Code
}

func TestACallerOfAKnownHeadIsRefusedOnceTheirTokenIsNoMoreGood(t *testing.T) {
	for name, ends := range map[string]func(*issuer, *auth.Authenticator){
		"the session was revoked": func(i *issuer, a *auth.Authenticator) { a.Revoke("s1", i.wall.Add(900*time.Second)) },
		"the token has ended":     func(i *issuer, _ *auth.Authenticator) { i.change(func() { i.wall = i.wall.Add(200 * time.Second) }) },
		"the key was withdrawn": func(i *issuer, a *auth.Authenticator) {
			i.change(func() { i.shown = []string{"k2"}; i.clock += 6 * time.Second })
			_, _ = a.Authenticate(t.Context(), i.token("k2", nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer()
			a := i.authenticator(nil)
			header := i.token("k1", map[string]any{"exp": i.wall.Unix() + 100})
			require.Empty(t, refusalOf(t, a, header))
			caller := a.Remembered(header)
			require.NotNil(t, caller)
			require.Equal(t, http.StatusNoContent, sendsAgain(a, caller, header))

			ends(i, a)

			assert.Equal(t, http.StatusUnauthorized, sendsAgain(a, caller, header))
		})
	}
}

func TestACallerWhomAnotherProvedIsAskedForTheirToken(t *testing.T) {
	a := newIssuer().authenticator(nil)

	assert.Equal(t, http.StatusUnauthorized, sendsAgain(a, &exchange.Caller{Proven: "by another"}, "Bearer nonsense"))
}
