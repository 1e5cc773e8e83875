package fakeshim

import (
	"fmt"
	"io"
	"net/http"
)

// answerEvents sends some of each kind, and ends as the part says.
func (f *Shim) answerEvents(w http.ResponseWriter, r *http.Request) {
	if f.part == "busy events" {
		http.Error(w, "2 clients read events already: retry when one has ended", 503)
		return
	}
	line := func(kind, more string) {
		fmt.Fprintf(w, `{"kind":%q,"wall":"2026-11-30T07:13:11.327596564Z",`+
			`"mono_ns":28207109803403,`+"%s}\n", kind, more)
	}
	block := `"thread":4243,"address":"0x5000","size":1000,"estimated_bytes":524788,` +
		`"stack":"00000000000000aa"`
	line("start", fmt.Sprintf(`"schema":"cgoheap.events/1","query":%q`, r.URL.RawQuery))
	line("sampling", `"state":"sampling","sample_bytes":524288`)
	line("stack", `"stack":"00000000000000aa","frames":[{"function":"malloc"},`+
		`{"function":"parse\u001b[1m"},`+
		`{"function":"main._Cfunc_parse"},{"function":"main.load","file":"load.go","line":7},`+
		`{"function":null,"address":"0x7f00","module":null}]`)
	line("alloc", block)
	line("alloc", block+`,"again":true`)
	line("free", block+`,"age_ns":300000000`)
	line("free", `"thread":1,"size":8,"estimated_bytes":8,"stack":"00000000000000bb","age_ns":0`)
	line("gc", `"cycles":2,"cycles_total":9,"pause_ns":120500,"heap_live_bytes":4194304,`+
		`"heap_goal_bytes":8388608`)
	line("gc", `"cycles":null,"pause_ns":null,"heap_live_bytes":null,"heap_goal_bytes":null`)
	line("account", `"account":{"rss_bytes":104857600}`)
	line("lost", `"count":12345`)
	line("sampling", `"state":"dormant","sample_bytes":524288`)
	line("of a later version", `"x":1`)
	switch f.part {
	case "events cut":
		io.WriteString(w, `{"kind":"end","wall":"2026`)
	default:
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the client has ended its sending
		line("end", `"reason":"asked"`)
	}
}
