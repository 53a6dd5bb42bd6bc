package negotiate_test

import (
	"testing"

	"tricorn/gateway/negotiate"
)

func TestTheMostSpecificRangeDecides(t *testing.T) {
	for header, want := range map[string]bool{
		"":                                     true,
		"*/*":                                  true,
		"application/json":                     true,
		"application/*":                        true,
		"text/html":                            false,
		"text/html, */*;q=0.1":                 true,
		"application/json;q=0, */*":            false,
		"application/*;q=0, application/json":  true,
		"APPLICATION/JSON; q=0.5":              true,
		"application/json;q=nonsense":          false,
		"application/json; charset=utf-8; q=0": false,
	} {
		if got := negotiate.Accepts(header, negotiate.JSON); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestGzipIsForWhoCanUnpackIt(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "*": true, "*;q=0": false, "gzip;q=0, *": false, "identity": false,
	} {
		if got := negotiate.AcceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestOnlyJSONInUTF8IsTaken(t *testing.T) {
	for header, want := range map[string]bool{
		"": true, "application/json": true, "Application/JSON": true, "application/merge-patch+json": true, `application/json; charset="UTF-8"`: true,
		"text/plain": false, "application/json; charset=latin-1": false, "text/x+json": false, "application/xml": false,
	} {
		if got := negotiate.CheckContentType(header) == nil; got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestTagsAreComparedWeakly(t *testing.T) {
	for header, want := range map[string]bool{
		`"5"`: true, `W/"5"`: true, `"4", "5"`: true, `*`: true, ` * `: true, `"4"`: false, `5`: false, ``: false, `"5`: false,
	} {
		if got := negotiate.Matches(header, `"5"`); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestAConditionIsOneTagInQuotes(t *testing.T) {
	for header, want := range map[string]string{`"5"`: "5", `W/"5"`: "5", ` "a b" `: "!", `*`: "", `"5", "6"`: "!", `5`: "!", `""`: "!", "": "!"} {
		got, bad := negotiate.RequiredVersion(header)
		if bad != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func TestOnlyAVersionThatCanBeQuotedIsATag(t *testing.T) {
	for version, want := range map[string]string{"5": `"5"`, "": "", `a"b`: "", "a b": "", "\u00e4": ""} {
		if got := negotiate.QuoteETag(version); got != want {
			t.Errorf("%q: %s", version, got)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add(`W/"5", *;q=0.5`)
	f.Fuzz(func(_ *testing.T, header string) {
		negotiate.Accepts(header, negotiate.JSON)
		negotiate.AcceptsGzip(header)
		negotiate.CheckContentType(header)
		negotiate.Matches(header, `"5"`)
		_, _ = negotiate.RequiredVersion(header)
	})
}
