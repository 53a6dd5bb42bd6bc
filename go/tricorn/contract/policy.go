package contract

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	tricornv1 "tricorn/v1"
)

// What holds where a contract says nothing.
const (
	DefaultDeadline    = 5 * time.Second
	DefaultStreamIdle  = 15 * time.Second
	DefaultStreamTotal = time.Hour
	DefaultStatus      = 200
)

// Level says who may call a method.
type Level int

// Anyone; whoever carries a valid token; only other processes of the application.
const (
	Public Level = iota + 1
	User
	Internal
)

// CachePolicy says how long an answer may be reused and what it depends on; no Fields means all of the request's.
type CachePolicy struct {
	TTL      time.Duration
	VaryUser bool
	Fields   []string
}

// HTTPRoute is one HTTP binding: the verb in capitals, the template of google.api.http, and which field is the body ("*": all).
type HTTPRoute struct {
	Verb         string
	Template     string
	Body         string
	ResponseBody string
}

// Policy is one method with everything its contract says of it. It is read once and never changes.
type Policy struct {
	// FullName is "package.Service/Method".
	FullName   string
	Service    string
	Name       string
	Descriptor protoreflect.MethodDescriptor

	ClientStreaming bool
	ServerStreaming bool

	Level   Level
	AnyRole []string
	// Rate is the rate class; empty for a method that is not limited.
	Rate string
	// Cache is nil where no answer may be reused.
	Cache       *CachePolicy
	Deadline    time.Duration
	StreamIdle  time.Duration
	StreamTotal time.Duration
	// Status is the HTTP status of success.
	Status int
	// SplitKey is a path of request fields, or "CALL"; empty for a method that is never split.
	SplitKey string
	// Safe methods have no side effects; Idempotent ones may be repeated.
	Safe       bool
	Idempotent bool
	Routes     []HTTPRoute

	// The fields that the headers Idempotency-Key, If-Match and ETag stand for; empty where there is none.
	IdempotencyKeyField string
	RequestEtagField    string
	ResponseEtagField   string

	request protoreflect.MessageType
	answer  protoreflect.MessageType
}

// NewRequest makes an empty request of the method.
func (p *Policy) NewRequest() proto.Message { return p.request.New().Interface() }

// NewAnswer makes an empty answer of the method.
func (p *Policy) NewAnswer() proto.Message { return p.answer.New().Interface() }

// Streaming tells whether requests or answers come as a stream.
func (p *Policy) Streaming() bool { return p.ClientStreaming || p.ServerStreaming }

// Limit is the longest that a call may take, whatever its caller asks for.
func (p *Policy) Limit() time.Duration {
	if p.ServerStreaming {
		return p.StreamTotal
	}
	return p.Deadline
}

var (
	services sync.Map // full name -> []*Policy
	methods  sync.Map // "package.Service/Method" -> *Policy
)

// ServicePolicies gives the methods of a service (its full name), in the order of the contract. It fails when no generated package that is
// linked in declares the service.
func ServicePolicies(service string) ([]*Policy, error) {
	if known, ok := services.Load(service); ok {
		return known.([]*Policy), nil
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("find the contract %s: %w", service, err)
	}
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("find the contract %s: it is no service", service)
	}
	policies := make([]*Policy, 0, descriptor.Methods().Len())
	for i := range descriptor.Methods().Len() {
		policy, err := read(descriptor.Methods().Get(i))
		if err != nil {
			return nil, fmt.Errorf("read the contract %s: %w", service, err)
		}
		policies = append(policies, policy)
	}
	kept, _ := services.LoadOrStore(service, policies)
	return kept.([]*Policy), nil
}

// MethodPolicy gives the policy of "package.Service/Method"; a slash in front, as gRPC writes it, is passed over.
func MethodPolicy(fullName string) (*Policy, error) {
	fullName = strings.TrimPrefix(fullName, "/")
	if known, ok := methods.Load(fullName); ok {
		return known.(*Policy), nil
	}
	service, name, _ := strings.Cut(fullName, "/")
	policies, err := ServicePolicies(service)
	if err != nil {
		return nil, err
	}
	for _, policy := range policies {
		if policy.Name == name {
			kept, _ := methods.LoadOrStore(fullName, policy)
			return kept.(*Policy), nil
		}
	}
	return nil, fmt.Errorf("find the method %s: the contract has none of that name", fullName)
}

// Field gives what a contract says of a field; an empty policy where it says nothing.
func Field(field protoreflect.FieldDescriptor) *tricornv1.FieldPolicy {
	if options, ok := field.Options().(*descriptorpb.FieldOptions); ok && options != nil {
		if said, ok := proto.GetExtension(options, tricornv1.E_Field).(*tricornv1.FieldPolicy); ok && said != nil {
			return said
		}
	}
	return &tricornv1.FieldPolicy{}
}

func read(method protoreflect.MethodDescriptor) (*Policy, error) {
	service := string(method.Parent().FullName())
	request, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return nil, fmt.Errorf("find the request of %s: %w", method.Name(), err)
	}
	answer, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("find the answer of %s: %w", method.Name(), err)
	}
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	said, _ := proto.GetExtension(options, tricornv1.E_Method).(*tricornv1.MethodPolicy)
	level := Level(said.GetAuth().GetLevel())
	if level == 0 {
		level = Internal
	}
	safe := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	policy := &Policy{
		FullName:            service + "/" + string(method.Name()),
		Service:             service,
		Name:                string(method.Name()),
		Descriptor:          method,
		ClientStreaming:     method.IsStreamingClient(),
		ServerStreaming:     method.IsStreamingServer(),
		Level:               level,
		AnyRole:             said.GetAuth().GetAnyRole(),
		Rate:                said.GetRate(),
		Deadline:            orElse(said.GetDeadline(), DefaultDeadline),
		StreamIdle:          orElse(said.GetStream().GetIdle(), DefaultStreamIdle),
		StreamTotal:         orElse(said.GetStream().GetTotal(), DefaultStreamTotal),
		Status:              DefaultStatus,
		SplitKey:            said.GetSplitKey(),
		Safe:                safe,
		Idempotent:          safe || options.GetIdempotencyLevel() == descriptorpb.MethodOptions_IDEMPOTENT,
		IdempotencyKeyField: flagged(method.Input(), (*tricornv1.FieldPolicy).GetIdempotencyKey),
		RequestEtagField:    flagged(method.Input(), (*tricornv1.FieldPolicy).GetEtag),
		ResponseEtagField:   flagged(method.Output(), (*tricornv1.FieldPolicy).GetEtag),
		request:             request,
		answer:              answer,
	}
	if said.GetStatus() != 0 {
		policy.Status = int(said.GetStatus())
	}
	if said.GetCache() != nil {
		policy.Cache = &CachePolicy{
			TTL:      said.GetCache().GetTtl().AsDuration(),
			VaryUser: said.GetCache().GetVary() == tricornv1.Cache_USER,
			Fields:   said.GetCache().GetFields(),
		}
	}
	if options != nil && proto.HasExtension(options, annotations.E_Http) {
		rule, _ := proto.GetExtension(options, annotations.E_Http).(*annotations.HttpRule)
		policy.Routes = routes(rule)
	}
	return policy, nil
}

func routes(rule *annotations.HttpRule) []HTTPRoute {
	route := HTTPRoute{Body: rule.GetBody(), ResponseBody: rule.GetResponseBody()}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		route.Verb, route.Template = "GET", pattern.Get
	case *annotations.HttpRule_Put:
		route.Verb, route.Template = "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		route.Verb, route.Template = "POST", pattern.Post
	case *annotations.HttpRule_Delete:
		route.Verb, route.Template = "DELETE", pattern.Delete
	case *annotations.HttpRule_Patch:
		route.Verb, route.Template = "PATCH", pattern.Patch
	case *annotations.HttpRule_Custom:
		route.Verb, route.Template = strings.ToUpper(pattern.Custom.GetKind()), pattern.Custom.GetPath()
	}
	all := []HTTPRoute{route}
	for _, more := range rule.GetAdditionalBindings() {
		all = append(all, routes(more)...)
	}
	return all
}

func flagged(message protoreflect.MessageDescriptor, flag func(*tricornv1.FieldPolicy) bool) string {
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); flag(Field(field)) {
			return string(field.Name())
		}
	}
	return ""
}

func orElse(said *durationpb.Duration, otherwise time.Duration) time.Duration {
	if seconds := said.AsDuration(); seconds > 0 {
		return seconds
	}
	return otherwise
}
