//go:build awse2e

package aws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

const stsHost = "sts." + region + ".amazonaws.com"

// serveSTS serves STS under its own name, behind a proxy: the authenticator verifies tokens at the
// real address and with TLS, and is led here by HTTPS_PROXY. It gives the proxy's URL and the
// authority that signed the certificate.
func serveSTS(t *testing.T, h http.HandlerFunc) (proxy string, authority []byte) {
	t.Helper()
	certificate, authority := selfSigned(t)
	server := &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	listener := listen(t)
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })

	front := listen(t)
	connect := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != stsHost+":443" {
			http.Error(w, "only "+stsHost, http.StatusForbidden)
			return
		}
		tunnel(w, listener.Addr().String())
	})}
	go func() { _ = connect.Serve(front) }()
	t.Cleanup(func() { _ = connect.Close() })
	return "http://" + front.Addr().String(), authority
}

func tunnel(w http.ResponseWriter, to string) {
	back, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer back.Close()
	w.WriteHeader(http.StatusOK)
	front, read, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer front.Close()
	var wg sync.WaitGroup
	// The server may have read the client's first bytes already.
	wg.Go(func() { _, _ = io.Copy(back, read); back.Close() })
	wg.Go(func() { _, _ = io.Copy(front, back); front.Close() })
	wg.Wait()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func selfSigned(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in"}, DNSNames: []string{stsHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
