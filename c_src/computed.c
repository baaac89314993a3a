/*
 * computed.c
 *		What the input of a node above the joins computes for it.
 *
 * What has no native form in keys, aggregates and window functions, PostgreSQL's evaluator computes
 * below: a column of the input, which the node groups by or sums natively.
 *
 *		sum(f(x)) GROUP BY lower(t)	->	sum(#2) GROUP BY #1
 *										  PostgreSQL Projection: #1 = lower(t), #2 = f(x)
 *
 * An aggregate that has no native form whatever it is computed of is foreign:
 * PostgreSQL's own aggregation computes it within the plan (accumulate.c).
 */
#include "planner.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/placeholder.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

Node *
pgjs_compute_below(PgjsComputed *computed, Node *expr, const char **reason)
{
	PlaceHolderVar *column;
	QualCost	cost;
	ListCell   *lc;

	foreach(lc, computed->columns)
	{
		column = lfirst_node(PlaceHolderVar, lc);
		if (equal(column->phexpr, expr))
			return (Node *) column;
	}
	if (pgjs_expr_rung(computed->root, expr, reason) > PGJS_RUNG_POSTGRES)
		return NULL;
	column = make_placeholder_expr(computed->root, copyObject((Expr *) expr), computed->relids);
	*reason = pgjs_column_refusal((Node *) column);
	if (*reason != NULL)
		return NULL;
	cost_qual_eval_node(&cost, expr, computed->root);
	computed->columns = lappend(computed->columns, column);
	computed->cost += pgjs_cost_clause(cost.per_tuple, PGJS_RUNG_POSTGRES);
	return (Node *) column;
}

/* Vars in place of what is at hand: what Rust is asked about. */
static Node *
as_columns(Node *node, void *at_hand)
{
	if (node == NULL)
		return NULL;
	if (list_member(at_hand, node))
		return (Node *) makeVar(1, 1, exprType(node), -1, exprCollation(node), 0);
	return expression_tree_mutator(node, as_columns, at_hand);
}

Node *
pgjs_find_key(PgjsComputed *computed, Oid operator, Node *expr, const char *(*refusal) (PlannerInfo *, Node *),
			  const char **reason)
{
	Node	   *key = pgjs_make_key(operator, expr);
	Node	   *column;

	*reason = refusal(computed->root, as_columns(key, computed->at_hand));
	if (*reason == NULL)
		return key;
	if (pgjs_is_column(expr) || list_member(computed->at_hand, expr))
		return NULL;
	column = pgjs_compute_below(computed, expr, reason);
	if (column == NULL)
		return NULL;
	key = pgjs_make_key(operator, column);
	*reason = refusal(computed->root, key);
	return *reason == NULL ? key : NULL;
}

/* `CASE WHEN filter THEN value END`: PostgreSQL evaluates an argument for the rows of the aggregate alone. */
static Node *
guard(Node *value, Expr *filter)
{
	CaseExpr   *guarded;
	CaseWhen   *when;

	if (filter == NULL)
		return value;
	when = makeNode(CaseWhen);
	when->expr = filter;
	when->result = (Expr *) value;
	when->location = -1;
	guarded = makeNode(CaseExpr);
	guarded->casetype = exprType(value);
	guarded->casecollid = exprCollation(value);
	guarded->args = list_make1(when);
	guarded->defresult = (Expr *) makeNullConst(guarded->casetype, exprTypmod(value), guarded->casecollid);
	guarded->location = -1;
	return (Node *) guarded;
}

/*
 * An aggregate over columns that the input computes: in place of what is not
 * native, or of all that is more than a column. NULL where that is not possible.
 */
static Aggref *
over_computed(PgjsComputed *computed, const Aggref *aggregate, bool all)
{
	Aggref	   *call = copyObject((Aggref *) aggregate);
	const char *reason;
	ListCell   *lc;

	foreach(lc, call->args)
	{
		TargetEntry *arg = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) arg->expr;

		if (pgjs_is_column(expr) || IsA(expr, Const) || (!all && pgjs_value_refusal(computed->root, expr) == NULL))
			continue;
		arg->expr = (Expr *) pgjs_compute_below(computed, guard(expr, aggregate->aggfilter), &reason);
		if (arg->expr == NULL)
			return NULL;
	}
	if (call->aggfilter != NULL && pgjs_value_refusal(computed->root, (Node *) call->aggfilter) != NULL)
	{
		call->aggfilter = (Expr *) pgjs_compute_below(computed, (Node *) call->aggfilter, &reason);
		if (call->aggfilter == NULL)
			return NULL;
	}
	return call;
}

Aggref *
pgjs_find_call(PgjsComputed *computed, Aggref *aggregate, const char **reason)
{
	List	   *columns = computed->columns;
	Cost		cost = computed->cost;

	*reason = pgjs_aggregate_refusal(computed->root, aggregate);
	if (*reason == NULL)
		return aggregate;
	for (int way = 0; way < 2; way++)
	{
		Aggref	   *call;

		computed->columns = list_copy(columns);
		computed->cost = cost;
		call = over_computed(computed, aggregate, way == 1);
		if (call != NULL && pgjs_aggregate_refusal(computed->root, call) == NULL)
			return call;
	}
	computed->columns = columns;
	computed->cost = cost;
	return NULL;
}

/* ---- foreign aggregates ---- */

static bool
is_volatile(Oid function)
{
	return OidIsValid(function) && func_volatile(function) == PROVOLATILE_VOLATILE;
}

/* Has an aggregate functions whose evaluations somebody might count? */
static bool
has_volatile_functions(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	found = is_volatile(form->aggtransfn) || is_volatile(form->aggfinalfn);
	ReleaseSysCache(tuple);
	return found;
}

static bool
may_execute(Oid function)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* The query of a subquery or WITH query in FROM, or NULL. */
static const Query *
query_in_from(PlannerInfo *root, Index relid)
{
	RangeTblEntry *rte = root->simple_rte_array[relid];
	RelOptInfo *rel = root->simple_rel_array[relid];
	ListCell   *lc;

	if (rte->rtekind == RTE_SUBQUERY)
		return rel != NULL && rel->subroot != NULL ? rel->subroot->parse : NULL;
	if (rte->rtekind != RTE_CTE || rte->self_reference)
		return NULL;
	for (Index up = rte->ctelevelsup; up > 0 && root != NULL; up--)
		root = root->parent_root;
	foreach(lc, root != NULL ? root->parse->cteList : NIL)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0 && IsA(cte->ctequery, Query))
			return (Query *) cte->ctequery;
	}
	return NULL;
}

/* Are some of the rows sorted on purpose? */
static bool
has_sorted_input(PlannerInfo *root, Relids relids)
{
	int			relid = -1;

	while ((relid = bms_next_member(relids, relid)) >= 0)
	{
		const Query *query = relid < root->simple_rel_array_size && root->simple_rte_array[relid] != NULL ?
			query_in_from(root, relid) : NULL;

		if (query != NULL && query->sortClause != NIL)
			return true;
	}
	return false;
}

const char *
pgjs_foreign_refusal(PlannerInfo *root, Relids relids, Aggref *aggregate)
{
	const char *reason;

	if (pgjs_expr_rung(root, (Node *) aggregate, &reason) > PGJS_RUNG_POSTGRES)
		return reason;
	if (root->parse->groupingSets != NIL)
		return "an aggregate of PostgreSQL's over GROUPING SETS is not supported";
	if (aggregate->agglevelsup != 0 || aggregate->aggsplit != AGGSPLIT_SIMPLE)
		return "a partial or outer aggregate is not supported";
	if (pgjs_look_at_params(root, (Node *) aggregate).lazy_initplan)
		return "a subquery that not every row needs stands in an aggregate";
	if (has_volatile_functions(aggregate->aggfnoid))
		return "an aggregate with volatile functions is not supported";
	if (!may_execute(aggregate->aggfnoid))
		return "an aggregate that the user may not execute";
	if (aggregate->aggorder == NIL && aggregate->aggdistinct == NIL && has_sorted_input(root, relids))
		return "an aggregate may depend on the ORDER BY of a subquery";
	return pgjs_column_refusal((Node *) aggregate);
}
