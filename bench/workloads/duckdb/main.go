// Command duckdb runs N rounds of three queries over 50,000 rows: an aggregate, a join, JSON.
package main

import (
	"database/sql"

	_ "github.com/marcboeker/go-duckdb"

	"cgoheap.test/workloads/work"
)

//go:noinline
func query(db *sql.DB, text string, args ...any) {
	rows, err := db.Query(text, args...)
	work.Must(err)
	defer rows.Close()
	for rows.Next() {
	}
	work.Must(rows.Err())
}

//go:noinline
func create(db *sql.DB) {
	_, err := db.Exec("CREATE TABLE t AS SELECT range x, range % 100 g, 'text' || range s " +
		"FROM range(50000)")
	work.Must(err)
}

func main() {
	db, err := sql.Open("duckdb", "?threads=1")
	work.Must(err)
	n := work.Begin()
	create(db)
	for i := 0; i < n; i++ {
		query(db, "SELECT g, count(*), list(s)[1:3] FROM t WHERE x % ? < 5 GROUP BY g", i+7)
		query(db, "SELECT a.g, max(b.s) FROM t a JOIN t b ON a.x = b.x + ? GROUP BY ALL", i)
		query(db, "SELECT j->>'$.b' FROM (SELECT json_object('a', x, 'b', s) j FROM t LIMIT 5000)")
	}
	work.End()
	work.Must(db.Close())
}
