package registry

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// exportLine is a line of an export, which importLine reads.
type exportLine struct {
	token.View
	Digest  string          `json:"digest"`
	Retired []exportRetired `json:"retired,omitempty"`
}

type exportRetired struct {
	Digest string    `json:"digest"`
	Until  time.Time `json:"until"`
}

// Export writes all tokens to w as Import reads them, one JSON object a line, newest
// first, with digests and without owners' records. It holds one page of them in memory at
// a time. Tokens made meanwhile may be missing. If the store has lost some that it lists,
// Export returns an error after the others are written.
func (r *Registry) Export(ctx context.Context, w io.Writer) error {
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	err := r.all(ctx, store.Query{}, func(page []*token.Token) error {
		for _, t := range page {
			line := exportLine{View: r.View(t), Digest: r.rules.Hasher.Format(t.Digest)}
			for _, old := range t.Retired {
				line.Retired = append(line.Retired, exportRetired{r.rules.Hasher.Format(old.Digest), old.Until.UTC()})
			}
			if err := enc.Encode(line); err != nil {
				return fmt.Errorf("writing token %s: %w", t.ID, err)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errRecordsLost) {
		return err
	}
	return cmp.Or(buf.Flush(), err)
}
