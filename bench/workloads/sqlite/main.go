// Command sqlite inserts N rows into a table in memory, 100 in a transaction, and asks for one
// after each transaction.
package main

import (
	"database/sql"
	"fmt"

	_ "github.com/mattn/go-sqlite3"

	"cgoheap.test/workloads/work"
)

const perTransaction = 100

//go:noinline
func insert(db *sql.DB, from int) {
	tx, err := db.Begin()
	work.Must(err)
	for i := from; i < from+perTransaction; i++ {
		_, err := tx.Exec(`INSERT INTO t(id, name, body) VALUES(?, ?, ?)`, i,
			fmt.Sprintf("name %d", i), fmt.Sprintf("%0400d", i))
		work.Must(err)
	}
	work.Must(tx.Commit())
}

//go:noinline
func query(db *sql.DB, id int) {
	var body string
	work.Must(db.QueryRow(`SELECT body FROM t WHERE name = ?`,
		fmt.Sprintf("name %d", id)).Scan(&body))
}

func main() {
	db, err := sql.Open("sqlite3", ":memory:")
	work.Must(err)
	db.SetMaxOpenConns(1) // each connection would have another database
	_, err = db.Exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT)`)
	work.Must(err)
	n := work.Begin()
	for i := 0; i < n; i += perTransaction {
		insert(db, i)
		query(db, i/2)
	}
	work.End()
	work.Must(db.Close())
}
