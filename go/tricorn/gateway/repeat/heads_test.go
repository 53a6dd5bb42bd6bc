package repeat

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tricorn/gateway/exchange"
)

func read(t testing.TB, head string) *http.Request {
	t.Helper()
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// known has a head kept, as a server does: it is worth it when it comes for the second time.
func known(t testing.TB, heads *Heads, head string, caller *exchange.Caller) *Known {
	t.Helper()
	if found, worth := heads.Find([]byte(head)); found != nil || worth {
		t.Fatalf("%q came for the first time: %v %v", head, found, worth)
	}
	if found, worth := heads.Find([]byte(head)); found != nil || !worth {
		t.Fatalf("%q came for the second time: %v %v", head, found, worth)
	}
	heads.Keep(head, read(t, head), caller)
	found, _ := heads.Find([]byte(head))
	return found
}

const plain = "GET /v1/books/b1?view=full HTTP/1.1\r\nHost: library.example\r\nAuthorization: Bearer a.b.c\r\nAccept: a\r\nAccept: b\r\n\r\n"

func TestWhatIsKnownOfAHeadIsHowItReads(t *testing.T) {
	caller := &exchange.Caller{}

	found := known(t, New(16), plain, caller)

	want := read(t, plain)
	got := &found.Request
	if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || got.Proto != want.Proto ||
		*got.URL != *want.URL || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || got.ContentLength != 0 || got.Body != http.NoBody {
		t.Errorf("%+v", got)
	}
	if found.Caller != caller {
		t.Error("the caller is somebody else")
	}
	got.Header["Accept"] = append(got.Header["Accept"], "c")
	if authorization := got.Header["Authorization"]; len(authorization) != 1 || authorization[0] != "Bearer a.b.c" {
		t.Errorf("a longer header runs over its neighbour: %v", authorization)
	}
}

func TestAnotherHeadIsNotKnownHoweverAlikeItIs(t *testing.T) {
	heads := New(16)
	known(t, heads, plain, nil)
	for at := range len(plain) {
		other := []byte(plain)
		other[at] ^= 1
		if found, _ := heads.Find(other); found != nil {
			t.Fatalf("%q", other)
		}
	}
	for _, other := range []string{plain[:len(plain)-1], plain[1:], plain + plain, "\r\n" + plain, ""} {
		if found, _ := heads.Find([]byte(other)); found != nil {
			t.Fatalf("%q", other)
		}
	}
}

func TestOnlyWhatIsOneWholeHeadOfAGetIsWorthKeeping(t *testing.T) {
	for _, head := range []string{
		strings.Replace(plain, "GET", "HEAD", 1), strings.Replace(plain, "GET", "POST", 1), plain[:len(plain)-2], "\r\n" + plain, plain + "x",
		plain + plain, strings.Replace(plain, "\r\n", "\n", 1), "GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "\r\n\r\n", "",
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

func TestARequestWhoseAnswerMayNeedMoreIsNotKept(t *testing.T) {
	heads := New(16)
	for _, head := range []string{
		strings.Replace(plain, "HTTP/1.1", "HTTP/1.0", 1),
		strings.Replace(plain, "Accept: a", "Connection: close", 1),
		strings.Replace(plain, "Accept: a", "Content-Length: 3", 1),
		strings.Replace(plain, "Accept: a", "Transfer-Encoding: chunked", 1),
		strings.Replace(plain, "Accept: a", "Expect: 100-continue", 1),
		strings.Replace(plain, "Accept: a", "Upgrade: websocket", 1),
	} {
		if found := known(t, heads, head, nil); found != nil {
			t.Errorf("%q is kept", head)
		}
	}
	heads.Keep("", read(t, plain), nil)
	if found, _ := heads.Find(nil); found != nil {
		t.Error("a request whose head nobody has seen is kept")
	}
}

func TestOnlySoManyHeadsAreKnown(t *testing.T) {
	const most = 64
	heads, count := New(most), 0
	all := make([]string, 10*most)
	for i := range all {
		all[i] = fmt.Sprintf("GET /v1/books/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		heads.Keep(all[i], read(t, all[i]), nil)
	}
	for _, head := range all {
		if found, _ := heads.Find([]byte(head)); found != nil {
			count++
		}
	}
	if count == 0 || count > most {
		t.Errorf("%d are known", count)
	}
}

func FuzzWholeHead(f *testing.F) {
	for _, head := range []string{plain, plain + plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"} {
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
