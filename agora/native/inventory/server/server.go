// Package server is inventory behind its contract.
package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "agora/native/gen/agora/inventory/v1"
	"agora/native/inventory"
	"agora/native/inventory/stock"
)

// Server turns messages into what the use cases speak, and back. Requests have been validated.
type Server struct {
	inventoryv1.UnimplementedInventoryServiceServer
	service *inventory.Service
}

// New serves the use cases.
func New(service *inventory.Service) *Server { return &Server{service: service} }

// BatchGetStock has one stock for each product, in the order asked for.
func (s *Server) BatchGetStock(
	ctx context.Context, request *inventoryv1.BatchGetStockRequest,
) (*inventoryv1.BatchGetStockResponse, error) {
	products := make([]uuid.UUID, len(request.GetProductIds()))
	for at, text := range request.GetProductIds() {
		id, err := parse(text)
		if err != nil {
			return nil, err
		}
		products[at] = id
	}
	stocks, err := s.service.StockOf(ctx, products)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.BatchGetStockResponse{Stocks: stocksOf(stocks)}, nil
}

// Reserve holds all lines or nothing.
func (s *Server) Reserve(
	ctx context.Context, request *inventoryv1.ReserveRequest,
) (*inventoryv1.Reservation, error) {
	lines, err := linesOf(request.GetLines())
	if err != nil {
		return nil, err
	}
	return answer(s.service.Reserve(ctx, request.GetKey(), lines, holdOf(request.GetHold())))
}

// Confirm sells what is held.
func (s *Server) Confirm(
	ctx context.Context, request *inventoryv1.ConfirmRequest,
) (*inventoryv1.Reservation, error) {
	return answer(s.service.Confirm(ctx, request.GetReservationId()))
}

// Release gives back what is held.
func (s *Server) Release(
	ctx context.Context, request *inventoryv1.ReleaseRequest,
) (*inventoryv1.Reservation, error) {
	return answer(s.service.Release(ctx, request.GetReservationId()))
}

// Prolong gives a held reservation another while to live.
func (s *Server) Prolong(
	ctx context.Context, request *inventoryv1.ProlongRequest,
) (*inventoryv1.Reservation, error) {
	return answer(s.service.Prolong(ctx, request.GetReservationId(), holdOf(request.GetHold())))
}

// GetReservation reads one.
func (s *Server) GetReservation(
	ctx context.Context, request *inventoryv1.GetReservationRequest,
) (*inventoryv1.Reservation, error) {
	return answer(s.service.Reservation(ctx, request.GetReservationId()))
}

// Restock adds units.
func (s *Server) Restock(
	ctx context.Context, request *inventoryv1.RestockRequest,
) (*inventoryv1.RestockResponse, error) {
	lines, err := linesOf(request.GetLines())
	if err != nil {
		return nil, err
	}
	delivery := stock.Delivery{Lines: lines}
	if text := request.GetWarehouseId(); text != "" {
		id, err := parse(text)
		if err != nil {
			return nil, err
		}
		delivery.Warehouse = &id
	}
	stocks, err := s.service.Restock(ctx, request.GetKey(), delivery)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.RestockResponse{Stocks: stocksOf(stocks)}, nil
}

// ListWarehouses has all of them, by id.
func (s *Server) ListWarehouses(
	ctx context.Context, _ *inventoryv1.ListWarehousesRequest,
) (*inventoryv1.ListWarehousesResponse, error) {
	warehouses, err := s.service.Warehouses(ctx)
	if err != nil {
		return nil, err
	}
	response := &inventoryv1.ListWarehousesResponse{}
	for _, each := range warehouses {
		response.Warehouses = append(response.Warehouses, &inventoryv1.Warehouse{
			WarehouseId: each.ID.String(), Name: each.Name, City: each.City,
		})
	}
	return response, nil
}

func parse(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, fmt.Errorf("reading an id that the contract's rules let through: %w", err)
	}
	return id, nil
}

func linesOf(messages []*inventoryv1.StockLine) ([]stock.Line, error) {
	lines := make([]stock.Line, len(messages))
	for at, message := range messages {
		product, err := parse(message.GetProductId())
		if err != nil {
			return nil, err
		}
		lines[at] = stock.Line{Product: product, Quantity: message.GetQuantity()}
	}
	return lines, nil
}

// holdOf is a duration to the microsecond, which is what PostgreSQL keeps.
func holdOf(message *durationpb.Duration) time.Duration {
	return message.AsDuration().Truncate(time.Microsecond)
}

func stocksOf(stocks []stock.Stock) []*inventoryv1.Stock {
	messages := make([]*inventoryv1.Stock, len(stocks))
	for at, each := range stocks {
		message := &inventoryv1.Stock{ProductId: each.Product.String(), Available: int32(each.Available())}
		for _, shelf := range each.Shelves {
			message.Warehouses = append(message.Warehouses, &inventoryv1.WarehouseStock{
				WarehouseId: shelf.Warehouse.String(), Available: shelf.Available,
			})
		}
		messages[at] = message
	}
	return messages
}

var states = map[stock.State]inventoryv1.Reservation_State{
	stock.Held:      inventoryv1.Reservation_STATE_HELD,
	stock.Confirmed: inventoryv1.Reservation_STATE_CONFIRMED,
	stock.Released:  inventoryv1.Reservation_STATE_RELEASED,
	stock.Expired:   inventoryv1.Reservation_STATE_EXPIRED,
}

func answer(reservation stock.Reservation, err error) (*inventoryv1.Reservation, error) {
	if err != nil {
		return nil, err
	}
	message := &inventoryv1.Reservation{
		ReservationId: reservation.ID.String(),
		State:         states[reservation.State],
		ExpireTime:    timestamppb.New(reservation.ExpireTime),
	}
	for _, line := range reservation.Lines() {
		message.Lines = append(message.Lines, &inventoryv1.StockLine{
			ProductId: line.Product.String(), Quantity: line.Quantity,
		})
	}
	return message, nil
}
