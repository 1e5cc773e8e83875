// Command duckdb answers the same kinds of questions over and over, each with other figures, and
// replaces a table by its successor of the same size.
package main

import (
	"database/sql"
	"fmt"
	"time"

	_ "github.com/marcboeker/go-duckdb"

	"cgoheap.test/false-leaks/steady"
)

//go:noinline
func query(db *sql.DB, text string, args ...any) {
	rows, err := db.Query(text, args...)
	steady.Must(err)
	defer rows.Close()
	for rows.Next() {
	}
	steady.Must(rows.Err())
}

//go:noinline
func replace(db *sql.DB, i int) {
	_, err := db.Exec(fmt.Sprintf("CREATE OR REPLACE TABLE t AS SELECT range x, range %% 100 g, "+
		"'text' || (range + %d) s FROM range(50000)", i))
	steady.Must(err)
}

//go:noinline
func work(db *sql.DB, i int) {
	if i%60 == 0 {
		replace(db, i)
	}
	switch i % 3 {
	case 0:
		query(db, "SELECT g, count(*), list(s)[1:3] FROM t WHERE x % ? < 5 GROUP BY g", i%50+7)
	case 1:
		query(db, "SELECT a.g, max(b.s) FROM t a JOIN t b ON a.x = b.x + ? GROUP BY ALL", i%50)
	case 2:
		query(db, "SELECT j->>'$.b' FROM (SELECT json_object('a', x, 'b', s) j FROM t LIMIT 5000)")
	}
}

func main() {
	db, err := sql.Open("duckdb", "?threads=2&memory_limit=256MB")
	steady.Must(err)
	steady.Run(500*time.Millisecond, func() {
		replace(db, 0)
		for i := 1; i <= 30; i++ {
			work(db, i)
		}
	}, func(i int) { work(db, i) })
	steady.Must(db.Close())
}
