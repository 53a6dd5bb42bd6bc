package drain

import (
	"bytes"
	"sync"
)

// joined are buffers in which heads are put together: net/http writes 4 KiB at once, or what is larger alone.
var joined = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 6<<10)) }}

// Head gives room for lines of the next answer's head ("Name: value\r\n"); SetHead takes them. What every answer has is cheaper so than in a
// http.Header, which net/http copies and sorts for each: with more than eight entries that is a tenth of a small answer's CPU.
func (c *Conn) Head() []byte { return c.head[:0] }

// SetHead adds lines to the head of an answer of HTTP/1, which is what net/http writes next. What they name must not be in its http.Header.
func (c *Conn) SetHead(lines []byte) { c.head = lines }

// writeWithHead writes the status line, the lines of SetHead, and the rest.
func (c *Conn) writeWithHead(data []byte) (int, error) {
	line := bytes.IndexByte(data, '\n') + 1
	whole := joined.Get().(*bytes.Buffer)
	defer joined.Put(whole)
	whole.Reset()
	whole.Write(data[:line])
	whole.Write(c.head)
	whole.Write(data[line:])
	c.head = c.head[:0]
	n, err := c.write(whole.Bytes())
	if err != nil {
		return min(n, len(data)), err
	}
	return len(data), nil
}
