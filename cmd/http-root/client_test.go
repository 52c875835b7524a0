//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// authority is a CA.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, from, to time.Time) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	_, a.certificate, a.key = a.sign(t, template)
	return a
}

// sign makes a certificate; an authority without one signs its own.
func (a *authority) sign(t *testing.T, template *x509.Certificate) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return der, c, key
}

// server serves an image by HTTPS with a certificate for an address.
func (a *authority) server(t *testing.T, image []byte, address string, from, to time.Time) *url.URL {
	t.Helper()
	der, _, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.ParseIP(address)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	s := httptest.NewUnstartedServer(serve(image, `"x"`))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/root.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.certificate)
	return p
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	ago, ahead, tomorrow := now.Add(-2*day), now.Add(9*day), now.Add(day)
	good := newAuthority(t, ago, ahead)
	young := newAuthority(t, tomorrow, ahead)
	image := testImage(100)
	here := "127.0.0.1"
	sound := good.server(t, image, here, ago, ahead)
	early := good.server(t, image, here, tomorrow, ahead)
	for _, tc := range []struct {
		name   string
		url    *url.URL
		roots  *x509.CertPool
		digest bool
		log    []string
		err    []string // nil: none
	}{
		{name: "known", url: sound, roots: good.pool()},
		{name: "known, with a digest", url: sound, roots: good.pool(), digest: true},
		{name: "no CA at all, with a digest", url: sound, roots: x509.NewCertPool(), digest: true, log: []string{"no CA certificates, so the server is not verified"}},
		{name: "no CA at all", url: sound, roots: x509.NewCertPool(), err: []string{"add /etc/ssl/certs/ca-certificates.crt", "rambox.digest="}},
		{name: "another CA", url: sound, roots: young.pool(), err: []string{"unknown authority", "SSL_CERT_FILE="}},
		{name: "another CA, with a digest", url: sound, roots: young.pool(), digest: true, err: []string{"unknown authority"}},
		{name: "another address", url: good.server(t, image, "127.0.0.2", ago, ahead), roots: good.pool(), err: []string{"127.0.0.2, not 127.0.0.1"}},
		{name: "over", url: good.server(t, image, here, ago, now.Add(-day)), roots: good.pool(), digest: true, err: []string{"expired"}},
		{name: "the clock is behind", url: early, roots: good.pool(), err: []string{"the clock says " + now.UTC().Format("2006-01-02"), "valid from " + timeText(tomorrow), "set the clock, or give rambox.digest="}},
		{name: "the clock is behind, with a digest", url: early, roots: good.pool(), digest: true, log: []string{"the clock says", "taking " + timeText(tomorrow) + " instead"}},
		{name: "the clock is behind the CA's as well", url: young.server(t, image, here, tomorrow, ahead), roots: young.pool(), digest: true, log: []string{"the clock says"}},
		{name: "the clock is behind, and another CA", url: early, roots: young.pool(), digest: true, log: []string{"the clock says"}, err: []string{"unknown authority"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := &journal{}
			var want *digest
			if tc.digest {
				want = digestOf(image)
			}
			f := newTestFetcher(t, want, text, tc.url)
			f.roots = tc.roots
			err := f.fetch(t.Context())
			switch {
			case tc.err == nil && err != nil:
				t.Errorf("fetch: %v\n%s", err, text)
			case tc.err != nil && err == nil:
				t.Errorf("no error; the log:\n%s", text)
			case err != nil:
				mentions(t, err.Error(), tc.err...)
			}
			mentions(t, text.String(), tc.log...)
			if got := strings.Count(text.String(), "trying"); got > 1 {
				t.Errorf("%d tries more:\n%s", got, text)
			}
		})
	}
}

// TestDowngrade follows a redirect from https to http with a digest only.
func TestDowngrade(t *testing.T) {
	image := testImage(100)
	plain := newSite(t, serve(image, `"x"`))
	s := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*digest{nil, digestOf(image)} {
		f := newTestFetcher(t, want, io.Discard, u)
		f.roots.AddCert(s.Certificate())
		err := f.fetch(t.Context())
		if want != nil && err != nil {
			t.Errorf("with a digest: %v", err)
		}
		if want == nil && (err == nil || !strings.Contains(err.Error(), "redirect from https to http://")) {
			t.Errorf("without a digest: %v, want the redirect refused", err)
		}
	}
}
