/*
 * leaf.c
 *		Which tables JoinScan can read, and their leaves of the join trees.
 *
 * A table's answer is worked out once per planning and kept in the memory of
 * its RelOptInfo: the join search asks for it again and again, GEQO from
 * contexts that do not last.
 */
#include "pg_joinscan.h"

#include "access/heaptoast.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

PgjsRelInfo *
pgjs_relinfo(const RelOptInfo *rel)
{
	PgjsRelInfo *info;

	/* With a foreign data wrapper the field is the wrapper's. */
	if (rel->fdwroutine != NULL)
		return NULL;
	info = rel->fdw_private;
	return info != NULL && info->magic == PGJS_RELINFO_MAGIC ? info : NULL;
}

/* NULL when somebody else uses the field. */
PgjsRelInfo *
pgjs_relinfo_make(RelOptInfo *rel)
{
	PgjsRelInfo *info;

	if (rel->fdwroutine != NULL || rel->fdw_private != NULL)
		return NULL;
	info = MemoryContextAllocZero(GetMemoryChunkContext(rel), sizeof(PgjsRelInfo));
	info->magic = PGJS_RELINFO_MAGIC;
	info->postgres_total = get_float8_infinity();
	rel->fdw_private = info;
	return info;
}

/* Bytes of detoasted value a row, on average, that batches of thousands of rows can bear; or in the whole table. */
#define PGJS_TOAST_ROW_LIMIT	(16.0 * 1024)
#define PGJS_TOAST_TABLE_LIMIT	(16.0 * 1024 * 1024)
/* What a byte in the TOAST table may come to: compression of ordinary text. */
#define PGJS_TOAST_EXPANSION	3

/* Can a value of this column be stored out of line? */
static bool
is_toastable(const FormData_pg_attribute *att)
{
	int			longest;

	if (att->attlen != -1 || att->attstorage == TYPSTORAGE_PLAIN || att->attstorage == TYPSTORAGE_MAIN)
		return false;
	longest = type_maximum_size(att->atttypid, att->atttypmod);
	return longest < 0 || longest > TOAST_TUPLE_TARGET;
}

/* NULL when heap pages hold the table, and its values are no giants in the columns that are read. */
static const char *
storage_refusal(RelOptInfo *rel, Oid relid)
{
	Relation	heap = table_open(relid, NoLock);	/* locked since the parser saw it */
	const char *reason = NULL;
	bool		toastable = false;

	if (heap->rd_tableam != GetHeapamTableAmRoutine())
		reason = "only the table access method heap is supported";
	else if (OidIsValid(heap->rd_rel->reltoastrelid))
	{
		Bitmapset  *read = NULL;
		int			member = -1;

		pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &read);
		pull_varattnos((Node *) extract_actual_clauses(rel->baserestrictinfo, false), rel->relid, &read);
		while ((member = bms_next_member(read, member)) >= 0)
		{
			int			attno = member + FirstLowInvalidHeapAttributeNumber;

			if (attno > 0)
				toastable |= is_toastable(TupleDescAttr(RelationGetDescr(heap), attno - 1));
		}
	}
	if (toastable)
	{
		Relation	toast = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);
		double		bytes = (double) RelationGetNumberOfBlocks(toast) * BLCKSZ * PGJS_TOAST_EXPANSION;

		table_close(toast, AccessShareLock);
		if (bytes > Max(PGJS_TOAST_ROW_LIMIT * rel->tuples, PGJS_TOAST_TABLE_LIMIT))
			reason = "values in its TOAST table are too wide";
	}
	table_close(heap, NoLock);
	return reason;
}

/* NULL when the plan can scan `rel`, else why not. */
static const char *
leaf_refusal(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *rte;
	const char *reason;
	ListCell   *lc;

	if (rel->reloptkind != RELOPT_BASEREL)
		return "partitions on their own are not supported";
	rte = planner_rt_fetch(rel->relid, root);
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			break;
		case RTE_SUBQUERY:
			return "subqueries in FROM are not supported";
		case RTE_CTE:
			return "WITH queries are not supported";
		case RTE_FUNCTION:
		case RTE_TABLEFUNC:
			return "functions in FROM are not supported";
		case RTE_VALUES:
			return "VALUES is not supported";
		default:
			return "only tables are supported";
	}
	if (rte->relkind == RELKIND_PARTITIONED_TABLE || rte->inh)
		return "partitioned tables and inheritance are not supported";
	if (rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW)
		return "only tables are supported";
	if (rte->tablesample != NULL)
		return "TABLESAMPLE is not supported";
	if (rel->relid == root->parse->resultRelation)
		return "the target of a data change is not supported";
	if (!bms_is_empty(rel->lateral_relids))
		return "LATERAL references are not supported";
	reason = storage_refusal(rel, rte->relid);
	if (reason != NULL)
		return reason;

	foreach(lc, rel->reltarget->exprs)
	{
		Node	   *expr = lfirst(lc);

		if (!IsA(expr, Var))
			return "expressions computed below an outer join are not supported";
		reason = pgjs_column_refusal((Var *) expr);
		if (reason != NULL)
			return reason;
	}
	foreach(lc, rel->baserestrictinfo)
	{
		reason = pgjs_clause_refusal(root, lfirst_node(RestrictInfo, lc));
		if (reason != NULL)
			return reason;
	}
	return NULL;
}

static PgjsTree *
make_leaf(PlannerInfo *root, RelOptInfo *rel)
{
	PgjsTree   *leaf = palloc0(sizeof(PgjsTree));
	Cost		per_tuple = 0.0;

	leaf->kind = PGJS_TREE_SCAN;
	leaf->relid = rel->relid;
	leaf->filters = pgjs_order_clauses(root, rel->baserestrictinfo, &per_tuple);
	leaf->rows = rel->rows;
	leaf->width = rel->reltarget->width;
	if (rel->consider_parallel)
		leaf->workers = compute_parallel_worker(rel, rel->pages, -1, max_parallel_workers_per_gather);
	pgjs_cost_leaf(leaf, rel);
	return leaf;
}

PgjsRelInfo *
pgjs_leaf(PlannerInfo *root, RelOptInfo *rel)
{
	PgjsRelInfo *info = pgjs_relinfo(rel);
	MemoryContext old;
	const char *reason;

	if (info != NULL)
		return info;
	info = pgjs_relinfo_make(rel);
	if (info == NULL)
		return NULL;

	old = MemoryContextSwitchTo(GetMemoryChunkContext(rel));
	reason = leaf_refusal(root, rel);
	if (reason != NULL)
		pgjs_decline(info, "%s", reason);
	else
	{
		/* One leaf serves both: what participants share is in the costs of the trees above. */
		info->serial = make_leaf(root, rel);
		if (rel->consider_parallel)
			info->parallel = info->serial;
	}
	MemoryContextSwitchTo(old);
	return info;
}
