// Command inventory answers the contract agora.inventory.v1.InventoryService.
package main

import (
	"context"

	inventoryv1 "agora/native/gen/agora/inventory/v1"
	"agora/native/inventory"
	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/server"
	"agora/native/inventory/stock"
	"agora/native/inventory/telemetry"
	"tricorn/host"
)

func main() {
	host.Main(host.Options{Name: "go", Register: register, HalfOfProcessors: true})
}

func register(ctx context.Context, h *host.Host) error {
	pool, err := h.Database(ctx, "inventory")
	if err != nil {
		return err
	}
	options := postgres.Batching(pool.Config().MaxConns, telemetry.NewBatches(h.Metrics))
	store := postgres.NewReserving(pool)
	repository := postgres.NewRepository(store)
	reserving := batch.New(store, stock.Claim.Products, options)
	confirming := batch.New(postgres.NewConfirming(repository), stock.Reservation.Needs, postgres.Confirms(options))
	// Nothing is asked any more by then, and what was asked has been answered or its time is over.
	h.OnStop(func(ctx context.Context) { _, _ = confirming.Close(ctx), reserving.Close(ctx) })
	service := inventory.NewService(repository, reserving, confirming)
	inventoryv1.RegisterInventoryServiceServer(h, server.New(service))
	return nil
}
