package limits

import (
	"fmt"
	"net/http"
	"strconv"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
	"tricorn/wire"
)

// Guard counts each request of a method that has a rate class, for its user, else for its address, and refuses with 429
// what is too many. rates has every class that a policy may name.
func Guard(store Store, rates map[string]Rate) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchange.Of(r.Context())
			if x.Policy == nil || x.Policy.Rate == "" {
				next.ServeHTTP(w, r)
				return
			}
			var verdict Verdict
			var err error
			if x.Caller != nil {
				verdict, err = store.TakeCaller(r.Context(), x.Policy.Rate, x.Caller, rates[x.Policy.Rate])
			} else {
				verdict, err = store.Take(r.Context(), counted(x), rates[x.Policy.Rate])
			}
			if err != nil {
				x.Refuse(w, r, problem.FromRefusal(wire.FromError(err), nil))
				return
			}
			verdict.WriteTo(w, x)
			if !verdict.Allowed {
				x.Refuse(w, r, tooMany(x.Policy.Rate, verdict.WaitSeconds()))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// counted is under what a request is counted: its class, and who sent it.
func counted(x *exchange.Exchange) string {
	if x.Identity != nil {
		return Key(x.Policy.Rate, x.Identity.UserID)
	}
	return x.Policy.Rate + ":a:" + Group(x.Client)
}

func tooMany(class string, wait int) *problem.Problem {
	found := problem.New(
		contract.ReasonRateLimited, fmt.Sprintf("too many requests of the class %s; try again in %d s", class, wait),
	)
	found.Header = http.Header{"Retry-After": {strconv.Itoa(wait)}}
	return found
}
