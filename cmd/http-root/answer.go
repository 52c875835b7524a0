//go:build linux

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// version is what a server has said of the image that is being fetched.
type version struct {
	size     int64  // bytes; -1: it has not said
	etag     string // the headers, as they are
	modified string
	date     string
	encoding string
}

// fault is a try that has failed.
type fault struct {
	err     error
	outcome outcome
	anew    bool          // what has been fetched is of no use
	after   time.Duration // how long the server wants to be left alone
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func cutf(format string, a ...any) *fault {
	return &fault{err: fmt.Errorf(format, a...), outcome: cut}
}

// changedf is about an image that is not, or may not be, the one that a part
// has been fetched of.
func changedf(format string, a ...any) *fault {
	return &fault{err: fmt.Errorf(format, a...), outcome: cut, anew: true}
}

func refusedf(format string, a ...any) *fault {
	return &fault{err: fmt.Errorf(format, a...), outcome: refused}
}

// readVersion takes what r says of the image; of a 206 the size is that of the
// range.
func readVersion(r *http.Response) version {
	return version{
		size:     r.ContentLength,
		etag:     r.Header.Get("ETag"),
		modified: r.Header.Get("Last-Modified"),
		date:     r.Header.Get("Date"),
		encoding: r.Header.Get("Content-Encoding"),
	}
}

// validator returns what If-Range takes to name exactly this version, or "": a
// strong ETag, else a Last-Modified that is a minute older than the answer, so
// that the image cannot have changed in the same second (RFC 9110, 8.8.2.2 and
// 13.1.5).
func (v version) validator() string {
	if strings.HasPrefix(v.etag, `"`) {
		return v.etag
	}
	modified, err1 := http.ParseTime(v.modified)
	date, err2 := http.ParseTime(v.date)
	if err1 == nil && err2 == nil && date.Sub(modified) >= time.Minute {
		return v.modified
	}
	return ""
}

// readAnswer judges the head of an answer. have is the first byte that was asked
// for, of version v; resumed says that the body begins there, and not at 0.
func (v version) readAnswer(r *http.Response, have int64) (next version, resumed bool, _ *fault) {
	switch {
	case r.StatusCode == http.StatusOK:
		next = readVersion(r)
		if next.size == 0 {
			return v, false, refusedf("the image is empty")
		}
		return next, false, nil
	case r.StatusCode == http.StatusPartialContent && have > 0:
		size, f := v.checkRange(r, have)
		if f != nil {
			return v, false, f
		}
		v.size = size
		return v, true, nil
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable && have > 0:
		return v, false, changedf("%s: the image has changed", status(r))
	}
	f := refusedf("%s", status(r))
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		f.outcome = cut
	}
	if r.StatusCode >= 500 {
		f.outcome = cut
	}
	if seconds, err := strconv.ParseUint(r.Header.Get("Retry-After"), 10, 16); err == nil {
		f.after = time.Duration(seconds) * time.Second
	}
	return v, false, f
}

// checkRange makes sure that an answer goes on at have with the same version,
// and returns the size of the whole. If-Range is not enough: some servers do not
// know it.
func (v version) checkRange(r *http.Response, have int64) (size int64, _ *fault) {
	text := r.Header.Get("Content-Range")
	first, last, size, ok := parseContentRange(text)
	if size < 0 {
		size = v.size
	}
	switch now := readVersion(r); {
	case !ok || first != have || size < 0:
		return 0, changedf("206 with Content-Range %q, asked for %d and on", text, have)
	case v.size >= 0 && size != v.size:
		return 0, changedf("the image has changed: its size was %d bytes and is %d", v.size, size)
	case now.size >= 0 && now.size != last-first+1:
		return 0, changedf("206 with Content-Range %q, but Content-Length %d", text, now.size)
	// RFC 9110, 15.3.7: a 206 may leave Last-Modified out.
	case now.etag != "" && now.etag != v.etag, now.modified != "" && now.modified != v.modified:
		return 0, changedf("the image has changed: ETag %q and Last-Modified %q were %q and %q", now.etag, now.modified, v.etag, v.modified)
	}
	return size, nil
}

// parseContentRange reads "bytes 42-1233/1234" (RFC 9110, 14.4). A size that is
// not there, "*", is -1. The three are consistent if ok.
func parseContentRange(text string) (first, last, size int64, ok bool) {
	unit, rest, _ := strings.Cut(text, " ")
	span, total, found := strings.Cut(rest, "/")
	from, to, isSpan := strings.Cut(span, "-")
	if !strings.EqualFold(unit, "bytes") || !found || !isSpan {
		return 0, 0, 0, false
	}
	first, ok1 := parseByte(from)
	last, ok2 := parseByte(to)
	size, ok3 := parseByte(total)
	if total == "*" {
		size, ok3 = -1, true
	}
	if !ok1 || !ok2 || !ok3 {
		return 0, 0, 0, false
	}
	return first, last, size, first <= last && (size < 0 || last < size)
}

func parseByte(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}

// status names the answer, and the server if it is another one than asked.
func status(r *http.Response) string {
	text := strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode)
	if r.Request != nil && r.Request.Response != nil {
		text += " from " + r.Request.URL.Redacted()
	}
	return text
}
