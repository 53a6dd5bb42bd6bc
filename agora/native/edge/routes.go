// Package edge is Agora's public process in Go. What it serves follows from the contracts: linking their generated packages in is all the registration
// there is.
package edge

import (
	_ "embed"

	_ "agora/native/gen/agora/accounts/v1"
	_ "agora/native/gen/agora/catalog/v1"
	_ "agora/native/gen/agora/inventory/v1"
	_ "agora/native/gen/agora/orders/v1"
	_ "agora/native/gen/agora/payments/v1"
	_ "agora/native/gen/agora/pricing/v1"
	_ "agora/native/gen/agora/storefront/v1"
	_ "agora/native/gen/agora/v1" // the application's reasons
)

// OpenAPI is the document that the gateway in Python makes; `./tricorn gen` writes it.
//
//go:embed openapi.json
var OpenAPI []byte
