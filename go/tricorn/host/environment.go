package host

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Environment are settings from environment variables: what the supervisor said when it let the process begin, then the process's own.
type Environment struct{ said map[string]string }

// NewEnvironment makes one in which what is said goes before the process's own variables.
func NewEnvironment(said map[string]string) Environment { return Environment{said} }

// Get gives a variable; empty when it is absent.
func (e Environment) Get(name string) string {
	if value, ok := e.said[name]; ok && value != "" {
		return value
	}
	return os.Getenv(name)
}

// Number gives a variable as a whole number; otherwise when it is absent.
func (e Environment) Number(name string, otherwise int) (int, error) {
	said := e.Get(name)
	if said == "" {
		return otherwise, nil
	}
	number, err := strconv.Atoi(said)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, which is no whole number", name, said)
	}
	return number, nil
}

// Seconds gives a variable that is a number of seconds; otherwise when it is absent.
func (e Environment) Seconds(name string, otherwise time.Duration) (time.Duration, error) {
	said := e.Get(name)
	if said == "" {
		return otherwise, nil
	}
	number, err := strconv.ParseFloat(said, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, which is no number of seconds", name, said)
	}
	return time.Duration(number * float64(time.Second)), nil
}
