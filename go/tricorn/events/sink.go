package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tricorn/contract"
	tricornv1 "tricorn/v1"
)

// Sink answers tricorn.v1.EventSinkService: the durable subscriptions of this process, to which processes in Python hand the events of groups that moved
// here with a contract of their context.
type Sink struct {
	tricornv1.UnimplementedEventSinkServiceServer
	groups map[string]*Subscription
}

// NewSink makes a sink of subscriptions that have all their handlers. A group, or a type within one, can only be there once.
func NewSink(subscriptions ...*Subscription) (*Sink, error) {
	made := &Sink{groups: make(map[string]*Subscription)}
	var problem error
	for _, each := range subscriptions {
		if made.groups[each.group] != nil {
			problem = errors.Join(problem, fmt.Errorf("group '%s' is subscribed twice in this process", each.group))
		}
		made.groups[each.group] = each
		problem = errors.Join(problem, each.problem)
	}
	return made, problem
}

// ListSubscriptions says which types of events each group handles.
func (s *Sink) ListSubscriptions(
	context.Context, *tricornv1.ListSubscriptionsRequest,
) (*tricornv1.ListSubscriptionsResponse, error) {
	answer := &tricornv1.ListSubscriptionsResponse{}
	for _, group := range slices.Sorted(maps.Keys(s.groups)) {
		types := slices.Sorted(maps.Keys(s.groups[group].handlers))
		answer.Subscriptions = append(answer.Subscriptions, &tricornv1.Subscription{Group: group, Types: types})
	}
	return answer, nil
}

// Deliver has a group take events in order, and says of each what became of it. A refusal says nothing about the events: NOT_FOUND, when the group or a
// type has no handlers here; UNAVAILABLE, when it can take nothing now.
func (s *Sink) Deliver(ctx context.Context, request *tricornv1.DeliverRequest) (*tricornv1.DeliverResponse, error) {
	subscription := s.groups[request.GetGroup()]
	if subscription == nil {
		return nil, contract.Refusef(contract.ReasonNotFound, "group '%s' has no handlers in this process", request.GetGroup())
	}
	for _, event := range request.GetEvents() {
		if _, ok := subscription.handlers[event.GetType()]; !ok {
			return nil, contract.Refusef(contract.ReasonNotFound,
				"group '%s' has no handler of %s in this process", request.GetGroup(), event.GetType())
		}
	}
	outcomes, err := subscription.deliver(ctx, request.GetEvents())
	if err != nil {
		return nil, err
	}
	answer := &tricornv1.DeliverResponse{}
	for at, event := range request.GetEvents() {
		answer.Deliveries = append(answer.Deliveries,
			&tricornv1.Delivery{EventId: event.GetId(), Acknowledged: outcomes[at] == "", Error: outcomes[at]})
	}
	return answer, nil
}
