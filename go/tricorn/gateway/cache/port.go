package cache

import (
	"context"
	"strings"
	"time"

	"tricorn/gateway/exchange"
)

// Fetch implements exchange.Cache.
func (c *Answers) Fetch(
	ctx context.Context, x *exchange.Exchange, request string,
	ask func(context.Context) (*exchange.Answer, error),
) (*exchange.Answer, time.Duration, error) {
	user := ""
	if x.Identity != nil {
		user = x.Identity.UserID
	}
	key := Key{Method: x.Policy.FullName, Request: request}
	if x.Policy.Cache.VaryUser && x.Identity != nil {
		// Somebody whose roles changed is somebody else: their token may know of it before the events are here.
		key.User, key.Roles = user, strings.Join(x.Identity.Roles, "\x00")
	}
	found, err := c.Get(ctx, key, x.Policy.Cache.TTL, user, ask)
	if err != nil {
		return nil, 0, err
	}
	if _, silent := c.options.Silent[key.Method]; silent || !found.Again {
		return found.Answer, -1, nil
	}
	return found.Answer, found.Age, nil
}
