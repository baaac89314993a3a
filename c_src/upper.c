/*
 * upper.c
 *		What stands on a join, or on one large table: grouping, window
 *		functions, DISTINCT, ORDER BY and LIMIT as the topmost nodes of a JoinScan's tree.
 *
 * PostgreSQL asks stage by stage, each with the relation that the one before
 * it made. The trees of that relation get one more node, and the path that they
 * make together competes with PostgreSQL's own by cost. A stage that cannot be
 * taken in is PostgreSQL's, over the paths of the stages before it.
 *
 *		groups		partial per participant -> gather		-> final in the leader (few groups)
 *					partial per participant -> by group key -> final, spread	   (many)
 *		windows		by PARTITION BY					-> sorted, each partition's functions
 *					sorted per participant -> gather -> merged, the functions in the leader
 *		sort		per participant, its first rows alone under a LIMIT or DISTINCT ON -> gather -> merged in the leader
 */
#include "planner.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/placeholder.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* Keys whose NULLS FIRST fit into the bits of a tree node. */
#define PGJS_MOST_SORT_KEYS		64
/* Of the rows, how many a LIMIT may want so that they are kept in a heap, not sorted. */
#define PGJS_TOP_SHARE			0.1
/* Bytes that a row in that heap takes besides its columns: its key, its place. */
#define PGJS_TOP_BYTES			100.0
/* Keys of grouping sets: with up to 4096 sets, the most that PostgreSQL has, their numbers fit into 64 bits. */
#define PGJS_MOST_SET_KEYS		48

/* One stage above the joins. */
typedef struct Stage
{
	PlannerInfo *root;
	RelOptInfo *input;
	RelOptInfo *output;
	PathTarget *target;			/* of output */
	PgjsRelInfo *info;			/* likewise */
	PgjsComputed computed;		/* by the input, for the node */
	PgjsTree	node;			/* to stand on the input's trees; the same for both but for exchanges and figures */
	bool		parallel_safe;
	Cost		per_row;		/* of what it evaluates, in PostgreSQL; a row of its input */
	List	   *distinct;		/* of DISTINCT ON: its expressions; of WITH TIES: those of ORDER BY */
	List	   *foreign;		/* aggregates that PostgreSQL computes */
	List	   *windows;		/* WINDOWs to stand on one another in the place of `node` */
} Stage;

/* ---- keys ---- */

Node *
pgjs_make_key(Oid operator, Node *expr)
{
	Oid			collation = exprCollation(expr);
	OpExpr	   *key = (OpExpr *) make_opclause(operator, BOOLOID, false, copyObject((Expr *) expr),
											   copyObject((Expr *) expr), InvalidOid, collation);

	set_opfuncid(key);
	return (Node *) key;
}

Node *
pgjs_key_expr(const Node *key)
{
	return linitial(castNode(OpExpr, (Node *) key)->args);
}

/* The group keys for a list of SortGroupClauses; false, with a reason kept, when the plan cannot group by one. */
static bool
find_group_keys(Stage *stage, List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *expr = get_sortgroupclause_expr(clause, stage->root->processed_tlist);
		Node	   *key = NULL;
		const char *reason = "grouping by a constant is not supported";

		/* GROUP BY a, a: once is enough. */
		if (list_member(stage->node.values, expr))
			continue;
		if (contain_var_clause(expr) || contain_agg_clause(expr))
			key = pgjs_find_key(&stage->computed, clause->eqop, expr, pgjs_group_refusal, &reason);
		if (key == NULL)
		{
			pgjs_decline(stage->info, "%s", reason);
			return false;
		}
		stage->node.keys = lappend(stage->node.keys, key);
		stage->node.values = lappend(stage->node.values, expr);
		stage->parallel_safe &= is_parallel_safe(stage->root, expr);
	}
	return true;
}

/* ---- groups ---- */

/*
 * The grouping sets, each by the keys that it has. The planner has expanded
 * them to lists of numbers of SortGroupClauses.
 */
static bool
find_sets(Stage *stage)
{
	Query	   *parse = stage->root->parse;
	List	   *keys = stage->node.keys;
	ListCell   *lc;
	ListCell   *lc2;

	/* A key that comes twice may be NULL once and have its value at the other place. */
	if (keys == NIL || list_length(keys) < list_length(parse->groupClause) || list_length(keys) > PGJS_MOST_SET_KEYS)
	{
		pgjs_decline(stage->info, "GROUPING SETS %s are not supported", keys == NIL ? "without expressions" :
					 list_length(keys) > PGJS_MOST_SET_KEYS ? "over so many expressions" : "over one expression twice");
		return false;
	}
	stage->node.nsets = list_length(parse->groupingSets);
	stage->node.sets = palloc0(stage->node.nsets * sizeof(uint64));
	foreach(lc, parse->groupingSets)
	{
		uint64	   *set = &stage->node.sets[foreach_current_index(lc)];

		foreach(lc2, (List *) lfirst(lc))
		{
			ListCell   *lc3;

			foreach(lc3, parse->groupClause)
			{
				if (lfirst_node(SortGroupClause, lc3)->tleSortGroupRef == (Index) lfirst_int(lc2))
					*set |= UINT64CONST(1) << foreach_current_index(lc3);
			}
		}
	}
	return true;
}

/* The aggregates, and what tells grouping sets apart, of an expression list that are not in the node yet. */
static bool
find_aggregates(Stage *stage, List *exprs)
{
	ListCell   *lc;

	foreach(lc, pull_var_clause((Node *) exprs, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
								PVC_INCLUDE_PLACEHOLDERS))
	{
		Aggref	   *aggregate = lfirst(lc);
		Aggref	   *call;
		const char *reason;

		if (IsA(aggregate, GroupingFunc))
			stage->node.groupings = list_append_unique(stage->node.groupings, aggregate);
		if (!IsA(aggregate, Aggref) || list_member(stage->node.aggregates, aggregate) ||
			list_member(stage->foreign, aggregate))
			continue;
		if (stage->node.nsets > 0 && aggregate->aggdistinct != NIL)
		{
			pgjs_decline(stage->info, "an aggregate with DISTINCT over GROUPING SETS is not supported");
			return false;
		}
		call = pgjs_find_call(&stage->computed, aggregate, &reason);
		if (call == NULL)
		{
			reason = pgjs_foreign_refusal(stage->root, stage->info->scanned->relids, aggregate);
			if (reason != NULL)
			{
				pgjs_decline(stage->info, "%s", reason);
				return false;
			}
			stage->foreign = lappend(stage->foreign, aggregate);
			stage->parallel_safe &= is_parallel_safe(stage->root, (Node *) aggregate);
			continue;
		}
		stage->node.aggregates = lappend(stage->node.aggregates, aggregate);
		stage->node.calls = lappend(stage->node.calls, call);
		stage->parallel_safe &= is_parallel_safe(stage->root, (Node *) aggregate->args) &&
			is_parallel_safe(stage->root, (Node *) aggregate->aggfilter);
	}
	return true;
}

/* HAVING: within the plan, or by the executor node where it holds subqueries. */
static bool
find_having(Stage *stage)
{
	List	   *filters = NIL;
	List	   *deferred = NIL;
	ListCell   *lc;

	foreach(lc, (List *) stage->root->parse->havingQual)
	{
		RestrictInfo *rinfo = make_simple_restrictinfo(stage->root, lfirst(lc));
		const char *reason;
		PgjsRung	rung = pgjs_clause_rung(stage->root, rinfo, &reason);

		if (rung == PGJS_RUNG_NONE)
		{
			pgjs_decline(stage->info, "%s", reason);
			return false;
		}
		if (rung == PGJS_RUNG_ABOVE || deferred != NIL)
			deferred = lappend(deferred, rinfo);
		else
			filters = lappend(filters, rinfo);
		stage->parallel_safe &= rung == PGJS_RUNG_ABOVE || is_parallel_safe(stage->root, lfirst(lc));
	}
	stage->node.filters = pgjs_order_clauses(stage->root, filters, NULL);
	stage->node.deferred = pgjs_order_clauses(stage->root, deferred, NULL);
	return true;
}

/*
 * How many groups, or distinct values, `exprs` make; adds how many memory must
 * do for. Those that are too many are an ERROR here, where PostgreSQL spills: so
 * where statistics tell nothing, each row may be one of its own.
 */
static double
count_values(const Stage *stage, List *exprs, double rows, double *most)
{
	EstimationInfo info;
	double		count = estimate_num_groups(stage->root, exprs, rows, NULL, &info);

	*most += (info.flags & SELFLAG_USED_DEFAULT) != 0 ? Max(rows, count) : count;
	return count;
}

/* How many groups some of the keys make; adds how many memory must do for. */
static double
count_groups(const Stage *stage, const PgjsTree *input, uint64 set, double *most)
{
	List	   *exprs = NIL;
	ListCell   *lc;

	foreach(lc, stage->node.values)
	{
		if (foreach_current_index(lc) >= 64 || (set >> foreach_current_index(lc)) & 1)
			exprs = lappend(exprs, lfirst(lc));
	}
	if (exprs == NIL)
	{
		*most += 1.0;
		return 1.0;
	}
	return count_values(stage, exprs, input->rows, most);
}

/* What the plan keeps for aggregates with DISTINCT: the arguments that it has met, for each group. Bytes. */
static double
distinct_bytes(const Stage *stage, const PgjsTree *input)
{
	List	   *met = NIL;
	double		bytes = 0.0;
	ListCell   *lc;

	foreach(lc, stage->node.aggregates)
	{
		Aggref	   *aggregate = lfirst_node(Aggref, lc);
		List	   *exprs;
		double		most = 0.0;
		int			width = 0;
		ListCell   *lc2;

		/* PostgreSQL's are sorted, in temporary files where need be. */
		if (aggregate->aggdistinct == NIL || list_member(met, aggregate->args) ||
			list_member_ptr(stage->foreign, aggregate))
			continue;
		met = lappend(met, aggregate->args);
		exprs = list_concat_copy(stage->node.values, get_sortgrouplist_exprs(aggregate->aggdistinct, aggregate->args));
		foreach(lc2, exprs)
			width += get_typavgwidth(exprType(lfirst(lc2)), exprTypmod(lfirst(lc2)));
		count_values(stage, exprs, input->rows, &most);
		bytes += pgjs_table_bytes(most, width);
	}
	return bytes;
}

/* Figures that hold for one input tree. */
static void
estimate_groups(const Stage *stage, const PgjsTree *input, PgjsTree *node)
{
	node->probe = (PgjsTree *) input;
	node->workers = input->workers;
	node->groups = 0.0;
	node->most_groups = 0.0;
	node->distinct_bytes = distinct_bytes(stage, input);
	for (int i = 0; i < node->nsets; i++)
		node->groups += count_groups(stage, input, node->sets[i], &node->most_groups);
	if (node->nsets == 0)
		node->groups = count_groups(stage, input, PG_UINT64_MAX, &node->most_groups);
	node->rows = node->groups;
	if (node->filters != NIL || node->deferred != NIL)
	{
		List	   *having = list_concat_copy(node->filters, node->deferred);

		node->rows = clamp_row_est(node->groups * clauselist_selectivity(stage->root, having, 0, JOIN_INNER, NULL));
	}
	node->kept = 1.0;
	node->asked = node->rows;
	node->width = stage->target->width;
	node->row_cost = input->rows * stage->per_row;
}

/* The cheapest way to group the rows of `input` in memory, or NULL. */
static PgjsTree *
group_tree(Stage *stage, const PgjsTree *input, int workers)
{
	static const uint32 exchanges[] = {PGJS_EXCHANGE_GATHER, PGJS_EXCHANGE_HASH, PGJS_EXCHANGE_NONE};
	bool		alone = workers == 0 || pgjs_is_in_leader(input);
	PgjsTree	node = stage->node;
	PgjsTree   *best = NULL;
	Cost		best_total = get_float8_infinity();

	estimate_groups(stage, input, &node);
	for (int way = alone ? 2 : 0; way <= (alone ? 2 : 1); way++)
	{
		PgjsCost	cost;

		node.probe_exchange = exchanges[way];
		if (way == 1 && node.keys == NIL)
			continue;
		if (pgjs_group_bytes(&node, workers) > (double) get_hash_memory_limit())
			continue;
		cost = pgjs_cost_tree(&node, workers);
		if (way == 1)			/* what the root's gather will cost */
			cost.run += pgjs_cost_exchange(node.rows, node.width);
		if (cost.startup + cost.run >= best_total)
			continue;
		best_total = cost.startup + cost.run;
		if (best == NULL)
			best = palloc(sizeof(PgjsTree));
		*best = node;
	}
	if (best == NULL)
		pgjs_decline(stage->info, "estimated groups of %.0f kB exceed work_mem * hash_mem_multiplier (%.0f kB)",
					 ceil(pgjs_group_bytes(&node, workers) / 1024.0), get_hash_memory_limit() / 1024.0);
	return best;
}

/* GROUP BY, HAVING and aggregates. */
static bool
plan_groups(Stage *stage)
{
	Query	   *parse = stage->root->parse;
	QualCost	cost;

	stage->node.kind = PGJS_TREE_AGGREGATE;
	if (!find_group_keys(stage, parse->groupClause) || (parse->groupingSets != NIL && !find_sets(stage)) ||
		!find_aggregates(stage, stage->target->exprs) ||
		!find_aggregates(stage, (List *) parse->havingQual) || !find_having(stage))
		return false;
	stage->node.nforeign = list_length(stage->foreign);
	stage->node.aggregates = list_concat(stage->node.aggregates, stage->foreign);
	stage->node.calls = list_concat(stage->node.calls, stage->foreign);
	cost_qual_eval(&cost, stage->node.keys, stage->root);
	stage->per_row = cost.per_tuple;
	/* The arguments; the transition itself is in the costs of the node. */
	cost_qual_eval(&cost, stage->node.calls, stage->root);
	stage->per_row += cost.per_tuple;
	return true;
}

static bool
plan_distinct(Stage *stage)
{
	Query	   *parse = stage->root->parse;
	QualCost	cost;

	stage->node.kind = PGJS_TREE_AGGREGATE;
	if (!find_group_keys(stage, parse->distinctClause))
		return false;
	cost_qual_eval(&cost, stage->node.keys, stage->root);
	stage->per_row = cost.per_tuple;
	return true;
}

/* ---- windows ---- */

/* Have all rows with equal values of these keys met by those of the other ones? */
static bool
has_same_keys(const List *keys, const List *others)
{
	return list_difference(keys, others) == NIL && list_difference(others, keys) == NIL;
}

static PgjsTree *
window_tree(Stage *stage, const PgjsTree *input, int workers)
{
	const List *spread_by = NIL;
	ListCell   *lc;

	foreach(lc, stage->windows)
	{
		PgjsTree   *node = palloc(sizeof(PgjsTree));
		double		participants = 1.0;

		*node = *(PgjsTree *) lfirst(lc);
		node->probe = (PgjsTree *) input;
		node->workers = input->workers;
		if (workers == 0 || pgjs_is_in_leader(input) || (spread_by != NIL && has_same_keys(spread_by, node->keys)))
			node->probe_exchange = PGJS_EXCHANGE_NONE;
		else
			node->probe_exchange = node->keys == NIL ? PGJS_EXCHANGE_GATHER : PGJS_EXCHANGE_HASH;
		if (!pgjs_is_in_leader(node))
		{
			spread_by = node->keys;
			participants = pgjs_participants(workers);
		}
		node->rows = input->rows;
		node->width = input->width + list_length(node->functions) * sizeof(int64);
		node->row_cost = input->rows * stage->per_row;
		if (node->rows / participants * node->width * 2.0 > work_mem * 1024.0)
		{
			pgjs_decline(stage->info, "the estimated rows of windows exceed work_mem");
			return NULL;
		}
		if (node->filters != NIL)
			node->rows = clamp_row_est(node->rows * clauselist_selectivity(stage->root, node->filters, 0, JOIN_INNER,
																		   NULL));
		input = node;
	}
	return (PgjsTree *) input;
}

static bool
plan_windows(Stage *stage)
{
	const char *reason = pgjs_plan_windows(&stage->computed, stage->target->exprs, &stage->windows);
	ListCell   *lc;
	ListCell   *lc2;

	if (reason != NULL)
	{
		pgjs_decline(stage->info, "%s", reason);
		return false;
	}
	foreach(lc, stage->windows)
	{
		PgjsTree   *node = lfirst(lc);
		List	   *exprs = list_concat_copy(node->keys, node->conditions);
		QualCost	cost;

		foreach(lc2, node->functions)
			exprs = list_concat(exprs, ((PgjsWindow *) lfirst(lc2))->exprs);
		cost_qual_eval(&cost, exprs, stage->root);
		stage->per_row += cost.per_tuple;
		stage->parallel_safe &= is_parallel_safe(stage->root, (Node *) exprs) &&
			is_parallel_safe(stage->root, (Node *) node->filters);
	}
	return true;
}

/* ---- order ---- */

/* How many rows a LIMIT can want at most; 0 when that is not known, or all. */
static uint64
find_limit(const Query *parse)
{
	int64		limit[2] = {0, 0};
	Node	   *nodes[2] = {parse->limitCount, parse->limitOffset};

	if (parse->limitCount == NULL)
		return 0;
	for (int i = 0; i < 2; i++)
	{
		if (nodes[i] == NULL)
			continue;
		if (!IsA(nodes[i], Const))
			return 0;
		/* LIMIT NULL is no limit; a negative one is an ERROR of the Limit node's. */
		if (((Const *) nodes[i])->constisnull)
		{
			if (i == 0)
				return 0;
			continue;
		}
		limit[i] = DatumGetInt64(((Const *) nodes[i])->constvalue);
		if (limit[i] < 0)
			return 0;
	}
	/* LIMIT 0 wants one all the same: 0 is none here. */
	return Max((uint64) limit[0] + (uint64) limit[1], 1);
}

static PgjsTree *
sort_tree(Stage *stage, const PgjsTree *input, int workers)
{
	PgjsTree   *node = palloc(sizeof(PgjsTree));
	double		rows = input->rows;
	double		kept_in_memory = rows;
	double		row_bytes = 2.0 * input->width;
	double		unused = 0.0;

	*node = stage->node;
	node->probe = (PgjsTree *) input;
	node->probe_exchange = workers == 0 || pgjs_is_in_leader(input) ? PGJS_EXCHANGE_NONE : PGJS_EXCHANGE_GATHER;
	node->workers = input->workers;
	/* To keep the first ones of all rows costs more than to sort them, where they are many. */
	if ((double) node->limit > rows * PGJS_TOP_SHARE)
		node->limit = node->cut_keys = 0;
	if (node->limit > 0)
		rows = Min(rows, (double) node->limit);
	else if (node->cut_keys > 0)
		rows = Min(rows, count_values(stage, stage->distinct, rows, &unused));
	if (node->limit > 0 && node->cut_keys == 0)
	{
		kept_in_memory = rows;
		row_bytes += PGJS_TOP_BYTES;
	}
	else if (node->probe_exchange != PGJS_EXCHANGE_NONE)
		kept_in_memory /= pgjs_participants(workers);
	/* In rows of any order, so many pass a bound that only falls; and those that are equal to the last. */
	if (node->limit > 0 && node->cut_keys > 0)
		kept_in_memory = Min(kept_in_memory, rows * (1.0 + log(Max(kept_in_memory / rows, 1.0))) +
							 input->rows / count_values(stage, stage->distinct, input->rows, &unused));
	node->rows = rows;
	node->kept = input->kept;
	node->deferred = input->deferred;
	node->asked = Min(rows, input->asked);
	node->width = input->width;
	node->row_cost = input->rows * stage->per_row;
	if (kept_in_memory * row_bytes > work_mem * 1024.0)
	{
		pgjs_decline(stage->info, "the estimated rows to sort exceed work_mem");
		return NULL;
	}
	return node;
}

/* The keys of a SORT by some SortGroupClauses; false, with a reason kept, where the plan cannot sort by one. */
static bool
find_order(Stage *stage, List *clauses)
{
	QualCost	cost;
	ListCell   *lc;

	stage->node.kind = PGJS_TREE_SORT;
	if (list_length(clauses) > PGJS_MOST_SORT_KEYS)
	{
		pgjs_decline(stage->info, "ORDER BY has too many keys");
		return false;
	}
	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *expr = get_sortgroupclause_expr(clause, stage->root->processed_tlist);
		const char *reason;
		Node	   *key = pgjs_find_key(&stage->computed, clause->sortop, expr, pgjs_order_refusal, &reason);

		if (key == NULL)
		{
			pgjs_decline(stage->info, "%s", reason);
			return false;
		}
		if (clause->nulls_first)
			stage->node.nulls_first |= UINT64CONST(1) << foreach_current_index(lc);
		stage->node.keys = lappend(stage->node.keys, key);
		stage->parallel_safe &= is_parallel_safe(stage->root, expr);
	}
	stage->info->pathkeys = stage->root->sort_pathkeys;
	cost_qual_eval(&cost, stage->node.keys, stage->root);
	stage->per_row = cost.per_tuple;
	return true;
}

static bool
plan_order(Stage *stage)
{
	Query	   *parse = stage->root->parse;

	if (!find_order(stage, parse->sortClause))
		return false;
	stage->node.limit = find_limit(parse);
	if (stage->node.limit > 0 && parse->limitOption == LIMIT_OPTION_WITH_TIES)
	{
		stage->node.cut_keys = list_length(stage->node.keys);
		stage->distinct = get_sortgrouplist_exprs(parse->sortClause, stage->root->processed_tlist);
	}
	return true;
}

/* The parser has made the first keys of ORDER BY those of DISTINCT ON. */
static bool
plan_distinct_on(Stage *stage)
{
	Query	   *parse = stage->root->parse;

	if (list_length(parse->sortClause) <= list_length(parse->distinctClause))
	{
		pgjs_decline(stage->info, "DISTINCT ON takes any row of those that are alike");
		return false;
	}
	if (!find_order(stage, parse->sortClause))
		return false;
	stage->node.cut_keys = list_length(parse->distinctClause);
	stage->distinct = get_sortgrouplist_exprs(parse->distinctClause, stage->root->processed_tlist);
	return true;
}

/* ---- stages ---- */

static bool
has_outer_param_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
	{
		for (PlannerInfo *level = context; level != NULL; level = level->parent_root)
		{
			ListCell   *lc;

			foreach(lc, level->init_plans)
			{
				if (list_member_int(lfirst_node(SubPlan, lc)->setParam, ((Param *) node)->paramid))
					return false;
			}
		}
		return true;
	}
	return expression_tree_walker(node, has_outer_param_walker, context);
}

/* Why nothing can stand on this input, or NULL. */
static const char *
input_refusal(PlannerInfo *root, const RelOptInfo *input, const PgjsTree *tree)
{
	if (root->parse->hasTargetSRFs)
		return "set-returning functions are not supported";
	if (!IS_SIMPLE_REL(input))
		return NULL;
	if (tree->kind != PGJS_TREE_SCAN)
		return "one relation alone that PostgreSQL reads";
	/* An index serves it, or a scan of the whole table each time is no gain. */
	if (has_outer_param_walker((Node *) tree->filters, root))
		return "a correlated subquery over one table";
	return NULL;
}

/* What the node stands on: the input after its deferred conditions, with what it computes for the node. */
static PgjsTree *
input_tree(const Stage *stage, PgjsTree *tree, int workers)
{
	return pgjs_with_columns(pgjs_with_deferred(stage->root, tree, workers), stage->computed.columns,
							 stage->computed.cost);
}

void
pgjs_make_stage(PlannerInfo *root, RelOptInfo *output_rel, PgjsRelInfo *info)
{
	RelOptInfo *input_rel = info->input;
	UpperRelationKind kind = info->kind;
	Stage		stage = {root, input_rel, output_rel, root->upper_targets[kind], info};
	PgjsTree   *(*make_tree) (Stage *, const PgjsTree *, int);
	bool		(*plan) (Stage *);
	PgjsRelInfo *input = pgjs_trees(root, input_rel);
	PgjsTree   *any;
	const char *reason;

	if (input == NULL || (input->serial == NULL && input->parallel == NULL))
		return;					/* it has its own reason */
	any = input->serial != NULL ? input->serial : input->parallel;
	/* DISTINCT ON has sorted them. */
	if (any->kind == PGJS_TREE_SORT)
		return;
	info->scanned = input->scanned != NULL ? input->scanned : input_rel;
	reason = input_refusal(root, input_rel, any);
	if (reason == NULL && kind == UPPERREL_ORDERED && pgjs_wants_sort(root))
		reason = "a cursor that may go backward, for want of NO SCROLL";
	if (reason != NULL)
	{
		pgjs_decline(info, "%s", reason);
		return;
	}

	switch (kind)
	{
		case UPPERREL_GROUP_AGG:
			plan = plan_groups;
			make_tree = group_tree;
			break;
		case UPPERREL_WINDOW:
			plan = plan_windows;
			make_tree = window_tree;
			break;
		case UPPERREL_DISTINCT:
			plan = root->parse->hasDistinctOn ? plan_distinct_on : plan_distinct;
			make_tree = root->parse->hasDistinctOn ? sort_tree : group_tree;
			break;
		default:
			plan = plan_order;
			make_tree = sort_tree;
			break;
	}
	stage.computed = (PgjsComputed) {root, info->scanned->relids, pgjs_tree_computes(any)};
	stage.parallel_safe = true;
	if (!plan(&stage))
		return;
	if (input->serial != NULL)
		info->serial = make_tree(&stage, input_tree(&stage, input->serial, 0), 0);
	if (input->parallel != NULL && stage.parallel_safe && root->glob->parallelModeOK)
	{
		int			workers = Max(input->parallel->workers, 1);

		info->parallel = make_tree(&stage, input_tree(&stage, input->parallel, workers), workers);
	}
	if (kind == UPPERREL_ORDERED)
		pgjs_note_sorted_fallback(root, input_rel, input, output_rel, info);
	else
		pgjs_note_fallback(root, output_rel, info, stage.target, pgjs_postgres_path(output_rel, info->pathkeys));
}

/* ---- what is offered ---- */

/*
 * What PostgreSQL's plan up to a stage costs: one that stands on a JoinScan
 * costs less, but never less than PostgreSQL's of what is below.
 */
static Cost
postgres_total(PlannerInfo *root, const RelOptInfo *input_rel, const RelOptInfo *output_rel)
{
	const PgjsRelInfo *input = IS_SIMPLE_REL(input_rel) ? NULL : pgjs_relinfo(root, input_rel);
	Cost		below = input == NULL || isinf(input->postgres_total) ? 0.0 : input->postgres_total;

	return Max(below, pgjs_postgres_total(output_rel, pgjs_postgres_path(output_rel, NIL)));
}

static void
offer(PlannerInfo *root, RelOptInfo *output_rel, PgjsRelInfo *info)
{
	PgjsPath   *path = pgjs_cheapest_path(root, info->scanned, root->upper_targets[info->kind], info);

	if (path == NULL)
		return;
	path->cpath.path.pathkeys = info->pathkeys;
	if (pgjs_min_cost == 0.0)
		pgjs_force_path(output_rel, info, path);
	else if (info->postgres_total >= pgjs_min_cost)
	{
		info->offered = true;
		add_path(output_rel, &path->cpath.path);
	}
}

void
pgjs_upper(PlannerInfo *root, UpperRelationKind kind, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	PgjsRelInfo *info;

	if (kind != UPPERREL_GROUP_AGG && kind != UPPERREL_WINDOW && kind != UPPERREL_DISTINCT && kind != UPPERREL_ORDERED)
		return;
	/* Partitions on their own have no trees. */
	if (IS_OTHER_REL(input_rel) || (pgjs_level_is_small(root) && !pgjs_wants_reasons()) ||
		pgjs_level_refusal(root) != NULL)
		return;
	info = pgjs_relinfo(root, output_rel);
	if (info == NULL)
		info = pgjs_relinfo_make(root, output_rel);
	if (info == NULL)
		return;
	info->input = input_rel;
	info->kind = kind;
	info->postgres_total = postgres_total(root, input_rel, output_rel);
	/* A stage above may be dear enough, and then wants its trees. */
	if (info->postgres_total < pgjs_min_cost && !pgjs_wants_reasons())
		return;
	(void) pgjs_trees(root, output_rel);
	offer(root, output_rel, info);
}
