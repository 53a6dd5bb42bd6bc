package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Addresses are where implementations answer ("unix:PATH" or "HOST:PORT"), by contract and implementation.
type Addresses map[string]map[string][]string

// ParseEndpoints reads {"version": 1, "endpoints": {"package.Service": {"python": ["unix:/run/x.sock", ...]}}}; a list in place of the inner object
// means Python.
func ParseEndpoints(text []byte) (Addresses, error) {
	whole, err := object(text, "")
	if err != nil {
		return nil, fmt.Errorf("no JSON object with a version and endpoints (%w)", err)
	}
	if whole["version"] == nil || whole["endpoints"] == nil {
		return nil, errors.New("no JSON object with a version and endpoints")
	}
	if version, ok := number(whole["version"]); !ok || version != schemaVersion {
		return nil, fmt.Errorf("version %d is expected, not %s", schemaVersion, whole["version"])
	}
	listed, err := object(whole["endpoints"], "endpoints: ")
	if err != nil {
		return nil, fmt.Errorf("no JSON object with a version and endpoints (%w)", err)
	}
	made := make(Addresses, len(listed))
	for contract, said := range listed {
		each, ok := addresses(said)
		if !ok {
			return nil, errors.New(contract + ": a list of addresses for each implementation is expected")
		}
		made[contract] = each
	}
	return made, nil
}

func addresses(text json.RawMessage) (map[string][]string, bool) {
	var found map[string][]string
	var list []string
	if json.Unmarshal(text, &list) == nil && list != nil {
		found = map[string][]string{Reference: list}
	} else if json.Unmarshal(text, &found) != nil || found == nil {
		return nil, false
	}
	for _, at := range found {
		if len(at) == 0 || slices.Contains(at, "") {
			return nil, false
		}
	}
	return found, true
}
