package tally

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tricorn/contract"
	"tricorn/events"

	notesv1 "toy/native/gen/toy/notes/v1"
	toyv1 "toy/native/gen/toy/v1"
)

// Notes is the group that counts the notes of each author, as Python's does.
func Notes(pool *pgxpool.Pool) *events.Subscription {
	group := events.NewSubscription("tally.notes", "tally", pool)
	events.Handle(group, onNoteAdded)
	return group
}

func onNoteAdded(ctx context.Context, event *notesv1.NoteAdded, meta events.Meta, work *events.Work) error {
	var uncounted bool
	err := work.QueryRow(ctx, "SELECT true FROM uncounted WHERE author = $1", event.GetAuthor()).Scan(&uncounted)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("look who is not counted: %w", err)
	}
	if uncounted {
		return contract.Refusef(contract.ReasonName(toyv1.Reason_REASON_NOTE_LOCKED), "nobody counts the note %s", event.GetNoteId())
	}
	_, err = work.Exec(ctx,
		"INSERT INTO tally VALUES ($1, 1) ON CONFLICT (author) DO UPDATE SET notes = tally.notes + 1", event.GetAuthor())
	if err != nil {
		return fmt.Errorf("count a note: %w", err)
	}
	_, err = work.Exec(ctx,
		"INSERT INTO entry (subject, sequence, taken_by) VALUES ($1, $2, 'go')", meta.Subject, meta.Sequence)
	if err != nil {
		return fmt.Errorf("write down who counted: %w", err)
	}
	return nil
}
