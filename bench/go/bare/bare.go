// Package bare is the least that can answer like a gateway: a net/http handler that writes bytes it was given.
package bare

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
)

// Answer is what every request gets.
type Answer struct {
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// ReadAnswer reads it from a file of JSON.
func ReadAnswer(path string) (*Answer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	answer := &Answer{}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("reading the answer %s: %w", path, err)
	}
	return answer, nil
}

// Handler writes the answer, whatever is asked.
func Handler(answer *Answer) http.Handler {
	body := []byte(answer.Body)
	length := strconv.Itoa(len(body))
	return http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		header := writer.Header()
		for name, value := range answer.Headers {
			header.Set(name, value)
		}
		header.Set("Content-Length", length)
		_, _ = writer.Write(body) // whoever has gone needs no answer
	})
}
