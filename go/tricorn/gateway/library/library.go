// Package library is a small library behind a gateway, for tests: its contract is the one that the gateway in Python is tested with, compiled when it
// is first asked for, and its answers are given by functions.
package library

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/bufbuild/protocompile"
	_ "google.golang.org/genproto/googleapis/api/httpbody" // linked in for the contract
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/structpb" // linked in for the contract

	"tricorn/contract"
	"tricorn/wire"
)

// Service is the contract's full name.
const Service = "library.v1.LibraryService"

const source = "library/v1/library.proto"

var compile = sync.OnceValue(func() error {
	folder, err := protos()
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{Resolver: protocompile.CompositeResolver{
		protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
			found, err := protoregistry.GlobalFiles.FindFileByPath(path)
			return protocompile.SearchResult{Desc: found}, err
		}),
		protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{folder}}),
	}}
	files, err := compiler.Compile(context.Background(), source)
	if err != nil {
		return fmt.Errorf("compile the library's contract: %w", err)
	}
	return register(protodesc.ToFileDescriptorProto(files[0]))
})

// protos is where the contract lies, above the package that is tested: what is built may not know where it came from.
func protos() (string, error) {
	above, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		folder := filepath.Join(above, "tests", "gateway", "proto")
		if _, err := os.Stat(filepath.Join(folder, source)); err == nil {
			return folder, nil
		}
		if filepath.Dir(above) == above {
			return "", fmt.Errorf("nowhere above the tests is tests/gateway/proto/%s", source)
		}
		above = filepath.Dir(above)
	}
}

// register makes the contract one that the program links in. Its options are read again, so that they are of the generated types.
func register(file *descriptorpb.FileDescriptorProto) error {
	packed, err := proto.Marshal(file)
	if err != nil {
		return err
	}
	read := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(packed, read); err != nil {
		return err
	}
	made, err := protodesc.NewFile(read, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	if err := protoregistry.GlobalFiles.RegisterFile(made); err != nil {
		return err
	}
	for index := range made.Messages().Len() {
		if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(made.Messages().Get(index))); err != nil {
			return err
		}
	}
	return nil
}

// Contract makes the library's contract known, and gives its methods.
func Contract(t testing.TB) []*contract.Policy {
	t.Helper()
	if err := compile(); err != nil {
		t.Fatal(err)
	}
	policies, err := contract.ServicePolicies(Service)
	if err != nil {
		t.Fatal(err)
	}
	return policies
}

// Message makes an empty message of the library.
func Message(t testing.TB, name string) proto.Message {
	t.Helper()
	Contract(t)
	found, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("library.v1." + name))
	if err != nil {
		t.Fatal(err)
	}
	return found.New().Interface()
}

// Question is what the library was asked, and by whom.
type Question struct {
	Method   string
	Message  proto.Message
	Identity *wire.Identity
	Call     *wire.Call
}

// Library answers by functions that a test sets for a method; without one with an empty message. It validates as every implementation does.
type Library struct {
	// Answers are by the method's name; they fill the answer.
	Answers map[string]func(ctx context.Context, request, answer protoreflect.Message) error
	// Streams are by the method's name; they give the next message, and io.EOF after the last one.
	Streams map[string]func(ctx context.Context, answer protoreflect.Message) error

	mutex     sync.Mutex
	questions []Question
}

// Questions gives what was asked until now.
func (l *Library) Questions() []Question {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]Question{}, l.questions...)
}

func (l *Library) note(ctx context.Context, method string, message proto.Message) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	question := Question{Method: method, Message: message, Call: wire.CallOf(ctx)}
	if question.Call != nil {
		question.Identity = question.Call.Identity
	}
	l.questions = append(l.questions, question)
}

// Invoke answers a unary method.
func (l *Library) Invoke(ctx context.Context, method string, request, answer any, _ ...grpc.CallOption) error {
	message := request.(proto.Message)
	policy, err := contract.MethodPolicy(method)
	if err != nil {
		return err
	}
	l.note(ctx, policy.Name, message)
	if err := contract.Validate(message); err != nil {
		return err
	}
	if make := l.Answers[policy.Name]; make != nil {
		return make(ctx, message.ProtoReflect(), answer.(proto.Message).ProtoReflect())
	}
	return nil
}

// NewStream answers a method by a stream.
func (l *Library) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	policy, err := contract.MethodPolicy(method)
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, library: l, name: policy.Name}, nil
}

type stream struct {
	ctx     context.Context
	library *Library
	name    string
}

func (s *stream) Header() (metadata.MD, error) { return nil, nil }
func (s *stream) Trailer() metadata.MD         { return nil }
func (s *stream) CloseSend() error             { return nil }
func (s *stream) Context() context.Context     { return s.ctx }

func (s *stream) SendMsg(message any) error {
	s.library.note(s.ctx, s.name, message.(proto.Message))
	return nil
}

func (s *stream) RecvMsg(answer any) error {
	if next := s.library.Streams[s.name]; next != nil {
		return next(s.ctx, answer.(proto.Message).ProtoReflect())
	}
	return io.EOF
}
