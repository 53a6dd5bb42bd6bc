package transcode_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/gateway/library"
	"tricorn/gateway/transcode"
)

// listing is the binding of GET /v1/books.
func listing(t testing.TB) *transcode.Binding {
	t.Helper()
	for _, policy := range library.Contract(t) {
		if policy.Name == "ListBooks" {
			return bound(t, policy, policy.Routes[0])
		}
	}
	t.Fatal("the library lists no books")
	return nil
}

func bound(t testing.TB, policy *contract.Policy, route contract.HTTPRoute) *transcode.Binding {
	t.Helper()
	made, err := transcode.NewBinding(policy, route)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// FuzzQuery reads whatever query: what is taken is a message that can be sent, and whatever is refused is refused in words that can be shown.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"page_size=3&pageToken=a+b%20c", "filter.genres=1&filter.genres=GENRE_POETRY", "filter.after=x", "%zz=%ff", "readMask=a.b,c",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		message, bad := listing(t).Request(nil, query, nil, "", nil)
		if bad != nil {
			if bad.Message == "" || strings.Contains(bad.Message, "%!") {
				t.Fatalf("%q is refused with %q", query, bad.Message)
			}
			return
		}
		packed, err := proto.Marshal(message)
		if err != nil || (utf8.ValidString(query) && len(packed) > 16*len(query)+16) {
			t.Fatalf("%q makes %d bytes: %v", query, len(packed), err)
		}
	})
}

func TestARouteThatTheMessageDoesNotFitIsAnError(t *testing.T) {
	policies := library.Contract(t)
	for _, template := range []string{"/v1/{no_field}", "/v1/{filter}", "/v1/{labels}", "/v1/{filter.no_field}", "/v1/{filter.genres}", "no path"} {
		_, err := transcode.NewBinding(policies[1], contract.HTTPRoute{Verb: "GET", Template: template})
		if err == nil {
			t.Errorf("%s is taken", template)
		}
	}
}

func TestANestedFieldMayStandInAPath(t *testing.T) {
	binding := bound(t, library.Contract(t)[1], contract.HTTPRoute{Verb: "GET", Template: "/v1/{filter.author}/books/{page_size}"})

	message, bad := binding.Request([]string{"v1", "a%2Fb", "books", "7"}, "filter.lent=true", nil, "", nil)
	_, taken := binding.Request([]string{"v1", "a", "books", "7"}, "filter.author=b", nil, "", nil)
	_, wrong := binding.Request([]string{"v1", "a", "books", "x"}, "", nil, "", nil)

	if bad != nil || plain(t, message) != `page_size:7 filter:{author:"a/b" lent:true}` {
		t.Errorf("%v %v", bad, message)
	}
	if taken == nil || taken.Error() != "filter.author: there is no such query parameter" {
		t.Errorf("%v", taken)
	}
	if wrong == nil || wrong.Error() != "pageSize: must be an integer" {
		t.Errorf("%v", wrong)
	}
}
