package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries a request's signature, as Sign writes it.
const SignatureHeader = "Stepcanary-Signature"

// DeliveryHeader carries a name of the question, the same each time that it is
// asked, by which a receiver knows a repetition.
const DeliveryHeader = "Stepcanary-Delivery"

// Sign writes t=SECONDS,v1=HEX: when a request was sent, in Unix time, and the
// HMAC-SHA256 (RFC 2104) by the key of that number, a point, and the body.
func Sign(key string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(key, t, body))
}

func mac(key, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify is what a receiver does: it tells whether the header signs the body,
// at a time no farther from now than the tolerance.
func Verify(key, header string, body []byte, now time.Time, tolerance time.Duration) error {
	t, signature, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if !ok || err != nil || !strings.HasPrefix(header, "t=") {
		return fmt.Errorf("signature: t=SECONDS,v1=HEX is expected")
	}
	given, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(given, mac(key, t, body)) {
		return fmt.Errorf("signature: it does not fit")
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > tolerance {
		return fmt.Errorf("signature: it is %v away; at most %v is expected", age, tolerance)
	}
	return nil
}
