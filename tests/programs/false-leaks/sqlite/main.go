// Command sqlite is a service over a database that is larger than SQLite's page caches: rows come
// and go, their number stays. Connections live for three minutes, as a pool is often told.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"cgoheap.test/false-leaks/steady"
)

const (
	rows        = 40_000
	connections = 4
)

//go:noinline
func open(dir string) *sql.DB {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "db")+
		"?_journal_mode=WAL&_synchronous=OFF&_busy_timeout=10000")
	steady.Must(err)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(3 * time.Minute)
	_, err = db.Exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT)`)
	steady.Must(err)
	return db
}

// insert adds rows from..to and removes as many old ones.
//
//go:noinline
func insert(db *sql.DB, from, to int) {
	tx, err := db.Begin()
	steady.Must(err)
	defer tx.Rollback()
	add, err := tx.Prepare(`INSERT INTO t(id, name, body) VALUES(?, ?, ?)`)
	steady.Must(err)
	defer add.Close()
	for i := from; i < to; i++ {
		_, err := add.Exec(i, fmt.Sprintf("name %d", i), strings.Repeat("body ", 60+i%40))
		steady.Must(err)
	}
	_, err = tx.Exec(`DELETE FROM t WHERE id < ?`, to-rows)
	steady.Must(err)
	steady.Must(tx.Commit())
}

//go:noinline
func find(db *sql.DB, id int) {
	var body string
	err := db.QueryRow(`SELECT body FROM t WHERE name = ?`, fmt.Sprintf("name %d", id)).Scan(&body)
	steady.Must(err)
}

//go:noinline
func report(db *sql.DB, i int) {
	found, err := db.Query(`SELECT id % 100, count(*), max(body) FROM t WHERE id % 7 = ?
		GROUP BY 1 ORDER BY 3`, i%7)
	steady.Must(err)
	defer found.Close()
	for found.Next() {
	}
	steady.Must(found.Err())
}

func main() {
	dir, err := os.MkdirTemp("", "sqlite-")
	steady.Must(err)
	defer os.RemoveAll(dir)
	db := open(dir)
	last := 0
	work := func(i int) {
		insert(db, last, last+20)
		last += 20
		var all sync.WaitGroup
		for c := 0; c < connections; c++ {
			all.Add(1)
			go func(c int) {
				defer all.Done()
				for n := 0; n < 10; n++ {
					find(db, last-1-(i*7919+n*104729+c*31)%min(rows, last))
				}
			}(c)
		}
		all.Wait()
		if i%20 == 0 {
			report(db, i)
		}
	}
	steady.Run(200*time.Millisecond, func() {
		for ; last < rows; last += 1000 {
			insert(db, last, last+1000)
		}
		for i := 0; i < 50; i++ {
			work(i)
		}
	}, work)
	steady.Must(db.Close())
}
