//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const maxRedirects = 5

// systemRoots returns the CA certificates of the image, which may be none.
func systemRoots(log logger) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		log.printf("CA certificates: %v", err)
		return x509.NewCertPool()
	}
	return roots
}

// client makes one for one try: HTTP/1.1, a connection of its own, and the
// image's bytes as the server has them, never unpacked.
func (f *fetcher) client() *http.Client {
	earliest := f.earliest
	return &http.Client{
		CheckRedirect: f.checkRedirect,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			// The time is divided among the addresses of a name.
			DialContext: (&net.Dialer{Timeout: f.stall / 2}).DialContext,
			TLSClientConfig: &tls.Config{
				RootCAs:            f.roots,
				InsecureSkipVerify: f.unverified(),
				Time: func() time.Time {
					if now := time.Now(); now.After(earliest) {
						return now
					}
					return earliest
				},
			},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			ReadBufferSize:         64 << 10,
		},
	}
}

// unverified says that there is nothing to check a server's certificate with,
// nor any need to, as the digest says what the image must be.
func (f *fetcher) unverified() bool {
	return f.digest != nil && f.roots.Equal(x509.NewCertPool())
}

func (f *fetcher) checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return refusedf("more than %d redirects, the last one to %s", maxRedirects, r.URL.Redacted())
	}
	if f.digest == nil && r.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
		return refusedf("redirect from https to %s, and no digest: give rambox.digest=", r.URL.Redacted())
	}
	return nil
}

// requestFault turns the error of a request without an answer into a fault.
func (f *fetcher) requestFault(err error) *fault {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // the log names the URL already
	}
	var own *fault
	var chain *tls.CertificateVerificationError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &chain):
		return f.certificateFault(chain)
	}
	return cutf("%w", err)
}

// certificateFault judges a certificate that does not prove the server. A
// machine without a clock believes in an early time: if the digest makes up for
// it, tries from now on have the time when the certificate begins.
func (f *fetcher) certificateFault(err *tls.CertificateVerificationError) *fault {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	bad := &fault{err: err, outcome: final}
	switch now := time.Now(); {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		since := latestStart(err.UnverifiedCertificates)
		if f.digest == nil {
			return &fault{outcome: final, err: errors.New("the clock says " + timeText(now) + ", before the server's certificate, which is valid from " +
				timeText(since) + ": set the clock, or give rambox.digest=")}
		}
		if since.After(f.earliest) {
			f.earliest = since
			bad.outcome = cut
			bad.err = errors.New("the clock says " + timeText(now) + ", before the server's certificate: taking " + timeText(since) + " instead; the digest decides")
		}
	case errors.As(err, &unknown) && f.roots.Equal(x509.NewCertPool()):
		bad.err = errors.New("there are no CA certificates to check the server with: add /etc/ssl/certs/ca-certificates.crt to the initramfs, or give rambox.digest=")
	case errors.As(err, &unknown):
		bad.err = errors.New(err.Error() + ": add its CA certificate to the initramfs, or name a file of it in SSL_CERT_FILE=")
	}
	return bad
}

// latestStart returns the time since which all of the certificates are valid.
func latestStart(certificates []*x509.Certificate) (since time.Time) {
	for _, c := range certificates {
		if c.NotBefore.After(since) {
			since = c.NotBefore
		}
	}
	return since
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
