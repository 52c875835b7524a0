package kmod

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deep dependencies nest. depmod writes all indirect dependencies into each line, so honest files
// need two levels, and softdeps few more.
const maxDepth = 100

// step is one module to load.
type step struct {
	name  string
	path  string
	needs []int // earlier steps that must have succeeded
	after []int // earlier steps that must have ended
}

// planner orders modules so that each comes after its dependencies.
type planner struct {
	index    *Index
	steps    []step
	position map[string]int // by name: index into steps, or unfinished
	hardOnly bool           // leave out soft dependencies
}

const unfinished = -1

// visit adds the module at path and what it needs, and returns its position in steps. A module that is being visited
// already, in a dependency cycle, or lies too deep, gets unfinished.
func (p *planner) visit(path string, depth int) int {
	name := moduleName(path)
	if i, ok := p.position[name]; ok {
		return i
	}
	if depth > maxDepth || name == "" {
		return unfinished
	}
	if p.position == nil {
		p.position = make(map[string]int)
	}
	p.position[name] = unfinished

	s := step{name: name, path: path}
	_, deps, _ := p.index.depLine(name)
	for _, dep := range slices.Backward(strings.Fields(deps)) {
		if i := p.visit(dep, depth+1); i >= 0 {
			s.needs = append(s.needs, i)
		}
	}
	var pre, post []string
	if !p.hardOnly {
		pre, post = p.index.softDeps(name)
	}
	s.after = p.visitSoft(pre, depth)
	p.steps = append(p.steps, s)
	position := len(p.steps) - 1
	p.position[name] = position
	for _, i := range p.visitSoft(post, depth) {
		if i > position {
			p.steps[i].after = append(p.steps[i].after, position)
		}
	}
	return position
}

// visitSoft visits those of the names that exist and returns their positions.
func (p *planner) visitSoft(names []string, depth int) (positions []int) {
	for _, name := range names {
		modules, _ := p.index.resolve(name)
		for _, module := range modules {
			if i := p.visitName(module, depth+1); i >= 0 {
				positions = append(positions, i)
			}
		}
	}
	return positions
}

// visitName visits the module with this canonical name, if modules.dep has it.
func (p *planner) visitName(name string, depth int) int {
	path, _, ok := p.index.depLine(name)
	if !ok {
		return unfinished
	}
	return p.visit(path, depth)
}

// Closure returns the modules that the names (modules or aliases) stand for, with their dependencies and those soft
// dependencies that exist, in load order. What is built in needs no module and adds none. An unknown name gives an error
// that wraps ErrNotFound.
func (x *Index) Closure(names ...string) ([]Module, error) {
	p := planner{index: x}
	for _, name := range names {
		modules, found := x.resolve(name)
		if !found {
			return nil, fmt.Errorf("module %s: %w", name, ErrNotFound)
		}
		for _, module := range modules {
			p.visitName(module, 0)
		}
	}
	modules := make([]Module, len(p.steps))
	for i, s := range p.steps {
		m, ok := x.Module(s.name)
		if !ok {
			m = Module{Name: s.name, Path: s.path} // named by others, without a line of its own
		}
		modules[i] = m
	}
	return modules, nil
}
