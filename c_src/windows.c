/*
 * windows.c
 *		Window functions as nodes of a JoinScan's tree, one for each PARTITION BY
 *		and ORDER BY; upper.c puts them on its trees.
 *
 * A frame is one that needs no look at values: of rows by their number, or of
 * peers. What an aggregate finds in it is computed anew where it does not begin
 * at its partition's begin; so such a frame has to be short.
 */
#include "planner.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"

/* Rows of the longest frame that is computed anew for each row. */
#define PGJS_LONGEST_FRAME	100
/* Keys whose NULLS FIRST fit into the bits of a tree node. */
#define PGJS_MOST_ORDER_KEYS	64

/* A constant offset; false, when it is not one that PostgreSQL takes as well. */
static bool
read_number(const Node *node, int64 least, int64 *number)
{
	const Const *value = (const Const *) node;

	if (node == NULL || !IsA(node, Const) || value->constisnull)
		return false;
	if (value->consttype == INT4OID)
		*number = DatumGetInt32(value->constvalue);
	else if (value->consttype == INT8OID)
		*number = DatumGetInt64(value->constvalue);
	else
		return false;
	return *number >= least;
}

/* Why such frames cannot be computed, or NULL and the frame. */
static const char *
read_frame(const WindowClause *clause, bool ordered, PgjsWindowFunction *form)
{
	int			options = clause->frameOptions;

	if (options & FRAMEOPTION_EXCLUSION)
		return "EXCLUDE in a window's frame is not supported";
	form->rows = (options & FRAMEOPTION_ROWS) != 0;
	form->start = (options & FRAMEOPTION_START_UNBOUNDED_PRECEDING) ? PGJS_BOUND_UNBOUNDED :
		(options & FRAMEOPTION_START_CURRENT_ROW) ? PGJS_BOUND_CURRENT : PGJS_BOUND_OFFSET;
	form->end = (options & FRAMEOPTION_END_UNBOUNDED_FOLLOWING) ? PGJS_BOUND_UNBOUNDED :
		(options & FRAMEOPTION_END_CURRENT_ROW) ? PGJS_BOUND_CURRENT : PGJS_BOUND_OFFSET;
	if ((form->start == PGJS_BOUND_OFFSET || form->end == PGJS_BOUND_OFFSET) && !form->rows)
		return "RANGE or GROUPS with an offset is not supported";
	if ((form->start == PGJS_BOUND_OFFSET && !read_number(clause->startOffset, 0, &form->start_offset)) ||
		(form->end == PGJS_BOUND_OFFSET && !read_number(clause->endOffset, 0, &form->end_offset)))
		return "a window's frame with such an offset is not supported";
	if (options & FRAMEOPTION_START_OFFSET_PRECEDING)
		form->start_offset = -form->start_offset;
	if (options & FRAMEOPTION_END_OFFSET_PRECEDING)
		form->end_offset = -form->end_offset;
	/* Without an order all rows are peers. */
	if (!form->rows && !ordered)
		form->start = form->end = PGJS_BOUND_UNBOUNDED;
	return NULL;
}

/* Is an aggregate over such frames computed in reasonable time? */
static bool
is_quick(const PgjsWindowFunction *form)
{
	if (form->start == PGJS_BOUND_UNBOUNDED)
		return true;
	return form->rows && form->end != PGJS_BOUND_UNBOUNDED &&
		form->start_offset >= -PGJS_LONGEST_FRAME && form->end_offset <= PGJS_LONGEST_FRAME &&
		form->end_offset - form->start_offset < PGJS_LONGEST_FRAME;
}

/* The aggregate that a window function is, as one of groups. */
static Aggref *
make_aggregate(const WindowFunc *function)
{
	Aggref	   *aggregate = makeNode(Aggref);
	ListCell   *lc;

	aggregate->aggfnoid = function->winfnoid;
	aggregate->aggtype = function->wintype;
	aggregate->aggcollid = function->wincollid;
	aggregate->inputcollid = function->inputcollid;
	aggregate->aggfilter = copyObject(function->aggfilter);
	aggregate->aggstar = function->winstar;
	aggregate->aggkind = AGGKIND_NORMAL;
	aggregate->aggsplit = AGGSPLIT_SIMPLE;
	/* Equal to no column of the plan: the numbers of those begin at 0. */
	aggregate->aggno = -1;
	aggregate->aggtransno = -1;
	aggregate->location = -1;
	foreach(lc, function->args)
	{
		aggregate->aggargtypes = lappend_oid(aggregate->aggargtypes, exprType(lfirst(lc)));
		aggregate->args = lappend(aggregate->args, makeTargetEntry(copyObject(lfirst(lc)),
																   foreach_current_index(lc) + 1, NULL, false));
	}
	return aggregate;
}

/* A value as the plan can compute it, or a column that is computed of it; NULL, with the reason, if it is neither. */
static Node *
find_value(PgjsComputed *computed, Node *expr, const char **reason)
{
	*reason = pgjs_value_refusal(computed->root, expr);
	if (*reason == NULL)
		return expr;
	expr = pgjs_compute_below(computed, expr, reason);
	if (expr != NULL)
		*reason = NULL;
	return expr;
}

/* Why a window function cannot be computed, or NULL and its form. */
static const char *
read_function(PgjsComputed *computed, PgjsWindow *window)
{
	WindowFunc *function = window->function;
	PgjsWindowFunction *form = &window->form;
	Node	   *first = function->args == NIL ? NULL : linitial(function->args);
	Node	   *second = list_length(function->args) < 2 ? NULL : lsecond(function->args);
	const char *reason = NULL;

	if (function->winagg)
	{
		Aggref	   *aggregate = make_aggregate(function);

		form->kind = PGJS_WINDOW_AGGREGATE;
		if (!is_quick(form))
			return "an aggregate over such frames is not supported";
		aggregate = pgjs_find_call(computed, aggregate, &reason);
		if (aggregate == NULL)
			return reason;
		window->exprs = list_make1(aggregate);
		return NULL;
	}
	window->exprs = list_make1(makeBoolConst(true, false));
	switch (function->winfnoid)
	{
		case F_ROW_NUMBER:
			form->kind = PGJS_WINDOW_ROW_NUMBER;
			return NULL;
		case F_RANK_:
			form->kind = PGJS_WINDOW_RANK;
			return NULL;
		case F_DENSE_RANK_:
			form->kind = PGJS_WINDOW_DENSE_RANK;
			return NULL;
		case F_PERCENT_RANK_:
			form->kind = PGJS_WINDOW_PERCENT_RANK;
			return NULL;
		case F_CUME_DIST_:
			form->kind = PGJS_WINDOW_CUME_DIST;
			return NULL;
		case F_NTILE:
			form->kind = PGJS_WINDOW_NTILE;
			return read_number(first, 1, &form->number) ? NULL : "ntile of such a number is not supported";
		case F_LAG_ANYELEMENT:
		case F_LAG_ANYELEMENT_INT4:
		case F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
		case F_LEAD_ANYELEMENT:
		case F_LEAD_ANYELEMENT_INT4:
		case F_LEAD_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
			form->kind = PGJS_WINDOW_LAG;
			form->number = 1;
			if (second != NULL && !read_number(second, PG_INT32_MIN, &form->number))
				return "lag or lead by such an offset is not supported";
			if (function->winfnoid == F_LEAD_ANYELEMENT || function->winfnoid == F_LEAD_ANYELEMENT_INT4 ||
				function->winfnoid == F_LEAD_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE)
				form->number = -form->number;
			break;
		case F_FIRST_VALUE:
			form->kind = PGJS_WINDOW_NTH;
			form->number = 1;
			break;
		case F_LAST_VALUE:
			form->kind = PGJS_WINDOW_LAST;
			break;
		case F_NTH_VALUE:
			form->kind = PGJS_WINDOW_NTH;
			if (!read_number(second, 1, &form->number))
				return "nth_value of such a number is not supported";
			break;
		default:
			return "a window function of this kind is not supported";
	}
	first = find_value(computed, first, &reason);
	window->exprs = list_make1(first);
	if (first == NULL || list_length(function->args) < 3)
		return reason;
	/* Two numerics may lie in two forms. */
	if (exprType(first) == NUMERICOID)
		return "lag or lead with a numeric default is not supported";
	window->exprs = lappend(window->exprs, find_value(computed, lthird(function->args), &reason));
	return reason;
}

/* Is an expression the same for all rows? */
static bool
is_constant(Node *expr)
{
	return !contain_var_clause(expr) && !contain_agg_clause(expr) && !contain_volatile_functions(expr);
}

/* The keys of a window; why it can have none such, or NULL. */
static const char *
read_keys(PgjsComputed *computed, const WindowClause *clause, PgjsTree *node)
{
	ListCell   *lc;

	foreach(lc, clause->partitionClause)
	{
		SortGroupClause *sort = lfirst_node(SortGroupClause, lc);
		Node	   *expr = get_sortgroupclause_expr(sort, computed->root->processed_tlist);
		Node	   *key;
		const char *reason;

		if (is_constant(expr))
			continue;
		key = pgjs_find_key(computed, sort->eqop, expr, pgjs_group_refusal, &reason);
		if (key == NULL)
			return reason;
		node->keys = list_append_unique(node->keys, key);
	}
	foreach(lc, clause->orderClause)
	{
		SortGroupClause *sort = lfirst_node(SortGroupClause, lc);
		Node	   *expr = get_sortgroupclause_expr(sort, computed->root->processed_tlist);
		Node	   *key;
		const char *reason;

		if (is_constant(expr))
			continue;
		key = pgjs_find_key(computed, sort->sortop, expr, pgjs_order_refusal, &reason);
		if (key == NULL)
			return reason;
		if (list_length(node->conditions) == PGJS_MOST_ORDER_KEYS)
			return "a window is ordered by too many keys";
		if (sort->nulls_first)
			node->nulls_first |= UINT64CONST(1) << list_length(node->conditions);
		node->conditions = lappend(node->conditions, key);
	}
	return NULL;
}

/*
 * The conditions that PostgreSQL has moved from above into its WindowAgg, which
 * stops at the first row that fails.
 */
static const char *
read_run_conditions(PlannerInfo *root, const WindowClause *clause, List **filters)
{
	ListCell   *lc;

	foreach(lc, clause->runCondition)
	{
		RestrictInfo *rinfo = make_simple_restrictinfo(root, lfirst(lc));
		const char *reason;
		PgjsRung	rung = pgjs_clause_rung(root, rinfo, &reason);

		if (rung != PGJS_RUNG_NATIVE && rung != PGJS_RUNG_POSTGRES)
			return reason;
		*filters = lappend(*filters, rinfo);
	}
	return NULL;
}

const char *
pgjs_plan_windows(PgjsComputed *computed, List *exprs, List **nodes)
{
	PlannerInfo *root = computed->root;
	List	   *functions = NIL;
	List	   *filters = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	*nodes = NIL;
	foreach(lc, pull_var_clause((Node *) exprs, PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS |
								PVC_INCLUDE_PLACEHOLDERS))
	{
		if (IsA(lfirst(lc), WindowFunc))
			functions = list_append_unique(functions, lfirst(lc));
	}
	foreach(lc, root->parse->windowClause)
	{
		WindowClause *clause = lfirst_node(WindowClause, lc);
		PgjsTree   *node = palloc0(sizeof(PgjsTree));
		const char *reason = NULL;

		node->kind = PGJS_TREE_WINDOW;
		node->kept = 1.0;
		foreach(lc2, functions)
		{
			PgjsWindow *window = palloc0(sizeof(PgjsWindow));

			window->function = lfirst_node(WindowFunc, lc2);
			if (window->function->winref != clause->winref)
				continue;
			if (node->functions == NIL)
				reason = read_keys(computed, clause, node);
			if (reason == NULL)
				reason = read_frame(clause, node->conditions != NIL, &window->form);
			if (reason == NULL)
				reason = read_function(computed, window);
			if (reason != NULL)
				return reason;
			node->functions = lappend(node->functions, window);
		}
		if (node->functions == NIL)
			continue;
		reason = read_run_conditions(root, clause, &filters);
		if (reason != NULL)
			return reason;
		*nodes = lappend(*nodes, node);
	}
	if (*nodes == NIL)
		return "no window function is wanted";
	((PgjsTree *) llast(*nodes))->filters = pgjs_order_clauses(root, filters, NULL);
	return NULL;
}
