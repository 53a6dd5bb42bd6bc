package bare

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestEveryRequestGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "answer.json")
	if err := os.WriteFile(path, []byte(`{"headers": {"ETag": "\"1\""}, "body": "{}"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	answer, err := ReadAnswer(path)
	if err != nil {
		t.Fatal(err)
	}
	written := httptest.NewRecorder()

	Handler(answer).ServeHTTP(written, httptest.NewRequestWithContext(t.Context(), "GET", "/anything", nil))

	if written.Body.String() != "{}" || written.Header().Get("ETag") != `"1"` || written.Header().Get("Content-Length") != "2" {
		t.Errorf("%v %s", written.Header(), written.Body)
	}
}
