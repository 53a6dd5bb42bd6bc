package limits

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"tricorn/contract"
	tricornv1 "tricorn/v1"
)

// ofAddress begins the name of a caller who is known by nothing but an address.
const ofAddress = "a:"

// Server is the gateway's limits for whoever works behind it.
type Server struct {
	tricornv1.UnimplementedLimitsServiceServer
	store Store
	rates map[string]Rate
}

// NewServer counts in the numbers of a gateway, in the classes that it has.
func NewServer(store Store, rates map[string]Rate) *Server {
	return &Server{store: store, rates: rates}
}

// CheckRateLimit counts one call of a caller, and says whether it may pass.
func (s *Server) CheckRateLimit(
	ctx context.Context, request *tricornv1.CheckRateLimitRequest,
) (*tricornv1.CheckRateLimitResponse, error) {
	rate, declared := s.rates[request.GetRate()]
	if !declared {
		return nil, contract.Invalid(contract.Violation{
			Field: "rate", Rule: "declared", Message: "no rate class of this application is called " + request.GetRate(),
		})
	}
	caller := request.GetCaller()
	if address, is := strings.CutPrefix(caller, ofAddress); is {
		caller = ofAddress + Group(address)
	}
	verdict, err := s.store.Take(ctx, request.GetRate()+":"+caller, rate)
	if err != nil {
		return nil, err
	}
	return &tricornv1.CheckRateLimitResponse{
		Allowed: verdict.Allowed, Limit: int32(verdict.Limit), Remaining: int32(verdict.Remaining),
		ResetAfter: durationpb.New(verdict.Reset), RetryAfter: durationpb.New(verdict.RetryAfter),
	}, nil
}
