package attach

import (
	"fmt"
	"net/netip"
	"testing"
)

const tcpTable = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt" +
	"   uid  timeout inode\n" +
	"   0: 0100007F:17AD 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 101 1 0\n" +
	"   1: 0100007F:17AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 102 1 0\n" +
	"   2: 0100007F:17AF 0100007F:17AD 01 00000000:00000000 00:00000000 00000000 0 0 103 1 0\n" +
	"   3: 0200007F:17B0 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 104 1 0\n" +
	"   4: 0100007F:17B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 105 1 0\n" +
	"   5: nonsense\n"

// Only what the process itself listens on counts, the highest descriptor first.
func TestListeningIn(t *testing.T) {
	owned := map[string]int{"101": 3, "102": 200, "103": 4, "104": 201}
	for listen, want := range map[string]string{
		"127.0.0.1:6061": "[127.0.0.1:6061]",
		"127.0.0.1:0":    "[127.0.0.1:6062 127.0.0.1:6061]",
		"127.0.0.2:0":    "[127.0.0.2:6064]",
		"127.0.0.1:6063": "[]", // connected, not listening
		"127.0.0.1:6065": "[]", // another process's
	} {
		got := listeningIn(tcpTable, netip.MustParseAddrPort(listen), owned)
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", listen, got, want)
		}
	}
}
