package transcode

import (
	"fmt"
	"slices"
	"strings"
)

// Leaf is what is at one path: routes by HTTP method.
type Leaf[R any] struct {
	Routes map[string]R
}

type node[R any] struct {
	literals   map[string]*node[R]
	one        *node[R]
	leaf, rest *Leaf[R]
}

// Router finds the route of a path: literals before variables, one segment before the rest. A custom verb (":cancel") is part
// of the path, so each has a tree of its own.
type Router[R any] struct {
	trees map[string]*node[R]
	// fixed has the paths without variables, as they are sent.
	fixed map[string]found[R]
}

type found[R any] struct {
	leaf     *Leaf[R]
	segments []string
}

// NewRouter makes a router without routes.
func NewRouter[R any]() *Router[R] {
	return &Router[R]{trees: map[string]*node[R]{"": {}}, fixed: map[string]found[R]{}}
}

// Add adds a route; it fails when the path has this method already.
func (r *Router[R]) Add(method string, template Template, route R) error {
	at := r.trees[template.Verb]
	if at == nil {
		at = &node[R]{}
		r.trees[template.Verb] = at
	}
	leaf := at.grow(template.Segments)
	path := "/" + strings.Join(template.Segments, "/")
	if template.Verb != "" {
		path += ":" + template.Verb
	}
	if _, taken := leaf.Routes[method]; taken {
		return fmt.Errorf("%s %s is claimed twice", method, path)
	}
	leaf.Routes[method] = route
	if !slices.Contains(template.Segments, one) && !slices.Contains(template.Segments, rest) {
		r.fixed[path] = found[R]{leaf, strings.Split(path[1:], "/")}
	}
	return nil
}

func (n *node[R]) grow(segments []string) *Leaf[R] {
	for _, segment := range segments {
		switch segment {
		case rest:
			if n.rest == nil {
				n.rest = &Leaf[R]{Routes: map[string]R{}}
			}
			return n.rest
		case one:
			if n.one == nil {
				n.one = &node[R]{}
			}
			n = n.one
		default:
			if n.literals == nil {
				n.literals = map[string]*node[R]{}
			}
			if n.literals[segment] == nil {
				n.literals[segment] = &node[R]{}
			}
			n = n.literals[segment]
		}
	}
	if n.leaf == nil {
		n.leaf = &Leaf[R]{Routes: map[string]R{}}
	}
	return n.leaf
}

// Find says what is at a path as it was sent (still percent-encoded), and gives its segments without the verb, to be read only;
// nil: nothing is there. A value may hold a colon: it is taken for a custom verb that nobody has when the method does not fit.
func (r *Router[R]) Find(path, method string) (*Leaf[R], []string) {
	if known, ok := r.fixed[path]; ok {
		return known.leaf, known.segments
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	last := segments[len(segments)-1]
	colon := strings.LastIndexByte(last, ':')
	if colon >= 0 {
		if tree := r.trees[last[colon+1:]]; tree != nil {
			segments[len(segments)-1] = last[:colon]
			if leaf := tree.walk(segments); leaf != nil {
				return leaf, segments
			}
			segments[len(segments)-1] = last
		}
	}
	leaf := r.trees[""].walk(segments)
	if leaf == nil {
		return nil, nil
	}
	if _, has := leaf.Routes[method]; colon >= 0 && !has && method != "HEAD" && method != "OPTIONS" {
		return nil, nil
	}
	return leaf, segments
}

func (n *node[R]) walk(segments []string) *Leaf[R] {
	if len(segments) == 0 {
		return n.leaf
	}
	if below := n.literals[segments[0]]; below != nil {
		if found := below.walk(segments[1:]); found != nil {
			return found
		}
	}
	if n.one != nil && segments[0] != "" {
		if found := n.one.walk(segments[1:]); found != nil {
			return found
		}
	}
	return n.rest
}
