// Package accounts answers reads of users from the published view, as the contract of accounts says.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountsv1 "agora/native/gen/agora/accounts/v1"
	"tricorn/contract"
	"tricorn/wire"
)

const byID = `
SELECT user_id::text, email, display_name, roles, version, create_time, update_time
FROM published.user_v1 WHERE user_id = $1::text::uuid`

// Reader answers the methods of AccountsService that only read users.
type Reader struct {
	accountsv1.UnimplementedAccountsServiceServer
	published *pgxpool.Pool
}

// New reads with the rights of a role that sees what is published.
func New(published *pgxpool.Pool) *Reader { return &Reader{published: published} }

// Methods are those that a Reader answers.
var Methods = []string{"GetMe", "GetUser"}

// GetMe is the caller; UNAUTHENTICATED when the account is gone.
func (r *Reader) GetMe(ctx context.Context, _ *accountsv1.GetMeRequest) (*accountsv1.User, error) {
	caller, err := wire.UserOf(ctx)
	if err != nil {
		return nil, err
	}
	user, err := r.user(ctx, caller.UserID)
	if user == nil && err == nil {
		return nil, contract.Refuse(
			contract.ReasonUnauthenticated, "the account does not exist any more; register again")
	}
	return user, err
}

// GetUser is what everyone may see of anyone; NOT_FOUND when there is no such user.
func (r *Reader) GetUser(ctx context.Context, request *accountsv1.GetUserRequest) (*accountsv1.PublicUser, error) {
	user, err := r.user(ctx, request.GetUserId())
	if err != nil {
		return nil, err
	}
	if user == nil {
		return nil, contract.Refuse(contract.ReasonNotFound, "no user "+request.GetUserId())
	}
	return &accountsv1.PublicUser{
		UserId: user.GetUserId(), DisplayName: user.GetDisplayName(), CreateTime: user.GetCreateTime(),
	}, nil
}

// user is nil when there is none.
func (r *Reader) user(ctx context.Context, id string) (*accountsv1.User, error) {
	var found accountsv1.User
	var version int64
	var created, updated time.Time
	err := r.published.QueryRow(ctx, byID, id).Scan(
		&found.UserId, &found.Email, &found.DisplayName, &found.Roles, &version, &created, &updated)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the user %s: %w", id, err)
	}
	found.CreateTime, found.UpdateTime = timestamppb.New(created), timestamppb.New(updated)
	found.Etag = strconv.FormatInt(version, 10)
	return &found, nil
}
