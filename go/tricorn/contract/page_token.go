package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const fingerprintBytes = 8

// QueryFingerprint is what a page token is bound to: the request without the fields that change from page to page.
func QueryFingerprint(request proto.Message) ([]byte, error) {
	query := proto.Clone(request).ProtoReflect()
	for _, name := range []protoreflect.Name{"page_token", "page_size"} {
		if field := query.Descriptor().Fields().ByName(name); field != nil {
			query.Clear(field)
		}
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(query.Interface())
	if err != nil {
		return nil, fmt.Errorf("write the query that a page token is bound to: %w", err)
	}
	digest := sha256.Sum256(raw)
	return digest[:fingerprintBytes], nil
}

// EncodePageToken says where the next page begins, as text that fits into a URL. Each part of the position is a string
// or an int64. Every implementation makes the same token.
func EncodePageToken(fingerprint []byte, position ...any) string {
	body := append([]byte{}, fingerprint[:fingerprintBytes]...)
	body = append(body, '[')
	for i, part := range position {
		if i > 0 {
			body = append(body, ',')
		}
		switch value := part.(type) {
		case string:
			body = appendASCII(body, value)
		case int64:
			body = strconv.AppendInt(body, value, 10)
		}
	}
	return base64.RawURLEncoding.EncodeToString(append(body, ']'))
}

// DecodePageToken is the position in a token, each part a string or a *big.Int; nil for an empty token. It refuses with
// PAGE_TOKEN_INVALID what is not a token, or one of another query.
func DecodePageToken(token string, fingerprint []byte) ([]any, error) {
	if token == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "="))
	if err == nil && len(raw) > fingerprintBytes && bytes.Equal(raw[:fingerprintBytes], fingerprint[:fingerprintBytes]) {
		if position := readPosition(raw[fingerprintBytes:]); position != nil {
			return position, nil
		}
	}
	return nil, Refuse(
		ReasonPageTokenInvalid, "page_token was not given out for this query; begin without one")
}

func readPosition(text []byte) []any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var position []any
	if decoder.Decode(&position) != nil || position == nil || decoder.More() {
		return nil
	}
	for i, part := range position {
		switch value := part.(type) {
		case string:
		case json.Number:
			number, isWhole := new(big.Int).SetString(value.String(), 10)
			if !isWhole {
				return nil
			}
			position[i] = number
		default:
			return nil
		}
	}
	return position
}

// appendASCII writes a JSON string in which everything beyond ASCII is escaped.
func appendASCII(body []byte, text string) []byte {
	body = append(body, '"')
	for _, sign := range text {
		switch {
		case sign == '"' || sign == '\\':
			body = append(body, '\\', byte(sign))
		case sign == '\n':
			body = append(body, `\n`...)
		case sign == '\r':
			body = append(body, `\r`...)
		case sign == '\t':
			body = append(body, `\t`...)
		case sign == '\b':
			body = append(body, `\b`...)
		case sign == '\f':
			body = append(body, `\f`...)
		case sign >= 0x20 && sign < 0x7f:
			body = append(body, byte(sign))
		case sign > 0xffff:
			high, low := utf16.EncodeRune(sign)
			body = fmt.Appendf(body, `\u%04x\u%04x`, high, low)
		default:
			body = fmt.Appendf(body, `\u%04x`, sign)
		}
	}
	return append(body, '"')
}
