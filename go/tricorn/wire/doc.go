// Package wire carries calls of contracts: to what this process hosts, or to other processes over gRPC, whichever the bindings say, with deadlines,
// identity, traces, retries and breakers. Both sides answer with refusals of package contract and nothing else.
package wire
