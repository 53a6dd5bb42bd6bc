package gateway

import (
	"net/http"
	"strconv"
	"time"

	"tricorn/gateway/exchange"
)

// answerWriter adds to each answer what all answers carry, at the moment its head is sent. Answers of mounts go out bare, failures to reach them do
// not.
type answerWriter struct {
	http.ResponseWriter
	gateway  *gateway
	exchange *exchange.Exchange
	request  *http.Request
	bare     bool
	began    bool
}

// WriteHeader sends the head.
func (w *answerWriter) WriteHeader(status int) {
	if w.began {
		return
	}
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.began = true
		w.exchange.Status = status
	}
	header := w.Header()
	if !w.bare || w.exchange.Code != "" {
		w.decorate(header)
	}
	select {
	case <-w.gateway.drained:
		if status != http.StatusSwitchingProtocols {
			header["Connection"] = []string{"close"}
		}
	default:
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) decorate(header http.Header) {
	x := w.exchange
	for name, values := range x.Header {
		header[name] = values
	}
	header["X-Trace-Id"] = []string{x.TraceID}
	header["X-Request-Id"] = header["X-Trace-Id"]
	if x.RequestID != "" {
		header["X-Request-Id"] = []string{x.RequestID}
	}
	header["Server-Timing"] = []string{timing(x)}
	header["X-Content-Type-Options"] = noSniff
	header["X-Frame-Options"] = noFrame
	header["Referrer-Policy"] = noReferrer
	if w.gateway.config.HSTS {
		header["Strict-Transport-Security"] = onlyTLS
	}
	if w.gateway.cors != nil {
		w.gateway.cors.add(w.request, header)
	}
}

var (
	noSniff    = []string{"nosniff"}
	noFrame    = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	onlyTLS    = []string{"max-age=31536000; includeSubDomains"}
)

// timing is Server-Timing: the parts of the time in milliseconds, and all of it.
func timing(x *exchange.Exchange) string {
	text := make([]byte, 0, 64)
	for _, part := range x.Timings {
		text = appendTiming(text, part.Name, part.Took)
		text = append(text, ", "...)
	}
	return string(appendTiming(text, "total", time.Since(x.Started)))
}

func appendTiming(to []byte, name string, took time.Duration) []byte {
	to = append(append(to, name...), ";dur="...)
	return strconv.AppendFloat(to, float64(took)/float64(time.Millisecond), 'f', 2, 64)
}

// Write sends a part of the body.
func (w *answerWriter) Write(part []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(part)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is written so far; gRPC needs it of the writer itself.
func (w *answerWriter) Flush() {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // whoever left does not miss it
}
