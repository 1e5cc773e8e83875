// Command duckdb runs a hundred megabytes of third-party C++: joins, sorts,
// JSON and errors thrown through its frames, on its own threads and on those
// from which Go calls it.
package main

import (
	"database/sql"
	"sync"

	_ "github.com/marcboeker/go-duckdb"

	"cgoheap.test/steps"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

//go:noinline
func query(db *sql.DB, text string, args ...any) {
	rows, err := db.Query(text, args...)
	must(err)
	defer rows.Close()
	for rows.Next() {
	}
	must(rows.Err())
}

//go:noinline
func wrong(db *sql.DB, text string) {
	if _, err := db.Exec(text); err == nil {
		panic("no error from " + text)
	}
}

//go:noinline
func work(db *sql.DB, n int) {
	query(db, "SELECT g, count(*), sum(x), list(s)[1:3] FROM t WHERE x % ? < 5 GROUP BY g "+
		"ORDER BY 2 DESC", n+7)
	query(db, "SELECT a.g, max(b.s) FROM t a JOIN t b ON a.x = b.x + ? GROUP BY ALL", n)
	query(db, `SELECT j->>'$.a' FROM (SELECT json_object('a', x, 'b', s) j FROM t LIMIT 100)`)
	query(db, "SELECT s, regexp_replace(s, '[0-9]+', 'n'), row_number() OVER (PARTITION BY g "+
		"ORDER BY s) FROM t LIMIT 50")
	wrong(db, "SELECT nothing FROM t")
	wrong(db, "SELECT CAST('x' || s AS INTEGER) FROM t")
	wrong(db, "SELEC")
}

func main() {
	db, err := sql.Open("duckdb", "?threads=4")
	must(err)
	_, err = db.Exec("CREATE TABLE t AS SELECT range x, range % 100 g, 'text' || range s FROM " +
		"range(100000)")
	must(err)
	var wait sync.WaitGroup
	for i := 0; i < 4; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for n := 0; n < 5; n++ {
				work(db, n)
			}
		}()
	}
	wait.Wait()
	steps.Ready()
	db.Close()
}
