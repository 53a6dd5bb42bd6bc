package storefront

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	storefrontv1 "agora/native/gen/agora/storefront/v1"
	"tricorn/contract"
)

// The words as titles are keyed; a query for each of them as a prefix, and one for each as a whole.
const asked = `
WITH asked AS MATERIALIZED (
    SELECT left(folded.words, 50) COLLATE "C" AS words, plainto_tsquery('simple', folded.words) AS wholes,
        (
            SELECT string_agg(quote_literal(lexeme) || ':*', ' & ') FROM unnest(to_tsvector('simple', folded.words))
        )::tsquery AS prefixes
    FROM published.fold_v1(%s::text) AS folded (words)
)
`

// A title that is the query, with or without its article; then one that begins with it; then the rest. Within these, by
// how much of the text the words are, whole words before beginnings.
const score = `(
    CASE
        WHEN asked.words IN (title_key, regexp_replace(title_key, '^(the|an?) ', '')) THEN 4000000
        WHEN starts_with(title_key, asked.words) THEN 2000000
        WHEN starts_with(regexp_replace(title_key, '^(the|an?) ', ''), asked.words) THEN 2000000
        ELSE 0
    END + ((ts_rank(search, asked.wholes, 1) + ts_rank(search, asked.prefixes, 1)) * 100000)::integer
)`

const (
	defaultPageSize = 20
	maxMicroseconds = 50_000_000_000_000_000
)

// order is how found products are sorted; what is equal is sorted by id.
type order struct {
	key        string
	kind       string
	descending bool
}

var (
	byRelevance = order{score, "bigint", true}
	byTitle     = order{"title_key", "text", false}
	byAge       = order{"created_at", "timestamptz", true}
	orders      = map[string]order{
		"title":      byTitle,
		"price":      {"base_price_minor_units", "bigint", false},
		"price desc": {"base_price_minor_units", "bigint", true},
		"newest":     byAge,
	}
)

// pageSizes stand in the text itself: a plan is made once for all arguments, and must know how few rows it is for.
var pageSizes = []int{21, 51, 101}

// search is what is looked for; what is empty does not narrow it.
type search struct {
	query    string
	category string
	order    order
	after    *place
	size     int
}

// place is where a product stands in an order: its sort key and its id.
type place struct {
	key any
	id  string
}

// searchFor reads a request. A query without a letter or digit asks for nothing; without a query nothing is relevant.
func searchFor(request *storefrontv1.ListProductsRequest, position []any) (search, error) {
	made := search{
		query:    request.GetQuery(),
		category: strings.TrimFunc(request.GetCategory(), isSpace),
		size:     int(request.GetPageSize()),
	}
	if !strings.ContainsFunc(made.query, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		made.query = ""
	}
	if made.size == 0 {
		made.size = defaultPageSize
	}
	named, isNamed := orders[request.GetOrderBy()]
	switch {
	case isNamed:
		made.order = named
	case made.query != "":
		made.order = byRelevance
	default:
		made.order = byTitle
	}
	if position == nil {
		return made, nil
	}
	made.after = placeIn(made.order, position)
	if made.after == nil {
		return made, contract.Refuse(contract.ReasonPageTokenInvalid, "page_token is damaged; begin without one")
	}
	return made, nil
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// placeIn is where a page begins; nil when the position is not one of this order.
func placeIn(by order, position []any) *place {
	if len(position) != 2 {
		return nil
	}
	id, isText := position[1].(string)
	if !isText {
		return nil
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil
	}
	made := &place{id: parsed.String()}
	switch key := position[0].(type) {
	case string:
		if by.kind != "text" || strings.ContainsRune(key, 0) {
			return nil
		}
		made.key = key
	case *big.Int:
		if by.kind == "text" || !key.IsInt64() {
			return nil
		}
		made.key = key.Int64()
		if by.kind == "timestamptz" {
			if key.CmpAbs(big.NewInt(maxMicroseconds)) > 0 {
				return nil
			}
			made.key = time.UnixMicro(key.Int64()).UTC()
		}
	}
	return made
}

// portable is a sort key as it stands in a page token.
func portable(key any) any {
	switch value := key.(type) {
	case time.Time:
		return value.UnixMicro()
	case int32:
		return int64(value)
	default:
		return value
	}
}

// statement is the text and the arguments of a search, which may give more rows than one more than the page. There is
// one text for each set of conditions that are in use, and for each of the few sizes.
func (s search) statement() (string, []any) {
	var args []any
	bind := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	direction, beyond := "ASC", ">"
	if s.order.descending {
		direction, beyond = "DESC", "<"
	}
	with, source, where := "", "published.product_search_v1", []string{"true"}
	if s.query != "" {
		with, source = fmt.Sprintf(asked, bind(s.query)), "asked, "+source
		where = append(where, "search @@ asked.prefixes")
	}
	if s.category != "" {
		name := "lower(" + bind(s.category) + "::text)"
		where = append(where, "category_ids && ARRAY(SELECT category_id FROM published.category_v1"+
			" WHERE lower(name) = "+name+" OR category_id::text = "+name+")")
	}
	if s.after != nil {
		where = append(where, fmt.Sprintf("(%s, product_id) %s (%s::%s, %s::text::uuid)",
			s.order.key, beyond, bind(s.after.key), s.order.kind, bind(s.after.id)))
	}
	limit := s.size + 1
	if at, _ := slices.BinarySearch(pageSizes, limit); at < len(pageSizes) {
		limit = pageSizes[at]
	}
	return fmt.Sprintf("%sSELECT %s, %s AS place FROM %s WHERE %s ORDER BY %s %s, product_id %s LIMIT %d",
		with, productColumns, s.order.key, source, strings.Join(where, " AND "),
		s.order.key, direction, direction, limit), args
}
