/*
 * cost.c
 *		What a join tree costs, in PostgreSQL's units and from PostgreSQL's row
 *		estimates.
 *
 * Costs are elapsed time, as for PostgreSQL's own parallel plans: the work that
 * participants share is divided by what they are worth together, reading pages
 * only in part.
 */
#include "planner.h"
#include "run.h"

#include <math.h>

#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/spccache.h"

/* Reading a page, in its own cost: participants read ranges side by side. Factor with workers. */
#define PGJS_SHARED_PAGE	0.3
/* Walking to a tuple; PostgreSQL's row at a time counts 1. In cpu_tuple_cost. */
#define PGJS_WALK_ROW		0.2
/* Decoding the columns of a row that satisfies the conditions into arrays. In cpu_tuple_cost. */
#define PGJS_DECODE_ROW		0.2
/* A condition over an array, against the same in PostgreSQL's interpreter. Factor on its cost. */
#define PGJS_FILTER_ROW		0.2
/* One row of Datums on its way to PostgreSQL's evaluator, or from a plan of its. In cpu_tuple_cost. */
#define PGJS_CALL_ROW		0.5
/* Looking a key up, against PostgreSQL's index scan for it: pages with few rows make small batches. Factor. */
#define PGJS_LOOKUP			1.25
/* One pair of rows of a nested loop. In cpu_operator_cost. */
#define PGJS_NESTED_PAIR	0.5
/* Copying a row to the build side, hashing it, inserting it. In cpu_operator_cost. */
#define PGJS_BUILD_ROW		3.0
/* Hashing a probe row and looking it up. In cpu_operator_cost. */
#define PGJS_PROBE_ROW		1.5
/* Hashing a row's group keys and finding its group. In cpu_operator_cost. */
#define PGJS_GROUP_ROW		2.0
/* One transition of an aggregate. In cpu_operator_cost. */
#define PGJS_TRANSITION		0.5
/* A row into the store of PostgreSQL's aggregates, and out of it. In cpu_tuple_cost. */
#define PGJS_STORE_ROW		2.0
/* One comparison of a sort; PostgreSQL counts 2. In cpu_operator_cost. */
#define PGJS_COMPARISON		0.5
/* Gathering the columns of a joined row. In cpu_tuple_cost. */
#define PGJS_OUTPUT_ROW		0.2
/* Partitioning, encoding and decoding a row on its way through a queue, and what its new neighbours cost: of keys in a
 * range, or in order, a hash table is faster than of those that a hash spreads. In cpu_tuple_cost. */
#define PGJS_EXCHANGE_ROW	0.5
/* Moving one byte through a queue; a page read in sequence is 1 / 8192 = 0.00012 a byte. */
#define PGJS_EXCHANGE_BYTE	0.0001
/* One row from arrays into a slot, in the leader. In cpu_tuple_cost. */
#define PGJS_EMIT_ROW		0.5
/* Rows that come together: who wants one waits for so many. */
#define PGJS_BATCH_ROWS		8192.0
/* Translating and decoding a plan: milliseconds, whatever the tables' size. */
#define PGJS_START			200.0
/* Bytes that a hash table adds to a row: hash, chain, offsets. */
#define PGJS_HASH_OVERHEAD	48
/* A row's bytes as arrays, against its width: buffers grow by doubling, a numeric takes 16. A build side that outgrows
 * its budget is an ERROR, so rather too much. Factor. */
#define PGJS_HASH_GROWTH	2.0
/* Copying one byte of a row to the build side. */
#define PGJS_BUILD_BYTE		0.00003

/*
 * By what shared work is divided: as PostgreSQL reckons, the leader has the
 * less time for it the more workers it serves. A leader that stays out of the
 * plan is worth nothing, unless it is alone.
 */
static double
worth(int workers)
{
	double		leader = 1.0 - 0.3 * workers;

	if (workers == 0)
		return 1.0;
	if (!parallel_leader_participation || leader < 0.0)
		leader = 0.0;
	return workers + leader;
}

Cost
pgjs_cost_exchange(double rows, int width)
{
	return rows * (PGJS_EXCHANGE_ROW * cpu_tuple_cost + PGJS_EXCHANGE_BYTE * width);
}

Cost
pgjs_cost_clause(Cost per_tuple, PgjsRung rung)
{
	return rung == PGJS_RUNG_NATIVE ? PGJS_FILTER_ROW * per_tuple : per_tuple + PGJS_CALL_ROW * cpu_tuple_cost;
}

void
pgjs_cost_leaf(PgjsTree *leaf, const RelOptInfo *rel, Cost filters_per_tuple)
{
	double		page_cost;

	if (leaf->kind == PGJS_TREE_LEAF)
	{
		leaf->startup_cost = rel->cheapest_total_path->startup_cost;
		leaf->page_cost = rel->cheapest_total_path->total_cost - leaf->startup_cost;
		leaf->row_cost = leaf->rows * PGJS_CALL_ROW * cpu_tuple_cost;
		return;
	}
	get_tablespace_page_costs(rel->reltablespace, NULL, &page_cost);
	leaf->page_cost += page_cost * rel->pages;
	leaf->row_cost += rel->tuples * (PGJS_WALK_ROW * cpu_tuple_cost + filters_per_tuple);
	leaf->row_cost += rel->rows * PGJS_DECODE_ROW * cpu_tuple_cost;
}

/* May rows of the probe side be left out that have no partner? */
static bool
wants_partners(uint32 join_type)
{
	return join_type == PGJS_JOIN_INNER || join_type == PGJS_JOIN_PROBE_SEMI || join_type == PGJS_JOIN_BUILD_OUTER ||
		join_type == PGJS_JOIN_BUILD_SEMI || join_type == PGJS_JOIN_BUILD_ANTI;
}

/* Is one of `keys` an equality with column `attno` of the table `relid` as it is, in the order of `family`? */
static bool
has_key(const List *keys, Index relid, AttrNumber attno, Oid family)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		OpExpr	   *key = lfirst(lc);

		if (!IsA(key, OpExpr) || list_length(key->args) != 2 || !op_in_opfamily(key->opno, family) ||
			exprType(linitial(key->args)) != exprType(lsecond(key->args)))
			continue;
		for (int i = 0; i < 2; i++)
		{
			Var		   *var = list_nth(key->args, i);

			if (IsA(var, Var) && var->varno == relid && var->varattno == attno)
				return true;
		}
	}
	return false;
}

/* How a path of a table goes by an index and nothing but a key of `join`, if lookup.c may do so, too; or NULL. */
static const IndexPath *
lookup_path(const Path *path, const PgjsTree *join)
{
	const Path *inner = IsA(path, BitmapHeapPath) ? ((const BitmapHeapPath *) path)->bitmapqual : path;
	const IndexPath *by_index = (const IndexPath *) inner;
	const IndexOptInfo *index;

	if (!IsA(inner, IndexPath) || list_length(by_index->indexclauses) != 1 ||
		linitial_node(IndexClause, by_index->indexclauses)->indexcol != 0)
		return NULL;
	index = by_index->indexinfo;
	if (index->relam != BTREE_AM_OID || index->indpred != NIL ||
		!has_key(join->keys, join->probe->relid, index->indexkeys[0], index->opfamily[0]))
		return NULL;
	return by_index;
}

/*
 * What the probe side costs, and how many rows it gives, if it is a scan that
 * looks the build side's keys up in an index, where that is less than before.
 * PostgreSQL has costed the same lookups: as the inner side of a nested loop.
 * All participants ask the index for all keys; the tuples they share.
 */
static void
look_up(const PgjsTree *join, int workers, PgjsCost *probe, double *rows)
{
	const PgjsTree *scan = join->probe;
	double		keys = join->build->rows;
	ListCell   *lc;

	if (scan->kind != PGJS_TREE_SCAN || scan->lookups == NULL || !wants_partners(join->join_type) ||
		keys * scan->least_lookup / worth(workers) >= probe->startup + probe->run ||
		keys * pgjs_participants(workers) * PGJS_PAGES_PER_LOOKUP > scan->lookups->pages || keys > PGJS_MOST_LOOKUPS)
		return;
	foreach(lc, scan->lookups->pathlist)
	{
		const Path *path = lfirst(lc);
		const IndexPath *index;
		double		found;
		PgjsCost	cost;

		if (path->param_info == NULL || !bms_is_subset(PATH_REQ_OUTER(path), join->build_relids) ||
			(index = lookup_path(path, join)) == NULL)
			continue;
		/* Before the table's own conditions. */
		found = keys * path->rows * scan->lookups->tuples / Max(scan->lookups->rows, 1.0);
		cost.startup = PGJS_LOOKUP * keys * index->indextotalcost;
		cost.run = PGJS_LOOKUP * keys * (path->total_cost - index->indextotalcost) / worth(workers);
		cost.decoding = 0.0;
		if (found <= Min(PGJS_LOOKUP_SHARE * scan->lookups->pages, PGJS_MOST_FOUND) &&
			cost.startup + cost.run < probe->startup + probe->run)
		{
			*probe = cost;
			*rows = Min(*rows, keys * path->rows);
		}
	}
}

/* Of the probe side's rows, how many a runtime filter lets pass: the scan below hears of the build side's keys. */
static double
passing(const PgjsTree *join, int workers)
{
	if (join->keys == NIL || (workers > 0 && join->probe_exchange != PGJS_EXCHANGE_NONE) ||
		(join->join_type != PGJS_JOIN_INNER && join->join_type != PGJS_JOIN_PROBE_SEMI))
		return 1.0;
	return Min(join->rows / Max(join->probe->rows, 1.0), 1.0);
}

/* Of the rows of a join's side (0: build, 1: probe), what the busiest participant handles; `share` is an even one. */
static double
busiest_share(const PgjsTree *join, int side, int workers, double share)
{
	uint32		exchange = side == 0 ? join->build_exchange : join->probe_exchange;

	if (workers > 0 && exchange == PGJS_EXCHANGE_BROADCAST)
		return 1.0;
	if (workers > 0 && exchange == PGJS_EXCHANGE_HASH)
		return share + (1.0 - share) * (join->skew.copied[side] + join->skew.largest[side]);
	return share;
}

PgjsCost
pgjs_cost_join(const PgjsTree *join, PgjsCost build, PgjsCost probe, int workers)
{
	double		share = 1.0 / worth(workers);
	double		build_rows = join->build->rows;
	double		probe_rows = join->probe->rows;
	double		build_share = busiest_share(join, 0, workers, share);
	double		probe_share = busiest_share(join, 1, workers, share);
	PgjsCost	cost;

	if (workers == 0 || join->probe_exchange == PGJS_EXCHANGE_NONE)
		look_up(join, workers, &probe, &probe_rows);
	cost.startup = build.startup + build.run + probe.startup;
	cost.decoding = passing(join, workers) * probe.decoding;
	cost.run = probe.run - (probe.decoding - cost.decoding);
	if (workers > 0 && join->probe_exchange != PGJS_EXCHANGE_NONE)
		cost.decoding = 0.0;

	if (workers > 0 && join->build_exchange != PGJS_EXCHANGE_NONE)
		cost.startup += pgjs_cost_exchange(build_rows * (build_share - share * join->skew.kept[0]), join->build->width);
	if (workers > 0 && join->probe_exchange != PGJS_EXCHANGE_NONE)
		cost.run += pgjs_cost_exchange(probe_rows * (probe_share - share * join->skew.kept[1]), join->probe->width);

	cost.startup += build_rows * build_share *
		(PGJS_BUILD_ROW * cpu_operator_cost + PGJS_BUILD_BYTE * join->build->width);
	if (join->keys == NIL)
		cost.run += build_rows * probe_rows * share * PGJS_NESTED_PAIR * cpu_operator_cost;
	else
		cost.run += probe_rows * probe_share * PGJS_PROBE_ROW * cpu_operator_cost;
	/* The rows of a common key come out where they meet. */
	share += (1.0 - share) * Max(join->skew.largest[0], join->skew.largest[1]);
	cost.run += share * (join->rows * PGJS_OUTPUT_ROW * cpu_tuple_cost + join->row_cost);
	return cost;
}

/*
 * As pgjs_cost_join with the better of the two sides built and either
 * exchange, and without what depends on clauses and statistics: of a shuffle,
 * rows with common keys need not move.
 */
Cost
pgjs_least_join_cost(const PgjsTree *outer, const PgjsTree *inner, double rows, int workers)
{
	const PgjsTree *trees[] = {outer, inner};
	PgjsCost	costs[] = {pgjs_cost_tree(outer, workers), pgjs_cost_tree(inner, workers)};
	Cost		inputs = costs[0].startup + costs[0].run + costs[1].startup + costs[1].run;
	double		share = 1.0 / worth(workers);
	Cost		least = get_float8_infinity();

	for (int side = 0; side < 2; side++)
	{
		const PgjsTree *build = trees[side];
		const PgjsTree *probe = trees[1 - side];
		double		dropped = 1.0 - Min(rows / Max(probe->rows, 1.0), 1.0);
		Cost		copies = build->rows * (PGJS_BUILD_ROW * cpu_operator_cost + PGJS_BUILD_BYTE * build->width);
		Cost		matching = share * probe->rows * cpu_operator_cost *
			Min(PGJS_PROBE_ROW, build->rows * PGJS_NESTED_PAIR);

		if (workers > 0)
		{
			least = Min(least, share * copies + matching);
			copies += pgjs_cost_exchange(build->rows, build->width);
		}
		least = Min(least, copies + matching - dropped * costs[1 - side].decoding);
		if (probe->kind == PGJS_TREE_SCAN && probe->lookups != NULL)
			least = Min(least, copies + share * build->rows * probe->least_lookup -
						(costs[1 - side].startup + costs[1 - side].run));
	}
	/* Less than rounding may make of it. */
	return (inputs + least + share * rows * PGJS_OUTPUT_ROW * cpu_tuple_cost) * (1.0 - 1e-9);
}

bool
pgjs_is_in_leader(const PgjsTree *tree)
{
	switch (tree->kind)
	{
		case PGJS_TREE_AGGREGATE:
		case PGJS_TREE_SORT:
		case PGJS_TREE_WINDOW:
		case PGJS_TREE_FILTER:
			return tree->probe_exchange == PGJS_EXCHANGE_GATHER ||
				(tree->probe_exchange == PGJS_EXCHANGE_NONE && pgjs_is_in_leader(tree->probe));
		case PGJS_TREE_LEAF:
			return true;
		default:
			return false;
	}
}

/* Groups that one participant holds in the first phase, or the only one. */
static double
partial_groups(const PgjsTree *aggregate, int workers)
{
	return Min(aggregate->groups, Max(Max(aggregate->nsets, 1) * aggregate->probe->rows / worth(workers), 1.0));
}

static bool
wants_rows(const PgjsTree *aggregate)
{
	ListCell   *lc;

	if (aggregate->nforeign > 0)
		return true;
	foreach(lc, aggregate->aggregates)
	{
		if (lfirst_node(Aggref, lc)->aggdistinct != NIL)
			return true;
	}
	return false;
}

/* Are all of PostgreSQL's aggregates min or max of all rows? One row of each batch goes to the store then. */
static bool
has_extremes_alone(const PgjsTree *aggregate)
{
	ListCell   *lc;

	if (aggregate->keys != NIL)
		return false;
	for_each_from(lc, aggregate->aggregates, list_length(aggregate->aggregates) - aggregate->nforeign)
	{
		if (!pgjs_is_extreme(lfirst_node(Aggref, lc)))
			return false;
	}
	return true;
}

/* What PostgreSQL's aggregates add to a row; sorting for them is in PostgreSQL's costs neither. */
static Cost
foreign_cost(const PgjsTree *aggregate)
{
	if (aggregate->nforeign == 0)
		return 0.0;
	return (PGJS_CALL_ROW + (has_extremes_alone(aggregate) ? 0.0 : PGJS_STORE_ROW)) * cpu_tuple_cost +
		aggregate->nforeign * (1.0 - PGJS_TRANSITION) * cpu_operator_cost;
}

/* Partial groups where the rows are, an exchange, and the groups' final values; or all in one place. */
static PgjsCost
aggregate_cost(const PgjsTree *aggregate, PgjsCost input, int workers)
{
	int			sharing = pgjs_is_in_leader(aggregate->probe) ? 0 : workers;
	double		share = 1.0 / worth(sharing);
	double		partial = partial_groups(aggregate, sharing);
	Cost		transitions = list_length(aggregate->aggregates) * PGJS_TRANSITION * cpu_operator_cost;
	Cost		grouping = aggregate->keys == NIL ? 0.0 : PGJS_GROUP_ROW * cpu_operator_cost;
	Cost		per_row = transitions + grouping + foreign_cost(aggregate);
	PgjsCost	cost;

	cost.startup = input.startup + input.run + share * aggregate->row_cost +
		share * aggregate->probe->rows * per_row * Max(aggregate->nsets, 1);
	cost.run = aggregate->groups * PGJS_OUTPUT_ROW * cpu_tuple_cost;
	if (aggregate->probe_exchange == PGJS_EXCHANGE_NONE)
		return cost;
	/* An aggregate with DISTINCT wants the rows of a group in one place. */
	if (wants_rows(aggregate))
	{
		double		rows = aggregate->probe->rows * share;

		cost.startup += pgjs_cost_exchange(rows, aggregate->probe->width);
		if (aggregate->probe_exchange == PGJS_EXCHANGE_GATHER)
			cost.startup += (worth(sharing) - 1.0) * rows * per_row;
		else
			cost.run *= share;
		return cost;
	}
	/* What every participant sends meets in the leader, or in all of them. */
	cost.startup += pgjs_cost_exchange(partial, aggregate->width) + partial * per_row *
		(aggregate->probe_exchange == PGJS_EXCHANGE_GATHER ? worth(sharing) : 1.0);
	if (aggregate->probe_exchange == PGJS_EXCHANGE_HASH)
		cost.run *= share;
	return cost;
}

double
pgjs_participants(int workers)
{
	return workers + (workers == 0 || parallel_leader_participation ? 1 : 0);
}

double
pgjs_table_bytes(double rows, int width)
{
	return rows * (PGJS_HASH_GROWTH * width + PGJS_HASH_OVERHEAD);
}

double
pgjs_group_bytes(const PgjsTree *aggregate, int workers)
{
	/* The groups of PostgreSQL's aggregates are numbered by a table of their own. */
	int			tables = aggregate->nforeign > 0 ? 2 : 1;
	double		bytes = tables * pgjs_table_bytes(aggregate->most_groups, aggregate->width) +
		aggregate->most_groups * list_length(aggregate->aggregates) * sizeof(int64) * 2 + aggregate->distinct_bytes;

	/* The first phase gives its groups on when they become too many. */
	return aggregate->probe_exchange == PGJS_EXCHANGE_HASH ? bytes / pgjs_participants(workers) : bytes;
}

/* Rows of all participants, each of which has sorted its own, into one order in the leader. */
static Cost
merge_cost(double rows, int width, int workers)
{
	Cost		comparisons = PGJS_COMPARISON * cpu_operator_cost * log2(pgjs_participants(workers) + 1.0);

	return pgjs_cost_exchange(rows, width) + rows * (comparisons + PGJS_OUTPUT_ROW * cpu_tuple_cost);
}

/* Each participant its rows, its first ones alone under a limit; the leader merges them. */
static PgjsCost
sort_cost(const PgjsTree *sort, PgjsCost input, int workers)
{
	int			sharing = sort->probe_exchange == PGJS_EXCHANGE_NONE ? 0 : workers;
	double		rows = Max(sort->probe->rows / worth(sharing), 1.0);
	double		kept = sort->limit > 0 || sort->cut_keys > 0 ? Min(rows, sort->rows) : rows;
	/* Each row with so many; of a limit's rows a heap holds the first ones. */
	double		compared = sort->limit > 0 ? kept : rows;
	Cost		per_row = PGJS_COMPARISON * cpu_operator_cost;
	PgjsCost	cost;

	cost.startup = input.startup + input.run + sort->row_cost / worth(sharing) + rows * per_row * log2(compared + 2.0);
	cost.run = kept * PGJS_OUTPUT_ROW * cpu_tuple_cost;
	/* A limit holds for the merge too; of each value that shares have in common it sees one a share. */
	if (sort->probe_exchange != PGJS_EXCHANGE_NONE)
		cost.run += merge_cost(sort->limit > 0 ? sort->rows : kept * worth(sharing), sort->width, workers);
	return cost;
}

/* All rows of a partition in one participant, sorted there or before a gather; then the functions. */
static PgjsCost
window_cost(const PgjsTree *window, PgjsCost input, int workers)
{
	int			sharing = pgjs_is_in_leader(window) ? 0 : workers;
	int			below = pgjs_is_in_leader(window->probe) ? 0 : workers;
	double		before = window->probe->rows / worth(below);
	double		rows = Max(window->probe->rows / worth(sharing), 1.0);
	double		sorted = window->probe_exchange == PGJS_EXCHANGE_GATHER ? before : rows;	/* by each */
	Cost		functions = list_length(window->functions) * (PGJS_TRANSITION + 1.0) * cpu_operator_cost;
	PgjsCost	cost = {input.startup + input.run};

	if (window->probe_exchange == PGJS_EXCHANGE_GATHER)
		cost.startup += merge_cost(rows, window->probe->width, below);
	else if (window->probe_exchange != PGJS_EXCHANGE_NONE)
		cost.startup += pgjs_cost_exchange(before, window->probe->width);
	if (window->keys != NIL || window->conditions != NIL)
		cost.startup += sorted * PGJS_COMPARISON * cpu_operator_cost * log2(sorted + 2.0);
	cost.startup += window->row_cost / worth(sharing);
	cost.run = rows * (functions + PGJS_OUTPUT_ROW * cpu_tuple_cost);
	return cost;
}

/* All rows to the leader, which works them off alone. */
static PgjsCost
filter_cost(const PgjsTree *filter, PgjsCost input)
{
	PgjsCost	cost = {input.startup + filter->startup_cost, input.run + filter->row_cost};

	if (filter->probe_exchange != PGJS_EXCHANGE_NONE)
		cost.run += pgjs_cost_exchange(filter->probe->rows, filter->width);
	return cost;
}

PgjsCost
pgjs_cost_tree(const PgjsTree *tree, int workers)
{
	if (tree->is_costed && tree->costed_workers == workers)
		return tree->cost;
	check_stack_depth();

	if (tree->kind == PGJS_TREE_AGGREGATE)
		return aggregate_cost(tree, pgjs_cost_tree(tree->probe, workers), workers);
	if (tree->kind == PGJS_TREE_WINDOW)
		return window_cost(tree, pgjs_cost_tree(tree->probe, workers), workers);
	if (tree->kind == PGJS_TREE_FILTER)
		return filter_cost(tree, pgjs_cost_tree(tree->probe, workers));
	if (tree->kind == PGJS_TREE_SORT)
		return sort_cost(tree, pgjs_cost_tree(tree->probe, workers), workers);

	if (tree->kind == PGJS_TREE_LEAF)
	{
		/* In the leader alone, whoever else there is. */
		PgjsCost	cost = {tree->startup_cost, tree->page_cost + tree->row_cost};

		return cost;
	}
	if (tree->kind == PGJS_TREE_SCAN)
	{
		Cost		pages = tree->page_cost * (workers > 0 ? PGJS_SHARED_PAGE : 1.0);
		Cost		decoding = tree->rows * PGJS_DECODE_ROW * cpu_tuple_cost / worth(workers);
		PgjsCost	cost = {0.0, pages + tree->row_cost / worth(workers), decoding};

		return cost;
	}
	return pgjs_cost_join(tree, pgjs_cost_tree(tree->build, workers), pgjs_cost_tree(tree->probe, workers), workers);
}

void
pgjs_cost_path(const PgjsTree *tree, int workers, Cardinality rows, Cost *path_startup, Cost *path_total)
{
	PgjsCost	cost = pgjs_cost_tree(tree, workers);
	Cost		startup = PGJS_START + cost.startup;
	Cost		run = cost.run + rows * PGJS_EMIT_ROW * cpu_tuple_cost;

	if (workers > 0)
		startup += parallel_setup_cost;
	if (workers > 0 && !pgjs_is_in_leader(tree))
		run += pgjs_cost_exchange(rows, tree->width);
	*path_startup = startup + run * Min(PGJS_BATCH_ROWS / Max(rows, 1.0), 1.0);
	*path_total = startup + run;
}

double
pgjs_hash_bytes(const PgjsTree *join, int workers)
{
	double		bytes = pgjs_table_bytes(join->build->rows, join->build->width);

	if (workers > 0 && join->build_exchange == PGJS_EXCHANGE_HASH)
	{
		double		share = 1.0 / pgjs_participants(workers);

		bytes *= share + (1.0 - share) * (join->skew.copied[0] + join->skew.largest[0]);
	}
	return bytes;
}
