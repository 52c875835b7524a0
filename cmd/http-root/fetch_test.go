//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newTestFetcher returns one that waits for nothing but a stall, and that as
// long as a busy machine may need.
func newTestFetcher(t *testing.T, want *digest, log io.Writer, mirrors ...*url.URL) *fetcher {
	t.Helper()
	img := newTestImage(t, nil)
	f := newFetcher(plan{mirrors: mirrors, digest: want}, img, 8<<20, x509.NewCertPool(), logger{log})
	f.stall, f.stallBytes, f.step = patient, 1, 64<<10
	f.delay, f.maxDelay = time.Microsecond, time.Microsecond
	return f
}

// content returns what is in an image.
func content(t *testing.T, img *image) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(img.file, 0, 1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stalling is the stall of tests in which one is to happen.
const stalling = time.Second

func TestFetch(t *testing.T) {
	image := testImage(1 << 20)
	half := len(image) / 2
	other := testImage(1<<20 + 1)[1:]
	n := len(image)
	for _, tc := range []struct {
		name     string
		sites    [][]http.HandlerFunc
		stall    bool
		insecure bool
		requests []int    // to each site
		ranges   []string // "Range If-Range" of the requests to the first
		sent     int      // bytes of the first site at the most; 0: as many as it likes
		log      []string
	}{
		{
			name: "whole", sites: [][]http.HandlerFunc{{serve(image, `"x"`)}}, requests: []int{1}, ranges: []string{" "}, sent: n,
			log: []string{"1.0 MiB, " + digestOf(image).String() + ", as it must be"},
		},
		{
			name: "whole, in chunks", requests: []int{1},
			sites: [][]http.HandlerFunc{{func(w http.ResponseWriter, _ *http.Request) { w.Write(image) }}},
		},
		{
			name: "without a digest", insecure: true, sites: [][]http.HandlerFunc{{serve(image, `"x"`)}}, requests: []int{1},
			log: []string{digestOf(image).String(), "not compared with anything"},
		},
		{
			name: "cut at half, resumed", requests: []int{2}, sent: n,
			sites:  [][]http.HandlerFunc{{cutAfter(half, serve(image, `"x"`)), serve(image, `"x"`)}},
			ranges: []string{" ", fmt.Sprintf(`bytes=%d- "x"`, half)},
			log:    []string{"cut after 512 KiB of 1.0 MiB: unexpected EOF; going on in"},
		},
		{
			name: "cut at half, resumed by time", requests: []int{2}, sent: n,
			sites:  [][]http.HandlerFunc{{cutAfter(half, serve(image, "")), serve(image, "")}},
			ranges: []string{" ", fmt.Sprintf(`bytes=%d- Sat, 21 Nov 2026 06:00:00 GMT`, half)},
		},
		{
			name: "cut at half, nothing to resume by", requests: []int{2},
			sites:  [][]http.HandlerFunc{{cutAfter(half, serve(image, `W/"x"`)), serve(image, `W/"x"`)}},
			ranges: []string{" ", " "}, log: []string{"trying again in"},
		},
		{
			name: "cut every 64 KiB", requests: []int{16}, sent: n,
			sites: [][]http.HandlerFunc{{cutAfter(64<<10, serve(image, `"x"`))}},
		},
		{
			name: "cut, and ranges ignored", requests: []int{2}, sites: [][]http.HandlerFunc{{cutAfter(half, plain(image)), plain(image)}},
			ranges: []string{" ", fmt.Sprintf(`bytes=%d- "plain"`, half)},
		},
		{
			name: "changed meanwhile", requests: []int{2}, sites: [][]http.HandlerFunc{{cutAfter(half, serve(other, `"old"`)), serve(image, `"x"`)}},
			ranges: []string{" ", fmt.Sprintf(`bytes=%d- "old"`, half)},
		},
		{
			name: "changed meanwhile, and If-Range ignored", requests: []int{3}, ranges: []string{" ", fmt.Sprintf(`bytes=%d- "old"`, half), " "},
			sites: [][]http.HandlerFunc{{cutAfter(half, serve(other, `"old"`)), func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("If-Range")
				serve(image, `"x"`)(w, r)
			}}},
			log: []string{"the image has changed: ETag"},
		},
		{
			name: "became shorter, and If-Range ignored", requests: []int{3},
			sites: [][]http.HandlerFunc{{cutAfter(n+100, serve(append(image[:n:n], other...), `"old"`)), func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("If-Range")
				serve(image, `"x"`)(w, r)
			}}},
			log: []string{"416"},
		},
		{
			name: "wrong bytes, then the next", requests: []int{1, 1}, sites: [][]http.HandlerFunc{{serve(other, `"x"`)}, {serve(image, `"x"`)}},
			log: []string{"/root.squashfs: wrong digest", digestOf(other).String(), digestOf(image).String(), "; trying http://"},
		},
		{
			name: "wrong bytes in the middle of two pieces", requests: []int{3}, log: []string{"wrong digest"},
			sites: [][]http.HandlerFunc{{cutAfter(half, serve(other, `"x"`)), serve(image, `"x"`)}},
		},
		{
			name: "not found, then the next", requests: []int{1, 1}, sites: [][]http.HandlerFunc{{answer(404)}, {serve(image, `"x"`)}},
			log: []string{"404 Not Found; trying http://"},
		},
		{
			name: "busy, then not", requests: []int{3}, sites: [][]http.HandlerFunc{{answer(503, "Retry-After", "60"), answer(429), serve(image, `"x"`)}},
		},
		{
			name: "half of one, then the next from the beginning", requests: []int{3, 1}, log: []string{"404"},
			sites: [][]http.HandlerFunc{{cutAfter(half, serve(image, `"x"`)), answer(500), answer(404)}, {serve(image, `"x"`)}},
		},
		{
			name: "redirects without end, then the next", requests: []int{6, 1}, sites: [][]http.HandlerFunc{{answer(302, "Location", "/again")}, {serve(image, `"x"`)}},
			log: []string{"more than 5 redirects"},
		},
		{
			name: "a redirect", requests: []int{2}, sites: [][]http.HandlerFunc{{answer(301, "Location", "/there"), serve(image, `"x"`)}},
		},
		{
			name: "shorter than announced, then the next", requests: []int{3, 1}, log: []string{"cut after 5 bytes of 100 bytes"},
			sites: [][]http.HandlerFunc{{raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")}, {serve(image, `"x"`)}},
		},
		{
			name: "longer than announced: what was announced is taken, and is wrong", requests: []int{1, 1}, log: []string{"wrong digest"},
			sites: [][]http.HandlerFunc{{raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + string(image))}, {serve(image, `"x"`)}},
		},
		{
			name: "a rest longer than announced", requests: []int{3}, log: []string{"longer than the 1048576 bytes"},
			sites: [][]http.HandlerFunc{{cutAfter(half, serve(image, `"x"`)), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", half, n-1, n))
				w.WriteHeader(206)
				w.Write(image)
			}, serve(image, `"x"`)}},
		},
		{
			name: "no length, the end is the end of the connection", requests: []int{1},
			sites: [][]http.HandlerFunc{{raw("HTTP/1.0 200 OK\r\n\r\n" + string(image))}},
		},
		{
			name: "the same without a digest", insecure: true, requests: []int{1, 1}, log: []string{"how long the image is"},
			sites: [][]http.HandlerFunc{{raw("HTTP/1.0 200 OK\r\n\r\n" + string(image))}, {serve(image, `"x"`)}},
		},
		{
			name: "more than fits, then the next", requests: []int{1, 1}, log: []string{"20 MiB, more than the 8.0 MiB of memory"},
			sites: [][]http.HandlerFunc{{raw("HTTP/1.1 200 OK\r\nContent-Length: 20971520\r\n\r\n")}, {serve(image, `"x"`)}},
		},
		{
			name: "more and more, then the next", requests: []int{1, 1}, log: []string{"more than the 8.0 MiB of memory"},
			sites: [][]http.HandlerFunc{{func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := w.Write(image); err != nil {
						return
					}
				}
			}}, {serve(image, `"x"`)}},
		},
		{
			name: "encoded: the bytes count as they are", requests: []int{1}, sites: [][]http.HandlerFunc{{func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "identity" {
					w.WriteHeader(400)
				}
				w.Header().Set("Content-Encoding", "gzip")
				serve(image, `"x"`)(w, r)
			}}},
		},
		{
			name: "encoded, and wrong", requests: []int{1, 1}, log: []string{`Content-Encoding "gzip"`},
			sites: [][]http.HandlerFunc{{func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				serve(other, `"x"`)(w, r)
			}}, {serve(image, `"x"`)}},
		},
		{
			name: "never an answer, then the next", stall: true, requests: []int{3, 1}, log: []string{"no answer in 1s"},
			sites: [][]http.HandlerFunc{{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, {serve(image, `"x"`)}},
		},
		{
			name: "silent after half", stall: true, requests: []int{2}, sent: n, log: []string{"cut after 512 KiB of 1.0 MiB: fewer than 16 bytes came in 1s"},
			sites: [][]http.HandlerFunc{{stallAfter(half, serve(image, `"x"`)), serve(image, `"x"`)}},
		},
		{
			name: "a trickle, then the next", stall: true, requests: []int{3, 1}, log: []string{"fewer than 16 bytes came"},
			sites: [][]http.HandlerFunc{{drip(image, 1, 100*time.Millisecond)}, {serve(image, `"x"`)}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var sites []*site
			var mirrors []*url.URL
			for _, answers := range tc.sites {
				s := newSite(t, answers...)
				sites, mirrors = append(sites, s), append(mirrors, s.url(t))
			}
			log, want := &journal{}, digestOf(image)
			if tc.insecure {
				want = nil
			}
			f := newTestFetcher(t, want, log, mirrors...)
			if tc.stall {
				f.stall, f.stallBytes = stalling, 16
			}
			if err := f.fetch(t.Context()); err != nil {
				t.Fatalf("fetch: %v\n%s", err, log)
			}
			if !bytes.Equal(content(t, f.image), image) {
				t.Error("the image differs from what was served")
			}
			var requests []int
			for _, s := range sites {
				r, _ := s.seen()
				requests = append(requests, len(r))
			}
			if diff := cmp.Diff(tc.requests, requests); diff != "" {
				t.Errorf("requests: -want +got:\n%s\n%s", diff, log)
			}
			first, sent := sites[0].seen()
			for i, want := range tc.ranges {
				if got := first[i].Header.Get("Range") + " " + first[i].Header.Get("If-Range"); got != want {
					t.Errorf("request %d: Range and If-Range %q, want %q", i, got, want)
				}
			}
			if tc.sent > 0 && sent > tc.sent {
				t.Errorf("the server has sent %d bytes, want at most %d", sent, tc.sent)
			}
			mentions(t, log.String(), tc.log...)
		})
	}
}

// TestFetchTrickle fetches slower than the stall, but not too slow.
func TestFetchTrickle(t *testing.T) {
	t.Parallel()
	image := testImage(80)
	s := newSite(t, drip(image, 8, 300*time.Millisecond))
	log := &journal{}
	f := newTestFetcher(t, digestOf(image), log, s.url(t))
	f.stall, f.stallBytes = 2*time.Second, 8
	if err := f.fetch(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
}

func TestFetchGivesUp(t *testing.T) {
	image := testImage(256 << 10)
	other := testImage(256<<10 + 1)[1:]
	for _, tc := range []struct {
		name     string
		answers  []http.HandlerFunc
		insecure bool
		requests int
		want     []string
	}{
		{"nothing there", []http.HandlerFunc{answer(404)}, false, 5, []string{"root image not fetched", "404 Not Found"}},
		{"broken", []http.HandlerFunc{answer(500)}, false, 15, []string{"500 Internal Server Error"}},
		{"wrong", []http.HandlerFunc{serve(other, `"x"`)}, false, 1, []string{"wrong digest", digestOf(other).String(), digestOf(image).String()}},
		{"cut at the same place again and again", []http.HandlerFunc{cutAfter(1000, plain(image))}, false, 15, []string{"cut after 1000 bytes of 256 KiB"}},
		{"resumed, and cut after a byte each time", []http.HandlerFunc{cutAfter(1, serve(image, `"x"`))}, false, 15, []string{"cut after 15 bytes"}},
		{"empty", []http.HandlerFunc{answer(200)}, true, 5, []string{"the image is empty"}},
		{"a redirect to elsewhere", []http.HandlerFunc{answer(302, "Location", "ftp://127.0.0.1/x")}, false, 15, []string{"unsupported protocol scheme"}},
		{"a redirect to nowhere", []http.HandlerFunc{answer(302)}, false, 5, []string{"302"}},
		{"no HTTP", []http.HandlerFunc{raw("220 smtp ready\r\n")}, false, 15, []string{"malformed HTTP"}},
		{"a head without end", []http.HandlerFunc{raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20))}, false, 15, []string{"exceeded"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tc.answers...)
			log, want := &journal{}, digestOf(image)
			if tc.insecure {
				want = nil
			}
			f := newTestFetcher(t, want, log, s.url(t))
			err := f.fetch(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			mentions(t, err.Error(), append(tc.want, s.URL)...)
			if requests, _ := s.seen(); len(requests) != tc.requests {
				t.Errorf("%d requests, want %d\n%s", len(requests), tc.requests, log)
			}
		})
	}
}

// TestFetchNobody asks two mirrors of which one cannot be reached.
func TestFetchNobody(t *testing.T) {
	gone := newSite(t, answer(200))
	there := newSite(t, answer(404))
	u := gone.url(t)
	gone.Close()
	u.User = url.UserPassword("user", "secret")
	log := &journal{}
	err := newTestFetcher(t, digestOf(nil), log, u, there.url(t)).fetch(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	mentions(t, err.Error(), u.Host, "connection refused", there.URL, "404")
	if all := log.String() + err.Error(); strings.Contains(all, "secret") {
		t.Errorf("the password is in the log:\n%s", all)
	}
}

func TestFetchStopped(t *testing.T) {
	image := testImage(1 << 20)
	s := newSite(t, stallAfter(1000, serve(image, `"x"`)))
	ctx, cancel := context.WithCancel(t.Context())
	f := newTestFetcher(t, digestOf(image), io.Discard, s.url(t))
	f.step = 1
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := f.fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch: %v, want it cancelled", err)
	}
}
