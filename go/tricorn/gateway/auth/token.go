package auth

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"tricorn/contract"
	"tricorn/wire"
)

const (
	longestToken = 8192
	notHere      = "the token is not valid here"
	noJWT        = "the token is no JWT"
)

// bearer is the token in an Authorization header.
func bearer(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != "" && len(token) <= longestToken
}

// parsed is a token whose form is good; nothing in it is believed yet.
type parsed struct {
	keyID     string
	signed    string
	payload   []byte
	signature []byte
}

// parse takes a token apart. Only RS256 with a named key passes: the token has no say in how it is checked.
func parse(token string) (*parsed, *contract.Refusal) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, refused(noJWT)
	}
	var raw [3][]byte
	for i, part := range parts {
		decoded, err := segment(part)
		if err != nil {
			return nil, refused(noJWT)
		}
		raw[i] = decoded
	}
	var head map[string]any
	if err := json.Unmarshal(raw[0], &head); err != nil || head == nil || head["b64"] == false {
		return nil, refused(noJWT)
	}
	keyID, named := head["kid"].(string)
	if _, there := head["kid"]; there && !named {
		return nil, refused(noJWT)
	}
	if _, critical := head["crit"]; critical || !named || head["alg"] != "RS256" {
		return nil, refused("the token must be signed with RS256 and name its key")
	}
	return &parsed{keyID, parts[0] + "." + parts[1], raw[1], raw[2]}, nil
}

// segment decodes one part of a token: canonical base64url, padded to whole groups of four or not at all, so that no two
// texts are one token.
func segment(part string) ([]byte, error) {
	encoding := base64.RawURLEncoding.Strict()
	if strings.HasSuffix(part, "=") {
		encoding = base64.URLEncoding.Strict()
	}
	if strings.ContainsAny(part, "\r\n") {
		return nil, base64.CorruptInputError(0) // which the decoder would skip
	}
	return encoding.DecodeString(part)
}

// check believes a token that is signed with the key, for us and of now. It says who calls, and when the token ends
// (Unix seconds, leeway not counted in).
func (a *Authenticator) check(token *parsed, key *rsa.PublicKey) (*wire.Identity, float64, *contract.Refusal) {
	if jwt.SigningMethodRS256.Verify(token.signed, token.signature, key) != nil {
		return nil, 0, refused(notHere)
	}
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(token.payload))
	decoder.UseNumber()
	if decoder.Decode(&claims) != nil || claims == nil || decoder.More() {
		return nil, 0, refused(notHere)
	}
	if !a.isForUs(claims) {
		return nil, 0, refused(notHere)
	}
	ends, failure := a.checkTimes(claims)
	if failure != nil {
		return nil, 0, failure
	}
	identity := identityOf(claims)
	if identity == nil {
		return nil, 0, refused(notHere)
	}
	return identity, ends, nil
}

func (a *Authenticator) isForUs(claims map[string]any) bool {
	for _, name := range []string{"exp", "iss", "aud", "sub", "sid", "roles"} {
		if claims[name] == nil {
			return false
		}
	}
	if id, there := claims["jti"]; there {
		if _, isText := id.(string); !isText {
			return false
		}
	}
	if claims["iss"] != a.config.Issuer {
		return false
	}
	switch audience := claims["aud"].(type) {
	case string:
		return audience == a.config.Audience
	case []any:
		found := false
		for _, each := range audience {
			if _, isText := each.(string); !isText {
				return false
			}
			found = found || each == a.config.Audience
		}
		return found
	}
	return false
}

// ahead are the seconds that the clock of whoever signs tokens may be ahead: a new token is good at once, whosever clock is a minute off.
const ahead = 90.0

func (a *Authenticator) checkTimes(claims map[string]any) (float64, *contract.Refusal) {
	now, leeway := a.wall(), a.config.Leeway.Seconds()
	times := map[string]float64{"exp": 0, "nbf": now, "iat": now}
	for name := range times {
		said, there := claims[name]
		if !there {
			continue
		}
		number, isNumber := said.(json.Number)
		if !isNumber {
			return 0, refused(notHere)
		}
		// A number too large for a float is infinite, and compares as such.
		times[name], _ = strconv.ParseFloat(number.String(), 64)
	}
	switch {
	case times["iat"] > now+ahead:
		return 0, refused(notHere)
	case times["exp"]+leeway <= now:
		return 0, refused("the token has ended; refresh it")
	case times["nbf"] > now+ahead:
		return 0, refused("the token is not valid yet")
	}
	return times["exp"], nil
}

// identityOf is who the claims name; nil when they name nobody.
func identityOf(claims map[string]any) *wire.Identity {
	user, _ := claims["sub"].(string)
	session, _ := claims["sid"].(string)
	listed, isList := claims["roles"].([]any)
	if user == "" || session == "" || !isList {
		return nil
	}
	roles := make([]string, 0, len(listed))
	for _, each := range listed {
		role, isText := each.(string)
		if !isText {
			return nil
		}
		roles = append(roles, role)
	}
	return &wire.Identity{UserID: user, SessionID: session, Roles: roles}
}

// verify believes a token or says why not.
func (a *Authenticator) verify(ctx context.Context, token string) (*wire.Identity, float64, *contract.Refusal) {
	taken, failure := parse(token)
	if failure != nil {
		return nil, 0, failure
	}
	key, err := a.keys.Find(ctx, taken.keyID)
	if err != nil {
		return nil, 0, wire.FromError(err)
	}
	if key == nil {
		return nil, 0, refused("the token is signed with a key that is not known")
	}
	return a.check(taken, key)
}

func refused(detail string) *contract.Refusal {
	return contract.Refuse(contract.ReasonUnauthenticated, detail)
}
