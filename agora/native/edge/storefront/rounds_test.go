package storefront

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	storefrontv1 "agora/native/gen/agora/storefront/v1"
)

// counter gives every product that is asked for with its customer as the title, and notes how many it was asked for at once.
type counter struct {
	mutex sync.Mutex
	sizes []int
	err   error
}

func (c *counter) make(_ context.Context, asked []wanted) ([]*storefrontv1.Product, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.sizes = append(c.sizes, len(asked))
	var found []*storefrontv1.Product
	for _, each := range asked {
		found = append(found, &storefrontv1.Product{ProductId: each.id, Title: each.customer})
	}
	return found, c.err
}

// readAll asks for so many products at once, and gives what came of each.
func readAll(ctx context.Context, asking *rounds, many int) (found []*storefrontv1.Product, problems []error) {
	found, problems = make([]*storefrontv1.Product, many), make([]error, many)
	var reads sync.WaitGroup
	for i := range many {
		reads.Go(func() {
			found[i], problems[i] = asking.read(ctx, wanted{fmt.Sprint(i), fmt.Sprint("customer ", i)})
		})
	}
	reads.Wait()
	return found, problems
}

func TestReadsThatNobodyWaitsForAreMadeTogetherAndEachGetsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{}

		began := time.Now()
		found, problems := readAll(t.Context(), &rounds{make: from.make}, 7)

		require.NoError(t, errors.Join(problems...))
		for i, product := range found {
			assert.Equal(t, []string{fmt.Sprint(i), fmt.Sprint("customer ", i)}, []string{product.GetProductId(), product.GetTitle()})
		}
		assert.Equal(t, []int{7}, from.sizes)
		assert.Equal(t, patience, time.Since(began))
	})
}

func TestARoundThatIsFullWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{}
		asking := &rounds{make: from.make}

		began := time.Now()
		_, problems := readAll(t.Context(), asking, mostTogether)
		atOnce := time.Since(began)
		_, more := readAll(t.Context(), asking, mostTogether+3)

		require.NoError(t, errors.Join(slices.Concat(problems, more)...))
		assert.Equal(t, []int{mostTogether, mostTogether, 3}, from.sizes)
		assert.Zero(t, atOnce)
	})
}

func TestARoundFailsTogetherAndTheNextOneDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{err: errors.New("the database is away")}
		asking := &rounds{make: from.make}

		_, problems := readAll(t.Context(), asking, 2)
		from.err = nil
		_, after := readAll(t.Context(), asking, 2)

		assert.Equal(t, []error{errors.New("the database is away"), errors.New("the database is away")}, problems)
		assert.Equal(t, []error{nil, nil}, after)
	})
}

func TestWhoeverSharesARoundThatBreaksOffIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking := &rounds{make: func(context.Context, []wanted) ([]*storefrontv1.Product, error) { panic("broken") }}
		go func() {
			defer func() { _ = recover() }()
			_, _ = asking.read(t.Context(), wanted{id: "first"})
		}()
		synctest.Wait()

		_, err := asking.read(t.Context(), wanted{id: "second"})

		require.ErrorIs(t, err, errBrokeOff)
	})
}

func TestWhoeverLeavesARoundHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{}
		asking := &rounds{make: from.make}
		ctx, leave := context.WithCancelCause(t.Context())
		var first *storefrontv1.Product
		go func() { first, _ = asking.read(t.Context(), wanted{id: "first"}) }()
		synctest.Wait()
		time.AfterFunc(patience/2, func() { leave(errors.New("left")) })

		_, err := asking.read(ctx, wanted{id: "second"})
		time.Sleep(patience)
		synctest.Wait()

		require.EqualError(t, err, "left")
		assert.Equal(t, "first", first.GetProductId())
		assert.Equal(t, []int{2}, from.sizes)
	})
}

func TestAReadThatSomebodyWaitsForIsMadeAtOnceAndThoseSoonAfterItTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{}
		asking := &rounds{make: from.make, awaited: true}

		began := time.Now()
		_, alone := readAll(t.Context(), asking, 1)
		atOnce := time.Since(began)
		_, soon := readAll(t.Context(), asking, 5)
		together := time.Since(began)
		time.Sleep(pace)
		_, later := readAll(t.Context(), asking, 1)

		require.NoError(t, errors.Join(slices.Concat(alone, soon, later)...))
		assert.Equal(t, []int{1, 5, 1}, from.sizes)
		assert.Zero(t, atOnce)
		assert.Equal(t, pace, together)
		assert.Equal(t, 2*pace, time.Since(began))
	})
}

func TestALeaderWhoLeavesReadsForTheOthersNevertheless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &counter{}
		asking := &rounds{make: func(ctx context.Context, asked []wanted) ([]*storefrontv1.Product, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return from.make(ctx, asked)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		go func() { _, _ = asking.read(ctx, wanted{id: "first"}) }()
		synctest.Wait()
		time.AfterFunc(patience/2, cancel)

		second, err := asking.read(t.Context(), wanted{id: "second"})

		require.NoError(t, err)
		assert.Equal(t, "second", second.GetProductId())
	})
}
