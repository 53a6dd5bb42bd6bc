package wire

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"

	"tricorn/contract"
)

func TestOnlySoManyCallsAreAtAnAddressAtOnceAndTheRestIsRefusedUnsent(t *testing.T) {
	policy := &contract.Policy{Name: "Say", FullName: "toy.v1.ToyService/Say"}
	asked := func(most uint) (last *contract.Refusal) {
		nobody, err := dial("unix:"+filepath.Join(t.TempDir(), "s"), most)
		require.NoError(t, err)
		for range 2 {
			_, err = nobody.unary(t.Context(), policy, &emptypb.Empty{}, &emptypb.Empty{})
			last = FromError(err)
		}
		require.NoError(t, nobody.conn.Close())
		return last
	}

	full, free := asked(0), asked(1)

	assert.Equal(t, contract.ReasonUnavailable, full.Reason)
	assert.Contains(t, full.Detail, "too many calls wait for what answers Say")
	assert.True(t, full.Unsent)
	assert.Positive(t, full.RetryAfter)
	assert.True(t, free.Transport, "a call that has ended leaves its place to the next: %s", free.Detail)
}
