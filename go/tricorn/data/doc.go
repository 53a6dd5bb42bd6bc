// Package data opens PostgreSQL for one role and says what its failures mean to a caller. Search path and time limits (lock_timeout,
// statement_timeout, idle_in_transaction_session_timeout, all below the deadlines of requests) are settings of the role itself.
package data
