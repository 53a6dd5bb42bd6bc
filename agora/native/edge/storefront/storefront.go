// Package storefront answers reads of products from published views, as the contract of the storefront says: what the
// catalogue publishes of a product, what inventory publishes of its stock, and a price by the pricing contract.
package storefront

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	catalogv1 "agora/native/gen/agora/catalog/v1"
	pricingv1 "agora/native/gen/agora/pricing/v1"
	storefrontv1 "agora/native/gen/agora/storefront/v1"
	agorav1 "agora/native/gen/agora/v1"
	"tricorn/contract"
	"tricorn/gateway/cache"
	"tricorn/wire"
)

const currency = "USD"

// Reader answers the methods of StorefrontService that only read products.
type Reader struct {
	storefrontv1.UnimplementedStorefrontServiceServer
	views    views
	pricing  pricingv1.PricingServiceClient
	now      func() time.Time
	reads    *rounds
	renewals *rounds
	known    *knownPrices
}

// New reads with the rights of a role that sees what is published. now decides which days count as recent; generation is that of the bindings that
// hold, and changes with whoever knows the prices.
func New(
	published *pgxpool.Pool, pricing pricingv1.PricingServiceClient, now func() time.Time, generation func() int64,
) *Reader {
	made := &Reader{
		views: views{published}, pricing: pricing, now: now, known: &knownPrices{generation: generation},
	}
	made.reads = &rounds{make: made.products, awaited: true}
	made.renewals = &rounds{make: made.products}
	return made
}

// Methods are those that a Reader answers.
var Methods = []string{"ListProducts", "GetProduct"}

// GetProduct is one product with its stock and this customer's price; NOT_FOUND when it is not on sale.
func (r *Reader) GetProduct(
	ctx context.Context, request *storefrontv1.GetProductRequest,
) (*storefrontv1.Product, error) {
	asked := wanted{strings.ToLower(request.GetProductId()), customer(ctx)}
	rounds := r.reads
	if cache.Renewing(ctx) {
		rounds = r.renewals
	}
	found, err := rounds.read(ctx, asked)
	if err == nil && found == nil {
		err = contract.Refuse(contract.ReasonNotFound, "there is no such product").With("product_id", asked.id)
	}
	return found, err
}

// products are those that are asked for, in that order, each with its customer's price; nil for those that are not on sale.
func (r *Reader) products(ctx context.Context, asked []wanted) ([]*storefrontv1.Product, error) {
	items, err := r.views.products(ctx, asked, r.today())
	if err != nil {
		return nil, err
	}
	found := make([]*storefrontv1.Product, len(asked))
	unpriced := map[pricingv1.Tier][]*item{}
	for i, each := range items {
		if each == nil {
			continue
		}
		found[i] = each.product
		if price := r.known.find(each.question()); price != nil {
			each.complete(price)
		} else {
			unpriced[each.tier] = append(unpriced[each.tier], each)
		}
	}
	generation := r.known.generation()
	for tier, items := range unpriced {
		if err := r.price(ctx, items, tier); err != nil {
			return nil, err
		}
		for _, each := range items {
			r.known.keep(generation, each.question(), each.price)
		}
	}
	return found, nil
}

// ListProducts is a page of the catalogue with stock and this customer's prices. A product that was there when the first
// page was read, and did not change since, is on exactly one page.
func (r *Reader) ListProducts(
	ctx context.Context, request *storefrontv1.ListProductsRequest,
) (*storefrontv1.ListProductsResponse, error) {
	fingerprint, err := contract.QueryFingerprint(&catalogv1.SearchProductsRequest{
		Query: request.GetQuery(), Category: request.GetCategory(), OrderBy: request.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	position, err := contract.DecodePageToken(request.GetPageToken(), fingerprint)
	if err != nil {
		return nil, err
	}
	wanted, err := searchFor(request, position)
	if err != nil {
		return nil, err
	}
	items, places, err := r.views.page(ctx, wanted)
	if err != nil {
		return nil, err
	}
	answer := &storefrontv1.ListProductsResponse{}
	if len(items) > wanted.size {
		items = items[:wanted.size]
		last := wanted.size - 1
		answer.NextPageToken = contract.EncodePageToken(
			fingerprint, portable(places[last]), items[last].product.GetProductId())
	}
	if len(items) == 0 {
		return answer, nil
	}
	if err := r.views.complete(ctx, items, customer(ctx), r.today()); err != nil {
		return nil, err
	}
	if err := r.price(ctx, items, items[0].tier); err != nil {
		return nil, err
	}
	for _, each := range items {
		answer.Products = append(answer.Products, each.product)
	}
	return answer, nil
}

// price asks what a unit of each costs a customer of their tier, and completes the products.
func (r *Reader) price(ctx context.Context, items []*item, tier pricingv1.Tier) error {
	request := &pricingv1.PriceProductsRequest{Tier: tier}
	for _, each := range items {
		asked := each.question()
		request.Products = append(request.Products, &pricingv1.PricedProduct{
			ProductId:         asked.product,
			BaseMinorUnits:    asked.base,
			Available:         asked.available,
			DemandBasisPoints: asked.demand,
		})
	}
	answer, err := r.pricing.PriceProducts(ctx, request)
	if err != nil {
		return err
	}
	if len(answer.GetPrices()) != len(items) {
		return fmt.Errorf("%d prices came for %d products", len(answer.GetPrices()), len(items))
	}
	for i, each := range items {
		each.complete(answer.GetPrices()[i])
	}
	return nil
}

// today is the date in UTC.
func (r *Reader) today() time.Time { return r.now().UTC().Truncate(24 * time.Hour) }

func money(minorUnits int64) *agorav1.Money {
	return &agorav1.Money{Currency: currency, MinorUnits: minorUnits}
}

func customer(ctx context.Context) string {
	if call := wire.CallOf(ctx); call != nil && call.Identity != nil {
		return call.Identity.UserID
	}
	return ""
}
