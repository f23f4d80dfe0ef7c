package database

import (
	"encoding/binary"
	"strconv"
	"sync"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// sqlitePages is how many pages of files are kept in memory, 13 MB, for all connections together.
	sqlitePages = 3072
	// sqliteDirtyPages is how many pages a transaction may have before it writes what it changed of them
	// into the write-ahead log early, where there is no room for others: as many as with the 2 MB that
	// SQLite gives to a connection.
	sqliteDirtyPages = 484
	// sqlitePageSize is that of new files.
	sqlitePageSize = 4096
)

// sharePages gives one cache of pages to all of this process's connections to SQLite, and answers with the
// pragmas by which a connection takes part. There are none where SQLite was used before: it can be told
// only once, to begin with.
//
// The driver's SQLite is built with SQLITE_ENABLE_MEMORY_MANAGEMENT, where the bound on memory is that of all
// connections together, and the page that was used least recently makes room, whosever it was. But a
// connection takes another one's page only when it has as many as its cache_size itself; with fewer it makes
// a new one, which is dropped at once where the bound is reached. So once some connections have grown at the
// cost of others, the others read every page anew, each time. With memory set aside for pages
// (https://sqlite.org/malloc.html#pagecache) they take it by need, as soon as that is used up.
var sharePages = sync.OnceValue(func() (pragmas []string) {
	tls := libc.NewTLS()
	defer tls.Close()
	const pointers = 3
	args, header := libc.Xmalloc(tls, pointers*8), libc.Xmalloc(tls, 4)
	defer libc.Xfree(tls, args)
	defer libc.Xfree(tls, header)
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PCACHE_HDRSZ, libc.VaList(args, header)) != sqlite3.SQLITE_OK {
		return nil
	}
	size := sqlitePageSize + int32(binary.NativeEndian.Uint32(libc.GoBytes(header, 4)))
	pages := libc.Xmalloc(tls, types.Size_t(sqlitePages*int(size)))
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, libc.VaList(args, pages, size, int32(sqlitePages))) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, pages)
		return nil
	}
	return []string{
		"cache_size(" + strconv.Itoa(sqlitePages) + ")", // nobody's own bound is reached before that of all
		"cache_spill(" + strconv.Itoa(sqliteDirtyPages) + ")",
	}
})
