//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// patience bounds a fetch.
type patience struct {
	stall      time.Duration // a connection must bring in this time
	stallBytes int64         // this many bytes: a rate below that is as good as none
	step       int64         // bytes of new ground that make a cut try a good one
	tries      int           // the rest is for rota
	rounds     int
	delay      time.Duration
	maxDelay   time.Duration
}

var errStalled = errors.New("stalled")

// fetcher gets an image from the first mirror that has it.
type fetcher struct {
	patience
	mirrors []*mirror
	digest  *digest // nil: any image will do
	limit   int64   // bytes that an image may have
	roots   *x509.CertPool
	log     logger

	image    *image
	version  version // of the image, of which a part may be there
	pieces   int     // answers that have contributed to it
	rota     rota
	earliest time.Time // the time now, at the least
	told     bool      // that servers are not verified
}

type mirror struct {
	url  *url.URL
	most int64 // bytes of the image that it has brought, in one go or resumed
	err  error // of its last try
}

func (m *mirror) String() string { return m.url.Redacted() }

func newFetcher(p plan, img *image, limit int64, roots *x509.CertPool, log logger) *fetcher {
	f := &fetcher{
		patience: patience{
			stall:      20 * time.Second,
			stallBytes: 16 << 10,
			step:       1 << 20,
			tries:      3,
			rounds:     5,
			delay:      500 * time.Millisecond,
			maxDelay:   10 * time.Second,
		},
		digest: p.digest,
		limit:  limit,
		roots:  roots,
		log:    log,
		image:  img,
	}
	for _, u := range p.mirrors {
		f.mirrors = append(f.mirrors, &mirror{url: u})
	}
	return f
}

// fetch fills the image and returns once it is known to be the right one. It
// ends: each try ends by the stall, and of those that fail either the rota or
// the new ground is used up.
func (f *fetcher) fetch(ctx context.Context) error {
	f.rota = rota{tries: f.tries, rounds: f.rounds, delay: f.delay, maxDelay: f.maxDelay, mirrors: make([]turns, len(f.mirrors))}
	for {
		m := f.mirrors[f.rota.current]
		bad := f.try(ctx, m)
		if bad == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.err = bad
		if have := f.image.size(); bad.outcome == cut && have >= m.most+f.step {
			m.most = have
			bad.outcome = advanced
		}
		wait, ok := f.rota.failed(bad.outcome)
		if !ok {
			return f.failure()
		}
		next := f.mirrors[f.rota.current]
		if bad.anew || next != m {
			if err := f.discard(); err != nil {
				return err
			}
		}
		if next == m {
			wait = max(wait, min(bad.after, f.maxDelay))
		}
		wait = time.Duration(float64(wait) * (0.5 + rand.Float64()))
		f.log.printf("%s: %v; %s", m, bad, f.then(m, next, wait))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// then says what follows a failed try of m.
func (f *fetcher) then(m, next *mirror, wait time.Duration) string {
	text := "trying again"
	if next != m {
		text = "trying " + next.String()
	} else if f.resumable() {
		text = "going on"
	}
	if wait > 0 {
		text += fmt.Sprintf(" in %.1f s", wait.Seconds())
	}
	return text
}

// failure is the error when no mirror is left.
func (f *fetcher) failure() error {
	var texts []string
	for _, m := range f.mirrors {
		texts = append(texts, fmt.Sprintf("%s: %v", m, m.err))
	}
	return errors.New("root image not fetched: " + strings.Join(texts, "; "))
}

func (f *fetcher) discard() error {
	f.version, f.pieces = version{}, 0
	if err := f.image.discard(); err != nil {
		return fmt.Errorf("empty the file in memory: %w", err)
	}
	return nil
}

// try asks a mirror once for what is not there yet.
func (f *fetcher) try(ctx context.Context, m *mirror) *fault {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := &watchdog{after: f.stall, least: f.stallBytes}
	watch.timer = time.AfterFunc(f.stall, func() { cancel(errStalled) })
	defer watch.timer.Stop()

	have := int64(0)
	if f.resumable() {
		have = f.image.size()
	}
	r, err := f.client().Do(f.request(ctx, m, have))
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			return cutf("no answer in %v", f.stall)
		}
		return f.requestFault(err)
	}
	defer r.Body.Close()
	watch.pat()
	if r.TLS != nil && f.unverified() && !f.told {
		f.told = true
		f.log.printf("%s: there are no CA certificates, so the server is not verified; the digest decides", m)
	}
	v, resumed, bad := f.version.readAnswer(r, have)
	if bad != nil {
		return bad
	}
	if !resumed {
		if err := f.discard(); err != nil {
			return &fault{err: err, outcome: final}
		}
	}
	f.version = v
	f.pieces++
	if bad := f.checkLength(r); bad != nil {
		return bad
	}
	if bad := f.read(ctx, m, r.Body, watch); bad != nil {
		return bad
	}
	return f.verify(m)
}

// resumable says that there is a part, and something that will tell whether the
// rest belongs to it.
func (f *fetcher) resumable() bool {
	return f.image.size() > 0 && f.version.validator() != ""
}

func (f *fetcher) request(ctx context.Context, m *mirror, have int64) *http.Request {
	r := (&http.Request{Method: http.MethodGet, URL: m.url, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", "rambox")
	r.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
		r.Header.Set("If-Range", f.version.validator())
	}
	return r
}

// checkLength refuses what cannot fit, and what nobody could tell from a part.
func (f *fetcher) checkLength(r *http.Response) *fault {
	switch {
	case f.version.size > f.limit:
		return &fault{outcome: final, err: fmt.Errorf("the image has %s, more than the %s of memory that it may take: give the machine more memory, or make the image smaller",
			byteText(f.version.size), byteText(f.limit))}
	case f.version.size < 0 && len(r.TransferEncoding) == 0 && f.digest == nil:
		return refusedf("the server does not say how long the image is, so a cut would not show: give rambox.digest=")
	}
	return nil
}

// read appends body to the image.
func (f *fetcher) read(ctx context.Context, m *mirror, body io.Reader, watch *watchdog) *fault {
	told := progress{size: f.version.size, at: time.Now(), have: f.image.size()}
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		watch.fed(int64(n))
		have := f.image.size() + int64(n)
		switch {
		case f.version.size >= 0 && have > f.version.size:
			return changedf("the image is longer than the %d bytes that the server has announced", f.version.size)
		case have > f.limit:
			return &fault{outcome: final, anew: true, err: fmt.Errorf("the image has more than the %s of memory that it may take: give the machine more memory, or make the image smaller",
				byteText(f.limit))}
		}
		if _, err := f.image.Write(buf[:n]); err != nil {
			return &fault{outcome: final, anew: true, err: fmt.Errorf("write to memory: %w", err)}
		}
		if line := told.line(time.Now(), have); line != "" {
			f.log.printf("%s: %s", m, line)
		}
		if err == io.EOF && have >= f.version.size {
			return nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			if errors.Is(context.Cause(ctx), errStalled) {
				err = fmt.Errorf("fewer than %s came in %v", byteText(f.stallBytes), f.stall)
			}
			return cutf("cut after %s: %w", f.share(have), err)
		}
	}
}

// share returns "42 MiB of 180 MiB".
func (f *fetcher) share(have int64) string {
	if f.version.size < 0 {
		return byteText(have)
	}
	return byteText(have) + " of " + byteText(f.version.size)
}

// verify compares the digest of a whole image. One that came in one piece will
// be no other next time; one of several pieces may have been put together wrong.
func (f *fetcher) verify(m *mirror) *fault {
	if err := f.image.out.finish(); err != nil {
		return &fault{err: fmt.Errorf("write to memory: %w", err), outcome: final}
	}
	got, size := f.image.digest(), byteText(f.image.size())
	switch {
	case f.digest == nil:
		f.log.printf("%s: %s, %s, not compared with anything (rambox.insecure)", m, size, got)
		return nil
	case got == *f.digest:
		f.log.printf("%s: %s, %s, as it must be", m, size, got)
		return nil
	}
	bad := &fault{err: fmt.Errorf("wrong digest: the image has %s, rambox.digest= wants %s", got, *f.digest), outcome: final, anew: true}
	if f.pieces > 1 {
		bad.outcome = refused
	}
	if f.version.encoding != "" {
		bad.err = fmt.Errorf("%w (the server has encoded it: Content-Encoding %q)", bad.err, f.version.encoding)
	}
	return bad
}

// watchdog ends a connection that brings too little.
type watchdog struct {
	timer *time.Timer
	after time.Duration
	least int64 // bytes in that time
	got   int64 // bytes since the timer was set
}

// fed notes n bytes more.
func (w *watchdog) fed(n int64) {
	if w.got += n; w.got >= w.least {
		w.pat()
	}
}

func (w *watchdog) pat() {
	w.got = 0
	w.timer.Reset(w.after)
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
