//go:build !nonet

package boot

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReportURL(t *testing.T) {
	for _, tc := range []struct{ in, server, path string }{
		{"http://10.0.0.1/report", "10.0.0.1:80", "/report"},
		{"http://10.0.0.1:8080", "10.0.0.1:8080", "/"},
		{"http://[fd00::1]:8080/a/b?c", "[fd00::1]:8080", "/a/b?c"},
		{"http://[fd00::1]/", "[fd00::1]:80", "/"},
		{"https://10.0.0.1/", "", ""},
		{"http://server/", "", ""},
		{"http://10.0.0.1/a b", "", ""},
		{"http://10.0.0.1:99999/", "", ""},
		{"", "", ""},
	} {
		server, path, err := reportURL(tc.in)
		if tc.server == "" {
			if err == nil {
				t.Errorf("reportURL(%q) = %v, %q, want an error", tc.in, server, path)
			}
			continue
		}
		if err != nil || server.String() != tc.server || path != tc.path {
			t.Errorf("reportURL(%q) = %v, %q, %v, want %s, %s", tc.in, server, path, err, tc.server, tc.path)
		}
	}
}

func TestPost(t *testing.T) {
	var got string
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body)
		w.WriteHeader(status)
	}))
	defer server.Close()
	if err := post(server.URL+"/node", []byte(`{"state":"running"}`), time.Second); err != nil {
		t.Fatal(err)
	}
	if want := `POST /node application/json {"state":"running"}`; got != want {
		t.Errorf("the server got %q, want %q", got, want)
	}
	status = http.StatusForbidden
	if err := post(server.URL, nil, time.Second); err == nil || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("an answer of 403: %v", err)
	}

	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if err := post("http://"+mute.Addr().String(), nil, time.Millisecond); err == nil || !strings.Contains(err.Error(), "receive") {
		t.Errorf("a server that does not answer: %v", err)
	}
	mute.Close()
	if err := post("http://"+mute.Addr().String(), nil, time.Second); err == nil || !strings.Contains(err.Error(), "connect: connection refused") {
		t.Errorf("no server: %v", err)
	}
}
