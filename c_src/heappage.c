/*
 * heappage.c
 *		One heap page: pinned, pruned if that is due, and the line pointers of
 *		the tuples that a snapshot sees.
 *
 * What heapam's heapgetpage does, but for two things. The buffer of a page is
 * guessed before it is looked up: a table that was read in order lies in
 * buffers in order, and the lookup in the buffer table is a cache miss for
 * every page. And what is the same for all tuples of a page is asked once.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "run.h"

/* Processes that read a table side by side fill buffers in turn: a page's next may be some buffers on. */
#define GUESSES		4

/*
 * A buffer with a lower usage count is pinned the ordinary way, which raises
 * it: a page that we read is to stay as long as one that PostgreSQL reads.
 */
#define HOT_USAGE_COUNT		2

#if PG_VERSION_NUM >= 160000
#define FILE_OF(rel)		((rel)->rd_locator)
#define IS_OF_FILE(tag, rel)	BufTagMatchesRelFileLocator(&(tag), &FILE_OF(rel))
#else
#define FILE_OF(rel)		((rel)->rd_node)
#define IS_OF_FILE(tag, rel)	RelFileNodeEquals((tag).rnode, FILE_OF(rel))
#endif

/* Does a buffer seem to hold a page? Asked without a lock: the answer may be out of date. */
static bool
seems_to_hold(int buf_id, Relation rel, BlockNumber block)
{
	BufferDesc *desc = GetBufferDescriptor(buf_id);
	uint32		state = pg_atomic_read_u32(&desc->state);

	return desc->tag.blockNum == block && IS_OF_FILE(desc->tag, rel) && desc->tag.forkNum == MAIN_FORKNUM &&
		(state & BM_VALID) != 0 && BUF_STATE_GET_USAGECOUNT(state) >= HOT_USAGE_COUNT;
}

/* The buffer that seems to hold a block, if the block before it is in `before`; InvalidBuffer when there is none. */
static Buffer
guess_buffer(Relation rel, BlockNumber block, Buffer before)
{
	/* Buffers are numbered from 1: the one after `before` has its number as an index. Local ones are negative. */
	for (Buffer guess = before; before > 0 && guess < before + GUESSES && guess < NBuffers; guess++)
	{
		if (seems_to_hold(guess, rel, block))
			return guess + 1;
	}
	return InvalidBuffer;
}

/* Pins a block; `before` is the buffer of the block that was read before it. */
static Buffer
pin_block(Relation rel, BlockNumber block, Buffer before, BufferAccessStrategy strategy)
{
	Buffer		guess = guess_buffer(rel, block, before);

	if (BufferIsValid(guess) && ReadRecentBuffer(FILE_OF(rel), MAIN_FORKNUM, block, guess))
	{
		pgstat_count_buffer_read(rel);
		pgstat_count_buffer_hit(rel);
		return guess;
	}
	return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
}

/* Where the page after the one that was read last probably lies, for a prefetch: nothing pins it. NULL: not known. */
const uint8_t *
pgjs_heappage_next(HeapScanDesc heap)
{
	BlockNumber block = heap->rs_cblock + 1;
	Buffer		guess = InvalidBuffer;

	if (block < heap->rs_nblocks)
		guess = guess_buffer(heap->rs_base.rs_rd, block, heap->rs_cbuf);
	return BufferIsValid(guess) ? (const uint8_t *) BufferGetPage(guess) : NULL;
}

/* Line pointers of the tuples on a page that the snapshot sees. */
static int
find_visible(HeapScanDesc heap, BlockNumber block, Buffer buffer)
{
	Relation	rel = heap->rs_base.rs_rd;
	Snapshot	snapshot = heap->rs_base.rs_snapshot;
	Page		page = BufferGetPage(buffer);
	OffsetNumber lines = PageGetMaxOffsetNumber(page);
	/* A standby's snapshot may be older than what the bit was set by: see heapgetpage. */
	bool		all_visible = PageIsAllVisible(page) && !snapshot->takenDuringRecovery;
	bool		conflicts = CheckForSerializableConflictOutNeeded(rel, snapshot);
	int			ntuples = 0;

	for (OffsetNumber number = FirstOffsetNumber; number <= lines; number++)
	{
		ItemId		item = PageGetItemId(page, number);
		bool		visible = true;

		if (!ItemIdIsNormal(item))
			continue;
		if (!all_visible || conflicts)
		{
			HeapTupleData tuple;

			tuple.t_tableOid = RelationGetRelid(rel);
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			ItemPointerSet(&tuple.t_self, block, number);
			if (!all_visible)
				visible = HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
			if (conflicts)
				HeapCheckForSerializableConflictOut(visible, rel, &tuple, buffer, snapshot);
		}
		heap->rs_vistuples[ntuples] = number;
		ntuples += visible;
	}
	return ntuples;
}

/* Of the tuples that an index has, or the ends of their HOT chains, those that the snapshot sees; as bitgetpage. */
static int
find_looked_up(HeapScanDesc heap, BlockNumber block, Buffer buffer, const PgjsTupleLookup *lookup)
{
	int			nlines;
	const OffsetNumber *lines = pgjs_lookup_lines(lookup, block, &nlines);
	int			ntuples = 0;

	for (int i = 0; i < nlines; i++)
	{
		ItemPointerData place;
		HeapTupleData tuple;

		ItemPointerSet(&place, block, lines[i]);
		if (heap_hot_search_buffer(&place, heap->rs_base.rs_rd, buffer, heap->rs_base.rs_snapshot, &tuple, NULL,
								   true))
			heap->rs_vistuples[ntuples++] = ItemPointerGetOffsetNumber(&place);
	}
	return ntuples;
}

/*
 * Leaves the page pinned as heap->rs_cbuf, where no pin may be; `before` is the
 * buffer of the block before it, if one was read. With `lookup` no other tuples
 * of the page are looked at than those that it has.
 *
 * Visible tuples stay good after the content lock is gone, as long as the pin
 * is held: nobody prunes or moves them under a pin.
 */
void
pgjs_heappage_read(HeapScanDesc heap, BlockNumber block, Buffer before, const PgjsTupleLookup *lookup)
{
	Relation	rel = heap->rs_base.rs_rd;
	Buffer		buffer;

	Assert(!BufferIsValid(heap->rs_cbuf));
	CHECK_FOR_INTERRUPTS();

	buffer = pin_block(rel, block, before, heap->rs_strategy);
	heap->rs_cbuf = buffer;
	heap->rs_cblock = block;
	heap_page_prune_opt(rel, buffer);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	TestForOldSnapshot(heap->rs_base.rs_snapshot, rel, BufferGetPage(buffer));
	if (lookup != NULL)
		heap->rs_ntuples = find_looked_up(heap, block, buffer, lookup);
	else
		heap->rs_ntuples = find_visible(heap, block, buffer);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}
