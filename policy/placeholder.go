package policy

import (
	"fmt"
	"regexp"
)

// placeholder matches Caddy's global placeholders.
var placeholder = regexp.MustCompile(`\{(?:env|file|system|time|http)\.[^{}\s.][^{}\s]*\}`)

// RefusePlaceholder refuses a text of the configuration with a placeholder in it where
// none is replaced: it would be taken as it is written.
func RefusePlaceholder(text string) error {
	if found := placeholder.FindString(text); found != "" {
		return fmt.Errorf("%s isn't replaced here; an environment variable {$NAME} is", found)
	}
	return nil
}
