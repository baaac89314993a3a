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
#include "pg_joinscan.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "tcop/tcopprot.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * What a row costs with joinscan.min_cost = 0, in cpu_operator_cost: next to
 * nothing, but more than a row of a Materialize that is read again costs (1),
 * or every rescan of a nested loop would run the join anew.
 */
#define PGJS_FORCED_ROW		1.6

static set_join_pathlist_hook_type previous_join_hook = NULL;
static create_upper_paths_hook_type previous_upper_hook = NULL;

/* What one pair of relations is joined by; lists of RestrictInfos and of their bare clauses. */
typedef struct JoinClauses
{
	List	   *keys;			/* hashed */
	List	   *filters;
	Cost		filter_cost;	/* a row */
} JoinClauses;

/* ---- whether ---- */

/* Why nothing at this query level can be a JoinScan, or NULL. */
static const char *
level_refusal(PlannerInfo *root)
{
	CmdType		command = root->parse->commandType;

	/* EvalPlanQual would have to recheck single rows. */
	if (command != CMD_SELECT && command != CMD_INSERT)
		return "UPDATE, DELETE and MERGE are not supported";
	if (root->parse->rowMarks != NIL || root->rowMarks != NIL)
		return "row locks (FOR UPDATE and its kin) are not supported";
	if (root->qual_security_level > 0)
		return "row-level security and security barriers are not supported";
	return NULL;
}

static const char *
type_refusal(JoinType jointype, const JoinPathExtraData *extra)
{
	switch (jointype)
	{
		case JOIN_INNER:
			break;
		case JOIN_LEFT:
		case JOIN_RIGHT:
		case JOIN_FULL:
			return "outer joins are not supported";
		case JOIN_ANTI:
			return "anti-joins (NOT EXISTS) are not supported";
		default:
			return "semi-joins (IN, EXISTS) are not supported";
	}
	/* An inner join that stands for a semi-join of a side made unique. */
	if (extra->sjinfo != NULL && extra->sjinfo->jointype != JOIN_INNER)
		return "semi-joins (IN, EXISTS) are not supported";
	return NULL;
}

/* Why the rows of `joinrel` cannot be those of a JoinScan, or NULL. */
static const char *
rel_refusal(const RelOptInfo *joinrel)
{
	ListCell   *lc;

	if (!bms_is_empty(joinrel->lateral_relids))
		return "LATERAL references are not supported";
	foreach(lc, joinrel->reltarget->exprs)
	{
		if (!IsA(lfirst(lc), Var))
			return "expressions computed below an outer join are not supported";
	}
	return NULL;
}

/* Is `rinfo` an equality between an expression of one side and one of the other? */
static bool
splits(const RestrictInfo *rinfo, const RelOptInfo *outerrel, const RelOptInfo *innerrel)
{
	if (!rinfo->can_join || !OidIsValid(rinfo->hashjoinoperator) || !is_opclause(rinfo->clause))
		return false;
	return (bms_is_subset(rinfo->left_relids, outerrel->relids) &&
			bms_is_subset(rinfo->right_relids, innerrel->relids)) ||
		(bms_is_subset(rinfo->left_relids, innerrel->relids) &&
		 bms_is_subset(rinfo->right_relids, outerrel->relids));
}

/* Sorts the pair's clauses into keys and filters; false, with a reason kept, when the plan cannot hold them. */
static bool
split_clauses(PlannerInfo *root, PgjsRelInfo *info, RelOptInfo *outerrel, RelOptInfo *innerrel, List *restrictlist,
			  JoinClauses *clauses)
{
	List	   *keys = NIL;
	List	   *filters = NIL;
	const char *no_key = NULL;
	Cost		key_cost = 0.0;
	ListCell   *lc;

	foreach(lc, restrictlist)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		const char *reason;

		if (splits(rinfo, outerrel, innerrel))
		{
			reason = pgjs_key_refusal(root, rinfo);
			if (reason == NULL)
			{
				keys = lappend(keys, rinfo);
				continue;
			}
			no_key = reason;
		}
		/* What cannot be hashed may still be evaluated. */
		reason = pgjs_clause_refusal(root, rinfo);
		if (reason != NULL)
		{
			pgjs_decline(info, "%s", reason);
			return false;
		}
		filters = lappend(filters, rinfo);
	}
	if (keys == NIL)
	{
		if (no_key != NULL)
			pgjs_decline(info, "no equality key: %s", no_key);
		else if (info->reason == NULL)
		{
			pgjs_decline(info, "no equality key");
			info->lacks_key = true;
		}
		return false;
	}
	clauses->filter_cost = 0.0;
	clauses->keys = pgjs_order_clauses(root, keys, &key_cost);
	clauses->filters = pgjs_order_clauses(root, filters, &clauses->filter_cost);
	return true;
}

/* ---- trees ---- */

/*
 * The ways to join two trees: either side is hashed; and with several
 * participants, the hashed side goes to all of them, or both sides go where
 * the hash of their keys says.
 *
 *		broadcast:	build 1 -> N, probe stays		shuffle:	build N -> M, probe N -> M
 *
 * Writes the cheapest whose hash table fits to *best, and returns its cost;
 * without one returns infinity. *smallest becomes the smallest hash table's
 * bytes, when that is less.
 */
static Cost
cheapest_join(const RelOptInfo *joinrel, const JoinClauses *clauses, PgjsTree *left, PgjsTree *right, int workers,
			  PgjsTree *best, double *smallest)
{
	static const uint32 exchanges[][2] = {
		{PGJS_EXCHANGE_BROADCAST, PGJS_EXCHANGE_NONE},
		{PGJS_EXCHANGE_HASH, PGJS_EXCHANGE_HASH},
		{PGJS_EXCHANGE_NONE, PGJS_EXCHANGE_NONE},
	};
	int			first = workers > 0 ? 0 : 2;
	int			last = workers > 0 ? 1 : 2;
	double		budget = (double) get_hash_memory_limit();
	Cost		best_total = get_float8_infinity();
	PgjsCost	left_cost = pgjs_cost_tree(left, workers);
	PgjsCost	right_cost = pgjs_cost_tree(right, workers);
	PgjsTree	tree = {.kind = PGJS_TREE_JOIN};

	tree.keys = clauses->keys;
	tree.filters = clauses->filters;
	tree.rows = joinrel->rows;
	tree.width = joinrel->reltarget->width;
	tree.workers = Max(left->workers, right->workers);
	tree.row_cost = clauses->filter_cost * joinrel->rows;

	for (int side = 0; side < 2; side++)
	{
		tree.build = side == 0 ? right : left;
		tree.probe = side == 0 ? left : right;
		for (int way = first; way <= last; way++)
		{
			PgjsCost	cost;
			double		bytes;

			tree.build_exchange = exchanges[way][0];
			tree.probe_exchange = exchanges[way][1];
			bytes = pgjs_hash_bytes(&tree, workers);
			*smallest = Min(*smallest, bytes);
			if (bytes > budget)
				continue;
			cost = pgjs_cost_join(&tree, side == 0 ? right_cost : left_cost, side == 0 ? left_cost : right_cost,
								  workers);
			if (cost.startup + cost.run < best_total)
			{
				best_total = cost.startup + cost.run;
				*best = tree;
			}
		}
	}
	return best_total;
}

/* The workers that a tree with exchanges is costed for: one, where its tables alone are worth none. */
static int
costed_workers(const PgjsTree *tree)
{
	return Max(tree->workers, 1);
}

static PgjsTree *
keep(const PgjsTree *tree)
{
	PgjsTree   *kept = palloc(sizeof(PgjsTree));

	*kept = *tree;
	return kept;
}

/* Joins the trees of two relations; true when the join's trees became cheaper or came to be. */
static bool
join_trees(RelOptInfo *joinrel, PgjsRelInfo *info, const PgjsRelInfo *left, const PgjsRelInfo *right,
		   const JoinClauses *clauses)
{
	double		smallest = get_float8_infinity();
	bool		better = false;
	PgjsTree	tree;
	Cost		total;

	if (left->serial != NULL && right->serial != NULL)
	{
		total = cheapest_join(joinrel, clauses, left->serial, right->serial, 0, &tree, &smallest);
		if (!isinf(total) && (info->serial == NULL || total < info->serial_total))
		{
			info->serial = keep(&tree);
			info->serial_total = total;
			better = true;
		}
	}
	if (joinrel->consider_parallel && left->parallel != NULL && right->parallel != NULL)
	{
		int			workers = Max(costed_workers(left->parallel), costed_workers(right->parallel));

		total = cheapest_join(joinrel, clauses, left->parallel, right->parallel, workers, &tree, &smallest);
		if (!isinf(total) && (info->parallel == NULL || total < info->parallel_total))
		{
			info->parallel = keep(&tree);
			info->parallel_total = total;
			better = true;
		}
	}
	if (info->serial == NULL && info->parallel == NULL && !isinf(smallest))
		pgjs_decline(info, "estimated hash table of %.0f kB exceeds work_mem * hash_mem_multiplier (%.0f kB)",
					 ceil(smallest / 1024.0), get_hash_memory_limit() / 1024.0);
	return better;
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

/* What PostgreSQL's cheapest plan of the join costs, as far as its paths are known by now. */
static Cost
postgres_total(const RelOptInfo *joinrel)
{
	Cost		total = get_float8_infinity();
	ListCell   *lc;

	foreach(lc, joinrel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (!pgjs_is_joinscan(path) && path->param_info == NULL)
			total = Min(total, path->total_cost);
	}
	/* Gather comes after the hook. */
	foreach(lc, joinrel->partial_pathlist)
	{
		Path	   *path = lfirst(lc);

		total = Min(total, path->total_cost + parallel_setup_cost + parallel_tuple_cost * joinrel->rows);
	}
	return total;
}

static PgjsPath *
make_path(RelOptInfo *joinrel, PgjsTree *tree, int workers)
{
	PgjsPath   *path = (PgjsPath *) newNode(sizeof(PgjsPath), T_CustomPath);
	Path	   *base = &path->cpath.path;

	base->pathtype = T_CustomScan;
	base->parent = joinrel;
	base->pathtarget = joinrel->reltarget;
	base->param_info = NULL;
	/* It launches workers itself, so it may not be below a Gather; even serial it keeps its state in the leader. */
	base->parallel_aware = false;
	base->parallel_safe = false;
	base->parallel_workers = 0;
	base->rows = joinrel->rows;
	base->pathkeys = NIL;
	/* No custom_restrictinfo (17 and later): it is for pseudoconstant conditions, and a tree has none. */
	path->cpath.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->cpath.methods = &pgjs_path_methods;
	path->tree = tree;
	path->target = joinrel->reltarget;
	path->workers = workers;
	pgjs_cost_path(base, pgjs_cost_tree(tree, workers), tree->width, workers);
	return path;
}

/* The cheaper of a relation's two trees as a path. */
static PgjsPath *
cheapest_path(RelOptInfo *joinrel, const PgjsRelInfo *info)
{
	PgjsPath   *serial = NULL;
	PgjsPath   *parallel = NULL;

	if (info->serial != NULL)
		serial = make_path(joinrel, info->serial, 0);
	/* A tree with exchanges whose tables are worth no worker is there for the joins above. */
	if (info->parallel != NULL && info->parallel->workers > 0)
		parallel = make_path(joinrel, info->parallel, info->parallel->workers);
	if (serial == NULL || parallel == NULL)
		return serial != NULL ? serial : parallel;
	return parallel->cpath.path.total_cost < serial->cpath.path.total_cost ? parallel : serial;
}

/* joinscan.min_cost = 0: nothing but JoinScan. Later pairs may have added PostgreSQL's paths again. */
static void
force_path(RelOptInfo *joinrel, PgjsRelInfo *info)
{
	PgjsPath   *path = cheapest_path(joinrel, info);

	if (path == NULL)
		return;
	path->cpath.path.startup_cost = 0.0;
	path->cpath.path.total_cost = PGJS_FORCED_ROW * cpu_operator_cost * (1.0 + joinrel->rows);
	joinrel->pathlist = list_make1(path);
	joinrel->partial_pathlist = NIL;
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

/* Offers the relation's tree, again when a partial path has lowered the floor since. */
static void
offer_path(const PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info, bool better)
{
	PgjsPath   *path;
	Path	   *base;

	if (info->postgres_total < pgjs_min_cost)
		return;
	if (!better && (!info->offered || partial_floor(root, joinrel) >= info->offered_total))
		return;
	path = cheapest_path(joinrel, info);
	if (path == NULL)
		return;
	base = &path->cpath.path;
	base->total_cost = Max(base->total_cost, partial_floor(root, joinrel));
	info->offered_total = base->total_cost;
	info->offered = true;
	add_path(joinrel, base);
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

/* Returns whether the pair made a tree of the join, or a cheaper one. */
static bool
consider_pair(PlannerInfo *root, RelOptInfo *joinrel, PgjsRelInfo *info, RelOptInfo *outerrel, RelOptInfo *innerrel,
			  JoinType jointype, JoinPathExtraData *extra)
{
	PgjsRelInfo *left;
	PgjsRelInfo *right;
	JoinClauses clauses;
	const char *reason = level_refusal(root);

	if (reason == NULL)
		reason = type_refusal(jointype, extra);
	if (reason == NULL)
		reason = rel_refusal(joinrel);
	if (reason == NULL && bms_num_members(joinrel->relids) > most_tables())
		reason = "so many tables need a larger stack (ulimit -s)";
	if (reason != NULL)
	{
		pgjs_decline(info, "%s", reason);
		return false;
	}

	/* The search asks about each pair in both orders; here they are one. */
	if (info->outer == innerrel && info->inner == outerrel)
		return false;
	info->outer = outerrel;
	info->inner = innerrel;

	left = IS_SIMPLE_REL(outerrel) ? pgjs_leaf(root, outerrel) : pgjs_relinfo(outerrel);
	right = IS_SIMPLE_REL(innerrel) ? pgjs_leaf(root, innerrel) : pgjs_relinfo(innerrel);
	if (left == NULL || right == NULL)
		return false;
	if ((left->serial == NULL || right->serial == NULL) && (left->parallel == NULL || right->parallel == NULL))
		return false;			/* they have their own reason */
	if (!split_clauses(root, info, outerrel, innerrel, extra->restrictlist, &clauses))
		return false;
	return join_trees(joinrel, info, left, right, &clauses);
}

static void
join_hook(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
		  JoinType jointype, JoinPathExtraData *extra)
{
	PgjsRelInfo *info;
	MemoryContext old;
	bool		better;

	if (previous_join_hook)
		previous_join_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	/* The joins of partitions with partitions have no trees; the partitioned tables have the reason. */
	if (!pgjs_enabled || joinrel->reloptkind != RELOPT_JOINREL)
		return;
	info = pgjs_relinfo(joinrel);
	if (info == NULL)
		info = pgjs_relinfo_make(joinrel);
	if (info == NULL)
		return;

	info->postgres_total = Min(info->postgres_total, postgres_total(joinrel));
	old = MemoryContextSwitchTo(GetMemoryChunkContext(joinrel));
	better = consider_pair(root, joinrel, info, outerrel, innerrel, jointype, extra);
	if (pgjs_min_cost == 0.0)
		force_path(joinrel, info);
	else
		offer_path(root, joinrel, info, better);
	MemoryContextSwitchTo(old);
}

static void
upper_hook(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	if (previous_upper_hook)
		previous_upper_hook(root, stage, input_rel, output_rel, extra);
	if (stage == UPPERREL_FINAL && pgjs_enabled && pgjs_explain_decline)
		pgjs_report_declines(root);
}

void
pgjs_planner_init(void)
{
	previous_join_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = join_hook;
	previous_upper_hook = create_upper_paths_hook;
	create_upper_paths_hook = upper_hook;
}
