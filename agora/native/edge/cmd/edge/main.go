// Command edge is Agora's public process: the gateway, and reads of what the contexts publish.
package main

import (
	"context"
	"time"

	"agora/native/edge"
	"agora/native/edge/accounts"
	"agora/native/edge/storefront"
	accountsv1 "agora/native/gen/agora/accounts/v1"
	catalogv1 "agora/native/gen/agora/catalog/v1"
	pricingv1 "agora/native/gen/agora/pricing/v1"
	storefrontv1 "agora/native/gen/agora/storefront/v1"
	"tricorn/events"
	"tricorn/gateway/cache"
	"tricorn/host"
	"tricorn/host/public"
)

// longestProfile is how old a user's own profile may be should the news that it changed not come: whoever misses news forgets everything, so this
// only bounds what nobody thought of. A profile that is asked for late in it is read again.
const longestProfile = 5 * time.Minute

func main() {
	host.Main(host.Options{Name: "go", Register: register})
}

func register(ctx context.Context, h *host.Host) error {
	published, err := h.Database(ctx, "published")
	if err != nil {
		return err
	}
	pricing := pricingv1.NewPricingServiceClient(h.Wire)
	generation := func() int64 { return h.Directory.Bindings().Generation }
	h.RegisterMethods(&accountsv1.AccountsService_ServiceDesc, accounts.New(published), accounts.Methods...)
	h.RegisterMethods(&storefrontv1.StorefrontService_ServiceDesc,
		storefront.New(published, pricing, h.Clock, generation), storefront.Methods...)
	if h.Manifest == "" {
		return nil // no public side: it answers its methods, and no more
	}
	front, err := public.New(h, public.Options{
		Published: published, OpenAPI: edge.OpenAPI,
		Kept: map[string]time.Duration{accountsv1.AccountsService_GetMe_FullMethodName[1:]: longestProfile},
	})
	if err != nil {
		return err
	}
	events.On(front.Events.Of("accounts"), func(_ context.Context, event *accountsv1.UserUpdated, _ events.Meta) error {
		front.Answers.Wrote(event.GetUserId())
		return nil
	})
	products := front.Events.Of("catalog")
	events.On(products, forget[*catalogv1.ProductCreated](front.Answers))
	events.On(products, forget[*catalogv1.ProductUpdated](front.Answers))
	events.On(products, forget[*catalogv1.ProductDeleted](front.Answers))
	return front.Serve()
}

// forget ends what was kept of products when one of them changes.
func forget[Event any](answers *cache.Answers) func(context.Context, Event, events.Meta) error {
	return func(context.Context, Event, events.Meta) error {
		answers.Forget(
			storefrontv1.StorefrontService_GetProduct_FullMethodName[1:],
			storefrontv1.StorefrontService_ListProducts_FullMethodName[1:],
			catalogv1.CatalogService_ListCategories_FullMethodName[1:],
		)
		return nil
	}
}
