// Package contract reads what contracts say of their methods, fields and reasons, and holds the one business error that crosses them.
//
// Everything is read from the descriptors of the generated packages that a program links in: the options of tricorn/v1/options.proto.
package contract
