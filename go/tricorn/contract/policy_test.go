package contract_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/contract"
	"tricorn/internal/toy"
)

func method(t *testing.T, name string) *contract.Policy {
	t.Helper()
	policy, err := contract.MethodPolicy(toy.Service + "/" + name)
	require.NoError(t, err)
	return policy
}

func TestAMethodIsReadWithEverythingItsContractSays(t *testing.T) {
	say := method(t, "Say")

	assert.Equal(t, toy.Service+"/Say", say.FullName)
	assert.Equal(t, contract.Public, say.Level)
	assert.Equal(t, "read", say.Rate)
	assert.Equal(t, &contract.CachePolicy{TTL: 30 * time.Second, VaryUser: true, Fields: []string{"name"}}, say.Cache)
	assert.Equal(t, 10*time.Second, say.Deadline)
	assert.Equal(t, "name", say.SplitKey)
	assert.True(t, say.Safe)
	assert.True(t, say.Idempotent)
	assert.Equal(t, []contract.HTTPRoute{
		{Verb: "GET", Template: "/api/v1/echo/{name}"}, {Verb: "POST", Template: "/api/v1/echo", Body: "*"},
	}, say.Routes)
	assert.Equal(t, "key", say.IdempotencyKeyField)
	assert.Equal(t, "etag", say.ResponseEtagField)
	assert.Empty(t, say.RequestEtagField)
}

func TestWhatAContractDoesNotSayHasItsDefault(t *testing.T) {
	gather := method(t, "Gather")

	assert.Equal(t, contract.Internal, gather.Level)
	assert.Equal(t, contract.DefaultDeadline, gather.Deadline)
	assert.Equal(t, contract.DefaultStreamIdle, gather.StreamIdle)
	assert.Equal(t, contract.DefaultStreamTotal, gather.StreamTotal)
	assert.Equal(t, 200, gather.Status)
	assert.Nil(t, gather.Cache)
	assert.False(t, gather.Idempotent)
	assert.True(t, gather.ClientStreaming)
	assert.Equal(t, 201, method(t, "Keep").Status)
	assert.Equal(t, []string{"keeper"}, method(t, "Keep").AnyRole)
	assert.Equal(t, 30*time.Second, method(t, "Count").Limit())
}

func TestMethodsComeInTheOrderOfTheContract(t *testing.T) {
	policies, err := contract.ServicePolicies(toy.Service)

	require.NoError(t, err)
	names := slices.Collect(func(yield func(string) bool) {
		for _, policy := range policies {
			if !yield(policy.Name) {
				return
			}
		}
	})
	assert.Equal(t, []string{"Say", "Keep", "Count", "Gather"}, names)
}

func TestAPathOfGRPCNamesTheSamePolicy(t *testing.T) {
	found, err := contract.MethodPolicy("/" + toy.Service + "/Say")

	require.NoError(t, err)
	assert.Same(t, method(t, "Say"), found)
}

func TestWhatNoContractDeclaresIsAnError(t *testing.T) {
	for _, name := range []string{"", "Say", "no.such.Service/Say", toy.Service + "/Shout", "toy.echo.v1.Request/Say"} {
		_, err := contract.MethodPolicy(name)
		assert.Error(t, err, name)
	}
}
