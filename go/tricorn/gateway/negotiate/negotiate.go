// Package negotiate reads the headers by which client and gateway agree on a form: Accept, Accept-Encoding, Content-Type, ETag and its
// conditions.
package negotiate

import (
	"bytes"
	"compress/gzip"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"tricorn/contract"
	"tricorn/gateway/problem"
)

// JSON and EventStream are what the gateway answers with; HttpBody aside.
const (
	JSON        = "application/json"
	EventStream = "text/event-stream"
	gzipLevel   = 4
)

var (
	tagText     = regexp.MustCompile(`(W/)?"([\x21\x23-\x7e\x{80}-\x{ff}]*)"`)
	versionText = regexp.MustCompile(`^[\x21\x23-\x7e]+$`)
	charsetText = regexp.MustCompile(`(?i)charset="?([^";]+)"?`)
)

// Accepts tells whether an Accept header allows a media type; the most specific range decides.
func Accepts(header, mediaType string) bool {
	if header == "" || header == "*/*" || header == mediaType {
		return true
	}
	family, _, _ := strings.Cut(mediaType, "/")
	best, quality := -1, 0.0
	for part := range strings.SplitSeq(header, ",") {
		mediaRange, parameters, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		rank := -1
		switch strings.TrimSpace(mediaRange) {
		case mediaType:
			rank = 2
		case family + "/*":
			rank = 1
		case "*/*":
			rank = 0
		}
		switch {
		case rank > best:
			best, quality = rank, qualityOf(parameters)
		case rank == best && rank >= 0:
			quality = max(quality, qualityOf(parameters))
		}
	}
	return quality > 0
}

// AcceptsGzip tells whether an Accept-Encoding header allows gzip.
func AcceptsGzip(header string) bool {
	if header == "" {
		return false
	}
	gzip, others := -1.0, 0.0
	for part := range strings.SplitSeq(header, ",") {
		coding, parameters, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		switch strings.TrimSpace(coding) {
		case "gzip":
			gzip = qualityOf(parameters)
		case "*":
			others = qualityOf(parameters)
		}
	}
	if gzip < 0 {
		gzip = others
	}
	return gzip > 0
}

func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if name != "q" {
			continue
		}
		quality, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return 0
		}
		return quality
	}
	return 1
}

var packers = sync.Pool{New: func() any {
	writer, err := gzip.NewWriterLevel(nil, gzipLevel)
	if err != nil { // the level is a constant that exists
		panic(err)
	}
	return writer
}}

// Gzip packs a body.
func Gzip(body []byte) []byte {
	writer := packers.Get().(*gzip.Writer)
	defer packers.Put(writer)
	var packed bytes.Buffer
	packed.Grow(len(body) / 4)
	writer.Reset(&packed)
	_, _ = writer.Write(body) // a buffer takes everything
	_ = writer.Close()
	return packed.Bytes()
}

// CheckContentType refuses what is not JSON in UTF-8 with 415; an absent type is taken for JSON.
func CheckContentType(header string) *problem.Problem {
	if header == "" || header == JSON {
		return nil
	}
	mediaType, _, _ := strings.Cut(header, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType != "" && mediaType != JSON &&
		(!strings.HasPrefix(mediaType, "application/") || !strings.HasSuffix(mediaType, "+json")) {
		return problem.New(contract.ReasonUnsupportedMediaType, "send "+JSON+", not "+mediaType).WithHeader("Accept", JSON)
	}
	if charset := charsetText.FindStringSubmatch(header); charset != nil {
		if name := strings.ToLower(strings.TrimSpace(charset[1])); name != "utf-8" && name != "utf8" {
			return problem.New(contract.ReasonUnsupportedMediaType, "send JSON in UTF-8, not "+charset[1])
		}
	}
	return nil
}

// CheckContentEncoding refuses packed bodies with 415.
func CheckContentEncoding(header string) *problem.Problem {
	switch strings.ToLower(strings.TrimSpace(header)) {
	case "", "identity":
		return nil
	}
	return problem.New(contract.ReasonUnsupportedMediaType, "send the body as it is, not packed with "+header).
		WithHeader("Accept-Encoding", "identity")
}

// QuoteETag is the ETag header of a version; "" when there is none or it holds what an ETag cannot carry.
func QuoteETag(version string) string {
	if !versionText.MatchString(version) {
		return ""
	}
	return `"` + version + `"`
}

// Matches tells whether an If-None-Match header names the ETag (by weak comparison) or everything.
func Matches(ifNoneMatch, etag string) bool {
	if strings.TrimSpace(ifNoneMatch) == "*" {
		return true
	}
	opaque := strings.TrimPrefix(etag, "W/")
	for _, found := range tagText.FindAllStringSubmatch(latin1(ifNoneMatch), -1) {
		if `"`+found[2]+`"` == opaque {
			return true
		}
	}
	return false
}

// RequiredVersion is the version that an If-Match header asks for; "" for *, which any version satisfies. A weak tag counts as well: tags here
// name versions of an entity, and proxies that compress weaken what they pass on.
func RequiredVersion(ifMatch string) (string, *problem.Problem) {
	value := strings.TrimSpace(ifMatch)
	if value == "*" {
		return "", nil
	}
	found := tagText.FindStringSubmatch(latin1(value))
	if found == nil || found[0] != latin1(value) || found[2] == "" {
		return "", problem.New(contract.ReasonMalformedRequest, `If-Match must be one ETag in quotes, such as "5", or *`)
	}
	return found[2], nil
}

// latin1 reads each byte of a header as a character, as the pattern wants them.
func latin1(header string) string {
	for index := range len(header) {
		if header[index] >= 0x80 {
			runes := make([]rune, len(header))
			for at := range len(header) {
				runes[at] = rune(header[at])
			}
			return string(runes)
		}
	}
	return header
}
