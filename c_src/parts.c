/*
 * parts.c
 *		Partitioned and inherited tables: which tables a heap scan reads for one,
 *		and which of them it need not read this time.
 *
 * The plan has the columns of the partitioned or inherited table, and its
 * conditions; only heapscan.c knows that each part numbers its attributes in
 * its own way. What partitions the planner could rule out is not among the
 * parts. What it could not, since a parameter or a stable function has to be
 * evaluated first, PostgreSQL's own pruning rules out at the begin of the
 * executor, and at the begin of each run for parameters that change. A pruned
 * part has no blocks: that is all that participants notice.
 */
#include "planner.h"
#include "run.h"

#include "catalog/pg_class.h"
#include "executor/execPartition.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/pathnode.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "partitioning/partprune.h"

/* ---- which ---- */

/* Adds the relids of the tables to be read for `rel`; false when one of them is none that a heap scan can read. */
static bool
add_parts(PlannerInfo *root, RelOptInfo *rel, List **parts)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, root->append_rel_list)
	{
		AppendRelInfo *info = lfirst_node(AppendRelInfo, lc);
		RangeTblEntry *rte;
		RelOptInfo *child;

		if (info->parent_relid != rel->relid)
			continue;
		rte = planner_rt_fetch(info->child_relid, root);
		child = find_base_rel(root, info->child_relid);
		if (IS_DUMMY_REL(child))
			continue;
		if (rte->rtekind == RTE_RELATION && rte->inh)
		{
			if (!add_parts(root, child, parts))
				return false;
			continue;
		}
		if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_RELATION || !pgjs_can_read(child, rte->relid))
			return false;
		*parts = lappend_int(*parts, info->child_relid);
	}
	return true;
}

List *
pgjs_parts(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	List	   *parts = NIL;

	if (rte->rtekind != RTE_RELATION || !rte->inh || rte->tablesample != NULL || IS_DUMMY_REL(rel) ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE))
		return NIL;
	return add_parts(root, rel, &parts) ? parts : NIL;
}

PartitionPruneInfo *
pgjs_plan_pruning(PlannerInfo *root, Index relid, const List *parts)
{
	RelOptInfo *rel = find_base_rel(root, relid);
	List	   *conditions = extract_actual_clauses(rel->baserestrictinfo, false);
	List	   *paths = NIL;
	ListCell   *lc;

	if (!enable_partition_pruning || !IS_PARTITIONED_REL(rel) || parts == NIL || conditions == NIL)
		return NULL;
	/* Of the paths their relations alone are looked at. */
	foreach(lc, parts)
		paths = lappend(paths, find_base_rel(root, lfirst_int(lc))->cheapest_total_path);
	return make_partition_pruneinfo(root, rel, paths, conditions);
}

/* ---- which not ---- */

struct PgjsPruning
{
	PartitionPruneState *state;
	int		   *numbers;		/* of what pruning at the begin has left, in the order of the state's numbers */
};

/* In PostgreSQL's plans setrefs.c does this; all levels move alike. */
static PartitionPruneInfo *
with_rti(const PartitionPruneInfo *info, Index rti)
{
	PartitionPruneInfo *moved = copyObjectImpl(info);
	PartitionedRelPruneInfo *top = linitial_node(PartitionedRelPruneInfo, linitial_node(List, moved->prune_infos));
	int			offset = (int) rti - (int) top->rtindex;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, moved->prune_infos)
		foreach(lc2, lfirst_node(List, lc))
			lfirst_node(PartitionedRelPruneInfo, lc2)->rtindex += offset;
	return moved;
}

void
pgjs_pruning_begin(PgjsTable *scan, const PartitionPruneInfo *info, Plan *plan, EState *estate)
{
	PgjsPruning *pruning = palloc0(sizeof(PgjsPruning));
	/* Pruning makes the node an ExprContext of its own, which must not replace ours. */
	PlanState  *node = &makeNode(ResultState)->ps;
	Bitmapset  *live;
	int			member = -1;
	int			n = 0;

	node->plan = plan;
	node->state = estate;
	pruning->state = ExecInitPartitionPruning(node, scan->nparts, with_rti(info, scan->rti), &live);
	pruning->numbers = palloc(Max(bms_num_members(live), 1) * sizeof(int));
	memset(scan->pruned, true, scan->nparts * sizeof(bool));
	while ((member = bms_next_member(live, member)) >= 0)
	{
		scan->pruned[member] = false;
		pruning->numbers[n++] = member;
	}
	bms_free(live);
	if (pruning->state->do_exec_prune)
		scan->pruning = pruning;
}

void
pgjs_pruning_run(PgjsTable *scan)
{
	Bitmapset  *live;
	int			member = -1;

	if (scan->pruning == NULL)
		return;
	live = ExecFindMatchingSubPlans(scan->pruning->state, false);
	memset(scan->pruned, true, scan->nparts * sizeof(bool));
	while ((member = bms_next_member(live, member)) >= 0)
		scan->pruned[scan->pruning->numbers[member]] = false;
	bms_free(live);
}
