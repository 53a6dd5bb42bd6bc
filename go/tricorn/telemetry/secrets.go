package telemetry

import (
	"regexp"
	"strings"
)

const (
	redacted = "[redacted]"
	nesting  = 6
)

var (
	secretWords = set("authorization", "authorisation", "cookie", "credential", "credentials", "cvc", "cvv", "dsn", "jwt",
		"passwd", "password", "secret", "secrets", "token", "tokens")
	secretPairs = set("api key", "private key", "signing key", "card number", "database url")
	urlPassword = regexp.MustCompile(`://([^/\s:@]*):[^/\s@]+@`)
)

// isSecret tells of a key whose value must not be logged. It is split at changes of case and at signs that are no letters, so accessToken and
// access_token are alike.
func isSecret(key string) bool {
	before := ""
	for _, word := range words(key) {
		if secretWords[word] || secretPairs[before+" "+word] {
			return true
		}
		before = word
	}
	return false
}

func words(key string) []string {
	var found []string
	last := byte('_')
	for i := range len(key) {
		sign := key[i]
		if letter(sign) {
			ends := upper(sign) && i+1 < len(key) && lower(key[i+1])
			begins := !letter(last) || (upper(sign) && lower(last)) || (upper(last) && ends)
			if begins {
				found = append(found, "")
			}
			found[len(found)-1] += strings.ToLower(string(sign))
		}
		last = sign
	}
	return found
}

// withoutPasswords takes the password out of every scheme://user:password@host.
func withoutPasswords(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return urlPassword.ReplaceAllString(text, "://$1:"+redacted+"@")
}

func redact(value any, depth int) any {
	switch it := value.(type) {
	case string:
		return withoutPasswords(it)
	case map[string]string:
		made := make(map[string]any, len(it))
		for key, each := range it {
			made[key] = each
		}
		return redact(made, depth)
	case map[string]any:
		if depth >= nesting {
			return "..."
		}
		made := make(map[string]any, len(it))
		for key, each := range it {
			made[key] = redacted
			if !isSecret(key) {
				made[key] = redact(each, depth+1)
			}
		}
		return made
	case []string:
		made := make([]any, len(it))
		for i, each := range it {
			made[i] = withoutPasswords(each)
		}
		return made
	case []any:
		if depth >= nesting {
			return "..."
		}
		made := make([]any, len(it))
		for i, each := range it {
			made[i] = redact(each, depth+1)
		}
		return made
	default:
		return value
	}
}

func set(words ...string) map[string]bool {
	made := map[string]bool{}
	for _, word := range words {
		made[word] = true
	}
	return made
}

func upper(sign byte) bool  { return sign >= 'A' && sign <= 'Z' }
func lower(sign byte) bool  { return sign >= 'a' && sign <= 'z' }
func letter(sign byte) bool { return upper(sign) || lower(sign) }
