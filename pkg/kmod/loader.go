//go:build linux

package kmod

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ErrBlacklisted is in the error for a module that the command line or the configuration forbids.
var ErrBlacklisted = errors.New("blacklisted")

// Options tell a Loader what the command line and the image say.
type Options struct {
	Params    map[string]string // parameters by canonical module name, as the kernel takes them: "a=b c=d"
	Blacklist []string          // of module_blacklist= and modprobe.blacklist=; '-' equals '_'
	Config    *Config           // of modprobe.d; nil is none. Its options come before Params, so Params win.
	Workers   int               // how many modules may load at a time, if there are as many CPUs; 0 is one for each CPU
	Sys       string            // where sysfs is mounted; "" is /sys
}

// Loader loads modules, each at most once. It is safe for concurrent use.
type Loader struct {
	index       *Index
	dir         string // holds the files of the index: "/lib/modules/6.1.0-56-cloud-amd64"
	sys         string
	workers     int
	params      map[string]string
	blacklist   []string // canonical
	compression func() string

	mu       sync.Mutex
	attempts map[string]*attempt // by canonical module name
	loaded   []Loaded
}

// attempt is the one attempt to load a module. err is valid once done is closed.
type attempt struct {
	done chan struct{}
	err  error
}

// Loaded is a module that a Loader has loaded.
type Loaded struct {
	Name       string
	Bytes      int64 // size of the file
	Start, End time.Time
}

// NewLoader returns a loader for the modules of index, whose files are in dir.
func NewLoader(index *Index, dir string, opts Options) *Loader {
	l := &Loader{
		index:    index.WithConfig(opts.Config),
		dir:      dir,
		sys:      opts.Sys,
		workers:  runtime.NumCPU(),
		params:   opts.Params,
		attempts: make(map[string]*attempt),
	}
	if opts.Workers > 0 {
		l.workers = min(l.workers, opts.Workers)
	}
	if l.sys == "" {
		l.sys = "/sys"
	}
	for _, name := range opts.Blacklist {
		l.blacklist = append(l.blacklist, canonical(name))
	}
	l.blacklist = append(l.blacklist, l.index.config.blacklist...)
	l.compression = sync.OnceValue(func() string { return readCompression(l.sys) })
	return l
}

// Load loads what name stands for, a module or an alias, with its dependencies and soft dependencies. It waits until the
// modules are loaded or ctx is done. What is loaded already or built in is no error. Errors wrap ErrNotFound,
// ErrBlacklisted, the error of ctx, or the kernel's errno. Each module is tried once: a later call gets the same result.
// As in modprobe, a blacklist does not stop dependencies, and soft dependencies that fail are no error.
func (l *Loader) Load(ctx context.Context, name string) error {
	modules, found := l.index.resolve(name)
	if !found {
		return fmt.Errorf("load %s: %w", name, ErrNotFound)
	}
	some := len(modules) > 0
	modules = l.allowed(modules)
	if some && len(modules) == 0 {
		return fmt.Errorf("load %s: %w", name, ErrBlacklisted)
	}
	return errors.Join(l.load(ctx, modules)...)
}

// LoadAlias loads the modules with an alias that matches modalias, for a device that has just appeared. matched tells
// whether there are any. Blacklisted modules are passed over without an error.
func (l *Loader) LoadAlias(ctx context.Context, modalias string) (matched bool, err error) {
	modules := l.matches(modalias)
	matched = len(modules) > 0
	return matched, errors.Join(l.load(ctx, l.allowed(modules))...)
}

// Loaded returns the modules that l has loaded, in the order in which they were ready.
func (l *Loader) Loaded() []Loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.loaded)
}

// matches is Index.Match without the aliases of what is built in, which a device does not wait for.
func (l *Loader) matches(modalias string) []string {
	if names := l.index.config.aliasesOf(modalias); len(names) > 0 {
		return names
	}
	return l.index.alias.matches(modalias)
}

// allowed returns those of the modules that are not blacklisted. It reuses the slice.
func (l *Loader) allowed(modules []string) []string {
	return slices.DeleteFunc(modules, func(name string) bool { return slices.Contains(l.blacklist, name) })
}

// load loads these modules and what they need, and returns the errors of these modules alone.
func (l *Loader) load(ctx context.Context, modules []string) (errs []error) {
	p := planner{index: l.index}
	var wanted []int
	for _, name := range modules {
		if i := p.visitName(name, 0); i >= 0 {
			wanted = append(wanted, i)
		} else if !l.index.Builtin(name) {
			errs = append(errs, fmt.Errorf("load %s: modules.dep does not list it: %w", name, ErrNotFound))
		}
	}
	results := l.run(ctx, p.steps)
	for _, i := range wanted {
		if results[i] != nil {
			errs = append(errs, results[i])
		}
	}
	return errs
}

// try makes the one attempt to load s, or waits for the one that is being made. failed is the error of something that s
// needs.
func (l *Loader) try(ctx context.Context, s step, failed error) (err error) {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("load %s: %w", s.name, err)
	}
	l.mu.Lock()
	a, taken := l.attempts[s.name]
	if !taken {
		a = &attempt{done: make(chan struct{})}
		l.attempts[s.name] = a
	}
	l.mu.Unlock()
	if taken {
		select {
		case <-a.done:
			return a.err
		case <-ctx.Done():
			return fmt.Errorf("load %s: %w", s.name, ctx.Err())
		}
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("load %s: panic: %v", s.name, r)
		}
		a.err = err
		close(a.done)
	}()
	if failed != nil {
		return fmt.Errorf("load %s: %w", s.name, failed)
	}
	return l.insert(s)
}
