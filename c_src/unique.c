/*
 * unique.c
 *		A semi-join as an inner join with unique rows.
 *
 * Where all conditions of a semi-join are equalities, PostgreSQL may make the
 * rows of its inner side unique in what is compared, and join them like any
 * others: before all of the outer side is there, or as the side that is first.
 *
 *		a, d WHERE (a.x, d.y) IN (SELECT b.x, b.y FROM b)
 *			->	a JOIN (d JOIN unique(b) ON d.y = b.y) ON a.x = b.x
 *
 * Here the unique rows are an AGGREGATE over the side's tree that computes
 * nothing. Its other columns are those of some row of the group, all of the
 * same one: whatever an expression makes of them is one row's.
 */
#include "planner.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* What makes the rows of one side unique. */
typedef struct UniqueRows
{
	PgjsComputed computed;		/* by the side, for the keys */
	List	   *keys;			/* e = e */
	double		rows;			/* unique ones */
	double		most_rows;		/* that memory must do for */
	Cost		per_row;		/* of the keys, a row of the side */
} UniqueRows;

/* By which equality the right operands of `operator` are unique, as PostgreSQL's Unique and HashAggregate have it. */
static Oid
equality_of(const SpecialJoinInfo *join, Oid operator)
{
	Oid			equality = InvalidOid;

	if (join->semi_can_hash)
	{
		if (!get_compatible_hash_operators(operator, NULL, &equality))
			equality = InvalidOid;
	}
	else if (join->semi_can_btree)
		equality = get_equality_op_for_ordering_op(get_ordering_op_for_equality_op(operator, false), NULL);
	return equality;
}

/* A comparison under another collation than the column's own may find equal what is not so by itself. */
static bool
has_other_equality(const List *restrictlist)
{
	const ListCell *lc;

	foreach(lc, restrictlist)
	{
		Oid			collation = exprInputCollation((Node *) lfirst_node(RestrictInfo, lc)->clause);

		if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
			return true;
	}
	return false;
}

static bool
find_keys(const PgjsPair *pair, const RelOptInfo *rel, const PgjsTree *tree, PgjsRelInfo *info, UniqueRows *unique)
{
	SpecialJoinInfo *join = pair->sjinfo;
	EstimationInfo estimation;
	QualCost	cost;
	ListCell   *lc;
	ListCell   *lc2;

	unique->computed.root = pair->root;
	unique->computed.relids = rel->relids;
	forboth(lc, join->semi_rhs_exprs, lc2, join->semi_operators)
	{
		Oid			equality = equality_of(join, lfirst_oid(lc2));
		const char *reason = "rows cannot be made unique by such an equality";
		Node	   *key = NULL;

		if (OidIsValid(equality))
			key = pgjs_find_key(&unique->computed, equality, lfirst(lc), pgjs_group_refusal, &reason);
		if (key == NULL)
		{
			pgjs_decline(info, "%s", reason);
			return false;
		}
		unique->keys = list_append_unique(unique->keys, key);
	}
	cost_qual_eval(&cost, unique->keys, pair->root);
	unique->per_row = cost.per_tuple;
	unique->rows = estimate_num_groups(pair->root, join->semi_rhs_exprs, tree->rows, NULL, &estimation);
	/* Without statistics each row may be unique. */
	unique->most_rows = (estimation.flags & SELFLAG_USED_DEFAULT) != 0 ? Max(tree->rows, unique->rows) : unique->rows;
	return true;
}

static PgjsTree *
unique_tree(const UniqueRows *unique, PgjsTree *side, int workers, PgjsRelInfo *info)
{
	PgjsTree   *node = palloc0(sizeof(PgjsTree));
	double		bytes;

	node->kind = PGJS_TREE_AGGREGATE;
	node->probe = pgjs_with_columns(side, unique->computed.columns, unique->computed.cost);
	/* Not gathered: the join above has the rows where its own are. */
	node->probe_exchange = workers == 0 || pgjs_is_in_leader(side) ? PGJS_EXCHANGE_NONE : PGJS_EXCHANGE_HASH;
	node->keys = unique->keys;
	node->rows = node->groups = unique->rows;
	node->most_groups = unique->most_rows;
	node->kept = 1.0;
	node->width = side->width;
	node->workers = side->workers;
	node->row_cost = side->rows * unique->per_row;
	bytes = pgjs_group_bytes(node, workers);
	if (bytes <= (double) get_hash_memory_limit())
		return node;
	pgjs_decline(info, "estimated unique rows of %.0f kB exceed work_mem * hash_mem_multiplier (%.0f kB)",
				 ceil(bytes / 1024.0), get_hash_memory_limit() / 1024.0);
	return NULL;
}

/* The trees of `side` with unique rows; without any, with the reason, where it cannot have them. */
static void
make_unique(const PgjsPair *pair, RelOptInfo *rel, const PgjsRelInfo *side, PgjsRelInfo *result)
{
	PlannerInfo *root = pair->root;
	UniquePath *path = create_unique_path(root, rel, rel->cheapest_total_path, pair->sjinfo);
	UniqueRows	unique = {0};

	if (path != NULL && path->umethod == UNIQUE_PATH_NOOP)
	{
		result->serial = side->serial;
		result->parallel = side->parallel;
		return;
	}
	if (!find_keys(pair, rel, side->serial != NULL ? side->serial : side->parallel, result, &unique))
		return;
	if (side->serial != NULL)
		result->serial = unique_tree(&unique, side->serial, 0, result);
	if (side->parallel != NULL && root->glob->parallelModeOK &&
		is_parallel_safe(root, (Node *) pair->sjinfo->semi_rhs_exprs))
		result->parallel = unique_tree(&unique, side->parallel, Max(side->parallel->workers, 1), result);
}

const PgjsRelInfo *
pgjs_unique(const PgjsPair *pair, RelOptInfo *rel, PgjsRelInfo *side, PgjsRelInfo *info)
{
	const PgjsTree *any = side->serial != NULL ? side->serial : side->parallel;

	if (any->deferred != NIL)
	{
		pgjs_decline(info, "a condition below this kind of join cannot wait until after it");
		return NULL;
	}
	if (has_other_equality(pair->restrictlist))
	{
		pgjs_decline(info, "unique rows under a nondeterministic collation are not supported");
		return NULL;
	}
	/* The search asks with each part of the outer side. */
	if (side->unique == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(side));

		side->unique = palloc0(sizeof(PgjsRelInfo));
		make_unique(pair, rel, side, side->unique);
		MemoryContextSwitchTo(old);
	}
	if (side->unique->serial != NULL || side->unique->parallel != NULL)
		return side->unique;
	if (side->unique->reason != NULL)
		pgjs_decline(info, "%s", side->unique->reason);
	return NULL;
}
