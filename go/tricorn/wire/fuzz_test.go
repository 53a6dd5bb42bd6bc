package wire_test

import (
	"testing"

	"tricorn/wire"
)

func FuzzParseBindings(f *testing.F) {
	f.Add([]byte(`{"version": 1, "generation": 7, "bindings": {"a.B/C": {
	  "shares": {"go": 1}, "by": "grow", "shadow": {"implementation": "go", "sample": 1}}}}`))
	f.Add([]byte(broken("shares", `{"rust": 1e3}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := wire.ParseBindings(text)
		if err != nil {
			return
		}
		for _, target := range parsed.Targets() {
			binding := parsed.At(target)
			if binding.Share < 0 || binding.Share > wire.All || (binding.Native == "") != (binding.Share == 0) || parsed.Generation < 0 {
				t.Errorf("%q was read as %+v", text, binding)
			}
		}
	})
}

func FuzzParseEndpoints(f *testing.F) {
	f.Add([]byte(`{"version": 1, "endpoints": {"a.B": ["unix:/run/x"], "c.D": {"go": ["h:1"]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := wire.ParseEndpoints(text)
		if err != nil {
			return
		}
		for service, each := range parsed {
			for implementation, at := range each {
				if len(at) == 0 || at[0] == "" {
					t.Errorf("%q leaves %s of %s without an address", text, implementation, service)
				}
			}
		}
	})
}
