/*
 * planner.c
 *		JoinScan in PostgreSQL's join search.
 *
 * PostgreSQL's statistics and its search choose which pairs of relations to
 * join. The pairs are kept; when the search is done and PostgreSQL's plan is
 * dear enough, the best JoinScan trees of each pair become one tree for the
 * join, up to that of all tables. Paths of the trees are offered (offer.c), and
 * the cheaper of the two engines wins by cost.
 *
 * Two trees are kept for each relation: one for the leader alone, which every
 * query can run, and one for several participants, with the exchanges between
 * them. A relation without a tree is PostgreSQL's, and so is all above it.
 */
#include "planner.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/geqo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "tcop/tcopprot.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

static planner_hook_type previous_planner_hook = NULL;
static set_join_pathlist_hook_type previous_join_hook = NULL;
static join_search_hook_type previous_search_hook = NULL;
static create_upper_paths_hook_type previous_upper_hook = NULL;

/* CURSOR_OPT_* of the statement that is planned now. */
static int	cursor_options = 0;

/* ---- whether ---- */

/* How a value is stored is lost on its way through a plan: these functions tell. */
static bool
storage_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) &&
		(((FuncExpr *) node)->funcid == F_PG_COLUMN_SIZE || ((FuncExpr *) node)->funcid == F_PG_COLUMN_COMPRESSION))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, storage_walker, context, 0);
	return expression_tree_walker(node, storage_walker, context);
}

/* Why nothing at this query level can be a JoinScan, or NULL. */
static const char *
find_level_refusal(PlannerInfo *root)
{
	CmdType		command = root->parse->commandType;

	/* EvalPlanQual would have to recheck single rows. */
	if (command != CMD_SELECT && command != CMD_INSERT)
		return "UPDATE, DELETE and MERGE are not supported";
	if (root->parse->rowMarks != NIL || root->rowMarks != NIL)
		return "row locks (FOR UPDATE and its kin) are not supported";
	for (PlannerInfo *level = root; level != NULL; level = level->parent_root)
	{
		if (storage_walker((Node *) level->parse, NULL))
			return "pg_column_size and pg_column_compression are not supported";
	}
	return NULL;
}

/*
 * Can no plan of this level cost as much as joinscan.min_cost? Reading every
 * table and looking at every combination of their rows is the most.
 */
static bool
is_small(PlannerInfo *root)
{
	Cost		total = 0.0;
	double		combinations = 1.0;

	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = root->simple_rel_array[i];

		if (rel == NULL || rel->reloptkind != RELOPT_BASEREL)
			continue;
		if (rel->cheapest_total_path == NULL)
			return false;
		total += rel->cheapest_total_path->total_cost;
		combinations *= Max(rel->rows, 1.0);
	}
	return total + combinations * cpu_tuple_cost < pgjs_min_cost;
}

/* The answers for one query level, which the search asks for with each pair. */
typedef struct Level
{
	const PlannerInfo *root;
	const char *reason;
	bool		small;
	int			is_volatile;	/* -1: not looked at */
	Relids		unrepeatable;	/* tables of which a plan must not have PostgreSQL's plan twice */
} Level;

static Level *
find_level(PlannerInfo *root)
{
	PgjsPlanning *planning = pgjs_planning(root);
	MemoryContext old;
	Level	   *level;
	ListCell   *lc;

	foreach(lc, planning->levels)
	{
		level = lfirst(lc);
		if (level->root == root)
			return level;
	}
	old = MemoryContextSwitchTo(planning->cxt);
	level = palloc(sizeof(Level));
	level->root = root;
	level->reason = find_level_refusal(root);
	level->small = is_small(root);
	level->is_volatile = -1;
	level->unrepeatable = pgjs_unrepeatable(root);
	planning->levels = lappend(planning->levels, level);
	MemoryContextSwitchTo(old);
	return level;
}

const char *
pgjs_level_refusal(PlannerInfo *root)
{
	return find_level(root)->reason;
}

Relids
pgjs_level_unrepeatable(PlannerInfo *root)
{
	return find_level(root)->unrepeatable;
}

bool
pgjs_level_is_volatile(PlannerInfo *root)
{
	Level	   *level = find_level(root);
	ListCell   *lc;

	if (level->is_volatile >= 0)
		return level->is_volatile;
	level->is_volatile = contain_volatile_functions((Node *) root->parse);
	foreach(lc, root->glob->subroots)
	{
		PlannerInfo *subroot = lfirst(lc);

		if (subroot != NULL)
			level->is_volatile |= contain_volatile_functions((Node *) subroot->parse);
	}
	return level->is_volatile;
}

/* A cursor declared neither with SCROLL nor with NO SCROLL can go backward where its plan can: with a Sort on top. */
bool
pgjs_wants_sort(const PlannerInfo *root)
{
	if ((cursor_options & CURSOR_OPT_FAST_PLAN) == 0 ||
		(cursor_options & (CURSOR_OPT_SCROLL | CURSOR_OPT_NO_SCROLL)) != 0)
		return false;
	/* Of a subquery it is on top if there is nothing else. */
	for (const PlannerInfo *level = root->parent_root; level != NULL; level = level->parent_root)
	{
		if (bms_membership(level->all_baserels) == BMS_MULTIPLE)
			return false;
	}
	return true;
}

bool
pgjs_level_is_small(PlannerInfo *root)
{
	return find_level(root)->small;
}

RelOptInfo *
pgjs_top_rel(PlannerInfo *root)
{
#if PG_VERSION_NUM >= 160000
	return find_join_rel(root, root->all_query_rels);
#else
	return find_join_rel(root, root->all_baserels);
#endif
}

/* ---- pairs ---- */

/* Stack that encoding, decoding and running a plan takes for each table of a chain of joins, with room to spare. */
#define PGJS_STACK_PER_TABLE	(64 * 1024L)

/* DataFusion recurses over plans, and knows nothing of check_stack_depth. */
static int
most_tables(void)
{
	long		limit = get_stack_depth_rlimit();

	return limit <= 0 ? 32 : (int) Min(limit / PGJS_STACK_PER_TABLE, 1000);
}

/* Why the rows of `joinrel` cannot be those of a JoinScan, whatever the pair, or NULL. */
static const char *
join_refusal(PlannerInfo *root, const RelOptInfo *joinrel)
{
	const char *reason = pgjs_level_refusal(root);

	if (reason == NULL && !bms_is_empty(joinrel->lateral_relids))
		reason = "LATERAL references are not supported";
	if (reason == NULL && bms_num_members(joinrel->relids) > most_tables())
		reason = "so many tables need a larger stack (ulimit -s)";
	return reason;
}

/* The inner side of a semi-join with unique rows: what is left of it is an inner join. */
static void
join_unique(const PgjsPair *pair, PgjsRelInfo *info, PgjsRelInfo *outer, PgjsRelInfo *inner)
{
	PgjsPair	joined = *pair;
	const PgjsRelInfo *unique;

	joined.jointype = JOIN_INNER;
	if (pair->jointype == JOIN_UNIQUE_OUTER)
	{
		unique = pgjs_unique(pair, pair->outerrel, outer, info);
		if (unique != NULL)
			pgjs_join_trees(&joined, info, unique, inner);
		return;
	}
	unique = pgjs_unique(pair, pair->innerrel, inner, info);
	if (unique != NULL)
		pgjs_join_trees(&joined, info, outer, unique);
}

/* Joins the trees of one pair. */
static void
consider_pair(const PgjsPair *pair, PgjsRelInfo *info)
{
	PgjsRelInfo *outer = pgjs_trees(pair->root, pair->outerrel);
	PgjsRelInfo *inner = pgjs_trees(pair->root, pair->innerrel);

	if (outer == NULL || inner == NULL)
		return;
	if ((outer->serial == NULL || inner->serial == NULL) && (outer->parallel == NULL || inner->parallel == NULL))
		return;					/* they have their own reason */
	if (pair->jointype == JOIN_UNIQUE_OUTER || pair->jointype == JOIN_UNIQUE_INNER)
		join_unique(pair, info, outer, inner);
	else
		pgjs_join_trees(pair, info, outer, inner);
}

/* The pair that may be the cheapest: with its trees at hand most others need no more than a look. */
static int
most_promising(const List *pairs)
{
	Cost		least = get_float8_infinity();
	int			found = 0;

	for (int i = 0; i < list_length(pairs); i++)
	{
		const PgjsPair *pair = list_nth(pairs, i);
		Cost		cost = pgjs_least_cost(pair, pgjs_trees(pair->root, pair->outerrel),
										   pgjs_trees(pair->root, pair->innerrel));

		if (cost < least)
		{
			least = cost;
			found = i;
		}
	}
	return found;
}

static void
note_matched(PgjsTree *tree, double matched)
{
	if (tree != NULL && tree->deferred != NIL)
		tree->asked = Min(tree->asked, matched);
}

PgjsRelInfo *
pgjs_trees(PlannerInfo *root, RelOptInfo *rel)
{
	PgjsRelInfo *info = IS_SIMPLE_REL(rel) ? pgjs_leaf(root, rel) : pgjs_relinfo(root, rel);
	MemoryContext old;
	List	   *pairs;
	int			first;

	if (info != NULL && info->input != NULL)
	{
		pgjs_make_stage(root, rel, info);
		info->input = NULL;
	}
	if (info == NULL || info->pairs == NIL)
		return info;
	check_stack_depth();
	old = MemoryContextSwitchTo(GetMemoryChunkContext(rel));
	pairs = info->pairs;
	info->pairs = NIL;
	first = most_promising(pairs);
	consider_pair(list_nth(pairs, first), info);
	for (int i = 0; i < list_length(pairs); i++)
	{
		if (i != first)
			consider_pair(list_nth(pairs, i), info);
	}
	list_free_deep(pairs);
	note_matched(info->serial, info->matched);
	note_matched(info->parallel, info->matched);
	MemoryContextSwitchTo(old);
	return info;
}

/* Keeps the pair for when its trees are wanted. */
static void
note_pair(const PgjsPair *pair, PgjsRelInfo *info, const JoinPathExtraData *extra)
{
	PgjsPair   *kept;
	const char *reason = info->refusal;

	/* There PostgreSQL raises 0A000: no condition is one to merge or hash by. */
	if (reason == NULL && pair->jointype == JOIN_FULL && pair->joinrel->pathlist == NIL)
		reason = "PostgreSQL itself cannot do this FULL JOIN";
	if (reason != NULL)
	{
		pgjs_decline(info, "%s", reason);
		return;
	}
	/*
	 * Where at most one row of the inner side matches, PostgreSQL's joins
	 * reckon that conditions are evaluated on the outer rows that find one:
	 * fewer than the tree's rows, now and then by far. A subquery costs the
	 * same on either side.
	 */
	if (extra->inner_unique)
		info->matched = Min(info->matched, rint(pair->outerrel->rows * extra->semifactors.outer_match_frac));
	/* The search asks about most pairs in both orders, also about unique rows; here they are one. */
	if (info->outer == pair->innerrel && info->inner == pair->outerrel)
		return;
	info->outer = pair->outerrel;
	info->inner = pair->innerrel;
	kept = palloc(sizeof(PgjsPair));
	*kept = *pair;
	/* An inner join has one that is gone when the hook returns. */
	if (pair->jointype == JOIN_INNER)
		kept->sjinfo = NULL;
	info->pairs = lappend(info->pairs, kept);
}

static void
join_hook(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
		  JoinType jointype, JoinPathExtraData *extra)
{
	PgjsPair	pair = {root, joinrel, joinrel->reltarget, outerrel, innerrel, jointype, extra->restrictlist,
	extra->sjinfo};
	PgjsRelInfo *info;
	MemoryContext old;

	if (previous_join_hook)
		previous_join_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	/* The joins of partitions with partitions have no trees; the partitioned tables have the reason. */
	if (!pgjs_enabled || joinrel->reloptkind != RELOPT_JOINREL)
		return;
	info = pgjs_relinfo(root, joinrel);
	if (info == NULL)
	{
		/* Nothing will be offered: spare the search, unless somebody asks why. */
		if (pgjs_level_is_small(root) && !pgjs_wants_reasons())
			return;
		info = pgjs_relinfo_make(root, joinrel);
		if (info == NULL)
			return;
		info->refusal = join_refusal(root, joinrel);
	}

	old = MemoryContextSwitchTo(GetMemoryChunkContext(joinrel));
	note_pair(&pair, info, extra);
	/* Wherever it can be, also below joins that it cannot do. */
	if (pgjs_min_cost == 0.0)
		pgjs_force_join(root, joinrel);
	MemoryContextSwitchTo(old);
}

/* PostgreSQL's search, or that of another extension, then what JoinScan has to offer for all tables together. */
static RelOptInfo *
search_hook(PlannerInfo *root, int levels_needed, List *initial_rels)
{
	RelOptInfo *top;

	if (previous_search_hook)
		top = previous_search_hook(root, levels_needed, initial_rels);
	else if (enable_geqo && levels_needed >= geqo_threshold)
		top = geqo(root, levels_needed, initial_rels);
	else
		top = standard_join_search(root, levels_needed, initial_rels);
	/* The tables may be searched by parts: join_collapse_limit, FULL JOIN. */
	if (pgjs_enabled && pgjs_min_cost > 0.0 && top == pgjs_top_rel(root))
		pgjs_offer_joins(root, top);
	return top;
}

static void
upper_hook(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	if (previous_upper_hook)
		previous_upper_hook(root, stage, input_rel, output_rel, extra);
	if (pgjs_enabled)
		pgjs_upper(root, stage, input_rel, output_rel);
	if (stage == UPPERREL_FINAL && pgjs_enabled)
	{
		ListCell   *lc;

		foreach(lc, output_rel->pathlist)
			pgjs_settle_fallbacks(root, lfirst(lc));
	}
	if (stage == UPPERREL_FINAL && pgjs_enabled && pgjs_wants_reasons())
		pgjs_report_declines(root);
}

/* An ERROR in a planning that is nested in another one may be caught there: the outer one's options come back. */
static PlannedStmt *
statement_hook(Query *parse, const char *query_string, int options, ParamListInfo params)
{
	int			before = cursor_options;
	PlannedStmt *statement;

	cursor_options = options;
	PG_TRY();
	{
		if (previous_planner_hook)
			statement = previous_planner_hook(parse, query_string, options, params);
		else
			statement = standard_planner(parse, query_string, options, params);
	}
	PG_FINALLY();
	{
		cursor_options = before;
	}
	PG_END_TRY();
	return statement;
}

void
pgjs_planner_init(void)
{
	previous_planner_hook = planner_hook;
	planner_hook = statement_hook;
	previous_join_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = join_hook;
	previous_search_hook = join_search_hook;
	join_search_hook = search_hook;
	previous_upper_hook = create_upper_paths_hook;
	create_upper_paths_hook = upper_hook;
}
