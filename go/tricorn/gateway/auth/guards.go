package auth

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
)

// Identify is the guard that says who calls. What speaks against the caller it notes in the exchange, so that limits
// count the request before Admit refuses it.
func (a *Authenticator) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		began := time.Now()
		if sent := r.Header["Authorization"]; len(sent) > 0 {
			if x.Caller == nil || !a.still(x.Caller) {
				x.Caller = a.Remembered(sent[0])
			}
			if x.Caller != nil {
				x.Identity = &x.Caller.Identity
			} else {
				x.Identity, x.Denied = a.Authenticate(r.Context(), sent[0])
			}
		} else if x.Policy != nil && x.Policy.Level == contract.User {
			x.Denied = contract.Refuse(contract.ReasonUnauthenticated, "log in first: this needs a bearer token")
		}
		x.Took("auth", time.Since(began))
		next.ServeHTTP(w, r)
	})
}

// Admit is the guard that lets pass whom the method's policy allows.
func Admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		if x.Denied != nil {
			denied := problem.FromRefusal(x.Denied, nil)
			if len(r.Header["Authorization"]) > 0 && denied.Status == http.StatusUnauthorized {
				denied.Header = http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
			}
			x.Refuse(w, r, denied)
			return
		}
		if x.Policy != nil && len(x.Policy.AnyRole) > 0 && !x.Identity.HasRole(x.Policy.AnyRole...) {
			roles := slices.Sorted(slices.Values(x.Policy.AnyRole))
			detail := "this needs the role " + strings.Join(roles, " or ")
			x.Refuse(w, r, problem.New(contract.ReasonPermissionDenied, detail))
			return
		}
		next.ServeHTTP(w, r)
	})
}
