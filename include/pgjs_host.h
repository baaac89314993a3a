/*
 * pgjs_host.h
 *		What C offers Rust: the callback table, and the structs it hands over.
 *
 * Rust calls PostgreSQL through this table alone, from the backend's one
 * thread, inside a turn. Every callback that can raise runs in the guard of
 * error.c: it parks the ErrorData and returns PGJS_IO_ERROR; from then on all
 * callbacks return PGJS_IO_ERROR, and C rethrows when the turn is over.
 *
 * Mirrored in rust_core/src/ffi/host.rs; pgjs_layout.def holds both to the
 * same sizes and offsets.
 */
#ifndef PGJS_HOST_H
#define PGJS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a callback came to. */
typedef int32_t PgjsIo;

#define PGJS_IO_OK			0
#define PGJS_IO_WOULD_BLOCK	1	/* queue full or empty: try again later, a send with the same bytes */
#define PGJS_IO_DETACHED	2	/* the peer is gone */
#define PGJS_IO_ERROR		3	/* an ERROR is parked: unwind */

/* How one attribute lies in a heap tuple. Owned by C, lives as long as the session. */
typedef struct PgjsAttribute
{
	uint64_t	missing_value;	/* Datum for tuples that end before this attribute */
	uint32_t	typid;
	int32_t		typmod;
	int16_t		attlen;			/* bytes; -1 varlena, -2 C string */
	char		attalign;		/* 'c', 's', 'i' or 'd' */
	bool		attbyval;
	bool		attnotnull;
	bool		missing_isnull;
	bool		attisdropped;
} PgjsAttribute;

/* The tuple layout of one part of a scan. */
typedef struct PgjsRelation
{
	const PgjsAttribute *attributes;	/* natts of them, attribute number 1 first */

	/*
	 * Of each attribute of the scan's table, from 1, its number in this part; 0
	 * for a dropped one. NULL: the numbers are the same.
	 */
	const int16_t *attnos;
	const char *name;			/* of the part's table, for messages */
	uint32_t	natts;
	uint32_t	nattnos;
	uint32_t	pins;			/* pages of the part that may be pinned at a time, at least 1 */
} PgjsRelation;

/* What has become of a lookup. */
typedef uint32_t PgjsLookupState;

#define PGJS_LOOKUP_NONE	0	/* the part is read whole: there is no index, or it does not pay */
#define PGJS_LOOKUP_MORE	1	/* call again, with the same keys */
#define PGJS_LOOKUP_DONE	2	/* no pages but `blocks` are to be read, and they show no other tuples */

/* The pages that have tuples with some keys. */
typedef struct PgjsLookup
{
	const uint32_t *blocks;		/* ascending; valid as long as the scan */
	uint32_t	nblocks;
	PgjsLookupState state;
} PgjsLookup;

/* A range of blocks of one part of a scan. */
typedef struct PgjsClaim
{
	uint32_t	part;			/* from 0 */
	uint32_t	start;
	uint32_t	nblocks;		/* 0: all parts are used up */
} PgjsClaim;

/* One pinned page with the line pointers of its visible tuples, which are valid until the next scan callback. */
typedef struct PgjsPage
{
	const uint8_t *page;		/* BLCKSZ bytes, aligned to 8; valid until it is unpinned */
	const uint16_t *offsets;	/* ntuples line pointer numbers, 1-based */
	uint32_t	ntuples;
	const uint8_t *next;		/* where the page that is read next probably lies, for a prefetch; or NULL */
} PgjsPage;

/* A deterministic collation compares equal bytewise; a C one also orders bytewise. */
#define PGJS_COLLATION_DETERMINISTIC	1
#define PGJS_COLLATION_C				2

/* How values of a type lie in memory (pg_type), and whether text is UTF-8 here. */
typedef struct PgjsTypeLayout
{
	int16_t		len;			/* bytes; -1 varlena, -2 C string */
	bool		byval;
	bool		utf8;			/* the database's encoding is UTF8 */
} PgjsTypeLayout;

typedef struct PgjsHost
{
	void	   *ctx;

	/* Non-zero while PostgreSQL wants to serve an interrupt: end the turn soon. */
	const volatile int *interrupt_pending;

	/*
	 * Claim the next range of blocks of scan `scan` (its number in the plan).
	 * A scan of a table has one part, one of a partitioned or inherited table a
	 * part for each table to be read, which come one after the other.
	 */
	PgjsIo		(*scan_claim) (void *ctx, uint32_t scan, PgjsClaim *claim);

	/* Tuple layout of a part that was claimed of. */
	PgjsIo		(*scan_open) (void *ctx, uint32_t scan, uint32_t part, PgjsRelation *relation);

	/*
	 * Look up in an index of a part that was opened, before a page of it is
	 * read, the tuples whose attribute `attno` (of the part) is one of `nkeys`
	 * distinct Datums, none of them NULL. Step by step, as long as it says MORE.
	 */
	PgjsIo		(*scan_look_up) (void *ctx, uint32_t scan, uint32_t part, uint32_t attno, const uint64_t *keys,
								 uint32_t nkeys, PgjsLookup *lookup);

	/*
	 * Read and pin one block of the last claim, find its visible tuples. With
	 * `keep` the pages before stay pinned, no more than PgjsRelation.pins at a
	 * time; without, their pins are dropped first.
	 */
	PgjsIo		(*scan_page) (void *ctx, uint32_t scan, uint32_t block, bool keep, PgjsPage *page);

	/* Drop the pins that scan_page left, if any. */
	PgjsIo		(*scan_unpin) (void *ctx, uint32_t scan);

	/*
	 * Detoast or decompress the varlena at `datum`. *data points at the plain
	 * payload (no header) of *len bytes; valid until the next detoast call.
	 */
	PgjsIo		(*detoast) (void *ctx, const uint8_t *datum, const uint8_t **data, size_t *len);

	/* Send one message to queue `queue` without waiting (shm_mq_send, nowait, flushed when `flush`). */
	PgjsIo		(*send) (void *ctx, uint32_t queue, const uint8_t *data, size_t len, bool flush);

	/* Receive one message without waiting; valid until the next receive on this queue. */
	PgjsIo		(*receive) (void *ctx, uint32_t queue, const uint8_t **data, size_t *len);

	/* Write one line to the server log (joinscan.trace). */
	PgjsIo		(*log) (void *ctx, const char *message, size_t len);

	/* Does PostgreSQL want to end the query (cancel, terminate)? Cannot fail. */
	bool		(*cancelled) (void *ctx);

	/* PGJS_COLLATION_* flags of a collation. */
	PgjsIo		(*collation) (void *ctx, uint32_t collation, uint32_t *flags);

	/* Layout of a type. */
	PgjsIo		(*type_layout) (void *ctx, uint32_t typid, PgjsTypeLayout *out);
} PgjsHost;

#endif							/* PGJS_HOST_H */
