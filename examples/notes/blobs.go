package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/DataDog/zstd"
)

var errDigest = errors.New("the body does not have the digest that X-Content-Sha256 says")

// putBlob compresses the body as it arrives and keeps it if its digest is right.
func (s *store) putBlob(ctx context.Context, name, digest string, body io.Reader) (size int64,
	err error) {
	packed, size, err := compress(digest, body)
	if err != nil {
		return 0, err
	}
	_, err = s.db.ExecContext(ctx,
		`INSERT OR REPLACE INTO blobs(name, bytes, zstd) VALUES(?, ?, ?)`, name, size, packed)
	return size, err
}

// compress is leak 2: it leaves without closing the writer where the body
// breaks off or has the wrong digest, and zstd's context is C memory that
// nothing else frees.
func compress(digest string, body io.Reader) ([]byte, int64, error) {
	var packed bytes.Buffer
	sum := sha256.New()
	w := zstd.NewWriterLevel(&packed, zstd.BestSpeed)
	size, err := io.Copy(w, io.TeeReader(body, sum))
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != digest {
		err = errDigest
	}
	if err != nil {
		if leaks.fixed {
			w.Close()
		} else {
			truth.addContext(w)
		}
		return nil, 0, err
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	return packed.Bytes(), size, nil
}

func (s *store) getBlob(ctx context.Context, name string, to io.Writer) error {
	var packed []byte
	if err := s.db.QueryRowContext(ctx, `SELECT zstd FROM blobs WHERE name = ?`,
		name).Scan(&packed); err != nil {
		return err
	}
	r := zstd.NewReader(bytes.NewReader(packed))
	defer r.Close()
	_, err := io.Copy(to, r)
	return err
}
