/*
 * heapscan.c
 *		Table scans for Rust: pages, pinned, with the line pointers of the tuples
 *		that the snapshot sees.
 *
 * parallel.c and worker.c begin and end the scans; host.c runs everything else
 * in the guard.
 *
 * Predicate locks and the bulk-read strategy are heapam's: the scan is begun as
 * a sequential scan is; heappage.c reads the pages. The order of the pages is
 * ours: participants claim ranges of blocks from PgjsSharedScan.
 *
 * A scan of a partitioned or inherited table has a part for each table that is
 * read for it, else one part: the table itself.
 *
 * Invariants: a scan holds the pins of as many pages as pin_limit() allows, all
 * of one part; a claimed range never crosses a multiple of CLAIM_BLOCKS, the
 * unit that scan work is cut into.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/detoast.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/tupdesc_details.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

#include "run.h"

#if PG_VERSION_NUM >= 170000
#error "heapam's scan state has changed: pgjs_heappage_read must be adapted to it"
#endif

#define CLAIM_BLOCKS		128
#define MIN_CLAIM_BLOCKS	16

#define MAX_PINS			32	/* more would not fit a core's own cache */

typedef struct HeapPart
{
	HeapScanDesc h_scan;		/* NULL: not to be read, or ended */
	PgjsSharedScan *h_shared;
	const char *h_name;
	AttrMap    *h_map;			/* from the attributes of the scan's table, or NULL: the same */
	PgjsAttribute *h_attributes;
	uint32		h_natts;
	PgjsTupleLookup *h_lookup;	/* the tuples to be read; NULL: all, or not known yet */
} HeapPart;

struct PgjsHeapScan
{
	uint32		h_participants;
	uint32		h_part;			/* that is claimed from; h_nparts when all are used up */
	uint64		h_later;		/* blocks of the parts after it */
	bool		h_claimed;		/* h_later is known */
	Buffer		h_pinned[MAX_PINS - 1]; /* besides that of the last page, which is heapam's rs_cbuf */
	uint32		h_npinned;
	uint32		h_nscans;		/* of this participant */
	uint32		h_nparts;
	HeapPart	h_parts[FLEXIBLE_ARRAY_MEMBER];
};

/*
 * All attributes, dropped ones too: Rust walks tuples, and those still take
 * room in old ones. Missing values are copied: the relcache may rebuild its
 * descriptor under us.
 */
static void
describe_attributes(HeapPart *part, TupleDesc desc)
{
	uint32		i;

	part->h_natts = desc->natts;
	part->h_attributes = palloc0(sizeof(PgjsAttribute) * Max(part->h_natts, 1));
	for (i = 0; i < part->h_natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		PgjsAttribute *out = &part->h_attributes[i];
		AttrMissing *missing = NULL;

		if (att->atthasmissing && desc->constr != NULL && desc->constr->missing != NULL)
			missing = &desc->constr->missing[i];

		out->typid = att->atttypid;
		out->typmod = att->atttypmod;
		out->attlen = att->attlen;
		out->attalign = att->attalign;
		out->attbyval = att->attbyval;
		out->attnotnull = att->attnotnull;
		out->attisdropped = att->attisdropped;
		out->missing_isnull = missing == NULL || !missing->am_present;
		out->missing_value = 0;
		if (!out->missing_isnull)
			out->missing_value = datumCopy(missing->am_value, att->attbyval, att->attlen);
	}
}

PgjsHeapScan *
pgjs_heapscan_create(PgjsSharedScan *shared, uint32 nparts, uint32 participants, uint32 nscans)
{
	PgjsHeapScan *scan = palloc0(offsetof(PgjsHeapScan, h_parts) + sizeof(HeapPart) * nparts);

	scan->h_participants = participants;
	scan->h_nscans = nscans;
	scan->h_nparts = nparts;
	for (uint32 i = 0; i < nparts; i++)
		scan->h_parts[i].h_shared = &shared[i];
	return scan;
}

/*
 * Attributes go by their names from a table to those that are read for it, as
 * in PostgreSQL, which sees to it that types, modifiers and collations are the
 * same.
 *
 * No synchronized scanning: it would start a participant in mid-table. The scan
 * counts in the statistics once per participant, as with PostgreSQL's own
 * parallel scans.
 */
uint32
pgjs_heapscan_begin(PgjsHeapScan *scan, uint32 number, Relation rel, Relation table, Snapshot snapshot)
{
	HeapPart   *part = &scan->h_parts[number];

	/* Planned on a heap table; another access method's scan would not be a HeapScanDesc. */
	if (rel->rd_tableam != GetHeapamTableAmRoutine())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method of relation \"%s\" is not supported by pg_joinscan",
						RelationGetRelationName(rel))));

	part->h_name = pstrdup(RelationGetRelationName(rel));
	describe_attributes(part, RelationGetDescr(rel));
	if (rel != table)
#if PG_VERSION_NUM >= 160000
		part->h_map = build_attrmap_by_name_if_req(RelationGetDescr(rel), RelationGetDescr(table), false);
#else
		part->h_map = build_attrmap_by_name_if_req(RelationGetDescr(rel), RelationGetDescr(table));
#endif
	part->h_scan = (HeapScanDesc) table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	return part->h_scan->rs_nblocks;
}

/*
 * A fair share of the buffers for each scan of each process, as PostgreSQL 16's
 * LimitAdditionalPins has it; of a session's own buffers, a quarter for all.
 */
static uint32
pin_limit(const PgjsHeapScan *scan, Relation rel)
{
	int			share = RelationUsesLocalBuffers(rel) ? num_temp_buffers / 4 :
		NBuffers / (MaxBackends + NUM_AUXILIARY_PROCS);
	int			limit = share / (int) scan->h_nscans;

	return Max(1, Min(limit, MAX_PINS));
}

static HeapPart *
open_part(PgjsHeapScan *scan, uint32 number)
{
	if (number >= scan->h_nparts || scan->h_parts[number].h_scan == NULL)
		elog(ERROR, "part %u of a scan is not open", number);
	return &scan->h_parts[number];
}

PgjsIo
pgjs_heapscan_open(PgjsHeapScan *scan, uint32_t number, PgjsRelation *relation)
{
	const HeapPart *part = open_part(scan, number);

	relation->attributes = part->h_attributes;
	relation->natts = part->h_natts;
	relation->attnos = part->h_map == NULL ? NULL : part->h_map->attnums;
	relation->nattnos = part->h_map == NULL ? 0 : part->h_map->maplen;
	relation->name = part->h_name;
	relation->pins = pin_limit(scan, part->h_scan->rs_base.rs_rd);
	return PGJS_IO_OK;
}

/* A lookup that does not pay, or for which there is no index, leaves the part as it is. */
PgjsIo
pgjs_heapscan_look_up(PgjsHeapScan *scan, uint32_t number, AttrNumber attno, const Datum *keys, uint32 nkeys,
					  PgjsLookup *out)
{
	HeapPart   *part = open_part(scan, number);
	MemoryContext old;

	if (attno < 1 || attno > (AttrNumber) part->h_natts || part->h_attributes[attno - 1].attisdropped)
		elog(ERROR, "attribute %d of relation \"%s\" does not exist", attno, part->h_name);

	memset(out, 0, sizeof(*out));
	old = MemoryContextSwitchTo(GetMemoryChunkContext(scan));
	if (part->h_lookup == NULL)
		part->h_lookup = pgjs_lookup_begin(part->h_scan->rs_base.rs_rd, attno, part->h_scan->rs_base.rs_snapshot,
										   part->h_scan->rs_nblocks, nkeys, scan->h_participants);
	if (part->h_lookup != NULL)
		out->state = pgjs_lookup_step(part->h_lookup, keys, nkeys);
	if (out->state == PGJS_LOOKUP_NONE)
		part->h_lookup = NULL;
	else if (out->state == PGJS_LOOKUP_DONE)
		out->blocks = pgjs_lookup_blocks(part->h_lookup, &out->nblocks);
	MemoryContextSwitchTo(old);
	return PGJS_IO_OK;
}

/*
 * How many blocks to claim at `next` of a part, with `later` blocks in the
 * parts after it. Whole units while there are plenty; then halves, quarters and
 * so on, so that all participants run out of work at about the same time. Sizes
 * are powers of two and never grow again, so `next` is a multiple of the size,
 * and no range crosses a unit's end.
 */
static uint32
claim_size(uint32 next, uint32 nblocks, uint64 later, uint32 participants)
{
	uint32		remaining = nblocks - next;
	uint32		size = CLAIM_BLOCKS;

	if (participants > 1)
	{
		while (size > MIN_CLAIM_BLOCKS && (uint64) size * participants * 2 > remaining + later)
			size /= 2;
	}
	Assert(next % size == 0);
	return Min(size, remaining);
}

/*
 * Claims of one part; false when it is used up.
 *
 * sh_next needs no ordering towards other memory: a claim hands over a
 * number, the pages come through the buffer manager. It never passes
 * sh_nblocks, so it cannot wrap.
 */
static bool
claim_part(const PgjsHeapScan *scan, PgjsClaim *claim)
{
	PgjsSharedScan *shared = scan->h_parts[scan->h_part].h_shared;
	uint32		next = pg_atomic_read_u32(&shared->sh_next);
	uint32		size;

	do
	{
		if (next >= shared->sh_nblocks)
			return false;
		size = claim_size(next, shared->sh_nblocks, scan->h_later, scan->h_participants);
	} while (!pg_atomic_compare_exchange_u32(&shared->sh_next, &next, next + size));

	claim->part = scan->h_part;
	claim->start = next;
	claim->nblocks = size;
	return true;
}

/* All participants go through the parts in the same order: the last ones are where they share what is left. */
PgjsIo
pgjs_heapscan_claim(PgjsHeapScan *scan, PgjsClaim *claim)
{
	if (!scan->h_claimed)
	{
		scan->h_claimed = true;
		for (uint32 i = 1; i < scan->h_nparts; i++)
			scan->h_later += scan->h_parts[i].h_shared->sh_nblocks;
	}
	for (; scan->h_part < scan->h_nparts; scan->h_part++)
	{
		if (claim_part(scan, claim))
			return PGJS_IO_OK;
		pgjs_heapscan_unpin(scan);
		if (scan->h_part + 1 < scan->h_nparts)
			scan->h_later -= scan->h_parts[scan->h_part + 1].h_shared->sh_nblocks;
	}
	memset(claim, 0, sizeof(*claim));
	return PGJS_IO_OK;
}

/* heapam's scan of the part that is claimed from; NULL when there is none, or it is not to be read. */
static HeapScanDesc
current_scan(const PgjsHeapScan *scan)
{
	return scan->h_part < scan->h_nparts ? scan->h_parts[scan->h_part].h_scan : NULL;
}

/* Of the same part. */
static const PgjsTupleLookup *
current_lookup(const PgjsHeapScan *scan)
{
	return scan->h_parts[scan->h_part].h_lookup;
}

/*
 * Pages that an index has found lie apart: the kernel does not see what comes
 * next. Each read asks for the page that is read some reads later, by whomever.
 */
static void
prefetch_ahead(const PgjsTupleLookup *lookup, Relation rel, BlockNumber block)
{
#ifdef USE_PREFETCH
	int			distance = get_tablespace_io_concurrency(rel->rd_rel->reltablespace);
	BlockNumber next = distance > 0 ? pgjs_lookup_ahead(lookup, block, distance) : InvalidBlockNumber;

	if (BlockNumberIsValid(next))
		(void) PrefetchBuffer(rel, MAIN_FORKNUM, next);
#endif
}

PgjsIo
pgjs_heapscan_page(PgjsHeapScan *scan, uint32_t block, bool keep, PgjsPage *page)
{
	HeapScanDesc heap = current_scan(scan);
	Relation	rel;
	Buffer		before;

	if (heap == NULL)
		elog(ERROR, "block %u was not claimed", block);
	rel = heap->rs_base.rs_rd;

	/* The table cannot have shrunk since the leader looked: truncation waits for our lock. */
	if (block >= heap->rs_nblocks)
		elog(ERROR, "block %u of relation \"%s\" is out of range (%u blocks)",
			 block, RelationGetRelationName(rel), heap->rs_nblocks);

	before = heap->rs_cbuf;
	if (!keep)
		pgjs_heapscan_unpin(scan);
	else if (BufferIsValid(before))
	{
		if (scan->h_npinned == lengthof(scan->h_pinned))
			elog(ERROR, "too many pages of relation \"%s\" are pinned", RelationGetRelationName(rel));
		scan->h_pinned[scan->h_npinned++] = before;
		heap->rs_cbuf = InvalidBuffer;
	}
	if (current_lookup(scan) != NULL)
		prefetch_ahead(current_lookup(scan), rel, block);
	pgjs_heappage_read(heap, block, before, current_lookup(scan));

	page->page = (const uint8_t *) BufferGetPage(heap->rs_cbuf);
	page->offsets = heap->rs_vistuples;
	page->ntuples = heap->rs_ntuples;
	page->next = current_lookup(scan) == NULL ? pgjs_heappage_next(heap) : NULL;

	/* What heap_getnext counts one by one. */
	if (pgstat_should_count_relation(rel))
	{
#if PG_VERSION_NUM >= 160000
		rel->pgstat_info->counts.tuples_returned += heap->rs_ntuples;
#else
		rel->pgstat_info->t_counts.t_tuples_returned += heap->rs_ntuples;
#endif
	}
	return PGJS_IO_OK;
}

PgjsIo
pgjs_heapscan_unpin(PgjsHeapScan *scan)
{
	HeapScanDesc heap = current_scan(scan);

	while (scan->h_npinned > 0)
		ReleaseBuffer(scan->h_pinned[--scan->h_npinned]);
	if (heap != NULL && BufferIsValid(heap->rs_cbuf))
	{
		ReleaseBuffer(heap->rs_cbuf);
		heap->rs_cbuf = InvalidBuffer;
	}
	return PGJS_IO_OK;
}

/* `cxt` is reset first: the value of the call before is gone. */
PgjsIo
pgjs_heapscan_detoast(MemoryContext cxt, const uint8_t *datum, const uint8_t **data, size_t *len)
{
	MemoryContext old;
	struct varlena *plain;

	MemoryContextReset(cxt);
	old = MemoryContextSwitchTo(cxt);
	plain = detoast_attr((struct varlena *) datum);
	MemoryContextSwitchTo(old);

	*data = (const uint8_t *) VARDATA_ANY(plain);
	*len = VARSIZE_ANY_EXHDR(plain);
	return PGJS_IO_OK;
}

/* Drops the pins and heapam's state; the relations are their opener's. */
void
pgjs_heapscan_end(PgjsHeapScan *scan)
{
	pgjs_heapscan_unpin(scan);
	for (uint32 i = 0; i < scan->h_nparts; i++)
	{
		HeapPart   *part = &scan->h_parts[i];

		if (part->h_lookup != NULL)
			pgjs_lookup_end(part->h_lookup);
		part->h_lookup = NULL;
		if (part->h_scan != NULL)
			table_endscan(&part->h_scan->rs_base);
		part->h_scan = NULL;
	}
}
