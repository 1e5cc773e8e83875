package main

/*
#include <stddef.h>

// Both libraries are linked into this program by the packages that wrap them,
// which keep these to themselves; weak, so that this package links alone too.
__attribute__((weak)) extern void *sqlite3_next_stmt(void *db, void *stmt);
__attribute__((weak)) extern int sqlite3_stmt_status(void *stmt, int op, int reset);
__attribute__((weak)) extern int sqlite3_status64(int op, long long *current, long long *highest,
						     int reset);
__attribute__((weak)) extern size_t ZSTD_sizeof_CCtx(const void *context);

enum { STATUS_MEMORY_USED = 0, STATUS_MALLOC_COUNT = 9, STMTSTATUS_MEMUSED = 99 };

static long long statements_bytes(void *db)
{
	long long bytes = 0;
	void *stmt = NULL;

	while ((stmt = sqlite3_next_stmt(db, stmt)) != NULL)
		bytes += sqlite3_stmt_status(stmt, STMTSTATUS_MEMUSED, 0);
	return bytes;
}

// What SQLite has asked malloc for and not freed: it adds an 8-byte header to each block.
static long long sqlite_heap_blocks(void)
{
	long long count = 0, highest;

	sqlite3_status64(STATUS_MALLOC_COUNT, &count, &highest, 0);
	return count;
}

static long long sqlite_heap_bytes(void)
{
	long long used = 0, highest;

	sqlite3_status64(STATUS_MEMORY_USED, &used, &highest, 0);
	return used + 8 * sqlite_heap_blocks();
}
*/
import "C"

import (
	"context"
	"os"
	"reflect"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/DataDog/zstd"
	sqlite3 "github.com/mattn/go-sqlite3"
)

// truth counts what the leaks leave behind, independently of any profiler.
var truth ledger

type ledger struct {
	contexts, contextBytes atomic.Int64
	strings, stringBytes   atomic.Int64
}

// addContext counts a writer that is about to be forgotten, by zstd's own measure.
func (l *ledger) addContext(w *zstd.Writer) {
	ctx := reflect.ValueOf(w).Elem().FieldByName("ctx").UnsafePointer()
	l.contexts.Add(1)
	l.contextBytes.Add(int64(C.ZSTD_sizeof_CCtx(ctx)))
}

func (l *ledger) addString(bytes int) {
	l.strings.Add(1)
	l.stringBytes.Add(int64(bytes))
}

// leakTruth is one leak's live memory. Bytes are those asked of malloc.
type leakTruth struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Function string `json:"function"` // the Go function whose stacks hold it
	Blocks   string `json:"blocks"`   // what one of Count is
	Count    int64  `json:"count"`
	Bytes    int64  `json:"bytes"`
	Exact    bool   `json:"exact"`
}

type truthReport struct {
	Leaks       []leakTruth `json:"leaks"`
	SqliteHeap  heapTruth   `json:"sqlite_heap"`
	RSSBytes    int64       `json:"rss_bytes"`
	GoHeapBytes uint64      `json:"go_heap_bytes"` // live objects
}

// heapTruth is all that SQLite holds, leaked or not: exact, to compare at interval 1.
type heapTruth struct {
	Blocks int64 `json:"blocks"`
	Bytes  int64 `json:"bytes"`
}

func (s *store) report(ctx context.Context) (truthReport, error) {
	statementBytes, err := s.statementBytes(ctx)
	if err != nil {
		return truthReport{}, err
	}
	return truthReport{
		Leaks: []leakTruth{
			{"statements", "/notes/search", "main.(*store).search", "prepared statements",
				int64(s.statements()), statementBytes, false},
			{"contexts", "/blobs/", "main.compress", "compression contexts", truth.contexts.Load(),
				truth.contextBytes.Load(), true},
			{"strings", "/audit", "main.audit_actor", "strings", truth.strings.Load(),
				truth.stringBytes.Load(), true},
		},
		SqliteHeap:  heapTruth{int64(C.sqlite_heap_blocks()), int64(C.sqlite_heap_bytes())},
		RSSBytes:    rssBytes(),
		GoHeapBytes: goHeapBytes(),
	}, nil
}

// statementBytes asks SQLite what each of the connection's statements holds. It
// counts neither malloc headers nor rounding, hence "not exact".
func (s *store) statementBytes(ctx context.Context) (bytes int64, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(driver any) error {
		db := reflect.ValueOf(driver.(*sqlite3.SQLiteConn)).Elem().FieldByName("db").UnsafePointer()
		bytes = int64(C.statements_bytes(unsafe.Pointer(db)))
		return nil
	})
	return bytes, err
}

func rssBytes() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

func goHeapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
