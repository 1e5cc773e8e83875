package collect

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// What another command wants of a scene, and of a service beside its process.

// SavedProfiles are the profiles of C memory in a scene, or in the scenes of a series in the order
// in which they were taken.
func SavedProfiles(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9]*", cgoProfile))
	slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) }) // 999, 1000
	names = append(names, filepath.Join(dir, cgoProfile))
	var found []string
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			found = append(found, name)
		}
	}
	return found
}

// Page fetches one page, such as "heap".  Its errors are one sentence.
func (s *Server) Page(ctx context.Context, name string) ([]byte, error) {
	var body bytes.Buffer
	if err := s.get(ctx, name, 0, &body); err != nil {
		return nil, fmt.Errorf("%s/%s: %s", s, name, s.hide(err.Error()))
	}
	return body.Bytes(), nil
}
