/*
 * tree.c
 *		The join of two trees: which clauses do what, which side is built, how
 *		rows move between participants.
 *
 * What a pair is joined by, sorted:
 *
 *		keys		equalities, hashed; of native expressions, or of columns that are computed for it (key.c)
 *		conditions	the rest of what makes two rows match
 *		filters		conditions on joined rows: of an outer join, what stands in WHERE
 *		deferred	what only PostgreSQL in the leader can evaluate, on the rows of all joins
 *		results		PlaceHolderVars that get their value here
 */
#include "planner.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/placeholder.h"
#include "optimizer/restrictinfo.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

typedef struct JoinClauses
{
	List	   *keys;
	List	   *conditions;
	List	   *filters;
	List	   *results;
	List	   *deferred;
	List	   *computed[2];	/* columns that the outer and the inner side compute for keys */
	Cost		computed_cost[2];	/* a row of the side */
	double		kept;			/* by the deferred ones */
	Cost		condition_cost; /* of the conditions, a row */
	Cost		cost;			/* of filters and results, a row */
	bool		asks_postgres;	/* a condition is PostgreSQL's */
	bool		parallel_safe;
	bool		probe_keeps;	/* the build side's alone must not come without a match: a condition is PostgreSQL's */
} JoinClauses;

/* ---- clauses ---- */

/* Is `rinfo` an equality between an expression of one side and one of the other? */
static bool
splits(const RestrictInfo *rinfo, const PgjsPair *pair)
{
	const RelOptInfo *outerrel = pair->outerrel;
	const RelOptInfo *innerrel = pair->innerrel;

	if (!rinfo->can_join || !OidIsValid(rinfo->hashjoinoperator) || !is_opclause(rinfo->clause))
		return false;
	return (bms_is_subset(rinfo->left_relids, outerrel->relids) &&
			bms_is_subset(rinfo->right_relids, innerrel->relids)) ||
		(bms_is_subset(rinfo->left_relids, innerrel->relids) &&
		 bms_is_subset(rinfo->right_relids, outerrel->relids));
}

/* Clauses of this pair that PostgreSQL has to evaluate above the plan: until then more rows go on. */
static bool
defer(const PgjsPair *pair, PgjsRelInfo *info, RestrictInfo *rinfo, const char *reason, List **deferred)
{
	/* Evaluated for the rows of the whole query level alone: how often is a volatile function's own affair. */
	if (contain_volatile_functions((Node *) rinfo->clause) &&
		!bms_equal(pair->joinrel->relids, pair->root->all_baserels))
	{
		pgjs_decline(info, "%s", reason);
		return false;
	}
	*deferred = lappend(*deferred, rinfo);
	return true;
}

/* The PlaceHolderVars that are to be had from this join on. False, with a reason kept, where the plan cannot. */
static bool
find_results(const PgjsPair *pair, PgjsRelInfo *info, JoinClauses *clauses)
{
	ListCell   *lc;

	if (pair->root->placeholder_list == NIL)
		return true;
	foreach(lc, pair->target->exprs)
	{
		PlaceHolderVar *phv = lfirst(lc);
		Relids		relids;
		const char *reason;

		if (!IsA(phv, PlaceHolderVar))
			continue;
		relids = find_placeholder_info(pair->root, phv, false)->ph_eval_at;
		if (bms_is_subset(relids, pair->outerrel->relids) || bms_is_subset(relids, pair->innerrel->relids))
			continue;
		reason = pgjs_column_refusal((Node *) phv);
		if (reason != NULL || pgjs_expr_rung(pair->root, (Node *) phv->phexpr, &reason) > PGJS_RUNG_POSTGRES)
		{
			pgjs_decline(info, "%s", reason);
			return false;
		}
		clauses->results = lappend(clauses->results, phv);
		clauses->cost += pgjs_cost_clause(cpu_operator_cost, PGJS_RUNG_POSTGRES);
		clauses->parallel_safe &= is_parallel_safe(pair->root, (Node *) phv->phexpr);
	}
	return true;
}

/* Makes a clause a key by columns that its sides compute; false where it cannot be one. */
static bool
add_computed_key(const PgjsPair *pair, RestrictInfo *rinfo, JoinClauses *clauses, List **keys)
{
	bool		outer_first = bms_is_subset(rinfo->left_relids, pair->outerrel->relids);
	PgjsComputedKey key;

	if (!pgjs_computed_key(pair->root, rinfo, &key))
		return false;
	for (int i = 0; i < 2; i++)
	{
		int			side = (i == 0) == outer_first ? 0 : 1;

		if (key.columns[i] == NULL)
			continue;
		clauses->computed[side] = lappend(clauses->computed[side], key.columns[i]);
		clauses->computed_cost[side] += key.costs[i];
	}
	*keys = lappend(*keys, key.clause);
	return true;
}

/*
 * Sorts the pair's clauses; false, with a reason kept, when the plan cannot
 * hold them. `on_deferred`: clauses from below wait until above the plan, so
 * that those here meet rows that they would not meet in PostgreSQL.
 */
static bool
split_clauses(const PgjsPair *pair, bool on_deferred, PgjsRelInfo *info, JoinClauses *clauses)
{
	PlannerInfo *root = pair->root;
	bool		inner = pair->jointype == JOIN_INNER;
	Relids		hidden = bms_join(pgjs_hidden_relids(root, pair->outerrel->relids),
								  pgjs_hidden_relids(root, pair->innerrel->relids));
	List	   *keys = NIL;
	List	   *computed_keys = NIL;
	List	   *conditions = NIL;
	List	   *filters = NIL;
	List	   *deferred = NIL;
	List	   *unsafe = NIL;	/* in a worker */
	ListCell   *lc;

	memset(clauses, 0, sizeof(*clauses));
	foreach(lc, pair->restrictlist)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		/* The conditions of a semi-join look like those of WHERE. */
		bool		matches = !IS_OUTER_JOIN(pair->jointype) ||
			!RINFO_IS_PUSHED_DOWN(rinfo, pair->joinrel->relids);
		const char *reason;
		PgjsRung	rung;

		if (rinfo->pseudoconstant)
		{
			pgjs_decline(info, "a condition without table columns is not supported");
			return false;
		}
		if (bms_overlap(rinfo->clause_relids, hidden))
			rinfo = pgjs_visible_clause(pair, rinfo, hidden);
		if (rinfo == NULL)
		{
			pgjs_decline(info, "%s", PGJS_HIDDEN_REASON);
			return false;
		}
		if (!pgjs_clause_is_parallel_safe(root, rinfo))
			unsafe = lappend(unsafe, rinfo);
		if (matches && splits(rinfo, pair) && pgjs_key_refusal(root, rinfo) == NULL)
		{
			keys = lappend(keys, rinfo);
			continue;
		}
		if (matches && splits(rinfo, pair) && add_computed_key(pair, rinfo, clauses, &computed_keys))
			continue;
		if (on_deferred && !pgjs_clause_is_harmless(root, rinfo))
		{
			pgjs_decline(info, "a condition that may raise an error comes after a subquery's");
			return false;
		}
		rung = pgjs_clause_rung(root, rinfo, &reason);
		if (rung == PGJS_RUNG_NONE || (rung == PGJS_RUNG_ABOVE && matches && !inner))
		{
			pgjs_decline(info, "%s", reason);
			return false;
		}
		if (rung == PGJS_RUNG_POSTGRES && matches)
		{
			clauses->asks_postgres = true;
			clauses->probe_keeps |= !inner;
		}
		if (rung == PGJS_RUNG_ABOVE)
		{
			if (!defer(pair, info, rinfo, reason, &deferred))
				return false;
		}
		else if (matches)
			conditions = lappend(conditions, rinfo);
		else
			filters = lappend(filters, rinfo);
	}
	/* What waits is the leader's in any case. */
	clauses->parallel_safe = unsafe == NIL || list_difference_ptr(unsafe, deferred) == NIL;
	clauses->keys = list_concat(pgjs_order_clauses(root, keys, NULL), computed_keys);
	clauses->conditions = pgjs_order_clauses(root, conditions, &clauses->condition_cost);
	clauses->filters = pgjs_order_clauses(root, filters, &clauses->cost);
	clauses->deferred = pgjs_order_clauses(root, deferred, NULL);
	clauses->kept = deferred == NIL ? 1.0 : clauselist_selectivity(root, deferred, 0, JOIN_INNER, NULL);
	if (!find_results(pair, info, clauses))
		return false;
	if (on_deferred && clauses->results != NIL)
	{
		pgjs_decline(info, "an expression that may raise an error comes after a subquery's condition");
		return false;
	}
	return true;
}

/* ---- ways to join ---- */

/* PGJS_JOIN_* for the pair, when its inner side is built, or else its outer one. */
static uint32
join_type(JoinType jointype, bool inner_builds)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return inner_builds ? PGJS_JOIN_PROBE_OUTER : PGJS_JOIN_BUILD_OUTER;
		case JOIN_RIGHT:
			return inner_builds ? PGJS_JOIN_BUILD_OUTER : PGJS_JOIN_PROBE_OUTER;
		case JOIN_FULL:
			return PGJS_JOIN_FULL;
		case JOIN_SEMI:
			return inner_builds ? PGJS_JOIN_PROBE_SEMI : PGJS_JOIN_BUILD_SEMI;
		case JOIN_ANTI:
			return inner_builds ? PGJS_JOIN_PROBE_ANTI : PGJS_JOIN_BUILD_ANTI;
		default:
			return PGJS_JOIN_INNER;
	}
}

/* Are the rows that may come without a match, or once, the probe side's? */
static bool
probe_keeps(uint32 type)
{
	return type == PGJS_JOIN_PROBE_OUTER || type == PGJS_JOIN_PROBE_SEMI || type == PGJS_JOIN_PROBE_ANTI;
}

/* A build side that all participants have whole must not give rows of its own: it would give them once in each. */
static bool
can_broadcast(uint32 type)
{
	return type == PGJS_JOIN_INNER || probe_keeps(type);
}

/*
 * May clauses of this side wait until after the join? Where the side's rows
 * come out as they are or not at all: dropping them before or after is the same.
 */
static bool
can_defer(JoinType jointype, bool outer)
{
	switch (jointype)
	{
		case JOIN_INNER:
			return true;
		case JOIN_LEFT:
		case JOIN_SEMI:
		case JOIN_ANTI:
			return outer;
		case JOIN_RIGHT:
			return !outer;
		default:
			return false;
	}
}

PgjsTree *
pgjs_with_columns(PgjsTree *side, List *columns, Cost per_tuple)
{
	PgjsTree   *tree;
	ListCell   *lc;

	if (columns == NIL)
		return side;
	tree = palloc(sizeof(PgjsTree));
	*tree = *side;
	tree->results = list_concat_copy(side->results, columns);
	tree->row_cost += per_tuple * tree->rows;
	tree->is_costed = false;
	foreach(lc, columns)
		tree->width += get_typavgwidth(exprType(lfirst(lc)), exprTypmod(lfirst(lc)));
	return tree;
}

/* What is sought among the ways to join two trees. */
typedef struct Search
{
	int			workers;
	double		most_bytes;		/* of a hash table */
	Cost		cheapest;		/* of the ways so far; infinite: none fits */
	PgjsTree   *best;			/* the cheapest that is cheaper than the relation's own tree, or NULL */
	Cost		best_total;		/* of it, or of the relation's own */
	double	   *smallest;		/* the smallest table's bytes */
} Search;

/* Costs a way whose inputs cost so much; false when its table does not fit, with its bytes in *smallest in any case. */
static bool
cost_way(const Search *search, const PgjsTree *tree, PgjsCost build, PgjsCost probe, double *smallest, PgjsCost *cost)
{
	double		bytes = pgjs_hash_bytes(tree, search->workers);

	*smallest = Min(*smallest, bytes);
	if (bytes > search->most_bytes)
		return false;
	*cost = pgjs_cost_join(tree, build, probe, search->workers);
	return true;
}

static void
keep_better(Search *search, const PgjsTree *tree, PgjsCost build, PgjsCost probe)
{
	PgjsCost	cost;
	Cost		total;

	if (!cost_way(search, tree, build, probe, search->smallest, &cost))
		return;
	total = cost.startup + cost.run;
	search->cheapest = Min(search->cheapest, total);
	if (total >= search->best_total)
		return;
	if (search->best == NULL)
		search->best = palloc(sizeof(PgjsTree));
	*search->best = *tree;
	search->best->is_costed = true;
	search->best->costed_workers = search->workers;
	search->best->cost = cost;
	search->best_total = total;
}

/*
 * Either side is built; and with several participants the built side goes to
 * all of them, or both sides go where the hash of their keys says.
 *
 *		broadcast:	build 1 -> N, probe stays		shuffle:	build N -> M, probe N -> M
 *
 * The cheapest whose table fits becomes *kept if it is cheaper than that, and
 * *smallest the smallest table's bytes, when that is less.
 */
static void
keep_cheapest_join(const PgjsPair *pair, const JoinClauses *clauses, PgjsTree *outer, PgjsTree *inner, int workers,
				   PgjsTree **kept, Cost *kept_total, double *smallest)
{
	static const uint32 exchanges[][2] = {
		{PGJS_EXCHANGE_BROADCAST, PGJS_EXCHANGE_NONE},
		{PGJS_EXCHANGE_HASH, PGJS_EXCHANGE_HASH},
		{PGJS_EXCHANGE_NONE, PGJS_EXCHANGE_NONE},
	};
	int			first = workers > 0 ? 0 : 2;
	int			last = workers > 0 ? 1 : 2;
	Search		search = {.workers = workers, .most_bytes = get_hash_memory_limit(), .smallest = smallest};
	PgjsCost	outer_cost;
	PgjsCost	inner_cost;
	PgjsTree	tree = {.kind = PGJS_TREE_JOIN};

	search.cheapest = get_float8_infinity();
	search.best_total = *kept == NULL ? search.cheapest : *kept_total;
	outer = pgjs_with_columns(outer, clauses->computed[0], clauses->computed_cost[0]);
	inner = pgjs_with_columns(inner, clauses->computed[1], clauses->computed_cost[1]);
	outer_cost = pgjs_cost_tree(outer, workers);
	inner_cost = pgjs_cost_tree(inner, workers);

	tree.keys = clauses->keys;
	tree.conditions = clauses->conditions;
	tree.filters = clauses->filters;
	tree.results = clauses->results;
	tree.kept = Max(outer->kept * inner->kept * clauses->kept, 1e-6);
	tree.rows = pair->joinrel->rows / tree.kept;
	tree.asked = tree.rows;
	tree.width = pair->target->width;
	tree.workers = Max(outer->workers, inner->workers);
	tree.nleaves = pgjs_count_leaves(outer) + pgjs_count_leaves(inner);
	tree.row_cost = clauses->cost * tree.rows;
	/* What is PostgreSQL's of a nested loop's conditions is asked about every pair. */
	tree.row_cost += clauses->condition_cost *
		(clauses->asks_postgres && clauses->keys == NIL ? outer->rows * inner->rows : tree.rows);

	for (int side = 0; side < 2; side++)
	{
		PgjsCost	build_cost = side == 0 ? inner_cost : outer_cost;
		PgjsCost	probe_cost = side == 0 ? outer_cost : inner_cost;

		tree.join_type = join_type(pair->jointype, side == 0);
		if (clauses->probe_keeps && tree.join_type != PGJS_JOIN_FULL && !probe_keeps(tree.join_type))
			continue;
		tree.build = side == 0 ? inner : outer;
		tree.probe = side == 0 ? outer : inner;
		tree.build_relids = (side == 0 ? pair->innerrel : pair->outerrel)->relids;
		for (int way = first; way <= last; way++)
		{
			const PgjsSkew *skews;
			double		even_bytes = *smallest;
			PgjsCost	even_cost;
			int			nskews;

			if (way == 0 && !can_broadcast(tree.join_type))
				continue;
			if (way == 1 && tree.keys == NIL)
				continue;
			tree.build_exchange = exchanges[way][0];
			tree.probe_exchange = exchanges[way][1];
			memset(&tree.skew, 0, sizeof(tree.skew));
			if (way != 1)
			{
				keep_better(&search, &tree, build_cost, probe_cost);
				continue;
			}
			/* Common keys make it no cheaper: they are only looked for where it could be the best. */
			if (!cost_way(&search, &tree, build_cost, probe_cost, &even_bytes, &even_cost) ||
				even_cost.startup + even_cost.run >= search.cheapest)
			{
				*smallest = even_bytes;
				continue;
			}
			nskews = pgjs_find_skews(pair->root, &tree, tree.build_relids, workers, &skews);
			for (int i = 0; i < nskews; i++)
			{
				tree.skew = skews[i];
				keep_better(&search, &tree, build_cost, probe_cost);
			}
		}
	}
	if (search.best == NULL)
		return;
	if (outer->deferred != NIL || inner->deferred != NIL || clauses->deferred != NIL)
		search.best->deferred = list_concat_copy(list_concat_copy(outer->deferred, inner->deferred),
												 clauses->deferred);
	*kept = search.best;
	*kept_total = search.best_total;
}

/* The workers that a tree with exchanges is costed for: one, where its tables alone are worth none. */
static int
costed_workers(const PgjsTree *tree)
{
	return Max(tree->workers, 1);
}

/* Can a join of two trees be cheaper than the one that there is, whatever its clauses? */
static bool
may_be_cheaper(const PgjsPair *pair, const PgjsTree *outer, const PgjsTree *inner, int workers, const PgjsTree *kept,
			   Cost kept_total)
{
	return kept == NULL || pgjs_least_join_cost(outer, inner, pair->joinrel->rows, workers) < kept_total;
}

Cost
pgjs_least_cost(const PgjsPair *pair, const PgjsRelInfo *outer, const PgjsRelInfo *inner)
{
	if (outer == NULL || inner == NULL)
		return get_float8_infinity();
	if (outer->parallel != NULL && inner->parallel != NULL)
		return pgjs_least_join_cost(outer->parallel, inner->parallel, pair->joinrel->rows,
									Max(costed_workers(outer->parallel), costed_workers(inner->parallel)));
	if (outer->serial != NULL && inner->serial != NULL)
		return pgjs_least_join_cost(outer->serial, inner->serial, pair->joinrel->rows, 0);
	return get_float8_infinity();
}

void
pgjs_join_trees(const PgjsPair *pair, PgjsRelInfo *info, const PgjsRelInfo *outer, const PgjsRelInfo *inner)
{
	double		smallest = get_float8_infinity();
	bool		on_deferred = false;
	bool		serial = outer->serial != NULL && inner->serial != NULL;
	bool		parallel = pair->root->glob->parallelModeOK && outer->parallel != NULL && inner->parallel != NULL;
	int			workers = parallel ? Max(costed_workers(outer->parallel), costed_workers(inner->parallel)) : 0;
	JoinClauses clauses;

	/* Both trees of a relation defer the same clauses. */
	for (int side = 0; side < 2; side++)
	{
		const PgjsRelInfo *from = side == 0 ? outer : inner;
		const PgjsTree *any = from->serial != NULL ? from->serial : from->parallel;

		on_deferred |= any->deferred != NIL;
		if (any->deferred != NIL && !can_defer(pair->jointype, side == 0))
		{
			pgjs_decline(info, "a condition below this kind of join cannot wait until after it");
			return;
		}
	}

	if (info->serial != NULL || info->parallel != NULL)
	{
		serial = serial && may_be_cheaper(pair, outer->serial, inner->serial, 0, info->serial, info->serial_total);
		parallel = parallel && may_be_cheaper(pair, outer->parallel, inner->parallel, workers, info->parallel,
											  info->parallel_total);
		if (!serial && !parallel)
			return;
	}
	if (!split_clauses(pair, on_deferred, info, &clauses))
		return;

	if (serial)
		keep_cheapest_join(pair, &clauses, outer->serial, inner->serial, 0, &info->serial, &info->serial_total,
						   &smallest);
	if (parallel && clauses.parallel_safe)
		keep_cheapest_join(pair, &clauses, outer->parallel, inner->parallel, workers, &info->parallel,
						   &info->parallel_total, &smallest);
	if (info->serial == NULL && info->parallel == NULL && !isinf(smallest))
		pgjs_decline(info, "estimated hash table of %.0f kB exceeds work_mem * hash_mem_multiplier (%.0f kB)",
					 ceil(smallest / 1024.0), get_hash_memory_limit() / 1024.0);
}
