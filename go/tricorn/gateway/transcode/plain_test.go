package transcode_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// plain is a message as text, without the white space that prototext varies on purpose.
func plain(t *testing.T, message proto.Message) string {
	t.Helper()
	text, err := prototext.MarshalOptions{Multiline: false}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.Join(strings.Fields(string(text)), " ")
	return strings.ReplaceAll(joined, ": ", ":")
}
