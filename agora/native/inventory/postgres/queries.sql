-- Whoever changes stock, here and in Python, locks stock rows first, in the order of their ids, then claims a key or
-- locks a reservation. Two of them can wait for each other, but never in a circle.

-- name: LockStock :many
SELECT product_id, warehouse_id, available FROM stock
WHERE product_id = ANY (@products::uuid[]) ORDER BY product_id, warehouse_id FOR UPDATE;

-- Locks what nobody else has locked; whose free is false, somebody has, and available says nothing.
-- name: LockFreeStock :many
WITH locked AS MATERIALIZED (
    SELECT product_id, warehouse_id, available FROM stock
    WHERE product_id = ANY (@products::uuid[]) ORDER BY product_id, warehouse_id FOR UPDATE SKIP LOCKED
)
SELECT stock.product_id, stock.warehouse_id, coalesce(locked.available, 0)::int AS available,
    (locked.product_id IS NOT NULL)::bool AS free
FROM stock LEFT JOIN locked ON locked.product_id = stock.product_id AND locked.warehouse_id = stock.warehouse_id
WHERE stock.product_id = ANY (@products::uuid[]);

-- How long a statement waits for a lock until the transaction ends.
-- name: LimitLockWait :exec
SELECT set_config('lock_timeout', @lock_timeout::text, true);

-- name: ReservationsByKey :many
SELECT key, reservation_id, state, product_ids, warehouse_ids, quantities, expire_time,
    (state = 'HELD' AND expire_time <= clock_timestamp())::bool AS overdue
FROM reservation WHERE key = ANY (@keys::text[]);

-- name: ReservationsByID :many
SELECT reservation_id, state, product_ids, warehouse_ids, quantities, expire_time,
    (state = 'HELD' AND expire_time <= clock_timestamp())::bool AS overdue
FROM reservation WHERE reservation_id = ANY (@reservation_ids::uuid[]);

-- Claims keys, which come in their order, and moves the stock of those that were free to claim. The stock is locked already. Allocations
-- of all come one after the other; a reservation's are those from its first to its last, counted from 1. Holds are microseconds.
-- name: CreateReservations :many
WITH wanted AS (
    SELECT reservation_id, key, first, last, hold FROM ROWS FROM (
        unnest(@reservation_ids::uuid[]), unnest(@keys::text[]), unnest(@firsts::int[]), unnest(@lasts::int[]),
        unnest(@holds::bigint[])
    ) AS line (reservation_id, key, first, last, hold)
), created AS (
    INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
    SELECT reservation_id, key, 'HELD', (@product_ids::uuid[])[first:last], (@warehouse_ids::uuid[])[first:last],
        (@quantities::int[])[first:last], clock_timestamp() + hold * interval '1 microsecond'
    FROM wanted
    ON CONFLICT (key) DO NOTHING
    RETURNING reservation_id, product_ids, warehouse_ids, quantities, expire_time
), taken AS (
    SELECT a.product_id, a.warehouse_id, sum(a.quantity)::int AS quantity FROM created,
        ROWS FROM (unnest(created.product_ids), unnest(created.warehouse_ids), unnest(created.quantities)) AS a (product_id, warehouse_id, quantity)
    GROUP BY a.product_id, a.warehouse_id
), moved AS (
    UPDATE stock SET available = stock.available - taken.quantity, held = stock.held + taken.quantity
    FROM taken WHERE stock.product_id = taken.product_id AND stock.warehouse_id = taken.warehouse_id
)
SELECT reservation_id, expire_time FROM created;

-- The same in one statement with the locks, for stock that is known, shelf by shelf in the order of its ids: all of it or
-- nothing. It creates nothing where somebody else has a row locked or one is not as it was, and fails where a key is not free.
-- Of keys that somebody else holds uncommitted it waits for each as long as it is told.
-- name: CreateReservationsAsKnown :many
WITH locked AS MATERIALIZED (
    SELECT product_id, warehouse_id, available FROM stock
    WHERE product_id = ANY (@known_products::uuid[]) ORDER BY product_id, warehouse_id FOR UPDATE SKIP LOCKED
), agreed AS MATERIALIZED (
    SELECT set_config('lock_timeout', @lock_timeout::text, true) IS NOT NULL AND array_agg(product_id) = @known_products::uuid[]
        AND array_agg(warehouse_id) = @known_warehouses::uuid[] AND array_agg(available) = @known_available::int[] AS all_of_it
    FROM locked
), moved AS (
    UPDATE stock SET available = stock.available - taken.quantity, held = stock.held + taken.quantity
    FROM ROWS FROM (
        unnest(@taken_products::uuid[]), unnest(@taken_warehouses::uuid[]), unnest(@taken_quantities::int[])
    ) AS taken (product_id, warehouse_id, quantity)
    WHERE (SELECT all_of_it FROM agreed) AND stock.product_id = taken.product_id AND stock.warehouse_id = taken.warehouse_id
), created AS (
    INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
    SELECT reservation_id, key, 'HELD', (@product_ids::uuid[])[first:last], (@warehouse_ids::uuid[])[first:last],
        (@quantities::int[])[first:last], clock_timestamp() + hold * interval '1 microsecond'
    FROM ROWS FROM (
        unnest(@reservation_ids::uuid[]), unnest(@keys::text[]), unnest(@firsts::int[]), unnest(@lasts::int[]),
        unnest(@holds::bigint[])
    ) AS line (reservation_id, key, first, last, hold)
    WHERE (SELECT all_of_it FROM agreed)
    RETURNING reservation_id, expire_time
)
SELECT reservation_id, expire_time FROM created;

-- Waits until nobody holds a key uncommitted. It is rolled back.
-- name: ProbeKey :exec
INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
VALUES (@reservation_id, @key, 'RELEASED', ARRAY[@reservation_id]::uuid[], ARRAY[@reservation_id]::uuid[], '{1}', 'epoch')
ON CONFLICT (key) DO NOTHING;

-- Stock is locked before the reservation; the reservation's state is judged only when all of its stock is locked.
-- name: Confirm :many
WITH claim AS MATERIALIZED (
    SELECT a.product_id, a.warehouse_id, a.quantity FROM reservation AS r,
        ROWS FROM (unnest(r.product_ids), unnest(r.warehouse_ids), unnest(r.quantities)) AS a (product_id, warehouse_id, quantity)
    WHERE r.reservation_id = @reservation_id AND r.state = 'HELD'
), locked AS MATERIALIZED (
    SELECT stock.product_id, stock.warehouse_id, claim.quantity
    FROM stock JOIN claim ON claim.product_id = stock.product_id AND claim.warehouse_id = stock.warehouse_id
    ORDER BY stock.product_id, stock.warehouse_id FOR UPDATE OF stock
), settled AS (
    UPDATE reservation SET state = 'CONFIRMED', update_time = clock_timestamp()
    WHERE reservation_id = @reservation_id AND state = 'HELD' AND (SELECT count(*) FROM locked) > 0
        AND expire_time > clock_timestamp()
    RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time
), moved AS (
    UPDATE stock SET held = stock.held - locked.quantity, sold = stock.sold + locked.quantity
    FROM settled, locked
    WHERE stock.product_id = locked.product_id AND stock.warehouse_id = locked.warehouse_id
)
SELECT reservation_id, state, product_ids, warehouse_ids, quantities, expire_time FROM settled;

-- The same for several at once, whose allocations are known; they never change. It confirms none where somebody else has a row of
-- their stock locked, and says whether nobody had. For a reservation that somebody else has locked it waits as long as it is told.
-- Each row of stock is named once. (CASE, lest a plan made while the table was small goes through all that is held.)
-- name: ConfirmTogether :many
WITH locked AS MATERIALIZED (
    SELECT stock.product_id FROM ROWS FROM (
        unnest(@products::uuid[]), unnest(@warehouses::uuid[])
    ) AS needed (product_id, warehouse_id) JOIN stock USING (product_id, warehouse_id)
    ORDER BY stock.product_id, stock.warehouse_id FOR UPDATE OF stock SKIP LOCKED
), free AS MATERIALIZED (
    SELECT set_config('lock_timeout', @lock_timeout::text, true) IS NOT NULL AND count(*) = cardinality(@products::uuid[]) AS all_of_it
    FROM locked
), settled AS (
    UPDATE reservation SET state = 'CONFIRMED', update_time = clock_timestamp()
    WHERE (SELECT all_of_it FROM free) AND reservation_id = ANY (@reservation_ids::uuid[])
        AND CASE state WHEN 'HELD' THEN expire_time > clock_timestamp() ELSE false END
    RETURNING reservation_id, product_ids, warehouse_ids, quantities, expire_time
), sold AS (
    SELECT a.product_id, a.warehouse_id, sum(a.quantity)::int AS quantity FROM settled,
        ROWS FROM (unnest(settled.product_ids), unnest(settled.warehouse_ids), unnest(settled.quantities)) AS a (product_id, warehouse_id, quantity)
    GROUP BY a.product_id, a.warehouse_id
), moved AS (
    UPDATE stock SET held = stock.held - sold.quantity, sold = stock.sold + sold.quantity
    FROM sold WHERE stock.product_id = sold.product_id AND stock.warehouse_id = sold.warehouse_id
)
SELECT free.all_of_it, settled.reservation_id, settled.expire_time FROM free LEFT JOIN settled ON true;

-- name: Release :many
WITH claim AS MATERIALIZED (
    SELECT a.product_id, a.warehouse_id, a.quantity FROM reservation AS r,
        ROWS FROM (unnest(r.product_ids), unnest(r.warehouse_ids), unnest(r.quantities)) AS a (product_id, warehouse_id, quantity)
    WHERE r.reservation_id = @reservation_id AND r.state = 'HELD'
), locked AS MATERIALIZED (
    SELECT stock.product_id, stock.warehouse_id, claim.quantity
    FROM stock JOIN claim ON claim.product_id = stock.product_id AND claim.warehouse_id = stock.warehouse_id
    ORDER BY stock.product_id, stock.warehouse_id FOR UPDATE OF stock
), settled AS (
    UPDATE reservation SET state = 'RELEASED', update_time = clock_timestamp()
    WHERE reservation_id = @reservation_id AND state = 'HELD' AND (SELECT count(*) FROM locked) > 0
    RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time
), moved AS (
    UPDATE stock SET held = stock.held - locked.quantity, available = stock.available + locked.quantity
    FROM settled, locked
    WHERE stock.product_id = locked.product_id AND stock.warehouse_id = locked.warehouse_id
)
SELECT reservation_id, state, product_ids, warehouse_ids, quantities, expire_time FROM settled;

-- name: Prolong :many
UPDATE reservation
SET expire_time = greatest(expire_time, clock_timestamp() + @hold::interval), update_time = clock_timestamp()
WHERE reservation_id = @reservation_id AND state = 'HELD' AND expire_time > clock_timestamp()
RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time;

-- name: StockOf :many
SELECT product_id, warehouse_id, available FROM stock
WHERE product_id = ANY (@products::uuid[]) ORDER BY product_id, warehouse_id;

-- name: Warehouses :many
SELECT warehouse_id, name, city FROM warehouse ORDER BY warehouse_id;

-- name: AddUnits :one
WITH claimed AS (
    INSERT INTO restock (key, warehouse_id, product_ids, quantities)
    VALUES (@key, sqlc.narg(warehouse_id)::uuid, @product_ids::uuid[], @quantities::int[])
    ON CONFLICT (key) DO NOTHING RETURNING key
), destination AS (
    SELECT line.product_id, line.quantity, coalesce(
        sqlc.narg(warehouse_id)::uuid,
        (SELECT stock.warehouse_id FROM stock WHERE stock.product_id = line.product_id
            ORDER BY stock.available DESC, stock.warehouse_id LIMIT 1),
        (SELECT warehouse.warehouse_id FROM warehouse ORDER BY warehouse.warehouse_id LIMIT 1)
    ) AS warehouse_id
    FROM ROWS FROM (unnest(@product_ids::uuid[]), unnest(@quantities::int[])) AS line (product_id, quantity)
), added AS (
    INSERT INTO stock AS old (product_id, warehouse_id, received, available)
    SELECT product_id, warehouse_id, quantity, quantity FROM destination WHERE EXISTS (SELECT FROM claimed)
    ORDER BY product_id, warehouse_id
    ON CONFLICT (product_id, warehouse_id) DO UPDATE
        SET received = old.received + excluded.received, available = old.available + excluded.available
)
SELECT EXISTS (SELECT FROM claimed)::bool AS added;

-- name: DeliveryByKey :many
SELECT warehouse_id, product_ids, quantities FROM restock WHERE key = @key;
