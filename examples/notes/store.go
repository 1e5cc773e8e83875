package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	_ "github.com/mattn/go-sqlite3"
)

type note struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
	Body  string `json:"body"`
}

// store keeps notes and blobs in one SQLite file, over one connection.
type store struct {
	db *sql.DB

	mu       sync.Mutex
	prepared map[string]*sql.Stmt // by SQL text
}

const schema = `
CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blobs(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, zstd BLOB NOT NULL);`

func openStore(path string) (*store, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=OFF")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		db.Close()
		return nil, err
	}
	return &store{db: db, prepared: map[string]*sql.Stmt{}}, nil
}

func (s *store) add(ctx context.Context, n note) (int64, error) {
	r, err := s.db.ExecContext(ctx, `INSERT INTO notes(title, body) VALUES(?, ?)`, n.Title, n.Body)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func (s *store) latest(ctx context.Context) ([]note, error) {
	rows, err := s.db.QueryContext(ctx,
		`SELECT id, title, body FROM notes ORDER BY id DESC LIMIT 20`)
	if err != nil {
		return nil, err
	}
	return scanNotes(rows)
}

const searchSQL = `
SELECT id, title, body FROM notes
WHERE title LIKE %[1]s OR body LIKE %[1]s
ORDER BY title LIKE %[1]s DESC, id DESC LIMIT 10`

// search is leak 1: the term is written into the SQL text, so that every new
// term is a new statement, and the cache of prepared statements keeps them all.
func (s *store) search(ctx context.Context, term string) ([]note, error) {
	pattern := "%" + strings.NewReplacer("%", "", "_", "").Replace(term) + "%"
	if leaks.fixed {
		rows, err := s.db.QueryContext(ctx, fmt.Sprintf(searchSQL, "?1"), pattern)
		if err != nil {
			return nil, err
		}
		return scanNotes(rows)
	}
	stmt, err := s.prepare(ctx, fmt.Sprintf(searchSQL, "'"+strings.ReplaceAll(pattern, "'", "''")+
		"'"))
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	return scanNotes(rows)
}

// prepare returns the statement for text, prepared once. Nothing is ever evicted.
func (s *store) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.prepared[text]; ok {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, text)
	if err == nil {
		s.prepared[text] = stmt
	}
	return stmt, err
}

func (s *store) statements() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.prepared)
}

func scanNotes(rows *sql.Rows) ([]note, error) {
	defer rows.Close()
	notes := []note{}
	for rows.Next() {
		var n note
		if err := rows.Scan(&n.ID, &n.Title, &n.Body); err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, rows.Err()
}
