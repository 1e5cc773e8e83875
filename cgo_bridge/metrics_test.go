package cgo_bridge

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	if !Loaded() {
		t.Skip(ErrNotPreloaded)
	}
	var page bytes.Buffer
	if err := Metrics(context.Background(), &page); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"# TYPE cgoheap_memory_bytes gauge\n",
		"\ncgoheap_build_info{version=\"" + Version + "\"} 1\n"} {
		if !strings.Contains(page.String(), line) {
			t.Errorf("no %q in\n%s", line, &page)
		}
	}
}

func TestMetricsEndWithContext(t *testing.T) {
	if !Loaded() {
		t.Skip(ErrNotPreloaded)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var page bytes.Buffer
	if err := Metrics(ctx, &page); !errors.Is(err, context.Canceled) || page.Len() != 0 {
		t.Errorf("%v after %d bytes", err, page.Len())
	}
}

func TestMetricsWithoutLibrary(t *testing.T) {
	if Loaded() {
		t.Skip("libcgoheap.so is here")
	}
	var page bytes.Buffer
	if err := Metrics(context.Background(), &page); !errors.Is(err, ErrNotPreloaded) ||
		page.Len() != 0 {
		t.Errorf("%v after %d bytes", err, page.Len())
	}
}
