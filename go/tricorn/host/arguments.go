package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"tricorn/wire"
)

const usage = `--listen ADDRESS --home DIR --metrics ADDRESS|off [--process NAME] [--ready-fd N --life-fd M]
       [--bindings FILE] [--endpoints FILE] [--manifest FILE] [--public-fd N | --port PORT]

  --listen ADDRESS      where it answers by gRPC: unix:/path (for its user only) or host:port
  --home DIR            the folder of the application's state
  --metrics ADDRESS     where Prometheus metrics are served: unix:/path, host:port (port 0: a free one, named in
                        NAME.metrics of the home), or off
  --process NAME        its name in logs, metrics and statistics
  --bindings FILE       which implementation answers what; by default bindings.json of the home
  --endpoints FILE      where implementations are; by default endpoints.json of the home
  --manifest FILE       the application's tricorn.toml; for what needs more of it than its contracts
  --ready-fd N          a pipe to which it writes "ready" once it answers
  --life-fd M           a pipe from which it reads a line of JSON before it begins, and whose end is its own
  --public-fd N         the listening socket of a gateway, which the supervisor keeps
  --port PORT           for a gateway without a supervisor: the port to listen on, at 127.0.0.1; 0: a free one
`

const none = -1

type arguments struct {
	listen, home, metrics, process  string
	bindings, endpoints, manifest   string
	readyFD, lifeFD, publicFD, port int
}

// parse reads a command line; what is wrong with it is said in the words of the options.
func parse(words []string) (*arguments, error) {
	made := &arguments{readyFD: none, lifeFD: none, publicFD: none, port: none}
	texts := map[string]*string{
		"--listen": &made.listen, "--home": &made.home, "--metrics": &made.metrics, "--process": &made.process,
		"--bindings": &made.bindings, "--endpoints": &made.endpoints, "--manifest": &made.manifest,
	}
	numbers := map[string]*int{
		"--ready-fd": &made.readyFD, "--life-fd": &made.lifeFD, "--public-fd": &made.publicFD, "--port": &made.port,
	}
	for len(words) > 0 {
		option, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		text, number := texts[option], numbers[option]
		if text == nil && number == nil {
			return nil, fmt.Errorf("%s is none of its options", option)
		}
		if !joined {
			if len(words) == 0 {
				return nil, fmt.Errorf("%s needs a value", option)
			}
			value, words = words[0], words[1:]
		}
		if text != nil {
			*text = value
			continue
		}
		found, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%s is %q, which is no %s", option, value, kind(option))
		}
		*number = int(found)
	}
	return made, made.check()
}

func (a *arguments) check() error {
	switch {
	case a.listen == "":
		return errors.New("--listen is missing")
	case a.home == "":
		return errors.New("--home is missing")
	case a.metrics == "":
		return errors.New("--metrics is missing")
	}
	if err := wire.CheckAddress(a.listen); err != nil {
		return err
	}
	if a.metrics != "off" {
		if err := wire.CheckAddress(a.metrics); err != nil {
			return err
		}
	}
	if a.bindings == "" {
		a.bindings = filepath.Join(a.home, wire.BindingsFile)
	}
	if a.endpoints == "" {
		a.endpoints = filepath.Join(a.home, wire.EndpointsFile)
	}
	return nil
}

func kind(option string) string {
	if option == "--port" {
		return "port"
	}
	return "descriptor"
}
