package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/token"
)

// Scope declares a scope of the catalog.
type Scope struct {
	// Its name, such as "stories:read".
	Name string `json:"name"`
	// What it is for, in the console. Default: none.
	Description string `json:"description,omitempty"`
	// The scopes that whoever holds this one also holds, or only "*", which means all others.
	Implies []string `json:"implies,omitempty"`
	// Other names of it, such as old or misspelt ones. Tokens that hold them keep working.
	Aliases []string `json:"aliases,omitempty"`
	// Where it is declared, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`
}

// Catalog knows all scopes of a configuration and numbers them, so that a
// decision is a few bit tests. Policies that share tokens share a catalog.
// Safe for concurrent use.
type Catalog struct {
	declared []Scope
	aliased  bool // some scope has an alias

	mu      sync.RWMutex
	numbers map[string]int // by name, and by alias
	names   []string
	implied map[int][]int // the scopes a scope implies, those they imply included

	// What routes there are in any policy: a token may be shown to each of them.
	spaces   bool // in a space
	ownSpace bool // in the token's own
}

// NewCatalog returns the catalog of the declared scopes. With none declared,
// every scope that a policy mentions is known; otherwise only those declared.
func NewCatalog(declared []Scope) (*Catalog, error) {
	c := &Catalog{declared: declared, numbers: map[string]int{}, implied: map[int][]int{}}
	for _, step := range []func() error{c.declareAll, c.readImplied, c.refuseCircles} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.closeImplied()
	return c, nil
}

// declareAll numbers the scopes declared, and what else they are called.
func (c *Catalog) declareAll() error {
	for _, s := range c.declared {
		if err := c.declare(s.Name); err != nil {
			return At(s.At, err)
		}
	}
	for i, s := range c.declared {
		for _, alias := range s.Aliases {
			if err := c.declare(alias); err != nil {
				return At(s.At, fmt.Errorf("alias of %s: %w", s.Name, err))
			}
			c.numbers[alias], c.aliased = i, true
		}
	}
	c.names = c.names[:len(c.declared):len(c.declared)] // aliases are no scopes of their own
	return nil
}

// readImplied notes which scopes each says that it implies, but for "*".
func (c *Catalog) readImplied() error {
	for i, s := range c.declared {
		if n, ok := c.numbers[s.Description]; ok && n != i {
			return At(s.At, fmt.Errorf("scope %s has the name of a scope as its description: write implies %s, if that is meant", s.Name, s.Description))
		}
		if slices.Contains(s.Implies, token.All) && len(s.Implies) > 1 {
			return At(s.At, fmt.Errorf("scope %s implies %s: * can't be combined with others", s.Name, strings.Join(s.Implies, " ")))
		}
		for _, name := range s.Implies {
			n, ok := c.numbers[name]
			if !ok && name != token.All {
				return At(s.At, fmt.Errorf("scope %s implies %s, which is not declared%s", s.Name, name, spelling.Suggest(name, c.known())))
			}
			if ok {
				c.implied[i] = append(c.implied[i], n)
			}
		}
	}
	return nil
}

// refuseCircles refuses scopes that imply themselves, other than by "*", which is
// filled in afterwards.
func (c *Catalog) refuseCircles() error {
	for i, s := range c.declared {
		for _, n := range c.implied[i] {
			if n == i {
				return At(s.At, fmt.Errorf("scope %s implies itself", s.Name))
			}
			if slices.Contains(c.closure(n), i) {
				return At(s.At, fmt.Errorf("scope %s implies itself, by way of %s", s.Name, c.names[n]))
			}
		}
	}
	return nil
}

// closeImplied expands "*", and adds what implied scopes imply in turn.
func (c *Catalog) closeImplied() {
	for i, s := range c.declared {
		if slices.Contains(s.Implies, token.All) {
			for n := range c.declared {
				if n != i {
					c.implied[i] = append(c.implied[i], n)
				}
			}
		}
	}
	closed := map[int][]int{}
	for i := range c.implied {
		closed[i] = c.closure(i)
	}
	c.implied = closed
}

// declare numbers a name that must be new.
func (c *Catalog) declare(name string) error {
	if err := RefusePlaceholder(name); err != nil {
		return fmt.Errorf("scope %q: %w", name, err)
	}
	if err := token.ValidScopeName(name); err != nil {
		return err
	}
	if _, ok := alone[name]; ok || name == "deny" {
		return fmt.Errorf("scope %s: in a policy this word means something else", name)
	}
	if _, dup := c.numbers[name]; dup {
		return fmt.Errorf("scope %s is declared twice", name)
	}
	c.number(name)
	return nil
}

func (c *Catalog) closure(i int) []int {
	var reached []int
	todo := slices.Clone(c.implied[i])
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !slices.Contains(reached, n) {
			reached = append(reached, n)
			todo = append(todo, c.implied[n]...)
		}
	}
	return reached
}

// ImpliedBy returns, for each name of a declared scope, all its names and those of the
// scopes that imply it.
func (c *Catalog) ImpliedBy() map[string][]string {
	by := map[string][]string{}
	for i, s := range c.declared {
		own := append([]string{s.Name}, s.Aliases...)
		for _, n := range append([]int{i}, c.implied[i]...) {
			for _, name := range append([]string{c.declared[n].Name}, c.declared[n].Aliases...) {
				by[name] = append(by[name], own...)
			}
		}
	}
	return by
}

func (c *Catalog) number(name string) int {
	n, ok := c.numbers[name]
	if !ok {
		n = len(c.names)
		c.numbers[name] = n
		c.names = append(c.names, name)
	}
	return n
}

// require numbers a scope that a route needs.
func (c *Catalog) require(name string) (int, error) {
	if err := token.ValidScopeName(name); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.numbers[name]; !ok && c.Complete() {
		return 0, fmt.Errorf("scope %s is not in the catalog%s", name, spelling.Suggest(name, c.known()))
	}
	return c.number(name), nil
}

// note takes in where a route finds its space.
func (c *Catalog) note(space *source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spaces = c.spaces || space.kind != fromNone
	c.ownSpace = c.ownSpace || space.kind == fromToken
}

// Spaces reports whether some route of some policy is in a space. Then a new token must
// say which spaces it is for.
func (c *Catalog) Spaces() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.spaces
}

// ownSpaces reports whether some route of some policy is in the token's own space.
func (c *Catalog) ownSpaces() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ownSpace
}

// Complete reports whether scopes were declared: then there are no others.
func (c *Catalog) Complete() bool { return len(c.declared) > 0 }

// Scopes returns what was declared, or, where nothing was, the scopes that
// policies have mentioned so far.
func (c *Catalog) Scopes() []Scope {
	if c.Complete() {
		return slices.Clone(c.declared)
	}
	names := c.Names()
	scopes := make([]Scope, len(names))
	for i, name := range names {
		scopes[i] = Scope{Name: name}
	}
	return scopes
}

// Names returns all names that a grant may have, sorted: those of the scopes
// known, and their aliases.
func (c *Catalog) Names() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known()
}

func (c *Catalog) known() []string { return slices.Sorted(maps.Keys(c.numbers)) }

// scope returns the name of the scope that name is one of: an alias is another
// name of a scope.
func (c *Catalog) scope(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, ok := c.numbers[name]; ok {
		return c.names[n]
	}
	return name
}

// all returns the names of all scopes known, by their numbers.
func (c *Catalog) all() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clip(c.names)
}
