package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tricorn/contract"
)

// The files of the home that say who answers, and where.
const (
	BindingsFile  = "bindings.json"
	EndpointsFile = "endpoints.json"
)

// Reference is the implementation that every contract has.
const Reference = "python"

// Gateway is the name of the binding that says who holds the public port.
const Gateway = "gateway"

// All is every call, in basis points.
const All = 10_000

const schemaVersion = 1

var bindersOf = []string{"operator", "grow", "cutover", "guard"}

// Bucket tells where an entity stands, 0 to 9999; it goes to the native implementation if that is below its share.
//
// The rule, the same in every language: SHA-256 of the UTF-8 bytes of target (the binding's name in the file), a zero byte and the UTF-8
// bytes of key; its first 8 bytes as a big-endian unsigned integer, modulo 10000. src/tricorn/wire/buckets.json holds values for tests.
func Bucket(target, key string) int {
	digest := sha256.Sum256([]byte(target + "\x00" + key))
	return int(binary.BigEndian.Uint64(digest[:8]) % All)
}

// Binding says who answers a contract, or one of its methods.
type Binding struct {
	// Target is "package.Service", "package.Service/Method", or "gateway".
	Target string
	// Native has Share basis points of the calls, Python the rest; empty when Python has all.
	Native string
	Share  int
	// Generation is that of the file when this was last changed.
	Generation int64
	// AtGateway marks a method that a native gateway answers by itself, for what comes through the public port: nobody else looks for it.
	AtGateway bool
	// Shared tells whether both implementations keep the contract's rows, idempotency keys included, in the same tables.
	Shared bool
	// Shadow is who gets copies of calls; nil: nobody.
	Shadow *Shadow
}

// Shadow is an implementation that gets copies of calls to be compared, and of how many: basis points of the calls; of some methods (their names in
// the contract), or with none of all.
type Shadow struct {
	Implementation string
	Sample         int
	Methods        []string
}

// Wants tells whether calls of a method (its name in the contract) are compared.
func (s *Shadow) Wants(method string) bool {
	return len(s.Methods) == 0 || slices.Contains(s.Methods, method)
}

// Bindings are all bindings at one moment. They never change; a change makes others.
type Bindings struct {
	Generation int64
	byTarget   map[string]Binding
}

// Of gives what holds for a method: its own binding, else its contract's, else Python answers everything.
func (b *Bindings) Of(policy *contract.Policy) Binding {
	if found, ok := b.byTarget[policy.FullName]; ok {
		return found
	}
	return b.At(policy.Service)
}

// At gives what is bound for exactly this target; without one, Python answers everything.
func (b *Bindings) At(target string) Binding {
	if found, ok := b.byTarget[target]; ok {
		return found
	}
	return Binding{Target: target}
}

// Targets names what is bound, in order.
func (b *Bindings) Targets() []string { return slices.Sorted(maps.Keys(b.byTarget)) }

// ParseBindings reads a bindings file:
//
//	{"version": 1, "generation": 7, "bindings": {
//	  "package.Service": {"shares": {"rust": 2500}, "generation": 7, "by": "operator", "auto": false},
//	  "package.Service/Method": {"shares": {}, "generation": 6, "by": "guard", "auto": true}}}
//
// Members it does not know are passed over. What is not of this form is refused with what is wrong and where.
func ParseBindings(text []byte) (*Bindings, error) {
	whole, err := object(text, "")
	if err != nil {
		return nil, err
	}
	if version, ok := number(whole["version"]); !ok || version != schemaVersion {
		return nil, fmt.Errorf("version: %d is expected, not %s", schemaVersion, orNone(whole["version"]))
	}
	generation, err := count(whole["generation"], "generation")
	if err != nil {
		return nil, err
	}
	listed, err := object(whole["bindings"], "bindings: ")
	if err != nil {
		return nil, err
	}
	made := &Bindings{Generation: generation, byTarget: make(map[string]Binding, len(listed))}
	for target, said := range listed {
		binding, err := parseBinding(target, said)
		if err != nil {
			return nil, err
		}
		made.byTarget[target] = binding
	}
	return made, nil
}

func parseBinding(target string, text json.RawMessage) (Binding, error) {
	where := "bindings['" + target + "']"
	made := Binding{Target: target}
	service, method, slashed := strings.Cut(target, "/")
	named := strings.Contains(service, ".") && (method != "") == slashed && !strings.Contains(method, "/")
	if !named && target != Gateway {
		return made, errors.New(where + ": a name is package.Service or package.Service/Method")
	}
	said, err := object(text, where+": ")
	if err != nil {
		return made, err
	}
	shares := map[string]json.RawMessage{}
	if given, ok := said["shares"]; ok {
		if shares, err = object(given, where+".shares: "); err != nil {
			return made, err
		}
	}
	for name, share := range shares {
		points, err := points(share, where+".shares['"+name+"']")
		if err != nil {
			return made, err
		}
		if name == "" || name == Reference {
			return made, errors.New(where + ".shares: " + Reference + " has what is left; name others only")
		}
		if target == Gateway && points != All {
			return made, errors.New(where + ".shares: the public port cannot be divided")
		}
		if points > 0 {
			made.Native, made.Share = name, points
		}
	}
	if len(shares) > 1 {
		// With two, raising the share of one would move entities of the other.
		return made, errors.New(where + ".shares: one implementation besides " + Reference + " at a time")
	}
	if made.Generation, err = count(orDefault(said["generation"], "0"), where+".generation"); err != nil {
		return made, err
	}
	return made, parseRest(said, where, &made)
}

func parseRest(said map[string]json.RawMessage, where string, made *Binding) error {
	var by string
	if text := orDefault(said["by"], `"grow"`); json.Unmarshal(text, &by) != nil || !slices.Contains(bindersOf, by) {
		return fmt.Errorf("%s.by: one of %s is expected, not %s", where, strings.Join(bindersOf, ", "), text)
	}
	var auto bool
	if !boolean(orDefault(said["auto"], "true"), &auto) {
		return errors.New(where + ".auto: true or false is expected")
	}
	if !boolean(orDefault(said["shared"], "false"), &made.Shared) {
		return errors.New(where + ".shared: true or false is expected")
	}
	record, err := object(orDefault(said["record"], "{}"), where+".record: ")
	if err != nil {
		return err
	}
	// Whatever else a record says is for whoever made it.
	_ = json.Unmarshal(orDefault(record[Gateway], "false"), &made.AtGateway)
	text, ok := said["shadow"]
	if !ok || string(text) == "null" {
		return nil
	}
	shadow, err := object(text, where+".shadow: ")
	if err != nil {
		return err
	}
	var name string
	if json.Unmarshal(orDefault(shadow["implementation"], "null"), &name) != nil || name == "" {
		return errors.New(where + ".shadow.implementation: a name is expected")
	}
	var methods []string
	if json.Unmarshal(orDefault(shadow["methods"], "[]"), &methods) != nil || slices.Contains(methods, "") {
		return errors.New(where + ".shadow.methods: a list of names is expected")
	}
	sample, err := points(shadow["sample"], where+".shadow.sample")
	made.Shadow = &Shadow{name, sample, methods}
	return err
}

func object(text json.RawMessage, where string) (map[string]json.RawMessage, error) {
	if !json.Valid(text) && where == "" {
		return nil, errors.New("not JSON")
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal(orDefault(text, "null"), &said); err != nil || said == nil {
		return nil, errors.New(where + "an object is expected")
	}
	return said, nil
}

func count(text json.RawMessage, where string) (int64, error) {
	if found, ok := number(text); ok && found >= 0 {
		return found, nil
	}
	return 0, errors.New(where + ": a whole number is expected")
}

func points(text json.RawMessage, where string) (int, error) {
	if found, ok := number(text); ok && found >= 0 && found <= All {
		return int(found), nil
	}
	return 0, fmt.Errorf("%s: basis points are expected, 0 to %d, not %s", where, All, orNone(text))
}

// number reads a whole number: 25.0 and 1e3 are none.
func number(text json.RawMessage) (int64, bool) {
	if len(text) == 0 || bytes.ContainsAny(text, ".eE\"") {
		return 0, false
	}
	var found int64
	err := json.Unmarshal(text, &found)
	return found, err == nil && string(text) != "null"
}

func boolean(text json.RawMessage, to *bool) bool {
	*to = string(text) == "true"
	return *to || string(text) == "false"
}

func orDefault(text json.RawMessage, otherwise string) json.RawMessage {
	if text == nil {
		return json.RawMessage(otherwise)
	}
	return text
}

func orNone(text json.RawMessage) string {
	if text == nil {
		return "nothing"
	}
	return string(text)
}
