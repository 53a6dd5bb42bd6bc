package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/telemetry"
)

const mostAtOnce = 1024

// Directory knows where each method is answered, and by which implementation: in this process, or at addresses of others.
type Directory struct {
	service *Service
	asked   *telemetry.Stats
	local   *local
	now     atomic.Pointer[moment]
	mutex   sync.Mutex
	remotes map[string]*remote
	most    uint
}

// moment is what holds from one change of the files to the next.
type moment struct {
	bindings  *Bindings
	addresses Addresses
	plans     sync.Map // *contract.Policy -> *plan
}

// route is what a binding says of one call.
type route struct {
	channel        channel
	implementation string
	generation     int64
	reference      *route
	shared         bool
	// counted routes are those of a method that another implementation than the reference answers or is compared with, too.
	counted bool
	// here is in this process, where nobody is on the way for long: the reference is asked after it, not beside it.
	here     bool
	breakers sync.Map // *contract.Policy -> *breaker
}

type plan struct {
	native, reference []*route
	turn              atomic.Uint32
	chosen            func(proto.Message) bool
}

// NewDirectory makes a directory of a process that hosts a service, in which Python answers everything at no address until Update. Asked counts the
// calls that implementations elsewhere answer.
func NewDirectory(service *Service, asked *telemetry.Stats) *Directory {
	made := &Directory{
		service: service, asked: asked, local: &local{service}, remotes: map[string]*remote{}, most: mostAtOnce,
	}
	made.now.Store(&moment{bindings: &Bindings{}, addresses: Addresses{}})
	return made
}

// Update lets other bindings and addresses hold. Calls in flight finish where they began.
func (d *Directory) Update(bindings *Bindings, addresses Addresses) {
	d.now.Store(&moment{bindings: bindings, addresses: addresses})
}

// Bindings gives those that hold.
func (d *Directory) Bindings() *Bindings { return d.now.Load().bindings }

// Addresses gives those that hold.
func (d *Directory) Addresses() Addresses { return d.now.Load().addresses }

// Binding gives what holds for a method, for the keys of caches: its generation changes with whoever answers.
func (d *Directory) Binding(policy *contract.Policy) Binding { return d.now.Load().bindings.Of(policy) }

// Placeless names what is bound to an implementation that has no address and is not hosted here, so that Python answers: "TARGET to
// IMPLEMENTATION".
func (d *Directory) Placeless() []string {
	now := d.now.Load()
	var found []string
	for _, target := range now.bindings.Targets() {
		binding := now.bindings.At(target)
		if binding.Native == "" || target == Gateway || binding.AtGateway || d.reaches(now, binding) {
			continue
		}
		found = append(found, target+" to "+binding.Native)
	}
	return found
}

// Ask calls a method that processes answer for themselves at the address of one of them, whatever is bound, within the contract's deadline. An
// error is a *contract.Refusal.
func (d *Directory) Ask(
	ctx context.Context, address string, policy *contract.Policy, request proto.Message,
) (proto.Message, error) {
	there, err := d.at(address)
	if err != nil {
		return nil, FromError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, policy.Deadline)
	defer cancel()
	answer, err := there.unary(ctx, policy, request, nil)
	if err != nil {
		return nil, fromError(ctx, err)
	}
	return answer, nil
}

// Close ends all connections.
func (d *Directory) Close() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var problems []error
	for _, each := range d.remotes {
		problems = append(problems, each.conn.Close())
	}
	clear(d.remotes)
	return errors.Join(problems...)
}

func (d *Directory) reaches(now *moment, binding Binding) bool {
	service := serviceOf(binding.Target)
	return len(now.addresses[service][binding.Native]) > 0 ||
		(binding.Native == d.service.implementation && slices.Contains(d.service.Services(), service))
}

// route gives the way for one call; a nil request stands for a stream of them.
func (d *Directory) route(policy *contract.Policy, request proto.Message) (*route, error) {
	now := d.now.Load()
	found, ok := now.plans.Load(policy)
	if !ok {
		made, err := d.plan(now, policy)
		if err != nil {
			return nil, err
		}
		found, _ = now.plans.LoadOrStore(policy, made)
	}
	plan := found.(*plan)
	turns := plan.reference
	if len(plan.native) > 0 && plan.chosen(request) {
		turns = plan.native
	}
	switch len(turns) {
	case 0:
		refusal := contract.Refuse(contract.ReasonUnavailable, "nothing answers "+policy.Service+" here")
		refusal.Unsent = true
		return nil, refusal
	case 1:
		return turns[0], nil
	default:
		return turns[int(plan.turn.Add(1))%len(turns)], nil
	}
}

func (d *Directory) plan(now *moment, policy *contract.Policy) (*plan, error) {
	known := now.addresses[policy.Service]
	binding := now.bindings.Of(policy)
	made := &plan{chosen: chooser(policy, binding)}
	for _, address := range known[Reference] {
		channel, err := d.at(address)
		if err != nil {
			return nil, err
		}
		made.reference = append(made.reference,
			&route{
				channel: channel, implementation: Reference, generation: binding.Generation,
				counted: binding.Native != "" || binding.Shadow != nil,
			})
	}
	if binding.Native == "" {
		return made, nil
	}
	channels, err := d.natives(known, policy, binding)
	if err != nil {
		return nil, err
	}
	for i, channel := range channels {
		native := &route{
			channel: channel, implementation: binding.Native, generation: binding.Generation, shared: binding.Shared,
			counted: true, here: channel == d.local,
		}
		if len(made.reference) > 0 {
			native.reference = made.reference[i%len(made.reference)]
		}
		made.native = append(made.native, native)
	}
	return made, nil
}

func (d *Directory) natives(known map[string][]string, policy *contract.Policy, binding Binding) ([]channel, error) {
	if binding.Native == d.service.implementation && d.service.Hosts(policy.FullName) {
		return []channel{d.local}, nil
	}
	var made []channel
	for _, address := range known[binding.Native] {
		channel, err := d.at(address)
		if err != nil {
			return nil, err
		}
		made = append(made, &counted{channel, binding.Native, d.asked})
	}
	return made, nil
}

// at gives the channel to an address; made once.
func (d *Directory) at(address string) (*remote, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if found, ok := d.remotes[address]; ok {
		return found, nil
	}
	made, err := dial(address, d.most)
	if err != nil {
		return nil, fmt.Errorf("follow the endpoints: %w", err)
	}
	d.remotes[address] = made
	return made, nil
}
