package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"tricorn/contract"
	"tricorn/gateway/auth"
	"tricorn/gateway/exchange"
)

// pass sends a request through both guards; the exchange tells what they made of it.
func pass(a *auth.Authenticator, policy *contract.Policy, header ...string) (*exchange.Exchange, *http.Response) {
	x := &exchange.Exchange{Policy: policy}
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request = request.WithContext(exchange.With(request.Context(), x))
	if len(header) > 0 {
		request.Header["Authorization"] = header
	}
	answer := httptest.NewRecorder()
	a.Identify(auth.Admit(reached)).ServeHTTP(answer, request)
	return x, answer.Result()
}

func TestWhereAUserIsNeededNoTokenIs401WithAChallenge(t *testing.T) {
	a := newIssuer().authenticator(nil)

	x, answer := pass(a, &contract.Policy{Level: contract.User})

	assert.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	assert.Equal(t, "UNAUTHENTICATED", x.Code)
	assert.Equal(t, "Bearer", answer.Header.Get("WWW-Authenticate"))
}

func TestAPublicMethodUsesAGoodTokenAndRefusesABadOne(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	public := &contract.Policy{Level: contract.Public}

	nobody, without := pass(a, public)
	ann, good := pass(a, public, i.token("k1", nil))
	_, bad := pass(a, public, "Bearer nonsense")
	_, empty := pass(a, public, "")

	assert.Equal(t, []int{204, 204, 401, 401},
		[]int{without.StatusCode, good.StatusCode, bad.StatusCode, empty.StatusCode})
	assert.Nil(t, nobody.Identity)
	assert.Equal(t, "ann", ann.UserID())
	assert.Equal(t, `Bearer error="invalid_token"`, bad.Header.Get("WWW-Authenticate"))
}

func TestARoleThatIsMissingIs403(t *testing.T) {
	i := newIssuer()
	a := i.authenticator(nil)
	staff := &contract.Policy{Level: contract.User, AnyRole: []string{"staff", "clerk"}}

	x, refused := pass(a, staff, i.token("k1", nil))
	_, let := pass(a, staff, i.token("k1", map[string]any{"roles": []string{"clerk"}}))

	assert.Equal(t, http.StatusForbidden, refused.StatusCode)
	assert.Equal(t, "PERMISSION_DENIED", x.Code)
	assert.Equal(t, http.StatusNoContent, let.StatusCode)
}

func TestTokensThatCannotBeCheckedAre503AndSayWhenToComeBack(t *testing.T) {
	i := newIssuer()
	i.down = true

	x, answer := pass(i.authenticator(nil), &contract.Policy{}, i.token("k1", nil))

	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Equal(t, "UNAVAILABLE", x.Code)
	assert.Equal(t, "1", answer.Header.Get("Retry-After"))
}
