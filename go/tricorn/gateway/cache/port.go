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
	method, ttl := x.Policy.FullName, x.Policy.Cache.TTL
	personal := x.Policy.Cache.VaryUser && x.Identity != nil
	if personal && x.Caller != nil {
		if kept, age := c.atHand(x.Caller, method, request, ttl); kept != nil {
			return kept.answer, c.said(method, age), nil
		}
	}
	key := Key{Method: method, Request: request}
	if personal {
		// Somebody whose roles changed is somebody else: their token may know of it before the events are here.
		key.User, key.Roles = x.Identity.UserID, strings.Join(x.Identity.Roles, "\x00")
	}
	found, err := c.Get(ctx, key, ttl, x.UserID(), ask)
	if err != nil {
		return nil, 0, err
	}
	if personal && x.Caller != nil && found.kept != nil && len(found.Body) <= handy {
		x.Caller.Answered.Store(found.kept)
	}
	if !found.Again {
		return found.Answer, -1, nil
	}
	return found.Answer, c.said(method, found.Age), nil
}

// handy is the most that a body may have which stays at hand of a caller: what is there counts beside what the cache may hold.
const handy = 1 << 10

// atHand is what a caller was answered the last time, if the cache would give it again as it is, and its age; nil: the cache is to be asked, and
// renews what is about to end.
func (c *Answers) atHand(caller *exchange.Caller, method, request string, ttl time.Duration) (*entry, time.Duration) {
	kept, _ := caller.Answered.Load().(*entry)
	if kept == nil || kept.method != method || kept.request != request {
		return nil, 0
	}
	now := c.options.Clock()
	if age := now - kept.began; age <= early(ttl) && c.isGood(kept, now, c.writes.Since(kept.writer)) {
		return kept, age
	}
	return nil, 0
}

// said is the age that an answer of a method says it has; negative: none.
func (c *Answers) said(method string, age time.Duration) time.Duration {
	if _, silent := c.options.Silent[method]; silent {
		return -1
	}
	return age
}
