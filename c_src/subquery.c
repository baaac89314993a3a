/*
 * subquery.c
 *		Conditions with subqueries below what stands on the joins.
 *
 * A join tree has them deferred: its executor node's qual is where they are
 * evaluated. With groups, windows or a sort on the tree, they are a FILTER in
 * between: rows are gathered, and the leader alone asks PostgreSQL's evaluator
 * about them, since the plans of subqueries are in no worker.
 *
 *		sum(x) WHERE y < (SELECT ...)	->	Aggregate <- PostgreSQL Filter <- gather <- joins
 */
#include "planner.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

PgjsTree *
pgjs_with_deferred(PlannerInfo *root, PgjsTree *tree, int workers)
{
	PgjsTree   *filter;
	QualCost	cost;

	if (tree == NULL || tree->deferred == NIL)
		return tree;
	filter = palloc0(sizeof(PgjsTree));
	filter->kind = PGJS_TREE_FILTER;
	filter->probe = tree;
	filter->probe_exchange = workers == 0 || pgjs_is_in_leader(tree) ? PGJS_EXCHANGE_NONE : PGJS_EXCHANGE_GATHER;
	filter->conditions = tree->deferred;
	filter->kept = 1.0;
	filter->rows = clamp_row_est(tree->rows * tree->kept);
	filter->asked = filter->rows;
	filter->width = tree->width;
	filter->workers = tree->workers;
	cost_qual_eval(&cost, filter->conditions, root);
	filter->startup_cost = cost.startup;
	filter->row_cost = tree->rows * pgjs_cost_clause(0.0, PGJS_RUNG_POSTGRES) + tree->asked * cost.per_tuple;
	return filter;
}

/*
 * As fix_alternative_subplan of setrefs.c, which would take the rows of the
 * whole plan node for those of the condition. The plan of the other way stays in
 * the statement, made ready by the executor and never run.
 */
static Node *
choose_mutator(Node *node, void *context)
{
	double		rows = *(double *) context;
	SubPlan    *best = NULL;
	Cost		best_cost = 0.0;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (!IsA(node, AlternativeSubPlan))
		return expression_tree_mutator(node, choose_mutator, context);
	foreach(lc, ((AlternativeSubPlan *) node)->subplans)
	{
		SubPlan    *subplan = lfirst_node(SubPlan, lc);
		Cost		cost = subplan->startup_cost + rows * subplan->per_call_cost;

		if (best == NULL || cost <= best_cost)
		{
			best = subplan;
			best_cost = cost;
		}
	}
	return expression_tree_mutator((Node *) best, choose_mutator, context);
}

List *
pgjs_choose_subplans(List *conditions, double rows)
{
	return (List *) choose_mutator((Node *) conditions, &rows);
}
