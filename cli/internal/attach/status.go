package attach

import (
	"encoding/json"
	"fmt"
	"net/http"

	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/termtext"
)

// Status is the answer to /v1/status.  A figure that the library does not know is nil.
type Status struct {
	Version               string    `json:"version"`
	PID                   int       `json:"pid"`
	State                 string    `json:"state"`
	SampleBytes           uint64    `json:"sample_bytes"`
	RemainingNS           *int64    `json:"sampling_remaining_ns"`
	ConfiguredSampleBytes uint64    `json:"configured_sample_bytes"`
	Overhead              *Overhead `json:"overhead"` // nil: an older library
	OnNS                  *int64    `json:"on_ns"`    // without a break; nil: off
	OffNS                 int64     `json:"off_ns"`   // since the start, in all
	UptimeNS              int64     `json:"uptime_ns"`
	StartTime             string    `json:"start_time"`
	Samples               samples   `json:"samples"`
	Dropped               map[string]uint64
	Stacks                stackCounts `json:"stacks"`
	Memory                struct {
		ResidentBytes uint64 `json:"resident_bytes"`
		MaxBytes      uint64 `json:"max_bytes"`
	} `json:"memory"`
	Threads       int    `json:"threads"`
	ThreadsMissed uint64 `json:"threads_missed"` // whose stacks are not recorded
	Host          struct {
		GoVersion  string  `json:"go_version"`
		Allocator  string  `json:"allocator"`
		Executable string  `json:"executable"`
		Unknown    *string `json:"unknown_functions"`
	} `json:"host"`
	Socket  *string `json:"socket"`
	TCPPort *int    `json:"tcp_port"`
}

type samples struct {
	Taken uint64 `json:"taken"`
	Live  uint64 `json:"live"`
}

type stackCounts struct {
	Distinct  uint64            `json:"distinct"`
	Sites     uint64            `json:"sites"`
	Complete  uint64            `json:"complete"`
	Truncated uint64            `json:"truncated"`
	ByEnd     map[string]uint64 `json:"by_end"`
	NoRoom    uint64            `json:"no_room"`
}

// Status asks for /v1/status.
func (c *Client) Status() (*Status, error) {
	body, err := c.Request(http.MethodGet, "/v1/status", nil, StatusTimeout, MaxStatusBytes)
	if err != nil {
		return nil, err
	}
	s := &Status{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%s answers on its socket, "+
			"but not as a library that this cgoheap %s knows: %s",
			c.Process.Title(), release.Version, termtext.Escape(err.Error()))
	}
	return s, nil
}

// Overhead is what recording costs, as the library measures it.
type Overhead struct {
	CPURatio    float64  `json:"cpu_ratio"`     // of one core, in the last second
	MaxCPURatio *float64 `json:"max_cpu_ratio"` // nil: no bound at interval 1
	CPUNS       int64    `json:"cpu_ns"`        // since it started
	RaisedFor   *string  `json:"raised_for"`    // what the interval is doubled for: "cpu", "memory"
}

// IsUnbounded says that every allocation is recorded, without an end: no bound on processor
// time makes that interval coarser.
func (s *Status) IsUnbounded() bool {
	return s.State == "sampling" && s.SampleBytes == 1 &&
		(s.RemainingNS == nil || *s.RemainingNS == 0)
}

// MissedFree is listed with the dropped samples but counts frees that were missed: the record
// of a block is replaced when its address is allocated again.
const MissedFree = "stale"

// DroppedSamples does not count labels either: those samples exist, without labels.
func (s *Status) DroppedSamples() uint64 {
	var sum uint64
	for reason, n := range s.Dropped {
		if reason != "labels" && reason != MissedFree {
			sum += n
		}
	}
	return sum
}
