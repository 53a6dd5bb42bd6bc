package gateway

import (
	"net/http"
	"strconv"
	"time"

	"tricorn/gateway/drain"
	"tricorn/gateway/exchange"
)

// answerWriter adds to each answer what all answers carry, at the moment its head is sent. Answers of mounts go out bare, failures to reach them do
// not.
type answerWriter struct {
	http.ResponseWriter
	gateway  *gateway
	exchange *exchange.Exchange
	request  *http.Request
	conn     *drain.Conn // takes what all answers carry; nil: the header does
	bare     bool
	began    bool
	values   [3]string // of headers that each answer has its own of
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
	if body, ok := w.request.Body.(*watchedBody); ok && w.request.ProtoMajor == 1 && body.broke() {
		header["Connection"] = closing
	}
	select {
	case <-w.gateway.drained:
		if status != http.StatusSwitchingProtocols {
			header["Connection"] = closing
		}
	default:
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) decorate(header http.Header) {
	if w.gateway.cors != nil {
		w.gateway.cors.add(w.request, header)
	}
	x := w.exchange
	requestID := x.RequestID
	if requestID == "" {
		requestID = x.TraceID
	}
	if w.conn != nil && w.began && !w.bare {
		lines := append(append(w.conn.Head(), "X-Trace-Id: "...), x.TraceID...)
		lines = append(append(lines, "\r\nX-Request-Id: "...), requestID...)
		lines = appendTimings(append(lines, "\r\nServer-Timing: "...), x)
		lines = append(lines, "\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"...)
		if w.gateway.config.HSTS {
			lines = append(append(append(lines, "Strict-Transport-Security: "...), onlyTLS[0]...), "\r\n"...)
		}
		w.conn.SetHead(append(lines, x.Lines...))
		return
	}
	var room [64]byte
	w.values = [...]string{x.TraceID, requestID, string(appendTimings(room[:0], x))}
	header["X-Trace-Id"] = w.values[0:1:1]
	header["X-Request-Id"] = w.values[1:2:2]
	header["Server-Timing"] = w.values[2:3:3]
	header["X-Content-Type-Options"] = noSniff
	header["X-Frame-Options"] = noFrame
	header["Referrer-Policy"] = noReferrer
	if w.gateway.config.HSTS {
		header["Strict-Transport-Security"] = onlyTLS
	}
}

var (
	noSniff    = []string{"nosniff"}
	noFrame    = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	onlyTLS    = []string{"max-age=31536000; includeSubDomains"}
	closing    = []string{"close"}
)

// appendTimings writes Server-Timing: the parts of the time in milliseconds, and all of it.
func appendTimings(to []byte, x *exchange.Exchange) []byte {
	for _, part := range x.Timings {
		to = append(appendTiming(to, part.Name, part.Took), ", "...)
	}
	return appendTiming(to, "total", time.Since(x.Started))
}

func appendTiming(to []byte, name string, took time.Duration) []byte {
	const step = 10 * time.Microsecond
	hundredths := (max(took, 0) + step/2) / step
	to = append(append(to, name...), ";dur="...)
	to = strconv.AppendInt(to, int64(hundredths/100), 10)
	return append(to, '.', byte('0'+hundredths/10%10), byte('0'+hundredths%10))
}

// piece is what a client must take within Limits.WriteTime.
const piece = 64 << 10

// Write sends a part of the body. On HTTP/1 the connection sees to it that the client takes it in time; on HTTP/2 the client says of each answer
// how much it takes, so each has its time.
func (w *answerWriter) Write(part []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.request.ProtoMajor != 2 {
		return w.ResponseWriter.Write(part)
	}
	for written := 0; ; {
		w.allow(time.Now().Add(w.gateway.config.Limits.WriteTime))
		n, err := w.ResponseWriter.Write(part[written:min(len(part), written+piece)])
		written += n
		if err != nil || written == len(part) {
			return written, err
		}
	}
}

// allow says until when what is written may wait for the client; the zero time: there is nothing.
func (w *answerWriter) allow(until time.Time) {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(until) // whoever left does not miss it
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is written so far; gRPC needs it of the writer itself.
func (w *answerWriter) Flush() {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // whoever left does not miss it
	if w.request.ProtoMajor == 2 {
		w.allow(time.Time{})
	}
}
