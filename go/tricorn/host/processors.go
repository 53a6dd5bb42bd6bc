package host

import (
	"os"
	"runtime"
)

// keepToHalf has goroutines run on half of the processors at most, unless GOMAXPROCS says what the operator wants.
func keepToHalf() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(halfOf(runtime.GOMAXPROCS(0)))
	}
}

func halfOf(processors int) int { return max(1, processors/2) }
