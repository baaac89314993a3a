/*
 * planner.c
 *		JoinScan in PostgreSQL's join search.
 *
 * For each pair of relations that the search joins, the pair's best JoinScan
 * trees become one tree for the join, and a path that replaces the join and
 * all below it is offered. So PostgreSQL's statistics and its search choose the
 * join order, and the cheaper of the two engines wins by cost.
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
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "tcop/tcopprot.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

/*
 * What a row costs with joinscan.min_cost = 0, in cpu_operator_cost: next to
 * nothing, but more than a row of a Materialize that is read again costs (1),
 * or every rescan of a nested loop would run the join anew.
 */
#define PGJS_FORCED_ROW		1.6

static planner_hook_type previous_planner_hook = NULL;
static set_join_pathlist_hook_type previous_join_hook = NULL;
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

/* ---- paths ---- */

bool
pgjs_is_joinscan(const Path *path)
{
	for (;;)
	{
		if (IsA(path, ProjectionPath))
			path = ((const ProjectionPath *) path)->subpath;
		else if (IsA(path, ProjectSetPath))
			path = ((const ProjectSetPath *) path)->subpath;
		else
			break;
	}
	return IsA(path, CustomPath) && ((const CustomPath *) path)->methods == &pgjs_path_methods;
}

Path *
pgjs_postgres_path(const RelOptInfo *rel, List *pathkeys)
{
	ListCell   *lc;

	/* add_path keeps paths in the order of their total costs: the cheapest is the first. */
	foreach(lc, rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (path->param_info == NULL && !pgjs_is_joinscan(path) &&
			(pathkeys == NIL || pathkeys_contained_in(pathkeys, path->pathkeys)))
			return path;
	}
	return NULL;
}

Cost
pgjs_postgres_total(const RelOptInfo *rel, const Path *path)
{
	Cost		total = path == NULL ? get_float8_infinity() : path->total_cost;

	/* Gather comes after the hook. */
	if (rel->partial_pathlist != NIL)
		total = Min(total, ((Path *) linitial(rel->partial_pathlist))->total_cost + parallel_setup_cost +
					parallel_tuple_cost * rel->rows);
	return total;
}

/* A path that is not yet made: most that are thought of are not worth it. */
typedef struct Offer
{
	PgjsTree   *tree;			/* NULL: none */
	int			workers;
	Cardinality rows;
	Cost		startup;
	Cost		total;
} Offer;

static Offer
make_offer(PlannerInfo *root, PgjsTree *tree, int workers)
{
	Offer		offer = {tree, workers, clamp_row_est(tree->rows * tree->kept)};

	pgjs_cost_path(tree, workers, offer.rows, &offer.startup, &offer.total);
	if (tree->deferred != NIL)
	{
		QualCost	deferred;

		cost_qual_eval(&deferred, tree->deferred, root);
		offer.startup += deferred.startup;
		offer.total += deferred.startup + deferred.per_tuple * tree->asked;
	}
	return offer;
}

/* The cheaper of the two trees. */
static Offer
cheapest_offer(PlannerInfo *root, const PgjsRelInfo *info)
{
	Offer		serial = {NULL};
	Offer		parallel = {NULL};

	if (info->serial != NULL)
		serial = make_offer(root, info->serial, 0);
	/* A tree with exchanges whose tables are worth no worker is there for the joins above. */
	if (info->parallel != NULL && info->parallel->workers > 0)
		parallel = make_offer(root, info->parallel, info->parallel->workers);
	if (serial.tree == NULL || parallel.tree == NULL)
		return serial.tree != NULL ? serial : parallel;
	return parallel.total < serial.total ? parallel : serial;
}

static PgjsPath *
make_path(PlannerInfo *root, RelOptInfo *scanned, PathTarget *target, const Offer *offer, Path *fallback)
{
	PgjsPath   *path = (PgjsPath *) newNode(sizeof(PgjsPath), T_CustomPath);
	Path	   *base = &path->cpath.path;
	ListCell   *lc;

	base->pathtype = T_CustomScan;
	base->parent = scanned;
	base->pathtarget = target;
	base->param_info = NULL;
	/* It launches workers itself, so it may not be below a Gather; even serial it keeps its state in the leader. */
	base->parallel_aware = false;
	base->parallel_safe = false;
	base->parallel_workers = 0;
	base->rows = offer->rows;
	base->startup_cost = offer->startup;
	base->total_cost = offer->total;
	base->pathkeys = NIL;
	/* No custom_restrictinfo (17 and later): it is for pseudoconstant conditions, and a tree has none. */
	path->cpath.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->cpath.methods = &pgjs_path_methods;
	path->tree = offer->tree;
	path->target = target;
	path->workers = offer->workers;
	/* Base relations keep their cheapest paths while the search goes on. */
	foreach(lc, pgjs_leaf_relids(offer->tree))
		path->cpath.custom_paths = lappend(path->cpath.custom_paths,
										   find_base_rel(root, lfirst_int(lc))->cheapest_total_path);
	path->no_fallback = pgjs_fallback_refusal(root, scanned, offer->tree);
	if (path->no_fallback == NULL && fallback != NULL)
		pgjs_set_fallback(path, fallback);
	return path;
}

PgjsPath *
pgjs_cheapest_path(PlannerInfo *root, RelOptInfo *scanned, PathTarget *target, const PgjsRelInfo *info)
{
	Offer		offer = cheapest_offer(root, info);

	return offer.tree == NULL ? NULL : make_path(root, scanned, target, &offer, info->fallback);
}

/* Does PostgreSQL's join above want what the tree cannot give? The trees above may do without. */
static bool
wants_hidden(PlannerInfo *root, RelOptInfo *joinrel)
{
	Relids		hidden = pgjs_hidden_relids(root, joinrel->relids);

	return hidden != NULL && bms_overlap(pull_varnos(root, (Node *) joinrel->reltarget->exprs), hidden);
}

/* Has the join a tree whose rows PostgreSQL can use as they are? */
static bool
has_path(PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info)
{
	if (info->serial == NULL && info->parallel == NULL)
		return false;
	if (wants_hidden(root, joinrel))
	{
		pgjs_decline(info, "%s", PGJS_HIDDEN_REASON);
		return false;
	}
	return true;
}

/* Nothing but JoinScan. Later pairs may have added PostgreSQL's paths again. */
void
pgjs_force_path(RelOptInfo *rel, PgjsRelInfo *info, PgjsPath *path)
{
	path->cpath.path.startup_cost = 0.0;
	path->cpath.path.total_cost = PGJS_FORCED_ROW * cpu_operator_cost * (1.0 + path->cpath.path.rows);
	rel->pathlist = list_make1(path);
	rel->partial_pathlist = NIL;
	info->offered = true;
}

/*
 * What a JoinScan must cost at least. PostgreSQL drops a partial path that
 * costs more than some complete path: a good reason where the two compete, and
 * a bad one where the join above would have gone on in parallel. So below
 * other joins a JoinScan never costs less than the cheapest partial path; it
 * still wins against that path and its Gather.
 */
static Cost
partial_floor(const PlannerInfo *root, const RelOptInfo *joinrel)
{
	if (joinrel->partial_pathlist == NIL || bms_equal(joinrel->relids, root->all_baserels))
		return 0.0;
	return ((Path *) linitial(joinrel->partial_pathlist))->total_cost;
}

/* Offers the relation's tree, if it is a better one, and again when the floor that it was raised to has sunk. */
static void
offer_path(PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info, bool better)
{
	Cost		floor;
	Offer		offer;

	if (info->postgres_total < pgjs_min_cost || (!better && !info->raised))
		return;
	floor = partial_floor(root, joinrel);
	if (!better && floor >= info->offered_total)
		return;
	if (!has_path(root, joinrel, info))
		return;
	offer = cheapest_offer(root, info);
	if (offer.tree == NULL)
		return;
	info->offered = true;
	info->raised = offer.total < floor;
	offer.total = info->offered_total = Max(offer.total, floor);
	if (add_path_precheck(joinrel, offer.startup, offer.total, NIL, NULL))
		add_path(joinrel, (Path *) make_path(root, joinrel, joinrel->reltarget, &offer, info->fallback));
}

/* Nothing but JoinScan, if it can be. */
static void
force_join(PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info)
{
	PgjsPath   *path = NULL;

	if (has_path(root, joinrel, info))
		path = pgjs_cheapest_path(root, joinrel, joinrel->reltarget, info);
	if (path != NULL)
		pgjs_force_path(joinrel, info, path);
}

/* A later pair has made PostgreSQL's path cheaper: the JoinScans that are offered get that one. */
static void
renew_fallbacks(const RelOptInfo *joinrel, const PgjsRelInfo *info)
{
	ListCell   *lc;

	foreach(lc, joinrel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (IsA(path, CustomPath) && pgjs_is_joinscan(path) && ((PgjsPath *) path)->fallback != NULL)
			pgjs_set_fallback((PgjsPath *) path, info->fallback);
	}
}

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
static bool
join_unique(const PgjsPair *pair, PgjsRelInfo *info, PgjsRelInfo *outer, PgjsRelInfo *inner)
{
	PgjsPair	joined = *pair;
	const PgjsRelInfo *unique;

	joined.jointype = JOIN_INNER;
	if (pair->jointype == JOIN_UNIQUE_OUTER)
	{
		unique = pgjs_unique(pair, pair->outerrel, outer, info);
		return unique != NULL && pgjs_join_trees(&joined, info, unique, inner);
	}
	unique = pgjs_unique(pair, pair->innerrel, inner, info);
	return unique != NULL && pgjs_join_trees(&joined, info, outer, unique);
}

/* Returns whether the pair made a tree of the join, or a cheaper one. */
static bool
consider_pair(const PgjsPair *pair, PgjsRelInfo *info)
{
	PlannerInfo *root = pair->root;
	RelOptInfo *outerrel = pair->outerrel;
	RelOptInfo *innerrel = pair->innerrel;
	PgjsRelInfo *outer;
	PgjsRelInfo *inner;
	const char *reason = info->refusal;

	/* There PostgreSQL raises 0A000: no condition is one to merge or hash by. */
	if (reason == NULL && pair->jointype == JOIN_FULL && pair->joinrel->pathlist == NIL)
		reason = "PostgreSQL itself cannot do this FULL JOIN";
	if (reason != NULL)
	{
		pgjs_decline(info, "%s", reason);
		return false;
	}

	/* The search asks about most pairs in both orders, also about unique rows; here they are one. */
	if (info->outer == innerrel && info->inner == outerrel)
		return false;
	info->outer = outerrel;
	info->inner = innerrel;

	outer = IS_SIMPLE_REL(outerrel) ? pgjs_leaf(root, outerrel) : pgjs_relinfo(root, outerrel);
	inner = IS_SIMPLE_REL(innerrel) ? pgjs_leaf(root, innerrel) : pgjs_relinfo(root, innerrel);
	if (outer == NULL || inner == NULL)
		return false;
	if ((outer->serial == NULL || inner->serial == NULL) && (outer->parallel == NULL || inner->parallel == NULL))
		return false;			/* they have their own reason */
	if (pair->jointype == JOIN_UNIQUE_OUTER || pair->jointype == JOIN_UNIQUE_INNER)
		return join_unique(pair, info, outer, inner);
	return pgjs_join_trees(pair, info, outer, inner);
}

/*
 * Where at most one row of the inner side matches, PostgreSQL's joins reckon
 * that conditions are evaluated on the outer rows that find one: fewer than the
 * tree's rows, now and then by far. A subquery costs the same on either side.
 * Returns whether that makes a tree cheaper.
 */
static bool
note_asked(PgjsRelInfo *info, const RelOptInfo *outerrel, const JoinPathExtraData *extra)
{
	double		matched = rint(outerrel->rows * extra->semifactors.outer_match_frac);
	PgjsTree   *trees[] = {info->serial, info->parallel};
	bool		cheaper = false;

	if (!extra->inner_unique)
		return false;
	for (int i = 0; i < lengthof(trees); i++)
	{
		if (trees[i] != NULL && trees[i]->deferred != NIL && matched < trees[i]->asked)
		{
			trees[i]->asked = matched;
			cheaper = true;
		}
	}
	return cheaper;
}

static void
join_hook(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
		  JoinType jointype, JoinPathExtraData *extra)
{
	PgjsPair	pair = {root, joinrel, outerrel, innerrel, jointype, extra->restrictlist, extra->sjinfo};
	PgjsRelInfo *info;
	Path	   *cheapest;
	MemoryContext old;
	bool		better;

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

	cheapest = pgjs_postgres_path(joinrel, NIL);
	info->postgres_total = Min(info->postgres_total, pgjs_postgres_total(joinrel, cheapest));
	old = MemoryContextSwitchTo(GetMemoryChunkContext(joinrel));
	better = consider_pair(&pair, info);
	better |= note_asked(info, outerrel, extra);
	if (pgjs_note_fallback(root, joinrel, info, joinrel->reltarget, cheapest))
		renew_fallbacks(joinrel, info);
	if (pgjs_min_cost == 0.0)
		force_join(root, joinrel, info);
	else
		offer_path(root, joinrel, info, better);
	MemoryContextSwitchTo(old);
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
	previous_upper_hook = create_upper_paths_hook;
	create_upper_paths_hook = upper_hook;
}
