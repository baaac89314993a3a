/*
 * lookup.c
 *		The tuples that an index of a table has for some keys: where a join's
 *		build side has few, the scan of its probe side looks at no others.
 *
 * The join order is not a nested loop's: all keys are looked up before the scan
 * reads its first page, and the pages then come in their own order, each once.
 *
 *		keys 7, 9, 4 ...  ->  index  ->  (block, line) ...  ->  sorted  ->  block: lines
 *
 * What an index has may be dead, of a transaction not seen, or a HOT chain's
 * root: heappage.c sees to that as for a bitmap scan, under an MVCC snapshot as
 * there. Rows that the index should have named and did not would be lost, so it
 * must be one that PostgreSQL would use for an equality of the column's own
 * type: valid, not partial, of the default operator class.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "parser/parse_coerce.h"
#include "storage/itemptr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "run.h"

/* Keys and tuples of one step: it is over long before anybody waits for an interrupt to be served. */
#define STEP				4096
/* So many keys show what all will come to. */
#define TRIAL_KEYS			64
/* Tuples that there is room for at first. */
#define FIRST_TUPLES		1024

struct PgjsTupleLookup
{
	BlockNumber l_nblocks;		/* of the table, as the scan knows it */
	Relation	l_index;
	IndexScanDesc l_scan;		/* NULL: all keys are looked up, or it is given up */
	ScanKeyData l_key;
	uint32		l_next;			/* key that is looked up next */
	bool		l_within;		/* the one before it may have more tuples */
	BlockNumber l_changes;		/* of the block, from one tuple to the next */
	ItemPointerData *l_tuples;
	uint32		l_ntuples;
	uint32		l_capacity;
	/* once they are sorted: */
	BlockNumber *l_blocks;
	uint32	   *l_first;		/* of each block, in l_lines; and where the last one ends */
	OffsetNumber *l_lines;
	uint32		l_npages;
};

/* Has the index all tuples of its table that any snapshot of ours sees? As in get_relation_info. */
static bool
is_usable(Relation index)
{
	Form_pg_index form = index->rd_index;

	return form->indisvalid && form->indisready && form->indislive &&
		(!form->indcheckxmin ||
		 TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin)) &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/* The function of equality by which the index is ordered on `attno`, its first column; invalid when it is not. */
static Oid
equality(Relation index, AttrNumber attno, Oid type)
{
	Oid			input;
	Oid			opclass;
	Oid			operator;

	if (index->rd_rel->relam != BTREE_AM_OID || index->rd_index->indkey.values[0] != attno)
		return InvalidOid;
	input = index->rd_opcintype[0];
	opclass = GetDefaultOpClass(type, BTREE_AM_OID);
	if (!OidIsValid(opclass) || get_opclass_family(opclass) != index->rd_opfamily[0] ||
		!IsBinaryCoercible(type, input))
		return InvalidOid;
	operator = get_opfamily_member(index->rd_opfamily[0], input, input, BTEqualStrategyNumber);
	return OidIsValid(operator) ? get_opcode(operator) : InvalidOid;
}

PgjsTupleLookup *
pgjs_lookup_begin(Relation rel, AttrNumber attno, Snapshot snapshot, BlockNumber nblocks, uint32 nkeys,
				  uint32 participants)
{
	PgjsTupleLookup *lookup = NULL;
	Oid			type = TupleDescAttr(RelationGetDescr(rel), attno - 1)->atttypid;
	List	   *indexes;
	ListCell   *lc;

	if (!enable_indexscan || !IsMVCCSnapshot(snapshot) ||
		(uint64) nkeys * participants * PGJS_PAGES_PER_LOOKUP > nblocks)
		return NULL;
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		Relation	index;
		Oid			equal;

		/* Nobody could cancel a wait here, for a REINDEX perhaps. It cannot be dropped: we hold a lock on the table. */
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			continue;
		index = index_open(lfirst_oid(lc), NoLock);
		equal = is_usable(index) ? equality(index, attno, type) : InvalidOid;
		if (!OidIsValid(equal))
		{
			index_close(index, AccessShareLock);
			continue;
		}
		lookup = palloc0(sizeof(*lookup));
		lookup->l_nblocks = nblocks;
		lookup->l_capacity = FIRST_TUPLES;
		lookup->l_tuples = palloc(FIRST_TUPLES * sizeof(ItemPointerData));
		lookup->l_index = index;
		lookup->l_scan = index_beginscan(rel, index, snapshot, 1, 0);
		ScanKeyEntryInitialize(&lookup->l_key, 0, 1, BTEqualStrategyNumber, index->rd_opcintype[0],
							   index->rd_indcollation[0], equal, (Datum) 0);
		break;
	}
	list_free(indexes);
	return lookup;
}

void
pgjs_lookup_end(PgjsTupleLookup *lookup)
{
	if (lookup->l_scan == NULL)
		return;
	index_endscan(lookup->l_scan);
	lookup->l_scan = NULL;
	/* Its lock stays until the transaction's end, as after a scan of PostgreSQL's. */
	index_close(lookup->l_index, NoLock);
}

static int
by_place(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* Tuples by page. A btree gives each tuple once for a key; keys are distinct. */
static void
sort_tuples(PgjsTupleLookup *lookup)
{
	uint32		ntuples = lookup->l_ntuples;

	qsort(lookup->l_tuples, ntuples, sizeof(ItemPointerData), by_place);
	lookup->l_blocks = palloc(sizeof(BlockNumber) * Max(ntuples, 1));
	lookup->l_first = palloc(sizeof(uint32) * (ntuples + 1));
	lookup->l_lines = palloc(sizeof(OffsetNumber) * Max(ntuples, 1));
	for (uint32 i = 0; i < ntuples; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&lookup->l_tuples[i]);

		if (lookup->l_npages == 0 || lookup->l_blocks[lookup->l_npages - 1] != block)
		{
			lookup->l_blocks[lookup->l_npages] = block;
			lookup->l_first[lookup->l_npages++] = i;
		}
		lookup->l_lines[i] = ItemPointerGetOffsetNumber(&lookup->l_tuples[i]);
	}
	lookup->l_first[lookup->l_npages] = ntuples;
	pfree(lookup->l_tuples);
	lookup->l_tuples = NULL;
}

/* Notes a tuple; false when there are so many that the index does not pay. */
static bool
add_tuple(PgjsTupleLookup *lookup, ItemPointer tid)
{
	uint32		at = lookup->l_ntuples;

	/* Pages that have come since the scan began have no tuple that its snapshot sees. */
	if (ItemPointerGetBlockNumber(tid) >= lookup->l_nblocks)
		return true;
	if (at == 0 || ItemPointerGetBlockNumber(&lookup->l_tuples[at - 1]) != ItemPointerGetBlockNumber(tid))
		lookup->l_changes++;
	if (lookup->l_changes > PGJS_LOOKUP_SHARE * lookup->l_nblocks || at == PGJS_MOST_FOUND ||
		at * sizeof(ItemPointerData) > (Size) work_mem * 1024)
		return false;
	if (at == lookup->l_capacity)
	{
		lookup->l_capacity *= 2;
		lookup->l_tuples = repalloc(lookup->l_tuples, lookup->l_capacity * sizeof(ItemPointerData));
	}
	lookup->l_tuples[lookup->l_ntuples++] = *tid;
	return true;
}

/* By the keys so far: will there be so many tuples that the index does not pay? */
static bool
is_hopeless(const PgjsTupleLookup *lookup, uint32 nkeys)
{
	double		factor = (double) nkeys / lookup->l_next;

	return lookup->l_next >= TRIAL_KEYS &&
		(factor * lookup->l_changes > PGJS_LOOKUP_SHARE * lookup->l_nblocks ||
		 factor * lookup->l_ntuples > PGJS_MOST_FOUND);
}

PgjsLookupState
pgjs_lookup_step(PgjsTupleLookup *lookup, const Datum *keys, uint32 nkeys)
{
	for (int step = 0; step < STEP; step++)
	{
		ItemPointer tid;

		if (!lookup->l_within)
		{
			if (lookup->l_next == nkeys)
			{
				pgjs_lookup_end(lookup);
				sort_tuples(lookup);
				return PGJS_LOOKUP_DONE;
			}
			lookup->l_key.sk_argument = keys[lookup->l_next++];
			index_rescan(lookup->l_scan, &lookup->l_key, 1, NULL, 0);
			lookup->l_within = true;
		}
		tid = index_getnext_tid(lookup->l_scan, ForwardScanDirection);
		if (tid == NULL)
			lookup->l_within = false;
		if (tid == NULL ? is_hopeless(lookup, nkeys) : !add_tuple(lookup, tid))
		{
			pgjs_lookup_end(lookup);
			pfree(lookup->l_tuples);
			pfree(lookup);
			return PGJS_LOOKUP_NONE;
		}
	}
	return PGJS_LOOKUP_MORE;
}

const BlockNumber *
pgjs_lookup_blocks(const PgjsTupleLookup *lookup, uint32 *nblocks)
{
	*nblocks = lookup->l_npages;
	return lookup->l_blocks;
}

/* Where a block stands among those that were found. */
static uint32
place_of(const PgjsTupleLookup *lookup, BlockNumber block)
{
	uint32		low = 0;
	uint32		high = lookup->l_npages;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (lookup->l_blocks[middle] < block)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == lookup->l_npages || lookup->l_blocks[low] != block)
		elog(ERROR, "block %u was not looked up", block);
	return low;
}

const OffsetNumber *
pgjs_lookup_lines(const PgjsTupleLookup *lookup, BlockNumber block, int *nlines)
{
	uint32		at = place_of(lookup, block);

	*nlines = lookup->l_first[at + 1] - lookup->l_first[at];
	return &lookup->l_lines[lookup->l_first[at]];
}

BlockNumber
pgjs_lookup_ahead(const PgjsTupleLookup *lookup, BlockNumber block, uint32 distance)
{
	uint32		at = place_of(lookup, block);

	return distance < lookup->l_npages - at ? lookup->l_blocks[at + distance] : InvalidBlockNumber;
}
