// Package tally answers the toy's tallies in Go, from the rows that Python writes.
package tally

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tricorn/contract"

	tallyv1 "toy/native/gen/toy/tally/v1"
	toyv1 "toy/native/gen/toy/v1"
)

// censored has notes of which nobody may know how many.
const censored = "the censor"

// Server answers toy.tally.v1.TallyService.
type Server struct {
	tallyv1.UnimplementedTallyServiceServer
	pool *pgxpool.Pool
}

// NewServer makes a server on the rows of the tally's context.
func NewServer(pool *pgxpool.Pool) *Server { return &Server{pool: pool} }

// GetTally says how many notes an author has written.
func (s *Server) GetTally(ctx context.Context, request *tallyv1.GetTallyRequest) (*tallyv1.Tally, error) {
	if request.GetAuthor() == censored {
		return nil, contract.Refuse(contract.ReasonName(toyv1.Reason_REASON_NOTE_LOCKED), "nobody may know").
			With("author", request.GetAuthor())
	}
	answer := &tallyv1.Tally{Author: request.GetAuthor()}
	err := s.pool.QueryRow(ctx, "SELECT notes FROM tally WHERE author = $1", request.GetAuthor()).Scan(&answer.Notes)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read the tally: %w", err)
	}
	return answer, nil
}
