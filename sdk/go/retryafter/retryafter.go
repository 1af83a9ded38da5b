// Package retryafter reads how long an upstream asks to be left alone: `retry-after` (RFC 9110: seconds or a date) and
// `retry-after-ms`, as some model services send. It waits for nothing.
package retryafter

import (
	"math"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// More digits than this are centuries.
const maxDigits = 12

// Milliseconds to wait, by the values of both headers ("" where they are absent). The finer one wins; nowUs is
// microseconds of UTC since 1970, for dates. A date that is past is 0; false for what cannot be read.
func Milliseconds(retryAfter, retryAfterMs string, nowUs uint64) (uint64, bool) {
	if wait, ok := decimal(retryAfterMs, 1); ok {
		return wait, true
	}
	if wait, ok := decimal(retryAfter, 1000); ok {
		return wait, true
	}
	text := textproto.TrimString(retryAfter)
	for _, form := range []string{time.RFC1123, "Monday, 02-Jan-06 15:04:05 MST", time.ANSIC} {
		at, err := time.Parse(form, text)
		if err != nil {
			continue
		}
		return uint64(max(0, at.UnixMilli()-int64(nowUs/1000))), true
	}
	return 0, false
}

// A number with or without decimals, times scale, rounded up so that nobody comes early.
func decimal(text string, scale float64) (uint64, bool) {
	text = textproto.TrimString(text)
	whole, fraction, _ := strings.Cut(text, ".")
	for _, digit := range whole + fraction {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || whole == "" || len(whole) > maxDigits || len(fraction) > maxDigits || strings.HasSuffix(text, ".") {
		return 0, false
	}
	// To a nanosecond, or the error of the product would round a whole number up.
	return uint64(math.Ceil(math.Round(number*scale*1e6) / 1e6)), true
}
