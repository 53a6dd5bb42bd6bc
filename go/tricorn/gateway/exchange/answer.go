package exchange

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Answer is what a call came to, ready to be sent. It never changes once it is made, so requests may share it.
type Answer struct {
	Body        []byte
	ContentType string
	// ETag is quoted; "" when there is none.
	ETag string

	once    sync.Once
	packed  []byte
	headers sync.Once
	values  [2]string
}

// Headers are the values of the answer's Content-Type and Content-Length, as they go into a http.Header; nobody changes them.
func (a *Answer) Headers() (contentType, length []string) {
	a.headers.Do(func() { a.values = [...]string{a.ContentType, strconv.Itoa(len(a.Body))} })
	return a.values[0:1:1], a.values[1:2:2]
}

// Packed is the body as pack makes it, done once.
func (a *Answer) Packed(pack func([]byte) []byte) []byte {
	a.once.Do(func() { a.packed = pack(a.Body) })
	return a.packed
}

// Size is how many bytes the answer holds at most, its packed form included.
func (a *Answer) Size() int { return 2*len(a.Body) + 512 }

// Cache keeps answers that may be given again, as the policy of a method allows.
type Cache interface {
	// Fetch gives an answer from memory, or by ask, one question at a time for each key. The key holds everything that the answer
	// depends on but the method, the user (where the policy says so: x.Identity) and the generation of the bindings. The age is
	// negative when the answer comes from ask. A question that others wait for goes on when the one who began it leaves.
	Fetch(ctx context.Context, x *Exchange, key string, ask func(context.Context) (*Answer, error)) (
		answer *Answer, age time.Duration, err error)
	// Wrote says that a call of the user that has effects ended, however it ended.
	Wrote(userID string)
	// Clear forgets every answer: anything may have changed.
	Clear()
}
