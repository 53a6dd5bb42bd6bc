package prove

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tricorn/wire"
)

const (
	ordersFile    = "orders.json"
	ordersVersion = 1
)

// recording is an order to record calls of a contract, as tricorn.prove.orders writes it. It ends by itself.
type recording struct {
	ID       string   `json:"id"`
	Contract string   `json:"contract"`
	Methods  []string `json:"methods"`
	Sample   int      `json:"sample"`
	Until    float64  `json:"until"`
}

func (r *recording) wants(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method)
}

// ends is the time from which on nothing is recorded.
func (r *recording) ends() time.Time { return time.UnixMicro(int64(r.Until * 1e6)) }

func watchRecordings(home string) *wire.Watched[[]recording] {
	return wire.Watch(filepath.Join(home, folder, ordersFile), parseRecordings, []recording{})
}

func parseRecordings(text []byte) ([]recording, error) {
	var said struct {
		Version    int         `json:"version"`
		Recordings []recording `json:"recordings"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, fmt.Errorf("not a file of orders: %w", err)
	}
	if said.Version != ordersVersion {
		return nil, fmt.Errorf("version %d is expected, not %d", ordersVersion, said.Version)
	}
	return said.Recordings, nil
}
