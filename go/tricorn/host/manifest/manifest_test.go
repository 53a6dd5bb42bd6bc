package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/host/manifest"
)

const library = `
[application]
name = "library"
title = "Library"
package = "library"

[auth]
issuer = "library"
audience = "readers"
keys = "library.v1.People/GetKeys"
revocations = "library.v1.People/ListRevocations"

[roles]
librarian = "May add books."

[rates.read]
limit = 10
period_seconds = 0.5
burst = 3

[rates.login]
limit = 10
period_seconds = 60
burst = 3
when_blind = "closed"

[contexts.shelves]
package = "library.shelves"
contracts = ["library.v1.Shelves"]

[contexts.people]
package = "library.people"
contracts = ["library.v1.People", "library.v1.Doors"]

[natives.front]
language = "go"
gateway = true
methods = ["library.v1.Shelves/GetBook"]
reads = ["shelves"]
`

func TestAManifestSaysWhatAGatewayMustKnow(t *testing.T) {
	read, err := manifest.Parse([]byte(library))
	require.NoError(t, err)

	assert.Equal(t, []string{"library.v1.People", "library.v1.Doors", "library.v1.Shelves"}, read.Contracts())
	assert.Equal(t, "readers", read.Auth.Audience)
	assert.Equal(t, manifest.Rate{Limit: 10, PeriodSeconds: 0.5, Burst: 3}, read.Rates["read"])
	assert.Equal(t, "closed", read.Rates["login"].WhenBlind)
	assert.Equal(t, manifest.Native{
		Language: "go", Gateway: true, Methods: []string{"library.v1.Shelves/GetBook"}, Reads: []string{"shelves"},
	}, read.Natives["front"])
	assert.Equal(t, "0.1.0", read.Application.Version)
}

func TestARateThatLetsNothingThroughIsRefused(t *testing.T) {
	_, err := manifest.Parse([]byte("[rates.read]\nlimit = 0\nperiod_seconds = 1\nburst = 1\n"))

	assert.ErrorContains(t, err, "rates.read")
}

func TestAnUnknownWayToBeBlindIsRefused(t *testing.T) {
	_, err := manifest.Parse([]byte("[rates.a]\nlimit = 1\nperiod_seconds = 1\nburst = 1\nwhen_blind = \"maybe\"\n"))

	assert.ErrorContains(t, err, "maybe")
}
