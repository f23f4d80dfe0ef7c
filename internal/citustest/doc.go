// Package citustest tests what is only so on Citus: see make test-citus.
package citustest
