package contract_test

import (
	"encoding/base64"
	"errors"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tricorn/contract"
)

var fingerprint = []byte{0x54, 0x28, 0x6a, 0xc5, 0x10, 0x39, 0xf9, 0x0f}

// The tokens are those that the implementation in Python makes of the same.
func TestATokenIsTheSameInEveryLanguage(t *testing.T) {
	text := contract.EncodePageToken(fingerprint,
		"a\"\\\n\t\x01é中😀\x7f/<>&", "0190a000-0000-7000-8000-00000000000a")
	number := contract.EncodePageToken(fingerprint, int64(-12345678901234), "x")

	assert.Equal(t, "VChqxRA5-Q9bImFcIlxcXG5cdFx1MDAwMVx1MDBlOVx1NGUyZFx1ZDgzZFx1ZGUwMFx1MDA3Zi88PiYiLC"+
		"IwMTkwYTAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMGEiXQ", text)
	assert.Equal(t, "VChqxRA5-Q9bLTEyMzQ1Njc4OTAxMjM0LCJ4Il0", number)
}

func TestAPositionComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, number := rapid.String().Draw(t, "text"), rapid.Int64().Draw(t, "number")

		position, err := contract.DecodePageToken(contract.EncodePageToken(fingerprint, text, number), fingerprint)

		require.NoError(t, err)
		assert.Equal(t, []any{text, big.NewInt(number)}, position)
	})
}

func TestNoTokenIsNoPosition(t *testing.T) {
	position, err := contract.DecodePageToken("", fingerprint)

	require.NoError(t, err)
	assert.Nil(t, position)
}

func TestWhatWasNotGivenOutForTheQueryIsRefused(t *testing.T) {
	other := append([]byte{1}, fingerprint[1:]...)
	for _, body := range []string{`["a"]`, ``, `{"a":1}`, `[1.5]`, `[true]`, `[null]`, `[1e3]`, `nope`, `[1] [2]`} {
		print := fingerprint
		if body == `["a"]` {
			print = other
		}
		token := base64.RawURLEncoding.EncodeToString(append(append([]byte{}, print...), body...))
		_, err := contract.DecodePageToken(token, fingerprint)

		var refusal *contract.Refusal
		require.True(t, errors.As(err, &refusal), body)
		assert.Equal(t, contract.ReasonPageTokenInvalid, refusal.Reason)
	}
}

func FuzzNoTokenBreaksTheReader(f *testing.F) {
	f.Add(contract.EncodePageToken(fingerprint, "a", int64(1)))
	f.Add("VChqxRA5-Q8")
	f.Fuzz(func(t *testing.T, token string) {
		position, err := contract.DecodePageToken(token, fingerprint)
		if err == nil && token != "" && position == nil {
			t.Fatalf("%q is neither a position nor refused", token)
		}
	})
}
