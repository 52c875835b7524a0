package netboot

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

const (
	// A client that takes less than this, in bytes a second, after a minute is
	// cut off; it may go on with a range.
	slowestClient = 32 << 10
	clientGrace   = time.Minute
)

// FileHandler serves files by HTTP: GET and HEAD, ranges, and the SHA-256 of
// each as its ETag and in Repr-Digest (RFC 9530), so that whoever resumes a
// download gets the same version or is told.
type FileHandler struct {
	Open    OpenFunc
	Digests *Digests
	Log     *slog.Logger   // nil: none
	Done    func(Transfer) // called at the end of each GET of a file, from any goroutine; may be nil
}

// ServeHTTP implements [http.Handler].
func (h *FileHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this server is read-only", http.StatusMethodNotAllowed)
		return
	}
	from := remoteAddr(r)
	report := Transfer{Protocol: "http", Client: from, Name: r.URL.Path}
	c, err := h.Open(r.URL.Path, from)
	if err != nil {
		h.fail(w, report, err)
		return
	}
	defer c.Close()
	report.Name, report.Size = c.Name, c.Size
	digest, err := h.Digests.Of(r.Context(), c)
	if err != nil {
		h.fail(w, report, err)
		return
	}
	describe(w.Header(), c, digest)
	limit := clientGrace + time.Duration(c.Size/slowestClient)*time.Second
	if err := http.NewResponseController(w).SetWriteDeadline(began.Add(limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.fail(w, report, err)
		return
	}
	counted := &countingWriter{ResponseWriter: w}
	http.ServeContent(counted, r, "", c.ModTime, c.seeker())
	if r.Method == http.MethodHead {
		return
	}
	report.Sent, report.Err, report.Took = counted.sent, counted.err, time.Since(began)
	h.done(report, counted.status)
}

// describe sets what a client is told of a file. Its type is not guessed: that
// would read it.
func describe(header http.Header, c *Content, digest Digest) {
	kind := "application/octet-stream"
	switch {
	case c.parts != nil: // by which firmware knows that it is a program
		kind = "application/efi"
	case c.file == nil:
		kind = "text/plain; charset=utf-8"
		header.Set("Cache-Control", "no-store")
	}
	header.Set("Content-Type", kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", `"`+digest.String()+`"`)
	if c.parts == nil {
		header.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	}
}

// fail answers a request for which there is no file.
func (h *FileHandler) fail(w http.ResponseWriter, t Transfer, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status = http.StatusNotFound
	case errors.Is(err, fs.ErrPermission):
		status = http.StatusForbidden
	case errors.Is(err, errChanging):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	// What is wrong is for the log: it has names of this machine.
	http.Error(w, http.StatusText(status), status)
	t.Err = err
	h.done(t, status)
}

func (h *FileHandler) done(t Transfer, status int) {
	if h.Log != nil {
		args := []any{"client", t.Client, "file", t.Name, "status", status, "bytes", t.Sent, "took", t.Took.Round(time.Millisecond)}
		if t.Err != nil {
			args = append(args, "reason", t.Err)
		}
		level := slog.LevelInfo
		// Boot programs ask for what there may be (404), and clients break off; the
		// rest is for somebody to put right.
		if t.Err != nil && status >= 400 && status != http.StatusNotFound {
			level = slog.LevelWarn
		}
		h.Log.Log(context.Background(), level, "HTTP", args...)
	}
	if h.Done != nil {
		h.Done(t)
	}
}

// remoteAddr is the client's address; the zero one where there is none.
func remoteAddr(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}

// countingWriter notes what becomes of an answer. It leaves the copying to the
// kernel where net/http would.
type countingWriter struct {
	http.ResponseWriter
	status int
	sent   int64
	err    error
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.note(int64(n), err)
	return n, err
}

// ReadFrom implements [io.ReaderFrom].
func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.note(n, err)
	return n, err
}

func (w *countingWriter) note(n int64, err error) {
	w.sent += n
	if w.err == nil {
		w.err = err
	}
}

// Unwrap is for [http.ResponseController].
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
