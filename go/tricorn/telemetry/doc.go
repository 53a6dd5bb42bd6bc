// Package telemetry writes logs as JSON lines, follows traces in the context, and counts calls. What it writes looks as it does from Python.
package telemetry
