package transcode

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const maxDepth = 64

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// value is a parsed JSON value; numbers keep their literal, so that no digit is lost.
type value struct {
	kind  kind
	truth bool
	text  string // of a string, or the literal of a number
	keys  []string
	items []value // elements, or the values of keys
	twice int     // of an object: 1 + the index of the first key that stands twice
}

// member is the value of a key, nil when there is none.
func (v *value) member(key string) *value {
	for index, name := range v.keys {
		if name == key {
			return &v.items[index]
		}
	}
	return nil
}

// parse reads a body: UTF-8 only, nested maxDepth levels at most.
func parse(body []byte) (value, *Malformed) {
	if !utf8.Valid(body) {
		at := 0
		for at < len(body) {
			r, size := utf8.DecodeRune(body[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return value{}, NewMalformed(fmt.Sprintf("the body is not UTF-8: byte %d does not belong there", at))
	}
	p := parser{text: string(body)}
	if tooDeep(p.text) {
		return value{}, NewMalformed(fmt.Sprintf("the body is nested deeper than %d levels", maxDepth))
	}
	p.space()
	read, ok := p.value()
	if ok {
		p.space()
		if p.at != len(p.text) {
			p.fail("extra data", p.at)
		}
	}
	return read, p.bad
}

func tooDeep(text string) bool {
	if strings.Count(text, "[")+strings.Count(text, "{") <= maxDepth {
		return false
	}
	depth, quoted := 0, false
	for at := 0; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			at++
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

type parser struct {
	text string
	at   int
	bad  *Malformed
}

func (p *parser) fail(what string, at int) bool {
	before := p.text[:min(at, len(p.text))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	p.bad = NewMalformed(fmt.Sprintf("the body is not JSON: %s at line %d, column %d", what, line, column))
	return false
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) value() (value, bool) {
	switch c := p.peek(); {
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '"':
		read, ok := p.string()
		return value{kind: text, text: read}, ok
	case c == '-' || (c >= '0' && c <= '9'):
		return p.number()
	}
	for _, word := range [...]string{"null", "true", "false", "NaN", "Infinity"} {
		if strings.HasPrefix(p.text[p.at:], word) {
			return p.word(word)
		}
	}
	return value{}, p.fail("expecting value", p.at)
}

func (p *parser) word(word string) (value, bool) {
	p.at += len(word)
	switch word {
	case "null":
		return value{}, true
	case "true", "false":
		return value{kind: boolean, truth: word == "true"}, true
	}
	p.bad = NewMalformed(fmt.Sprintf("the body is not JSON: %s is not a number there", word))
	return value{}, false
}

func (p *parser) object() (value, bool) {
	made := value{kind: object}
	p.at++
	p.space()
	if p.peek() == '}' {
		p.at++
		return made, true
	}
	for {
		if p.peek() != '"' {
			return made, p.fail("expecting property name enclosed in double quotes", p.at)
		}
		key, ok := p.string()
		if !ok {
			return made, false
		}
		p.space()
		if p.peek() != ':' {
			return made, p.fail("expecting ':' delimiter", p.at)
		}
		p.at++
		p.space()
		item, ok := p.value()
		if !ok {
			return made, false
		}
		made.add(key, item)
		p.space()
		switch p.peek() {
		case '}':
			p.at++
			made.findTwice()
			return made, true
		case ',':
			p.at++
			p.space()
		default:
			return made, p.fail("expecting ',' delimiter", p.at)
		}
	}
}

func (v *value) add(key string, item value) {
	v.keys, v.items = append(v.keys, key), append(v.items, item)
}

// findTwice notes the first key that was there before; above a handful of keys by a set, so that its time stays linear.
func (v *value) findTwice() {
	if len(v.keys) <= 16 {
		for index, key := range v.keys {
			for _, other := range v.keys[:index] {
				if other == key {
					v.twice = 1 + index
					return
				}
			}
		}
		return
	}
	seen := make(map[string]struct{}, len(v.keys))
	for index, key := range v.keys {
		if _, twice := seen[key]; twice {
			v.twice = 1 + index
			return
		}
		seen[key] = struct{}{}
	}
}

func (p *parser) array() (value, bool) {
	made := value{kind: array}
	p.at++
	p.space()
	if p.peek() == ']' {
		p.at++
		return made, true
	}
	for {
		item, ok := p.value()
		if !ok {
			return made, false
		}
		made.items = append(made.items, item)
		p.space()
		switch p.peek() {
		case ']':
			p.at++
			return made, true
		case ',':
			p.at++
			p.space()
		default:
			return made, p.fail("expecting ',' delimiter", p.at)
		}
	}
}

func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

func (p *parser) number() (value, bool) {
	start := p.at
	if p.text[p.at] == '-' {
		p.at++
		if strings.HasPrefix(p.text[p.at:], "Infinity") {
			p.at--
			return p.word("-Infinity")
		}
	}
	switch {
	case p.peek() == '0':
		p.at++
	case !p.digits():
		return value{}, p.fail("expecting value", start)
	}
	whole := p.at
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			p.at = whole
			return value{kind: number, text: p.text[start:p.at]}, true
		}
	}
	mantissa := p.at
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			p.at = mantissa
		}
	}
	return value{kind: number, text: p.text[start:p.at]}, true
}

func (p *parser) string() (string, bool) {
	begin := p.at
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[start : p.at-1], true
		case c == '\\':
			return p.escaped(begin, start)
		case c < 0x20:
			return "", p.fail("invalid control character at", p.at)
		default:
			p.at++
		}
	}
	return "", p.fail("unterminated string starting at", begin)
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped goes on with a string from its first escape. Half of a surrogate pair is kept as three bytes that are no UTF-8, for
// whoever reads a text to refuse.
func (p *parser) escaped(begin, start int) (string, bool) {
	made := []byte(p.text[start:p.at])
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return string(made), true
		case c < 0x20:
			return "", p.fail("invalid control character at", p.at)
		case c != '\\':
			made = append(made, c)
			p.at++
			continue
		case p.at+1 >= len(p.text):
			return "", p.fail("unterminated string starting at", begin)
		}
		if plain, known := escapes[p.text[p.at+1]]; known {
			made = append(made, plain)
			p.at += 2
			continue
		}
		if p.text[p.at+1] != 'u' {
			return "", p.fail("invalid \\escape", p.at)
		}
		r, ok := p.unicode(p.at + 2)
		if !ok {
			return "", p.fail("invalid \\uXXXX escape", p.at+1)
		}
		p.at += 6
		if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(p.text[p.at:], `\u`) {
			if low, ok := p.unicode(p.at + 2); ok && low >= 0xdc00 && low < 0xe000 {
				r = utf16.DecodeRune(r, low)
				p.at += 6
			}
		}
		if utf16.IsSurrogate(r) {
			made = append(made, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
		} else {
			made = utf8.AppendRune(made, r)
		}
	}
	return "", p.fail("unterminated string starting at", begin)
}

func (p *parser) unicode(at int) (rune, bool) {
	if at+4 > len(p.text) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.text[at : at+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
