package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/negotiate"
	"tricorn/gateway/problem"
	"tricorn/gateway/transcode"
	"tricorn/wire"
)

const (
	authority = "Authorization, Accept-Encoding"
	encoding  = "Accept-Encoding"
	// clientAddress is the name under which a call's metadata says from which address it came, where its answer is not shared.
	clientAddress = "client-address"
	firstRoom     = 64 << 10
	// largeAnswer is from which size on an answer is left to net/http, which sends it from the cache's memory: another holds it twice until the
	// client has taken it.
	largeAnswer = 64 << 10
)

var gzipped = []string{"gzip"}

// errClientGone says that nobody waits for the answer any more.
var errClientGone = errors.New("the client went away")

// endpoint serves one route of one method: what is asked, the call, the answer. Who may ask, and how often, guards have decided before.
type endpoint struct {
	binding *transcode.Binding
	policy  *contract.Policy
	backend *backend
	limits  *Limits
	drained <-chan struct{}
	// versionField takes If-Match; "" where nothing depends on it.
	versionField string
	answerTag    protoreflect.FieldDescriptor
	cacheControl string
	vary         string // "": nothing
	// keyBegins is what the keys of all cached answers of this route begin with: the form of the answer.
	keyBegins string
	// plain is the request of whoever says nothing but who they are; nobody changes it. nil: the path alone says more.
	plain proto.Message
}

func newEndpoint(binding *transcode.Binding, backend *backend, limits *Limits, drained <-chan struct{}) *endpoint {
	policy := binding.Policy
	e := &endpoint{binding: binding, policy: policy, backend: backend, limits: limits, drained: drained}
	if !policy.Safe {
		e.versionField = policy.RequestEtagField
	}
	if policy.ResponseEtagField != "" {
		e.answerTag = policy.Descriptor.Output().Fields().ByName(protoreflect.Name(policy.ResponseEtagField))
	}
	e.cacheControl, e.vary = caching(policy)
	e.keyBegins = binding.Route.ResponseBody + "\x00"
	if len(binding.Template.Variables) == 0 {
		e.plain = policy.NewRequest()
	}
	return e
}

// caching gives Cache-Control and Vary of a method's good answers.
func caching(policy *contract.Policy) (string, string) {
	personal := policy.Level != contract.Public || (policy.Cache != nil && policy.Cache.VaryUser)
	vary := encoding
	if personal {
		vary = authority
	}
	switch {
	case !policy.Safe || holdsSecrets(policy.Descriptor.Output(), map[protoreflect.FullName]bool{}):
		return "no-store", ""
	case policy.Cache != nil && !personal:
		return "public, max-age=" + strconv.Itoa(int(policy.Cache.TTL.Seconds())), vary
	}
	return "private, no-cache", vary
}

func holdsSecrets(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	for index := range message.Fields().Len() {
		field := message.Fields().Get(index)
		if contract.Field(field).GetSecret() || (field.Message() != nil && holdsSecrets(field.Message(), seen)) {
			return true
		}
	}
	return false
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	found := e.checkForm(r)
	if found == nil {
		var body []byte
		if body, found = e.readBody(r); found == nil {
			found = e.answer(w, r, x, body)
		}
	}
	if found != nil {
		x.Refuse(w, r, found)
	}
}

func hasBody(r *http.Request) bool { return r.ContentLength != 0 }

func (e *endpoint) checkForm(r *http.Request) *problem.Problem {
	if accept := r.Header["Accept"]; len(accept) > 0 && !e.binding.AnswersRawBody {
		mediaType := negotiate.JSON
		if e.policy.ServerStreaming {
			mediaType = negotiate.EventStream
		}
		if said := strings.Join(accept, ", "); said == "" || !negotiate.Accepts(said, mediaType) {
			return problem.New(contract.ReasonNotAcceptable, "the answer comes as "+mediaType+" only")
		}
	}
	if !hasBody(r) || !e.binding.TakesBody {
		return nil
	}
	if found := negotiate.CheckContentEncoding(strings.Join(r.Header["Content-Encoding"], ", ")); found != nil {
		return found
	}
	if e.binding.TakesRawBody {
		return nil
	}
	return negotiate.CheckContentType(r.Header.Get("Content-Type"))
}

// readBody reads the whole body, within its size (413, whatever length was announced) and the time that the server gives it (408).
func (e *endpoint) readBody(r *http.Request) ([]byte, *problem.Problem) {
	if !hasBody(r) {
		return nil, nil
	}
	if r.ContentLength > e.limits.Body {
		return nil, problem.BodyTooLarge(e.limits.Body)
	}
	body, err := readAll(io.LimitReader(r.Body, e.limits.Body+1), r.ContentLength)
	switch {
	case int64(len(body)) > e.limits.Body:
		return nil, problem.BodyTooLarge(e.limits.Body)
	case err == nil:
		return body, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		detail := "the body did not come within " + strconv.FormatFloat(e.limits.BodyTime.Seconds(), 'g', -1, 64) + " s"
		return nil, problem.New(contract.ReasonDeadlineExceeded, detail).
			WithStatus(http.StatusRequestTimeout).WithHeader("Connection", "close")
	}
	return nil, problem.New(contract.ReasonMalformedRequest, "the body broke off or is not what its headers say").
		WithHeader("Connection", "close")
}

// readAll is io.ReadAll for a body whose length may be known. Room is made for a small one at once, for a large one as it comes: to announce it
// costs a client nothing.
func readAll(from io.Reader, announced int64) ([]byte, error) {
	if announced <= 0 {
		return io.ReadAll(from)
	}
	body := make([]byte, 0, min(announced, firstRoom)+1)
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return body, err
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

func (e *endpoint) answer(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, body []byte) *problem.Problem {
	message, found := e.message(r, x, body)
	if found != nil {
		return found
	}
	if e.policy.ServerStreaming {
		return e.stream(w, r, x, message)
	}
	began := time.Now()
	answer, age, err := e.call(r, x, message)
	x.Took("call", time.Since(began))
	switch {
	case errors.Is(err, errClientGone):
		x.Status, x.Code = statusClientGone, contract.ReasonCancelled
		return nil
	case err != nil:
		return e.failure(r, err)
	}
	e.write(w, r, x, answer, age)
	return nil
}

func (e *endpoint) failure(r *http.Request, err error) *problem.Problem {
	refusal := wire.FromError(err)
	if contract.Entry(refusal.Reason).Name == contract.ReasonInternal {
		log.ErrorContext(r.Context(), "a request failed", "method", e.policy.FullName, "error", err)
	}
	return problem.FromRefusal(refusal, e.policy.Descriptor.Input())
}

// message makes the request message from all that the client sent.
func (e *endpoint) message(r *http.Request, x *exchange.Exchange, body []byte) (proto.Message, *problem.Problem) {
	if len(body) > 0 && !e.binding.TakesBody {
		return nil, malformed(transcode.NewMalformed("this takes no body"))
	}
	var room [2]transcode.HeaderField
	headers := room[:0]
	if keys := r.Header["Idempotency-Key"]; len(keys) > 0 && e.policy.IdempotencyKeyField != "" {
		if !isVisible(keys[0]) {
			return nil, malformed(transcode.NewMalformed("the header Idempotency-Key must be visible ASCII"))
		}
		headers = append(headers, transcode.HeaderField{
			Field: e.policy.IdempotencyKeyField, Header: "Idempotency-Key", Value: keys[0],
		})
	}
	if conditions := r.Header["If-Match"]; len(conditions) > 0 && !e.policy.Safe {
		if e.versionField == "" {
			return nil, malformed(transcode.NewMalformed("this cannot be made to depend on If-Match"))
		}
		version, found := negotiate.RequiredVersion(conditions[0])
		if found != nil {
			return nil, found
		}
		if version != "" {
			headers = append(headers, transcode.HeaderField{Field: e.versionField, Header: "If-Match", Value: version})
		}
	}
	query := rawQuery(r)
	if e.plain != nil && query == "" && len(body) == 0 && len(headers) == 0 {
		return e.plain, nil
	}
	contentType := ""
	if e.binding.TakesRawBody {
		contentType = r.Header.Get("Content-Type")
	}
	message, bad := e.binding.Request(x.Segments, query, body, contentType, headers)
	if bad != nil {
		return nil, malformed(bad)
	}
	return message, nil
}

func malformed(bad *transcode.Malformed) *problem.Problem {
	made := problem.New(contract.ReasonMalformedRequest, bad.Error())
	if name := bad.Field(); name != "" {
		made.Violations = []contract.Violation{{Field: name, Rule: "json", Message: bad.Message}}
	}
	return made
}

func isVisible(text string) bool {
	for index := range len(text) {
		if text[index] < 0x20 || text[index] > 0x7e {
			return false
		}
	}
	return text != ""
}

// call asks the cache where answers may be reused, else the backend.
func (e *endpoint) call(r *http.Request, x *exchange.Exchange, message proto.Message) (*exchange.Answer, time.Duration, error) {
	age := time.Duration(-1)
	var answer *exchange.Answer
	var err error
	if cache := e.backend.cache; e.policy.Cache != nil && e.policy.Safe && cache != nil {
		key, keyErr := e.cacheKey(message)
		if keyErr != nil {
			return nil, age, keyErr
		}
		// The question goes on when its client leaves, and so does the request: it counts among what is in hand until then.
		x.Repeats = true
		answer, age, err = cache.Fetch(context.WithoutCancel(r.Context()), x, key, func(ctx context.Context) (*exchange.Answer, error) {
			return e.ask(ctx, x.Identity, nil, message)
		})
	} else {
		answer, err = e.ask(r.Context(), x.Identity, map[string]string{clientAddress: x.Client}, message)
		if !e.policy.Safe {
			e.backend.wrote(x)
		}
	}
	if err != nil && r.Context().Err() != nil {
		return nil, age, errClientGone
	}
	return answer, age, err
}

func (e *endpoint) ask(
	ctx context.Context, identity *wire.Identity, about map[string]string, message proto.Message,
) (*exchange.Answer, error) {
	answer, err := e.backend.call(ctx, e.policy, identity, about, message)
	if err != nil {
		return nil, err
	}
	made := &exchange.Answer{}
	if e.answerTag != nil {
		made.ETag = negotiate.QuoteETag(answer.ProtoReflect().Get(e.answerTag).String())
	}
	if e.policy.Status != http.StatusNoContent {
		made.Body, made.ContentType, err = e.binding.Answer(answer)
	}
	return made, err
}

// cacheKey holds the form of the answer, and the fields that the answer depends on.
func (e *endpoint) cacheKey(message proto.Message) (string, error) {
	if message == e.plain {
		return e.keyBegins, nil
	}
	if fields := e.policy.Cache.Fields; len(fields) > 0 {
		whole := message.ProtoReflect()
		kept := whole.New()
		for _, name := range fields {
			if field := whole.Descriptor().Fields().ByName(protoreflect.Name(name)); field != nil && whole.Has(field) {
				kept.Set(field, whole.Get(field))
			}
		}
		message = kept.Interface()
	}
	packed, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(append(make([]byte, 0, 64), e.keyBegins...), message)
	return string(packed), err
}

func (e *endpoint) write(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, answer *exchange.Answer, age time.Duration) {
	x.Say(w, "Cache-Control", e.cacheControl)
	if e.vary != "" {
		x.Say(w, "Vary", e.vary)
	}
	if age >= 0 {
		x.SayNumber(w, "Age", int(age.Seconds()))
	}
	if answer.ETag != "" {
		x.Say(w, "Etag", answer.ETag)
		if conditions := r.Header["If-None-Match"]; len(conditions) > 0 && e.policy.Safe &&
			negotiate.Matches(strings.Join(conditions, ", "), answer.ETag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if e.policy.Status == http.StatusNoContent {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, header := answer.Body, w.Header()
	contentType, length := answer.Headers()
	header["Content-Type"] = contentType
	if len(body) >= e.limits.GzipFrom && negotiate.AcceptsGzip(strings.Join(r.Header["Accept-Encoding"], ", ")) {
		body = answer.Packed(negotiate.Gzip)
		header["Content-Encoding"] = gzipped
		length = []string{strconv.Itoa(len(body))}
	}
	if len(body) > largeAnswer {
		x.Repeats = false
	}
	header["Content-Length"] = length
	w.WriteHeader(e.policy.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever left does not miss it
	}
}
