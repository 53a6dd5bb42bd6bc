// Package host is one native process: its command line, its life, and what it hosts. A program is registrations and Main.
package host
