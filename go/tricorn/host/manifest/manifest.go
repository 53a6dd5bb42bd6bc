// Package manifest reads tricorn.toml: what an application consists of, as far as a gateway has to know it.
package manifest

import (
	"fmt"
	"os"
	"slices"
	"sort"

	"github.com/pelletier/go-toml/v2"
)

// Manifest is a tricorn.toml. The supervisor has checked it, so what refers to something refers to what is there.
type Manifest struct {
	Application Application
	// Auth is nil where nobody logs in.
	Auth *Auth
	// Roles are those that an application declares, each with what it means.
	Roles    map[string]string
	Rates    map[string]Rate
	Contexts map[string]Context
	Natives  map[string]Native
}

// Application is what the whole is called.
type Application struct {
	Name    string
	Title   string
	Version string
}

// Auth says whose tokens are believed, and the methods that give the keys and the revoked sessions.
type Auth struct {
	Issuer      string
	Audience    string
	Keys        string
	Revocations string
}

// Rate is Limit calls in PeriodSeconds, of which Burst may come at once. WhenBlind says what becomes of calls while the
// shared numbers are out of reach: "open" (each gateway counts alone) or "closed" (they are refused).
type Rate struct {
	Limit         int
	PeriodSeconds float64 `toml:"period_seconds"`
	Burst         int
	WhenBlind     string `toml:"when_blind"`
}

// Context is a bounded part of the business.
type Context struct {
	Contracts []string
	// Database says whether it keeps data; nil: it does.
	Database *bool
}

// Native is a part in another language than Python.
type Native struct {
	Language  string
	Contracts []string
	// Gateway parts take the public port.
	Gateway bool
	// Methods are single ones that the part answers, of contracts that it does not answer as a whole.
	Methods []string
	// Reads are the contexts whose published views the part reads.
	Reads []string
}

// Load reads the file at path.
func Load(path string) (*Manifest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	return Parse(text)
}

// Parse reads a manifest's text. What a gateway need not know is skipped.
func Parse(text []byte) (*Manifest, error) {
	made := &Manifest{Application: Application{Version: "0.1.0"}}
	if err := toml.Unmarshal(text, made); err != nil {
		return nil, fmt.Errorf("the manifest is no TOML, or not of the form it must have: %w", err)
	}
	for name, rate := range made.Rates {
		if rate.Limit < 1 || rate.PeriodSeconds <= 0 || rate.Burst < 1 {
			return nil, fmt.Errorf("rates.%s: limit, period_seconds and burst must be above zero", name)
		}
		if rate.WhenBlind != "" && rate.WhenBlind != "open" && rate.WhenBlind != "closed" {
			return nil, fmt.Errorf("rates.%s: when_blind is %q, not open or closed", name, rate.WhenBlind)
		}
	}
	return made, nil
}

// Contracts are those of all contexts, in the order of the contexts' names.
func (m *Manifest) Contracts() []string {
	names := make([]string, 0, len(m.Contexts))
	for name := range m.Contexts {
		names = append(names, name)
	}
	sort.Strings(names)
	var contracts []string
	for _, name := range names {
		contracts = append(contracts, m.Contexts[name].Contracts...)
	}
	return slices.Clip(contracts)
}
