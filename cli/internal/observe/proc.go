package observe

import (
	"os"
	"strconv"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/series"
)

// Lines of /proc/PID/status, which the kernel has at hand: no page table is walked for them.
var statusFigures = map[string]string{
	"VmRSS": series.RSS, "VmSize": series.VMSize, "VmData": series.VMData, "VmStk": series.VMStack,
	"RssAnon": series.RSSAnon, "RssFile": series.RSSFile, "RssShmem": series.RSSShmem,
	"VmSwap": series.Swap, "Threads": series.Threads,
}

// readStatus adds what the text has.  False: the process is ending, and has no memory.
func readStatus(text []byte, r *series.Row) bool {
	alive := true
	attach.EachField(text, func(key, _ string, fields []string) {
		if key == "State" && (fields[0] == "Z" || fields[0] == "X") {
			alive = false
		}
		name, wanted := statusFigures[key]
		if !wanted {
			return
		}
		n, err := strconv.ParseUint(fields[0], 10, 53)
		if err != nil {
			return
		}
		if len(fields) > 1 && fields[1] == "kB" {
			n *= 1024
		}
		r.Set(name, float64(n))
	})
	return alive
}

// fileID tells programs apart, whatever their names are.
func fileID(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}
