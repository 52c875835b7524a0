//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// testImage returns n bytes that no part of repeats.
func testImage(n int) []byte {
	var seed [32]byte
	image := make([]byte, n)
	rand.NewChaCha8(seed).Read(image)
	return image
}

// site is a server with a list of answers, one for each request; the last one
// is for all the others too.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	sent     int // bytes of bodies
}

func newSite(t *testing.T, answers ...http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(s.handler(answers))
	t.Cleanup(s.Close)
	return s
}

func (s *site) handler(answers []http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, r.Clone(r.Context()))
		s.mu.Unlock()
		answers[min(n, len(answers)-1)](&counter{w, s}, r)
	})
}

func (s *site) seen() ([]*http.Request, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.sent
}

func (s *site) url(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(s.URL + "/root.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// counter counts the bytes of a site's bodies.
type counter struct {
	http.ResponseWriter
	site *site
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.site.mu.Lock()
	c.site.sent += n
	c.site.mu.Unlock()
	return n, err
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// longAgo is when the images of these servers have last changed.
var longAgo = time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)

// serve is a good server, which knows ranges. tag may be "".
func serve(image []byte, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		modified := longAgo
		if tag != "" {
			w.Header().Set("ETag", tag)
			modified = time.Time{}
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(image))
	}
}

// plain is a server that knows no ranges.
func plain(image []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"plain"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		w.Write(image)
	}
}

// answer has no image.
func answer(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// cutAfter breaks the connection after n bytes of a body.
func cutAfter(n int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&cutter{ResponseWriter: w, left: n, end: func() { panic(http.ErrAbortHandler) }}, r)
	}
}

// stallAfter sends n bytes of a body, and then nothing until the client goes.
func stallAfter(n int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&cutter{ResponseWriter: w, left: n, end: func() {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}}, r)
	}
}

type cutter struct {
	http.ResponseWriter
	left int
	end  func()
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left])
	http.NewResponseController(c.ResponseWriter).Flush()
	c.end()
	return 0, http.ErrHandlerTimeout
}

// drip sends a body of chunks of n bytes with a pause after each.
func drip(image []byte, n int, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for rest := image; len(rest) > 0; {
			m := min(n, len(rest))
			if _, err := w.Write(rest[:m]); err != nil {
				return
			}
			http.NewResponseController(w).Flush()
			rest = rest[m:]
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// raw answers with these bytes, whatever HTTP says, and closes the connection.
func raw(response string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		conn.Write([]byte(response))
		conn.Close()
	}
}

func digestOf(image []byte) *digest {
	d := digest(sha256.Sum256(image))
	return &d
}
