package load

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestEverySendingHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	plan := NewPlan("order", []byte("Idempotency-Key: "+FreshKey+"\r\n"))
	dice := rand.New(rand.NewPCG(1, 1))

	_, first := plan.draw(dice, nil)
	_, second := plan.draw(dice, nil)

	shape := regexp.MustCompile(`^Idempotency-Key: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\r\n$`)
	if !shape.Match(first) || !shape.Match(second) || string(first) == string(second) {
		t.Errorf("sent %q, then %q", first, second)
	}
}

func TestAPlanComesFromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.json")
	text := `{"classes": [{"name": "me", "weight": 99, "requests": ["R0VU"]}, {"name": "rename", "weight": 1, "requests": ["UEFUQ0g="]}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	plan, err := ReadPlan(path)

	if err != nil || plan.total != 100 || string(plan.Classes[1].Requests[0]) != "PATCH" {
		t.Errorf("%v: %+v", err, plan)
	}
}

func TestAPlanWithNothingToAskIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{}`, `{"classes": [{"name": "me", "weight": 1}]}`, `{"classes": [{"name": "me", "requests": [""]}]}`, `[`} {
		path := filepath.Join(t.TempDir(), "plan.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		if _, err := ReadPlan(path); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
