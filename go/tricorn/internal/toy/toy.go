// Package toy is a small contract for the platform's own tests, made from a description at run time, so that nothing needs to be generated for it.
package toy

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	// The options in the description.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"

	_ "tricorn/v1"
)

// Service is the contract's full name; the methods are those of Server.
const Service = "toy.echo.v1.EchoService"

// OutOfToys is a reason of the application.
const OutOfToys = "OUT_OF_TOYS"

const description = `
name: "toy/echo/v1/echo.proto" package: "toy.echo.v1" syntax: "proto3"
dependency: "tricorn/v1/options.proto" dependency: "buf/validate/validate.proto" dependency: "google/api/annotations.proto"
message_type {
  name: "Request"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name"
    options { [buf.validate.field] { string { max_len: 8 } } } }
  field { name: "key" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "key"
    options { [tricorn.v1.field] { idempotency_key: true } } }
  field { name: "count" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL json_name: "count"
    options { [buf.validate.field] { int32 { gte: 0 } } } }
}
message_type {
  name: "Answer"
  field { name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "text" }
  field { name: "etag" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "etag"
    options { [tricorn.v1.field] { etag: true } } }
}
enum_type {
  name: "Reason"
  value { name: "REASON_UNSPECIFIED" number: 0 }
  value { name: "REASON_OUT_OF_TOYS" number: 1 options { [tricorn.v1.reason] { grpc: "FAILED_PRECONDITION" http: 409 } } }
}
service {
  name: "EchoService"
  method {
    name: "Say" input_type: ".toy.echo.v1.Request" output_type: ".toy.echo.v1.Answer"
    options {
      idempotency_level: NO_SIDE_EFFECTS
      [tricorn.v1.method] {
        auth { level: PUBLIC } rate: "read"
        cache { ttl { seconds: 30 } vary: USER fields: "name" } deadline { seconds: 10 } split_key: "name"
      }
      [google.api.http] { get: "/api/v1/echo/{name}" additional_bindings { post: "/api/v1/echo" body: "*" } }
    }
  }
  method {
    name: "Keep" input_type: ".toy.echo.v1.Request" output_type: ".toy.echo.v1.Answer"
    options { [tricorn.v1.method] { auth { level: USER any_role: "keeper" } split_key: "name" status: 201 } }
  }
  method {
    name: "Count" input_type: ".toy.echo.v1.Request" output_type: ".toy.echo.v1.Answer" server_streaming: true
    options {
      idempotency_level: NO_SIDE_EFFECTS
      [tricorn.v1.method] { stream { idle { seconds: 1 } total { seconds: 30 } } }
    }
  }
  method {
    name: "Gather" input_type: ".toy.echo.v1.Request" output_type: ".toy.echo.v1.Answer" client_streaming: true
  }
}
`

var file = register()

// Unary is how a method answers once.
type Unary func(ctx context.Context, request *dynamicpb.Message) (proto.Message, error)

// Server answers the contract; what is nil is unimplemented.
type Server struct {
	Say  Unary
	Keep Unary
	// Count answers with a stream, Gather is asked by one.
	Count  func(ctx context.Context, request *dynamicpb.Message, send func(proto.Message) error) error
	Gather func(ctx context.Context, receive func() (*dynamicpb.Message, error)) (proto.Message, error)
}

// Request makes a request.
func Request(name, key string, count int) *dynamicpb.Message {
	made := message("Request")
	Set(made, "name", name)
	Set(made, "key", key)
	made.Set(made.Descriptor().Fields().ByName("count"), protoreflect.ValueOfInt32(int32(count)))
	return made
}

// Answer makes an answer.
func Answer(text string) *dynamicpb.Message {
	made := message("Answer")
	Set(made, "text", text)
	return made
}

// Empty makes an answer to be filled.
func Empty() *dynamicpb.Message { return message("Answer") }

// Text gives a field of text of either message.
func Text(of proto.Message, field string) string {
	reflected := of.ProtoReflect()
	return reflected.Get(reflected.Descriptor().Fields().ByName(protoreflect.Name(field))).String()
}

// Set sets a field of text.
func Set(of *dynamicpb.Message, field, text string) {
	of.Set(of.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOfString(text))
}

// Desc describes the contract as a generated package would; the server is a *Server.
var Desc = grpc.ServiceDesc{
	ServiceName: Service,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Say", Handler: unary(func(s *Server) Unary { return s.Say })},
		{MethodName: "Keep", Handler: unary(func(s *Server) Unary { return s.Keep })},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Count", ServerStreams: true, Handler: count},
		{StreamName: "Gather", ClientStreams: true, Handler: gather},
	},
}

func unary(of func(*Server) Unary) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := message("Request")
		if err := decode(request); err != nil {
			return nil, err
		}
		return of(server.(*Server))(ctx, request)
	}
}

func count(server any, stream grpc.ServerStream) error {
	request := message("Request")
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	return server.(*Server).Count(stream.Context(), request, func(answer proto.Message) error {
		return stream.SendMsg(answer)
	})
}

func gather(server any, stream grpc.ServerStream) error {
	answer, err := server.(*Server).Gather(stream.Context(), func() (*dynamicpb.Message, error) {
		request := message("Request")
		return request, stream.RecvMsg(request)
	})
	if err != nil {
		return err
	}
	return stream.SendMsg(answer)
}

func message(name protoreflect.Name) *dynamicpb.Message {
	return dynamicpb.NewMessage(file.Messages().ByName(name))
}

func register() protoreflect.FileDescriptor {
	described := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(description), described); err != nil {
		panic(fmt.Sprintf("the toy's description: %v", err))
	}
	made, err := protodesc.NewFile(described, protoregistry.GlobalFiles)
	if err != nil {
		panic(fmt.Sprintf("the toy's description: %v", err))
	}
	if err := protoregistry.GlobalFiles.RegisterFile(made); err != nil {
		panic(fmt.Sprintf("the toy's contract: %v", err))
	}
	for i := range made.Messages().Len() {
		if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(made.Messages().Get(i))); err != nil {
			panic(fmt.Sprintf("the toy's messages: %v", err))
		}
	}
	return made
}
