/*
 * fallback.c
 *		PostgreSQL's own plan beside a JoinScan: for when memory runs out.
 *
 * JoinScan does not spill. Where the planner's estimates were wrong by far, a
 * hash table, the groups or a sort outgrow what they may take at run time. If
 * no row has been returned by then, the node ends its run as usual and returns
 * the rows of PostgreSQL's plan instead; so the query has its answer, late.
 *
 *		planning	each relation with a tree keeps PostgreSQL's cheapest path, a copy: add_path frees what a JoinScan
 *					beats. When a query level's paths are complete, JoinScans below give way to their own fallbacks
 *		plan		the path is the last of custom_paths, its plan the last of custom_plans
 *		execution	the plan is begun when it is needed, and a child of the node from then on
 *
 * The rows of the fallback have passed every condition, the deferred ones
 * included, so they are projected alone. Without a fallback, 53200 stays.
 */
#include "customscan.h"
#include "planner.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"

/* ---- paths ---- */

/*
 * The inputs of a path, as far as fallbacks are made of its kind: where they
 * stand in it. Returns the size of the path; 0 for other kinds.
 */
static Size
inputs_of(Path *path, Path **inputs[2])
{
	inputs[0] = NULL;
	inputs[1] = NULL;
#define ONE_INPUT(type, field) \
		case T_##type: \
			inputs[0] = &((type *) path)->field; \
			return sizeof(type)
#define TWO_INPUTS(type) \
		case T_##type: \
			inputs[0] = &((JoinPath *) path)->outerjoinpath; \
			inputs[1] = &((JoinPath *) path)->innerjoinpath; \
			return sizeof(type)
	switch (nodeTag(path))
	{
			TWO_INPUTS(NestPath);
			TWO_INPUTS(MergePath);
			TWO_INPUTS(HashPath);
			ONE_INPUT(ProjectionPath, subpath);
			ONE_INPUT(ProjectSetPath, subpath);
			ONE_INPUT(MaterialPath, subpath);
			ONE_INPUT(UniquePath, subpath);
			ONE_INPUT(UpperUniquePath, subpath);
			ONE_INPUT(SortPath, subpath);
			ONE_INPUT(IncrementalSortPath, spath.subpath);
			ONE_INPUT(GroupPath, subpath);
			ONE_INPUT(AggPath, subpath);
			ONE_INPUT(GroupingSetsPath, subpath);
			ONE_INPUT(WindowAggPath, subpath);
			ONE_INPUT(LimitPath, subpath);
			ONE_INPUT(ModifyTablePath, subpath);
		default:
			return 0;
	}
#undef ONE_INPUT
#undef TWO_INPUTS
}

Path *
pgjs_copy_path(const Path *path)
{
	Path	  **inputs[2];
	Size		size = inputs_of((Path *) path, inputs);

	return size == 0 ? NULL : memcpy(palloc(size), path, size);
}

/* `path` with PostgreSQL's plans in place of JoinScans, as far as those have any. */
static Path *
without_joinscans(PlannerInfo *root, Path *path)
{
	Path	  **inputs[2];
	Path	   *copy = path;

	check_stack_depth();
	if (IsA(path, CustomPath) && pgjs_is_joinscan(path))
	{
		Path	   *fallback = ((PgjsPath *) path)->fallback;

		if (fallback == NULL || !pathkeys_contained_in(path->pathkeys, fallback->pathkeys))
			return path;
		fallback = without_joinscans(root, fallback);
		/* The JoinScan projects: what is above may have been built on that. */
		if (fallback->pathtarget != path->pathtarget)
			return (Path *) create_projection_path(root, fallback->parent, fallback, path->pathtarget);
		return fallback;
	}
	(void) inputs_of(path, inputs);
	for (int i = 0; i < 2; i++)
	{
		Path	   *replaced;

		if (inputs[i] == NULL)
			continue;
		replaced = without_joinscans(root, *inputs[i]);
		if (replaced == *inputs[i])
			continue;
		if (copy == path)
		{
			Path	  **others[2];

			copy = pgjs_copy_path(path);
			(void) inputs_of(copy, others);
			*others[i] = replaced;
			if (i == 0)
				inputs[1] = others[1];
		}
		else
			*inputs[i] = replaced;
	}
	return copy;
}

void
pgjs_settle_fallbacks(PlannerInfo *root, Path *path)
{
	Path	  **inputs[2];

	check_stack_depth();
	if (IsA(path, CustomPath) && pgjs_is_joinscan(path))
	{
		PgjsPath   *joinscan = (PgjsPath *) path;

		if (joinscan->fallback != NULL)
			pgjs_set_fallback(joinscan, without_joinscans(root, joinscan->fallback));
		return;
	}
	(void) inputs_of(path, inputs);
	for (int i = 0; i < 2; i++)
	{
		if (inputs[i] != NULL)
			pgjs_settle_fallbacks(root, *inputs[i]);
	}
}

/* The input of a path that groups or computes window functions, else NULL. */
static const Path *
computes_of(const Path *path)
{
	switch (nodeTag(path))
	{
		case T_AggPath:
			return ((const AggPath *) path)->subpath;
		case T_GroupPath:
			return ((const GroupPath *) path)->subpath;
		case T_GroupingSetsPath:
			return ((const GroupingSetsPath *) path)->subpath;
		case T_WindowAggPath:
			return ((const WindowAggPath *) path)->subpath;
		default:
			return NULL;
	}
}

/*
 * What `path` must give so that a JoinScan's columns can be had of it: its own
 * target, or where that has expressions over those columns, the columns
 * themselves. NULL where it cannot give them.
 */
static PathTarget *
find_target(PlannerInfo *root, const Path *path, const List *columns)
{
	const Path *input = computes_of(path);
	PathTarget *target;
	ListCell   *lc;

	if (list_difference(columns, path->pathtarget->exprs) == NIL)
		return path->pathtarget;
	if (input == NULL)
		return NULL;
	target = create_empty_pathtarget();
	foreach(lc, columns)
	{
		Expr	   *column = lfirst(lc);
		bool		computed = IsA(path, WindowAggPath) ? IsA(column, WindowFunc) :
			IsA(column, Aggref) || IsA(column, GroupingFunc);

		/* What a window below computes setrefs finds among the input's columns. */
		if (!computed && !list_member(input->pathtarget->exprs, column))
			return NULL;
		add_column_to_pathtarget(target, column, 0);
	}
	return set_pathtarget_cost_width(root, target);
}

void
pgjs_note_fallback(PlannerInfo *root, RelOptInfo *rel, PgjsRelInfo *info, const PathTarget *target, Path *path)
{
	const PgjsTree *tree = info->serial != NULL ? info->serial : info->parallel;
	PathTarget *given;

	if (path == NULL || (info->fallback != NULL && path->total_cost >= info->fallback->total_cost))
		return;
	/* A join gives its columns as they are. */
	if (IS_JOIN_REL(rel))
		given = path->pathtarget;
	else
		given = tree == NULL ? NULL : find_target(root, path, pgjs_plan_columns(tree, target->exprs));
	if (given != NULL)
		path = pgjs_copy_path(path);
	if (given == NULL || path == NULL)
		return;
	path->pathtarget = given;
	info->fallback = path;
}

/* Are all of `exprs` in `target`, or to be computed of what is there? */
static bool
can_compute(const PathTarget *target, List *exprs)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		List	   *parts;

		if (list_member(target->exprs, lfirst(lc)))
			continue;
		parts = pull_var_clause(lfirst(lc), PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS |
								PVC_INCLUDE_PLACEHOLDERS);
		if (contain_volatile_functions(lfirst(lc)) || list_difference(parts, target->exprs) != NIL)
			return false;
	}
	return true;
}

/* Of a base relation, which has a path of its own whatever stands on it: without the target that it was given since. */
static Path *
scan_path(const RelOptInfo *rel)
{
	Path	   *path = rel->cheapest_total_path;

	while (path != NULL && IsA(path, ProjectionPath))
		path = ((ProjectionPath *) path)->subpath;
	return path;
}

void
pgjs_note_sorted_fallback(PlannerInfo *root, RelOptInfo *input, const PgjsRelInfo *from, RelOptInfo *rel,
						  PgjsRelInfo *info)
{
	const PgjsTree *tree = info->serial != NULL ? info->serial : info->parallel;
	Path	   *path = IS_SIMPLE_REL(input) ? scan_path(input) : from->fallback;
	List	   *exprs;

	if (tree == NULL || path == NULL || path->param_info != NULL || pgjs_is_joinscan(path))
		return;
	exprs = get_sortgrouplist_exprs(root->parse->sortClause, root->processed_tlist);
	if (!can_compute(path->pathtarget, exprs) ||
		list_difference(pgjs_plan_columns(tree, root->upper_targets[UPPERREL_ORDERED]->exprs),
						path->pathtarget->exprs) != NIL)
		return;
	if (!pathkeys_contained_in(root->sort_pathkeys, path->pathkeys))
		path = (Path *) create_sort_path(root, rel, path, root->sort_pathkeys, -1.0);
	info->fallback = path;
}

/* ---- whether a path may have one ---- */

/* Does a plan of this query level add an InitPlan to it each time that it is made? */
static bool
may_have_minmax(const PlannerInfo *root)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, root->upper_rels[UPPERREL_GROUP_AGG])
	{
		foreach(lc2, lfirst_node(RelOptInfo, lc)->pathlist)
		{
			if (IsA(lfirst(lc2), MinMaxAggPath))
				return true;
		}
	}
	return false;
}

/*
 * Can PostgreSQL's plan of a base relation stand twice in one plan, here as a
 * leaf and in the fallback? And be begun when the first one is half read?
 */
static bool
can_repeat(PlannerInfo *root, const RelOptInfo *rel)
{
	const RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	PlannerInfo *subroot = rel->subroot;

	switch (rte->rtekind)
	{
		case RTE_CTE:
			/* A working table has but one place where it is read. */
			return !rte->self_reference;
		case RTE_SUBQUERY:
			/*
			 * setrefs works on a subquery's PlannerInfo once for each plan of
			 * it, and does not expect it here. Those below others would be planned twice on each level.
			 */
			if (rte->inh || subroot == NULL || subroot->init_plans != NIL || subroot->append_rel_list != NIL ||
				subroot->rowMarks != NIL || subroot->hasAlternativeSubPlans || subroot->parse->groupingSets != NIL ||
				may_have_minmax(subroot))
				return false;
			for (int i = 1; i < subroot->simple_rel_array_size; i++)
			{
				if (subroot->simple_rel_array[i] != NULL && subroot->simple_rel_array[i]->subroot != NULL)
					return false;
			}
			return true;
		default:
			return true;
	}
}

Relids
pgjs_unrepeatable(PlannerInfo *root)
{
	Relids		relids = NULL;

	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		const RelOptInfo *rel = root->simple_rel_array[i];

		if (rel != NULL && rel->reloptkind == RELOPT_BASEREL && !can_repeat(root, rel))
			relids = bms_add_member(relids, i);
	}
	return relids;
}

const char *
pgjs_fallback_refusal(PlannerInfo *root, const RelOptInfo *scanned, const PgjsTree *tree)
{
	bool		subplans = false;

	for (const PgjsTree *node = tree; node != NULL; node = node->probe)
	{
		List	   *asked = node->kind == PGJS_TREE_FILTER ? node->conditions : node->deferred;

		if (asked == NIL)
		{
			/* A join has those of its inputs. */
			if (node->kind == PGJS_TREE_JOIN)
				break;
			continue;
		}
		/* Both plans would evaluate them. */
		if (contain_volatile_functions((Node *) asked))
			return "functions are volatile";
		subplans |= contain_subplans((Node *) asked);
		/* Of the two ways of a subquery setrefs drops the one that no other plan node has chosen. */
		if (node->kind == PGJS_TREE_FILTER && root->hasAlternativeSubPlans)
			return "a subquery can be evaluated in two ways";
	}
	if ((subplans || pgjs_leaf_relids(tree) != NIL) && pgjs_level_is_volatile(root))
		return "functions are volatile";
	if (bms_overlap(scanned->relids, pgjs_level_unrepeatable(root)))
		return "the plan of a subquery cannot be run twice";
	return NULL;
}

void
pgjs_set_fallback(PgjsPath *path, Path *fallback)
{
	List	  **paths = &path->cpath.custom_paths;

	if (path->fallback == NULL)
		*paths = lappend(*paths, fallback);
	else
		llast(*paths) = fallback;
	path->fallback = fallback;
}

/* ---- the plan ---- */

List *
pgjs_map_fallback(const Plan *fallback, const List *columns)
{
	List	   *places = list_make1_int(list_length(columns));
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, columns)
	{
		int			place = 0;

		foreach(lc2, fallback->targetlist)
		{
			if (equal(lfirst_node(TargetEntry, lc2)->expr, lfirst_node(TargetEntry, lc)->expr))
			{
				place = foreach_current_index(lc2) + 1;
				break;
			}
		}
		if (place == 0)
			return NIL;
		places = lappend_int(places, place);
	}
	return places;
}

/* ---- execution ---- */

void
pgjs_fallback_begin(PgjsScanState *state)
{
	CustomScanState *css = &state->css;
	CustomScan *cscan = (CustomScan *) css->ss.ps.plan;
	EState	   *estate = css->ss.ps.state;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

	state->fallback = ExecInitNode(llast(cscan->custom_plans), estate,
								   state->eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	/* So EXPLAIN shows it, and whoever walks over the plan finds it. */
	css->custom_ps = lappend(css->custom_ps, state->fallback);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
pgjs_fallback_row(PgjsScanState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	ProjectionInfo *projection = state->css.ss.ps.ps_ProjInfo;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	int			given = linitial_int(state->places);
	TupleTableSlot *row;

	ResetExprContext(econtext);
	row = ExecProcNode(state->fallback);
	if (TupIsNull(row))
		return ExecClearTuple(projection != NULL ? projection->pi_state.resultslot : slot);
	slot_getallattrs(row);
	ExecClearTuple(slot);
	for (int i = 0; i < given; i++)
	{
		int			place = list_nth_int(state->places, i + 1) - 1;

		slot->tts_values[i] = row->tts_values[place];
		slot->tts_isnull[i] = row->tts_isnull[place];
	}
	/* Those that the deferred clauses alone need. */
	for (int i = given; i < state->noutput; i++)
		slot->tts_isnull[i] = true;
	ExecStoreVirtualTuple(slot);
	econtext->ecxt_scantuple = slot;
	return projection == NULL ? slot : ExecProject(projection);
}
