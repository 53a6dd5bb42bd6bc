// Package transcode stands between HTTP with JSON and messages; everything in it follows from descriptors alone.
//
// It reads as strictly as the specification of the protobuf JSON mapping, and says where a value does not fit. What it takes and
// refuses, and in which words, is what the gateway in Python takes and refuses.
package transcode
