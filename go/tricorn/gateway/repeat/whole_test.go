package repeat

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

const lined = "GET /v1/books/b1?view=full HTTP/1.1\r\nHost: library.example\r\nAuthorization: Bearer a.b.c\r\nAccept: a\r\nAccept: b\r\n\r\n"

func TestAnotherHeadIsNotKnownHoweverAlikeItIs(t *testing.T) {
	heads := New(16)
	if !kept(t, heads, lined) {
		t.Fatal("it is not known itself")
	}
	for at := range len(lined) {
		other := []byte(lined)
		other[at] ^= 1
		if found, _ := heads.Find(other); found != nil {
			t.Fatalf("%q", other)
		}
	}
	for _, other := range []string{lined[:len(lined)-1], lined[1:], lined + lined, "\r\n" + lined, ""} {
		if found, _ := heads.Find([]byte(other)); found != nil {
			t.Fatalf("%q", other)
		}
	}
}

func TestOnlyWhatIsOneWholeHeadOfAGetIsWorthKeeping(t *testing.T) {
	for _, head := range []string{
		strings.Replace(lined, "GET", "HEAD", 1), strings.Replace(lined, "GET", "POST", 1), lined[:len(lined)-2], "\r\n" + lined, lined + "x",
		lined + lined, strings.Replace(lined, "\r\n", "\n", 1), "GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "\r\n\r\n", "",
		"GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("x", longest) + "\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		heads := New(16)
		for range 3 {
			if found, worth := heads.Find([]byte(head)); found != nil || worth {
				t.Errorf("%.80q is worth keeping", head)
			}
		}
	}
}

func FuzzWholeHead(f *testing.F) {
	for _, head := range []string{lined, lined + lined, "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if !isWhole(head) {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(head))
		if _, err := http.ReadRequest(reader); err == nil && reader.Buffered() > 0 {
			rest, _ := reader.Peek(reader.Buffered())
			t.Fatalf("net/http leaves %q of %q", rest, head)
		}
	})
}
