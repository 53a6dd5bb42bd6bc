package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
	"tricorn/contract"
)

func TestAPoisonedClaimFailsAloneAndTheOthersOfItsBatchAreHeld(t *testing.T) {
	r := openWith(t, connect(t, address(t)), patientBatching())
	product := r.product(100)

	refused := together(40, func(number int) error {
		name := key()
		if number == 17 {
			name = "no text holds \x00"
		}
		_, err := r.service.Reserve(t.Context(), name, lines(line(product, 1)), minute)
		if err != nil && strings.Contains(err.Error(), "22021") {
			return contractError("poisoned")
		}
		return err
	})

	require.Equal(t, map[string]int{"": 39, "poisoned": 1}, refused)
	require.Equal(t, []int64{61}, r.available(product))
	r.conserved(product)
}

func TestAKeyThatSomebodyHoldsUncommittedStallsNobodyElse(t *testing.T) {
	r := openWith(t, connect(t, address(t)), patientBatching())
	product, elsewhere, taken := r.product(100), r.product(1), key()
	theirs := r.begin(`
		INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
		VALUES ($1, $2, 'RELEASED', ARRAY[$3::uuid], ARRAY[$4::uuid], '{1}', now())`,
		uuid.New(), taken, elsewhere, warehouse(1))
	waiting := make(chan error, 1)
	go func() {
		_, err := r.service.Reserve(t.Context(), taken, lines(line(product, 1)), minute)
		waiting <- err
	}()

	refused := together(40, func(int) error {
		_, err := r.service.Reserve(t.Context(), key(), lines(line(product, 1)), minute)
		return err
	})

	require.Equal(t, map[string]int{"": 40}, refused)
	require.Empty(t, waiting)
	require.NoError(t, theirs.Commit(t.Context()))
	require.Equal(t, "IDEMPOTENCY_KEY_REUSED", reason(<-waiting))
	require.Equal(t, []int64{60}, r.available(product))
}

func TestAKeyThatSomebodyGivesUpIsOurs(t *testing.T) {
	r := open(t)
	product, elsewhere, taken := r.product(1), r.product(1), key()
	theirs := r.begin(`
		INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
		VALUES ($1, $2, 'RELEASED', ARRAY[$3::uuid], ARRAY[$4::uuid], '{1}', now())`,
		uuid.New(), taken, elsewhere, warehouse(1))
	waiting := make(chan error, 1)
	go func() {
		_, err := r.service.Reserve(t.Context(), taken, lines(line(product, 1)), minute)
		waiting <- err
	}()
	r.awaitProbe()

	require.NoError(t, theirs.Rollback(t.Context()))

	require.NoError(t, <-waiting)
	require.Equal(t, []int64{0}, r.available(product))
}

func TestStockThatSomebodyHasLockedStallsOnlyThoseWhoNeedIt(t *testing.T) {
	r := open(t)
	locked, free := r.product(5), r.product(100)
	theirs := r.begin("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", locked)
	waiting := make(chan error, 2)
	for _, wanted := range [][]uuid.UUID{{locked}, {locked, free}} {
		go func() {
			all := lines()
			for _, product := range wanted {
				all = append(all, line(product, 1))
			}
			_, err := r.service.Reserve(t.Context(), key(), all, minute)
			waiting <- err
		}()
	}

	refused := together(50, func(int) error {
		_, err := r.service.Reserve(t.Context(), key(), lines(line(free, 1)), minute)
		return err
	})

	require.Equal(t, map[string]int{"": 50}, refused)
	require.Empty(t, waiting)
	require.NoError(t, theirs.Commit(t.Context()))
	require.NoError(t, <-waiting)
	require.NoError(t, <-waiting)
	require.Equal(t, []int64{3, 49}, r.available(locked, free))
}

func TestWhoseDeadlinePassesWhileStockIsLockedReservesNothing(t *testing.T) {
	r := open(t)
	product := r.product(5)
	theirs := r.begin("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", product)
	hurried, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()

	_, err := r.service.Reserve(hurried, key(), lines(line(product, 5)), minute)

	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, theirs.Commit(t.Context()))
	_, err = r.service.Reserve(t.Context(), key(), lines(line(product, 5)), minute)
	require.NoError(t, err)
}

func TestMoreThanMayWaitIsRefusedAtOnceWithATimeToComeBack(t *testing.T) {
	options := batching()
	options.Waiting = 1
	r := openWith(t, connect(t, address(t)), options)
	product := r.product(5)
	theirs := r.begin("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", product)
	taken := make(chan error, 2)
	for range 2 {
		go func() {
			for { // whoever comes below may have had the one place first
				_, err := r.service.Reserve(t.Context(), key(), lines(line(product, 1)), minute)
				if reason(err) != "UNAVAILABLE" {
					taken <- err
					return
				}
			}
		}()
		r.awaitLockWait()
	}

	var refused *contract.Refusal
	require.Eventually(t, func() bool {
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.service.Reserve(hurried, key(), lines(line(product, 1)), minute)
		return errors.As(err, &refused)
	}, minute, time.Millisecond)

	require.Equal(t, contract.ReasonUnavailable, refused.Reason)
	require.Positive(t, refused.RetryAfter)
	require.NoError(t, theirs.Commit(t.Context()))
	require.NoError(t, <-taken)
	require.NoError(t, <-taken)
}

func TestACommitWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	for name, cut := range map[string]cut{"it was done": cutAnswer, "it was not": cutRequest} {
		t.Run(name, func(t *testing.T) {
			between := listen(t, address(t))
			r := openWith(t, between.pool(t), patientBatching())
			product := r.product(100)
			between.arm(cut)

			refused := together(30, func(int) error {
				_, err := r.service.Reserve(t.Context(), key(), lines(line(product, 1)), minute)
				return err
			})

			require.Equal(t, map[string]int{"": 30}, refused)
			require.True(t, between.disarmed())
			require.Equal(t, []int64{70}, r.available(product))
			r.conserved(product)
		})
	}
}

func TestASessionThatTheServerEndsLosesNothing(t *testing.T) {
	watched, doomed := open(t), configured(t, address(t))
	doomed.ConnConfig.RuntimeParams["application_name"] = "doomed"
	r := openWith(t, start(t, doomed), batching())
	product := watched.product(1000)
	stop := make(chan struct{})
	killed := make(chan error, 1)
	go func() {
		defer close(killed)
		// Only so often: on a slow machine a transaction may take longer than the time between two.
		for range 15 {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			_, err := watched.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'doomed'`)
			if err != nil {
				killed <- err
				return
			}
		}
	}()

	refused := together(400, func(int) error {
		name, all := key(), lines(line(product, 1))
		for {
			_, err := r.service.Reserve(t.Context(), name, all, minute)
			if said := reason(err); said != "UNAVAILABLE" && said != "ABORTED" {
				return err
			}
		}
	})
	close(stop)

	require.NoError(t, <-killed)
	require.Equal(t, map[string]int{"": 400}, refused)
	require.Equal(t, []int64{600}, watched.available(product))
	watched.conserved(product)
}

// patientBatching has one batch run at a time, so that calls made together are one, but for the first of them.
func patientBatching() batch.Options {
	options := batching()
	options.Workers = 1
	return options
}

type contractError string

func (e contractError) Error() string { return string(e) }

// begin is somebody else's transaction that has done something.
func (r *room) begin(sql string, arguments ...any) pgx.Tx {
	r.t.Helper()
	theirs, err := r.pool.Begin(r.ctx)
	require.NoError(r.t, err)
	_, err = theirs.Exec(r.ctx, sql, arguments...)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = theirs.Rollback(context.Background()) })
	return theirs
}

// awaitLockWait returns when somebody waits for a row.
func (r *room) awaitLockWait() {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		var waiting int
		err := r.pool.QueryRow(r.ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting > 0
	}, minute, time.Millisecond)
}

// awaitProbe returns when somebody waits, without a limit of its own, for a key.
func (r *room) awaitProbe() {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		var probes int
		err := r.pool.QueryRow(r.ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ProbeKey%'`).Scan(&probes)
		return err == nil && probes > 0
	}, 30*time.Second, 5*time.Millisecond)
}
