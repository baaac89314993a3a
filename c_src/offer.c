/*
 * offer.c
 *		Paths of JoinScan trees, beside PostgreSQL's.
 *
 * While PostgreSQL searches for a join order, it sees none of them: it finds
 * its own best plan, whose cost says whether JoinScan is asked at all
 * (joinscan.min_cost), and is the fallback. Then all tables are offered as one
 * JoinScan; and PostgreSQL's plan is, with JoinScans in place of those of its
 * joins that cost less so, for where the whole cannot be one, or an index on
 * top serves better.
 */
#include "planner.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/float.h"

/*
 * What a row costs with joinscan.min_cost = 0, in cpu_operator_cost: next to
 * nothing, but more than a row of a Materialize that is read again costs (1),
 * or every rescan of a nested loop would run the join anew.
 */
#define PGJS_FORCED_ROW		1.6

/* ---- PostgreSQL's paths ---- */

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

	/* Gather comes later. */
	if (rel->partial_pathlist != NIL)
		total = Min(total, ((Path *) linitial(rel->partial_pathlist))->total_cost + parallel_setup_cost +
					parallel_tuple_cost * rel->rows);
	return total;
}

/* ---- paths of trees ---- */

/* A path that is not yet made: the costs decide between two. */
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

/*
 * The join's tree as a path, or NULL. The fallback is `path`, also of what may
 * stand on a tree that PostgreSQL's joins cannot use.
 */
static PgjsPath *
whole_path(PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info, Path *path)
{
	if (info == NULL)
		return NULL;
	pgjs_note_fallback(root, joinrel, info, joinrel->reltarget, path);
	return has_path(root, joinrel, info) ? pgjs_cheapest_path(root, joinrel, joinrel->reltarget, info) : NULL;
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

/* Nothing but JoinScan, if it can be. */
void
pgjs_force_join(PlannerInfo *root, RelOptInfo *joinrel)
{
	PgjsRelInfo *info = pgjs_trees(root, joinrel);
	PgjsPath   *path = whole_path(root, joinrel, info, pgjs_postgres_path(joinrel, NIL));

	if (path != NULL)
		pgjs_force_path(joinrel, info, path);
}

/* ---- when the search is done ---- */

static Path *cheapest_with_joinscans(PlannerInfo *root, Path *path);

/* The join's costs follow those of its new input. Returns whether it has one. */
static bool
replace_input(PlannerInfo *root, JoinPath *join, Path **input)
{
	Path	   *old = *input;

	*input = cheapest_with_joinscans(root, old);
	join->path.startup_cost = Max(join->path.startup_cost + (*input)->startup_cost - old->startup_cost, 0.0);
	join->path.total_cost += (*input)->total_cost - old->total_cost;
	return *input != old;
}

/*
 * A join of PostgreSQL's plan with JoinScans in place of joins below it, as far
 * as these are run once and in no order that counts. `path` itself stays as it
 * is, and is returned where nothing is to be replaced.
 */
static Path *
with_joinscans_below(PlannerInfo *root, Path *path)
{
	JoinPath   *copy = (JoinPath *) pgjs_copy_path(path);
	bool		replaced = false;

	if (!IsA(path, MergePath) || ((MergePath *) path)->outersortkeys != NIL)
		replaced |= replace_input(root, copy, &copy->outerjoinpath);
	if (IsA(path, HashPath) || (IsA(path, MergePath) && ((MergePath *) path)->innersortkeys != NIL))
		replaced |= replace_input(root, copy, &copy->innerjoinpath);
	if (!replaced)
		return path;
	copy->path.parallel_safe = false;
	if (!IsA(path, MergePath))
		copy->path.pathkeys = NIL;
	return &copy->path;
}

static bool
is_join_path(const Path *path)
{
	return IsA(path, NestPath) || IsA(path, MergePath) || IsA(path, HashPath);
}

/* Of a join that workers do for PostgreSQL: the cheapest way to do it without a Gather, as none can be a fallback. */
static Path *
ungathered(const RelOptInfo *joinrel)
{
	ListCell   *lc;

	foreach(lc, joinrel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (path->param_info == NULL && is_join_path(path))
			return path;
	}
	return NULL;
}

/* The cheapest of a path, the same with JoinScans below it, and one JoinScan, if it is a join that is worth a look. */
static Path *
cheapest_with_joinscans(PlannerInfo *root, Path *path)
{
	bool		gathered = IsA(path, GatherPath) && IS_JOIN_REL(path->parent);
	Path	   *cheapest;
	PgjsPath   *whole;

	check_stack_depth();
	if (!(is_join_path(path) || gathered) || path->param_info != NULL || path->total_cost < pgjs_min_cost)
		return path;
	cheapest = gathered ? path : with_joinscans_below(root, path);
	whole = whole_path(root, path->parent, pgjs_trees(root, path->parent), gathered ? ungathered(path->parent) : path);
	return whole != NULL && whole->cpath.path.total_cost < cheapest->total_cost ? &whole->cpath.path : cheapest;
}

void
pgjs_offer_joins(PlannerInfo *root, RelOptInfo *top)
{
	PgjsRelInfo *info = pgjs_relinfo(root, top);
	Path	   *cheapest = pgjs_postgres_path(top, NIL);
	Cost		total = pgjs_postgres_total(top, cheapest);
	Path	   *parts = cheapest;
	PgjsPath   *whole;

	if (info != NULL)
	{
		info->postgres_total = total;
		pgjs_note_fallback(root, top, info, top->reltarget, cheapest);
	}
	if (total >= pgjs_min_cost || pgjs_wants_reasons())
		info = pgjs_trees(root, top);
	if (total < pgjs_min_cost)
		return;
	whole = whole_path(root, top, info, cheapest);
	if (cheapest != NULL && is_join_path(cheapest))
		parts = with_joinscans_below(root, cheapest);
	if (whole != NULL)
	{
		info->offered = true;
		add_path(top, &whole->cpath.path);
	}
	if (parts != cheapest)
		add_path(top, parts);
	set_cheapest(top);
}
