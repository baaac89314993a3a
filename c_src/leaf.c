/*
 * leaf.c
 *		How the rows of one relation get into a plan: JoinScan's own scan of a
 *		heap table, or of several for a partitioned one (parts.c), or a plan that
 *		PostgreSQL runs in the leader.
 *
 * A table's answer is worked out once per planning and kept in the memory of
 * its RelOptInfo: the join search asks for it again and again, GEQO from
 * contexts that do not last.
 */
#include "planner.h"

#include "access/heaptoast.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

static PgjsRelInfo *
new_relinfo(MemoryContext cxt)
{
	PgjsRelInfo *info = MemoryContextAllocZero(cxt, sizeof(PgjsRelInfo));

	info->magic = PGJS_RELINFO_MAGIC;
	info->postgres_total = get_float8_infinity();
	info->matched = get_float8_infinity();
	return info;
}

/* The info of a foreign table: its RelOptInfo has no room for it. */
typedef struct ForeignInfo
{
	const PlannerInfo *root;
	Index		relid;
	PgjsRelInfo *info;
} ForeignInfo;

static PgjsRelInfo *
foreign_info(const PlannerInfo *root, Index relid)
{
	ListCell   *lc;

	foreach(lc, pgjs_planning(root)->foreign)
	{
		ForeignInfo *foreign = lfirst(lc);

		if (foreign->root == root && foreign->relid == relid)
			return foreign->info;
	}
	return NULL;
}

static PgjsRelInfo *
make_foreign_info(const PlannerInfo *root, Index relid)
{
	PgjsPlanning *planning = pgjs_planning(root);
	MemoryContext old = MemoryContextSwitchTo(planning->cxt);
	ForeignInfo *foreign = palloc(sizeof(ForeignInfo));

	foreign->root = root;
	foreign->relid = relid;
	foreign->info = new_relinfo(planning->cxt);
	planning->foreign = lappend(planning->foreign, foreign);
	MemoryContextSwitchTo(old);
	return foreign->info;
}

PgjsRelInfo *
pgjs_relinfo(PlannerInfo *root, const RelOptInfo *rel)
{
	PgjsRelInfo *info = rel->fdw_private;

	/* With a foreign data wrapper the field is the wrapper's; a foreign table has its info elsewhere. */
	if (rel->fdwroutine != NULL)
		return IS_SIMPLE_REL(rel) ? foreign_info(root, rel->relid) : NULL;
	return info != NULL && info->magic == PGJS_RELINFO_MAGIC ? info : NULL;
}

PgjsRelInfo *
pgjs_relinfo_make(PlannerInfo *root, RelOptInfo *rel)
{
	if (rel->fdwroutine != NULL)
		return IS_SIMPLE_REL(rel) ? make_foreign_info(root, rel->relid) : NULL;
	if (rel->fdw_private != NULL)
		return NULL;
	rel->fdw_private = new_relinfo(GetMemoryChunkContext(rel));
	return rel->fdw_private;
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

static bool
is_heap(Oid relid)
{
	Relation	table = table_open(relid, NoLock);	/* locked since the parser saw it */
	bool		heap = table->rd_tableam == GetHeapamTableAmRoutine();

	table_close(table, NoLock);
	return heap;
}

/* The columns that are read of a table, also in what a PlaceHolderVar computes; as pull_varattnos has them. */
static Bitmapset *
columns_read(const RelOptInfo *rel)
{
	Bitmapset  *read = NULL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &read);
	pull_varattnos((Node *) extract_actual_clauses(rel->baserestrictinfo, false), rel->relid, &read);
	return read;
}

/* NULL when the values of the columns that are read are no giants, which batches of rows could not bear. */
static const char *
width_refusal(const RelOptInfo *rel, Oid relid, const Bitmapset *read)
{
	Relation	table = table_open(relid, NoLock);
	const char *reason = NULL;
	bool		toastable = false;

	if (OidIsValid(table->rd_rel->reltoastrelid))
	{
		int			member = -1;

		while ((member = bms_next_member(read, member)) >= 0)
		{
			int			attno = member + FirstLowInvalidHeapAttributeNumber;

			if (attno > 0)
				toastable |= is_toastable(TupleDescAttr(RelationGetDescr(table), attno - 1));
		}
	}
	if (toastable)
	{
		Relation	toast = table_open(table->rd_rel->reltoastrelid, AccessShareLock);
		double		bytes = (double) RelationGetNumberOfBlocks(toast) * BLCKSZ * PGJS_TOAST_EXPANSION;

		table_close(toast, AccessShareLock);
		if (bytes > Max(PGJS_TOAST_ROW_LIMIT * rel->tuples, PGJS_TOAST_TABLE_LIMIT))
			reason = "values in its TOAST table are too wide";
	}
	table_close(table, NoLock);
	return reason;
}

static bool
recursive_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->hasRecursive ||
			query_tree_walker((Query *) node, recursive_walker, context, 0);
	return expression_tree_walker(node, recursive_walker, context);
}

/* May `rel` read a recursive query? Which CTE of the statement it reads is not looked into. */
static bool
may_be_recursive(PlannerInfo *root, const RelOptInfo *rel)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);

	if (rte->rtekind != RTE_SUBQUERY && rte->rtekind != RTE_CTE)
		return false;
	for (const PlannerInfo *level = root; level != NULL; level = level->parent_root)
	{
		if (level->parse->hasRecursive || recursive_walker((Node *) level->parse->cteList, NULL))
			return true;
	}
	return recursive_walker((Node *) rte->subquery, NULL);
}

/* The columns that are wanted of `rel`; of the only one of a query the target may hold expressions by now. */
static List *
wanted_columns(const RelOptInfo *rel)
{
	return pgjs_columns_of(rel->reltarget->exprs);
}

/* NULL when rows of `rel` can be had at all, else why not. */
static const char *
rel_refusal(PlannerInfo *root, RelOptInfo *rel)
{
	ListCell   *lc;

	if (rel->reloptkind != RELOPT_BASEREL)
		return "partitions on their own are not supported";
	if (rel->relid == root->parse->resultRelation)
		return "the target of a data change is not supported";
	if (!bms_is_empty(rel->lateral_relids))
		return "LATERAL references are not supported";
	if (rel->cheapest_total_path == NULL || rel->cheapest_total_path->param_info != NULL)
		return "LATERAL references are not supported";
	/* One without an end serves whoever wants a few rows only, but never fills a batch. */
	if (root->tuple_fraction > 0.0 && may_be_recursive(root, rel))
		return "a recursive query of which not all rows may be wanted is not supported";
	foreach(lc, wanted_columns(rel))
	{
		const char *reason = pgjs_column_refusal(lfirst(lc));

		if (reason != NULL)
			return reason;
	}
	return NULL;
}

/* Is it a table of heap pages that this query reads as they are? */
static bool
is_plain_table(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);

	return rte->rtekind == RTE_RELATION && !rte->inh && rte->tablesample == NULL &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW) && !IS_DUMMY_REL(rel);
}

bool
pgjs_can_read(RelOptInfo *rel, Oid relid)
{
	return is_heap(relid) && width_refusal(rel, relid, columns_read(rel)) == NULL;
}

/* Can the heap scan give all that is wanted of `rel`, its filters included? Else PostgreSQL scans it. */
static bool
can_scan(PlannerInfo *root, RelOptInfo *rel, const Bitmapset *read)
{
	ListCell   *lc;

	/* System columns and whole rows. */
	if (!bms_is_empty(read) && bms_next_member(read, -1) + FirstLowInvalidHeapAttributeNumber <= 0)
		return false;
	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		const char *reason;

		if (rinfo->pseudoconstant || pgjs_clause_rung(root, rinfo, &reason) > PGJS_RUNG_POSTGRES)
			return false;
	}
	foreach(lc, wanted_columns(rel))
	{
		const char *reason;

		if (IsA(lfirst(lc), PlaceHolderVar) &&
			pgjs_expr_rung(root, (Node *) ((PlaceHolderVar *) lfirst(lc))->phexpr, &reason) > PGJS_RUNG_POSTGRES)
			return false;
	}
	return true;
}

static PgjsTree *
new_tree(RelOptInfo *rel, uint32 kind)
{
	PgjsTree   *tree = palloc0(sizeof(PgjsTree));

	tree->kind = kind;
	tree->relid = rel->relid;
	tree->rows = rel->rows;
	tree->kept = 1.0;
	tree->width = rel->reltarget->width;
	return tree;
}

/* `parts`: the tables to be read, where they are others. */
static PgjsTree *
make_scan(PlannerInfo *root, RelOptInfo *rel, List *parts)
{
	PgjsTree   *scan = new_tree(rel, PGJS_TREE_SCAN);
	double		pages = parts == NIL ? rel->pages : 0.0;
	Cost		per_tuple = 0.0;
	bool		may_raise = false;
	ListCell   *lc;

	scan->filters = pgjs_order_clauses(root, rel->baserestrictinfo, &per_tuple);
	foreach(lc, wanted_columns(rel))
	{
		if (IsA(lfirst(lc), PlaceHolderVar))
		{
			scan->results = lappend(scan->results, lfirst(lc));
			per_tuple += pgjs_cost_clause(cpu_operator_cost, PGJS_RUNG_POSTGRES);
		}
	}
	/* A condition that may raise meets all rows. */
	foreach(lc, rel->baserestrictinfo)
		may_raise |= !pgjs_clause_is_harmless(root, lfirst_node(RestrictInfo, lc));
	foreach(lc, rel->pathlist)
	{
		const Path *path = lfirst(lc);

		if (path->param_info == NULL || may_raise || parts != NIL)
			continue;
		scan->least_lookup = scan->lookups == NULL ? path->total_cost : Min(scan->least_lookup, path->total_cost);
		scan->lookups = rel;
	}
	scan->parts = parts;
	if (parts == NIL)
		pgjs_cost_leaf(scan, rel, per_tuple);
	foreach(lc, parts)
	{
		RelOptInfo *part = find_base_rel(root, lfirst_int(lc));

		pages += part->pages;
		pgjs_cost_leaf(scan, part, per_tuple);
	}
	if (rel->consider_parallel)
		scan->workers = compute_parallel_worker(rel, pages, -1, max_parallel_workers_per_gather);
	return scan;
}

/* A leaf's rows come one by one and are the leader's alone: what PostgreSQL must be better by. Factor. */
#define PGJS_CLEARLY_CHEAPER	4.0

/* Do indexes, of the table or of its parts, beat reading all by far? Or few parts at run time, reading them all? */
static bool
is_dear(const PgjsTree *scan, const RelOptInfo *rel)
{
	PgjsCost	cost = pgjs_cost_tree(scan, scan->workers);
	double		factor = scan->parts == NIL ? PGJS_CLEARLY_CHEAPER : 1.0;

	return cost.startup + cost.run > factor * rel->cheapest_total_path->total_cost;
}

/* PostgreSQL's cheapest plan of the relation, run in the leader. */
static PgjsTree *
make_leaf(RelOptInfo *rel)
{
	PgjsTree   *leaf = new_tree(rel, PGJS_TREE_LEAF);

	pgjs_cost_leaf(leaf, rel, 0.0);
	return leaf;
}

PgjsRelInfo *
pgjs_leaf(PlannerInfo *root, RelOptInfo *rel)
{
	PgjsRelInfo *info = pgjs_relinfo(root, rel);
	MemoryContext old;
	const char *reason;
	Oid			table;			/* InvalidOid for what is no plain one */
	Bitmapset  *read = NULL;

	if (info != NULL)
		return info;
	info = pgjs_relinfo_make(root, rel);
	if (info == NULL)
		return NULL;

	old = MemoryContextSwitchTo(GetMemoryChunkContext(rel));
	reason = rel_refusal(root, rel);
	table = is_plain_table(root, rel) ? planner_rt_fetch(rel->relid, root)->relid : InvalidOid;
	if (reason == NULL)
		read = columns_read(rel);
	if (reason == NULL && OidIsValid(table))
		reason = width_refusal(rel, table, read);
	if (reason != NULL)
		pgjs_decline(info, "%s", reason);
	else
	{
		List	   *parts = pgjs_parts(root, rel);
		bool		scan = (parts != NIL || (OidIsValid(table) && is_heap(table))) && can_scan(root, rel, read);

		/* One tree serves both where it can: what participants share is in the costs of the trees above. */
		info->serial = scan ? make_scan(root, rel, parts) : make_leaf(rel);
		if (scan && is_dear(info->serial, rel))
		{
			info->serial = make_leaf(rel);
			scan = false;
		}
		/* Workers cannot read a temporary table, nor evaluate what is not parallel-safe: the leader can. */
		info->parallel = info->serial;
		if (scan && root->glob->parallelModeOK && !rel->consider_parallel)
			info->parallel = make_leaf(rel);
	}
	MemoryContextSwitchTo(old);
	return info;
}
