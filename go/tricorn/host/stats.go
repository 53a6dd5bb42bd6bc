package host

import (
	"cmp"
	"context"
	"os"
	"slices"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
)

// statistics answers for this process.
type statistics struct {
	tricornv1.UnimplementedStatsServiceServer
	host    *Host
	started time.Time
}

// GetProcessStats gives this process's own counters, and those of the calls that it asked of implementations elsewhere.
func (s *statistics) GetProcessStats(
	context.Context, *tricornv1.GetProcessStatsRequest,
) (*tricornv1.ProcessStats, error) {
	return &tricornv1.ProcessStats{
		Process:    s.host.Process,
		Pid:        int64(os.Getpid()),
		StartTime:  timestamppb.New(s.started),
		Services:   s.services(),
		CpuSeconds: cpuSeconds(),
	}, nil
}

func (s *statistics) services() []*tricornv1.ServiceStats {
	type name struct{ service, implementation string }
	found := map[name]*tricornv1.ServiceStats{}
	of := func(service, implementation string) *tricornv1.ServiceStats {
		key := name{service, implementation}
		if found[key] == nil {
			found[key] = &tricornv1.ServiceStats{Service: service, Implementation: implementation}
		}
		return found[key]
	}
	hosted := map[string]bool{}
	for _, service := range s.host.Service.Services() {
		hosted[service] = true
		of(service, s.host.Service.Implementation())
	}
	for _, each := range s.host.Stats.Snapshot() {
		if hosted[each.Service] { // what a gateway counts by route is no contract's
			fill(of(each.Service, each.Implementation), each)
		}
	}
	for _, each := range s.host.Asked.Snapshot() {
		fill(of(each.Service, each.Implementation), each)
	}
	for each, calls := range s.host.Asked.Fallbacks() {
		of(serviceOf(each.Method), each.Implementation).Fallbacks += calls
	}
	made := make([]*tricornv1.ServiceStats, 0, len(found))
	for _, each := range found {
		made = append(made, each)
	}
	slices.SortFunc(made, func(a, b *tricornv1.ServiceStats) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetImplementation(), b.GetImplementation()))
	})
	return made
}

func fill(to *tricornv1.ServiceStats, figures telemetry.Figures) {
	to.Calls, to.Errors = figures.Calls, figures.Errors
	to.MeanMilliseconds, to.P99Milliseconds = figures.Mean, figures.P99
}

// cpuSeconds are those of the process since its start, user and system.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func seconds(time syscall.Timeval) float64 { return float64(time.Sec) + float64(time.Usec)/1e6 }
