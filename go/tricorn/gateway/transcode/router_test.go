package transcode_test

import (
	"slices"
	"strings"
	"testing"

	"tricorn/gateway/transcode"
)

func routed(t testing.TB, routes ...string) *transcode.Router[string] {
	t.Helper()
	router := transcode.NewRouter[string]()
	for _, route := range routes {
		verb, path, _ := strings.Cut(route, " ")
		template, err := transcode.ParseTemplate(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := router.Add(verb, template, route); err != nil {
			t.Fatal(err)
		}
	}
	return router
}

var shop = []string{
	"GET /v1/orders", "POST /v1/orders", "GET /v1/orders/{order_id}", "GET /v1/orders/mine", "POST /v1/orders/{order_id}:cancel",
	"GET /v1/{name=shelves/*/books/*}", "GET /v1/files/{path=**}", "GET /",
}

func TestLiteralsWinOverVariablesAndVerbsArePartOfThePath(t *testing.T) {
	router := routed(t, shop...)
	for _, each := range []struct{ verb, path, route, segments string }{
		{"GET", "/v1/orders", "GET /v1/orders", "v1 orders"},
		{"GET", "/v1/orders/mine", "GET /v1/orders/mine", "v1 orders mine"},
		{"GET", "/v1/orders/7", "GET /v1/orders/{order_id}", "v1 orders 7"},
		{"GET", "/v1/orders/a:b", "GET /v1/orders/{order_id}", "v1 orders a:b"},
		{"POST", "/v1/orders/7:cancel", "POST /v1/orders/{order_id}:cancel", "v1 orders 7"},
		{"POST", "/v1/orders/a:b:cancel", "POST /v1/orders/{order_id}:cancel", "v1 orders a:b"},
		{"GET", "/v1/shelves/1/books/2", "GET /v1/{name=shelves/*/books/*}", "v1 shelves 1 books 2"},
		{"GET", "/v1/files/a/b/c", "GET /v1/files/{path=**}", "v1 files a b c"},
		{"GET", "/", "GET /", ""},
	} {
		leaf, segments := router.Find(each.path, each.verb)
		if leaf == nil || leaf.Routes[each.verb] != each.route || strings.Join(segments, " ") != each.segments {
			t.Errorf("%s %s: %v %v", each.verb, each.path, leaf, segments)
		}
	}
}

func TestWhatNobodyHasIsNotFoundAndAnotherVerbIs(t *testing.T) {
	router := routed(t, shop...)
	for _, path := range []string{"/v1", "/v1/orders/", "/v1/orders/7/x", "//v1/orders", "/v1/shelves/1/books/"} {
		if leaf, _ := router.Find(path, "GET"); leaf != nil {
			t.Errorf("%s is found: %v", path, leaf)
		}
	}
	if leaf, _ := router.Find("/v1/orders/7:refund", "POST"); leaf != nil {
		t.Error("a verb that nobody has is found")
	}
	if leaf, _ := router.Find("/v1/orders/7", "DELETE"); leaf == nil || len(leaf.Routes) != 1 {
		t.Errorf("%v", leaf)
	}
}

func TestTwoMethodsAtOnePathAreAnError(t *testing.T) {
	router := routed(t, "GET /v1/orders/{order_id}")
	template, err := transcode.ParseTemplate("/v1/orders/{id}")
	if err != nil {
		t.Fatal(err)
	}

	if err := router.Add("GET", template, "again"); err == nil {
		t.Fatal("the path is taken twice")
	}
}

func TestATemplateThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"v1", "/a//b", "/{a}b", "/**/a", "/a b", "/{a}/{a}", "/a:", "/{a}:b c"} {
		if made, err := transcode.ParseTemplate(text); err == nil {
			t.Errorf("%s is taken: %+v", text, made)
		}
	}
}

// FuzzFind looks for whatever path: the segments that are found are those that were sent.
func FuzzFind(f *testing.F) {
	router := routed(f, shop...)
	for _, path := range []string{"/v1/orders/7:cancel", "/v1/files/a//b", "/:", "", "/v1/orders/:cancel"} {
		f.Add(path, "GET")
	}
	f.Fuzz(func(t *testing.T, path, verb string) {
		leaf, segments := router.Find(path, verb)
		if leaf == nil {
			return
		}
		sent := strings.Split(strings.TrimPrefix(path, "/"), "/")
		last := len(sent) - 1
		if len(segments) != len(sent) || !slices.Equal(segments[:last], sent[:last]) || !strings.HasPrefix(sent[last], segments[last]) {
			t.Fatalf("%q is %q", path, segments)
		}
	})
}
