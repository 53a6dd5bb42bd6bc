// Package sse shows server streams to browsers: text/event-stream, one event for each message.
//
// Events are "message" (its JSON, with a number as id), "problem" (what ended the stream, as problem+json) and "end" (the stream is complete, or the
// gateway is going away: its retry says when to come back).
package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"tricorn/gateway/problem"
)

const (
	// firstWait is the time in which a refusal still becomes a plain problem answer; after that the head goes out and a refusal becomes an event.
	firstWait   = time.Second
	retryMillis = 1000
	buffered    = 16
)

// Stream is one stream to one client.
type Stream struct {
	// Next gives the next message; io.EOF after the last one. It ends when the context of the request does.
	Next func() (proto.Message, error)
	// Write makes the JSON of a message.
	Write func(proto.Message) ([]byte, error)
	// Problem says what an error looks like.
	Problem func(error) *problem.Problem
	TraceID string
	Status  int
	// Heartbeat is the longest silence, Total the longest life. Leaving ends the stream early.
	Heartbeat, Total time.Duration
	Leaving          <-chan struct{}
}

type item struct {
	message proto.Message
	err     error
}

// Headers are those of an event stream.
func Headers(header http.Header) {
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
}

// Serve sends the stream until it ends or the client leaves. What the backend refuses at once is returned, and nothing is sent then.
func (s *Stream) Serve(ctx context.Context, w http.ResponseWriter) error {
	ctx, cancel := context.WithTimeout(ctx, s.Total)
	items := make(chan item, buffered)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		s.pump(ctx, items)
	}()
	defer func() {
		cancel()
		<-pumped
	}()
	first, err := s.first(ctx, items)
	if err != nil {
		return err
	}
	Headers(w.Header())
	w.WriteHeader(s.Status)
	s.send(ctx, w, items, first)
	return nil
}

// first waits a moment for the first item, so that a refusal at once is one; nil when there is none yet.
func (s *Stream) first(ctx context.Context, items <-chan item) (*item, error) {
	patience, cancel := context.WithTimeout(ctx, min(firstWait, s.Heartbeat))
	defer cancel()
	select {
	case <-patience.Done():
	case <-s.Leaving:
	case got := <-items:
		return opening(got)
	}
	select {
	case got := <-items: // it came at the last moment
		return opening(got)
	default:
		return nil, ctx.Err()
	}
}

// opening tells a refusal at once from what begins a stream.
func opening(got item) (*item, error) {
	if got.err != nil && !errors.Is(got.err, io.EOF) {
		return nil, got.err
	}
	return &got, nil
}

func (s *Stream) pump(ctx context.Context, items chan<- item) {
	for {
		message, err := s.Next()
		select {
		case items <- item{message, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *Stream) send(ctx context.Context, w http.ResponseWriter, items <-chan item, next *item) {
	control := http.NewResponseController(w)
	if _, err := fmt.Fprintf(w, "retry: %d\n\n", retryMillis); err != nil {
		return
	}
	for number := 1; ; {
		event, last := []byte(": still here\n\n"), false
		if next != nil {
			event, last = s.event(next, number)
			number++
		}
		if _, err := w.Write(event); err != nil || control.Flush() != nil || last {
			return
		}
		next = s.wait(ctx, items)
		if next == nil && ctx.Err() != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return // the client left
			}
			next = &item{err: io.EOF}
		}
	}
}

// wait gives the next item; nil when it is time for a sign of life.
func (s *Stream) wait(ctx context.Context, items <-chan item) *item {
	beat := time.NewTimer(s.Heartbeat)
	defer beat.Stop()
	select {
	case got := <-items:
		return &got
	case <-s.Leaving:
		return &item{err: io.EOF}
	case <-ctx.Done():
		return nil
	case <-beat.C:
		return nil
	}
}

func (s *Stream) event(next *item, number int) (event []byte, last bool) {
	if next.err == nil {
		body, err := s.Write(next.message)
		if err == nil {
			return fmt.Appendf(nil, "id: %d\nevent: message\ndata: %s\n\n", number, body), false
		}
		next = &item{err: err}
	}
	if errors.Is(next.err, io.EOF) {
		return []byte("event: end\ndata: {}\n\n"), true
	}
	return fmt.Appendf(nil, "event: problem\ndata: %s\n\n", s.Problem(next.err).Body(s.TraceID)), true
}
