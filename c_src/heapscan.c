/*
 * heapscan.c
 *		Table scans for Rust: one page at a time, pinned, with the line pointers
 *		of the tuples that the snapshot sees.
 *
 * parallel.c and worker.c begin and end the scans; host.c runs everything else
 * in the guard.
 *
 * Visibility, pruning, predicate locks and the bulk-read strategy are
 * heapam's: the scan is begun as a sequential scan is, and heapgetpage reads
 * the pages. Only the order of the pages is ours: participants claim ranges of
 * blocks from PgjsSharedScan.
 *
 * Invariants: a scan holds at most one pin, that of the last page; a claimed
 * range never crosses a multiple of CLAIM_BLOCKS, the unit that scan work is
 * cut into.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/tupdesc_details.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "pg_joinscan.h"

#if PG_VERSION_NUM >= 170000
#error "heapgetpage is gone: pgjs_heapscan_page must pin the page itself and call heap_prepare_pagescan"
#endif

#define CLAIM_BLOCKS		128
#define MIN_CLAIM_BLOCKS	16

struct PgjsHeapScan
{
	HeapScanDesc h_scan;
	PgjsSharedScan *h_shared;
	uint32		h_participants;
	uint32		h_natts;
	PgjsAttribute h_attributes[FLEXIBLE_ARRAY_MEMBER];
};

/*
 * All attributes, dropped ones too: Rust walks tuples, and those still take
 * room in old ones. Missing values are copied: the relcache may rebuild its
 * descriptor under us.
 */
static void
describe_attributes(PgjsHeapScan *scan, TupleDesc desc)
{
	uint32		i;

	for (i = 0; i < scan->h_natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		PgjsAttribute *out = &scan->h_attributes[i];
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

/*
 * Allocates in the current context, which must outlive the scan. `shared` may
 * still lack sh_nblocks.
 *
 * No synchronized scanning: it would start a participant in mid-table. The scan
 * counts in the statistics once per participant, as with PostgreSQL's own
 * parallel scans.
 */
PgjsHeapScan *
pgjs_heapscan_begin(Relation rel, Snapshot snapshot, PgjsSharedScan *shared, uint32 participants)
{
	uint32		natts = RelationGetNumberOfAttributes(rel);
	PgjsHeapScan *scan;

	/* Planned on a heap table; another access method's scan would not be a HeapScanDesc. */
	if (rel->rd_tableam != GetHeapamTableAmRoutine())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method of relation \"%s\" is not supported by pg_joinscan",
						RelationGetRelationName(rel))));

	scan = palloc0(offsetof(PgjsHeapScan, h_attributes) + sizeof(PgjsAttribute) * natts);
	scan->h_shared = shared;
	scan->h_participants = participants;
	scan->h_natts = natts;
	describe_attributes(scan, RelationGetDescr(rel));
	scan->h_scan = (HeapScanDesc) table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	return scan;
}

/* The table's blocks as this participant saw them when it began: the leader's number is what is shared. */
uint32
pgjs_heapscan_nblocks(PgjsHeapScan *scan)
{
	return scan->h_scan->rs_nblocks;
}

PgjsIo
pgjs_heapscan_open(PgjsHeapScan *scan, PgjsRelation *relation)
{
	relation->attributes = scan->h_attributes;
	relation->natts = scan->h_natts;
	return PGJS_IO_OK;
}

/*
 * How many blocks to claim at `next`. Whole units while there are plenty;
 * then halves, quarters and so on, so that all participants run out of work
 * at about the same time. Sizes are powers of two and never grow again, so
 * `next` is a multiple of the size, and no range crosses a unit's end.
 */
static uint32
claim_size(uint32 next, uint32 nblocks, uint32 participants)
{
	uint32		remaining = nblocks - next;
	uint32		size = CLAIM_BLOCKS;

	if (participants > 1)
	{
		while (size > MIN_CLAIM_BLOCKS && (uint64) size * participants * 2 > remaining)
			size /= 2;
	}
	Assert(next % size == 0);
	return Min(size, remaining);
}

/*
 * sh_next needs no ordering towards other memory: a claim hands over a
 * number, the pages come through the buffer manager. It never passes
 * sh_nblocks, so it cannot wrap.
 */
PgjsIo
pgjs_heapscan_claim(PgjsHeapScan *scan, uint32_t *start, uint32_t *nblocks)
{
	PgjsSharedScan *shared = scan->h_shared;
	uint32		next = pg_atomic_read_u32(&shared->sh_next);
	uint32		size;

	do
	{
		if (next >= shared->sh_nblocks)
		{
			*start = shared->sh_nblocks;
			*nblocks = 0;
			return PGJS_IO_OK;
		}
		size = claim_size(next, shared->sh_nblocks, scan->h_participants);
	} while (!pg_atomic_compare_exchange_u32(&shared->sh_next, &next, next + size));

	*start = next;
	*nblocks = size;
	return PGJS_IO_OK;
}

/*
 * Visible tuples stay good after the content lock is gone, as long as the pin
 * is held: nobody prunes or moves them under a pin.
 */
PgjsIo
pgjs_heapscan_page(PgjsHeapScan *scan, uint32_t block, PgjsPage *page)
{
	HeapScanDesc heap = scan->h_scan;
	Relation	rel = heap->rs_base.rs_rd;

	/* The table cannot have shrunk since the leader looked: truncation waits for our lock. */
	if (block >= heap->rs_nblocks)
		elog(ERROR, "block %u of relation \"%s\" is out of range (%u blocks)",
			 block, RelationGetRelationName(rel), heap->rs_nblocks);

	heapgetpage(&heap->rs_base, block);

	page->page = (const uint8_t *) BufferGetPage(heap->rs_cbuf);
	page->offsets = heap->rs_vistuples;
	page->ntuples = heap->rs_ntuples;

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
	HeapScanDesc heap = scan->h_scan;

	if (BufferIsValid(heap->rs_cbuf))
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

/* Drops the pin and heapam's state; the relation is its opener's. */
void
pgjs_heapscan_end(PgjsHeapScan *scan)
{
	table_endscan(&scan->h_scan->rs_base);
	scan->h_scan = NULL;
}
