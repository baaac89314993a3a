/*
 * param.c
 *		Params: what they do to a clause at planning, and their values when the
 *		plan is made.
 *
 * Rust meets Consts in their place. An InitPlan is run when the first of its
 * Params is bound, before the first row, as below PostgreSQL's Gather. The
 * leader alone can do better where a row may do without the value: as in
 *
 *		CASE WHEN id < 10 THEN true ELSE id = (SELECT 1 / 0) END
 *
 * There the Param stays a Param, the clause PostgreSQL's, and its evaluator runs
 * the InitPlan when a row comes that needs it, or never.
 */
#include "planner.h"

#include "catalog/pg_type.h"
#include "executor/nodeSubplan.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

static bool
param_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return true;
	return expression_tree_walker(node, param_walker, context);
}

bool
pgjs_contain_params(Node *clause)
{
	return param_walker(clause, NULL);
}

/* ---- InitPlans that may never be run ---- */

/* A walk over an expression, from what every row evaluates to what some rows may not. */
typedef struct Place
{
	bool		conditional;	/* whether evaluation gets here depends on the row */
	const PlannerInfo *root;	/* at planning, else NULL */
	const ParamExecData *values;	/* when the plan is made */
} Place;

/* Which of the query level's InitPlans, or of those around it, give this Param? */
static bool
is_initplan(const PlannerInfo *root, int paramid)
{
	ListCell   *lc;

	for (const PlannerInfo *level = root; level != NULL; level = level->parent_root)
		foreach(lc, level->init_plans)
			if (list_member_int(lfirst_node(SubPlan, lc)->setParam, paramid))
				return true;
	return false;
}

static bool
is_pending(const Param *param, const Place *place)
{
	if (param->paramkind != PARAM_EXEC)
		return false;
	return place->values == NULL ? is_initplan(place->root, param->paramid) :
		place->values[param->paramid].execPlan != NULL;
}

static bool lazy_walker(Node *node, void *arg);

/* The first of `nodes` is evaluated for each row that gets here, the others only for some. */
static bool
lazy_after_first(List *nodes, Place place)
{
	ListCell   *lc;

	foreach(lc, nodes)
	{
		if (lazy_walker(lfirst(lc), &place))
			return true;
		place.conditional = true;
	}
	return false;
}

/* Is there a pending InitPlan's Param where a row may come by without evaluating it? */
static bool
lazy_walker(Node *node, void *arg)
{
	Place		place = *(Place *) arg;

	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_Param:
			return place.conditional && is_pending((Param *) node, &place);
		case T_BoolExpr:
			return lazy_after_first(((BoolExpr *) node)->args, place);
		case T_CoalesceExpr:
			return lazy_after_first(((CoalesceExpr *) node)->args, place);
		case T_CaseExpr:
			{
				CaseExpr   *choice = (CaseExpr *) node;
				List	   *parts = NIL;
				ListCell   *lc;

				foreach(lc, choice->args)
				{
					parts = lappend(parts, lfirst_node(CaseWhen, lc)->expr);
					parts = lappend(parts, lfirst_node(CaseWhen, lc)->result);
				}
				parts = lappend(parts, choice->defresult);
				return lazy_walker((Node *) choice->arg, arg) || lazy_after_first(parts, place);
			}
		case T_Aggref:
			/* Its arguments only for the rows that its FILTER lets pass. */
			if (((Aggref *) node)->aggfilter != NULL)
				return lazy_after_first(list_make2(((Aggref *) node)->aggfilter, ((Aggref *) node)->args), place);
			break;
			/* These evaluate all of their arguments, whatever comes of it. */
		case T_List:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_MinMaxExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_PlaceHolderVar:
		case T_TargetEntry:
			break;
		default:
			place.conditional = true;
	}
	return expression_tree_walker(node, lazy_walker, &place);
}

/* ---- at planning ---- */

/* Has every value of this type a form in the plan? Of a numeric or an array that is known from the value alone. */
static bool
param_type_ok(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case FLOAT4OID:
		case FLOAT8OID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return true;
		default:
			return false;
	}
}

/*
 * PostgreSQL's serial plans wait with an InitPlan for a row that needs it; so
 * one with side effects stays with those. Which of the statement's subqueries it
 * stands on is not looked into: any volatile one will do.
 */
static bool
is_volatile_initplan(const PlannerInfo *root, int paramid)
{
	ListCell   *lc;

	/* What a nested loop or a correlated subquery sets has its value before we run. */
	if (!is_initplan(root, paramid))
		return false;
	foreach(lc, root->glob->subroots)
		if (contain_volatile_functions((Node *) lfirst_node(PlannerInfo, lc)->parse))
			return true;
	return false;
}

typedef struct Look
{
	const PlannerInfo *root;
	PgjsParams	found;
} Look;

static bool
look_walker(Node *node, void *arg)
{
	Look	   *look = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		look->found.typed &= param_type_ok(param->paramtype) &&
			(!type_is_collatable(param->paramtype) || GetDatabaseEncoding() == PG_UTF8);
		look->found.volatile_initplan |= param->paramkind == PARAM_EXEC &&
			is_volatile_initplan(look->root, param->paramid);
		return false;
	}
	return expression_tree_walker(node, look_walker, arg);
}

PgjsParams
pgjs_look_at_params(const PlannerInfo *root, Node *expr)
{
	Look		look = {root, {.typed = true}};
	Place		start = {.root = root};

	look_walker(expr, &look);
	look.found.lazy_initplan = lazy_walker(expr, &start);
	return look.found;
}

/* ---- values ---- */

/* The value of a Param, as the executor finds it; in whatever memory it is. */
static Datum
param_value(const Param *param, ExprContext *econtext, bool *isnull)
{
	ParamListInfo params = econtext->ecxt_param_list_info;
	ParamExternData workspace;
	ParamExternData *external = NULL;

	if (param->paramkind == PARAM_EXEC)
	{
		ParamExecData *internal = &econtext->ecxt_param_exec_vals[param->paramid];

		/* An InitPlan that nobody has asked for yet. */
		if (internal->execPlan != NULL)
			ExecSetParamPlan(internal->execPlan, econtext);
		*isnull = internal->isnull;
		return internal->value;
	}
	if (param->paramkind != PARAM_EXTERN)
		elog(ERROR, "unexpected parameter kind in a JoinScan: %d", (int) param->paramkind);

	if (params != NULL && param->paramid > 0 && param->paramid <= params->numParams)
	{
		if (params->paramFetch != NULL)
			external = params->paramFetch(params, param->paramid, false, &workspace);
		else
			external = &params->params[param->paramid - 1];
	}
	if (external == NULL || !OidIsValid(external->ptype))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no value found for parameter %d", param->paramid)));
	if (external->ptype != param->paramtype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type of parameter %d (%s) does not match that when preparing the plan (%s)",
						param->paramid,
						format_type_be(external->ptype),
						format_type_be(param->paramtype))));
	*isnull = external->isnull;
	return external->value;
}

typedef struct Binding
{
	ExprContext *econtext;		/* NULL: each value is NULL */
	bool		wait;			/* pending InitPlans are not run: their Params stay */
} Binding;

static Node *
bind_mutator(Node *node, void *arg)
{
	Binding    *binding = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;
		ExprContext *econtext = binding->econtext;
		int16		typlen;
		bool		typbyval;
		bool		isnull = true;
		Datum		value = (Datum) 0;

		if (binding->wait && param->paramkind == PARAM_EXEC &&
			econtext->ecxt_param_exec_vals[param->paramid].execPlan != NULL)
			return copyObject(node);
		get_typlenbyval(param->paramtype, &typlen, &typbyval);
		if (econtext != NULL)
			value = param_value(param, econtext, &isnull);
		if (isnull)
			value = (Datum) 0;
		else if (typlen == -1)
			value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		else
			value = datumCopy(value, typbyval, typlen);
		return (Node *) makeConst(param->paramtype, param->paramtypmod, param->paramcollid,
								  typlen, value, isnull, typbyval);
	}
	return expression_tree_mutator(node, bind_mutator, arg);
}

Node *
pgjs_bind_params(Node *clause, ExprContext *econtext)
{
	Binding		binding = {econtext};

	return bind_mutator(clause, &binding);
}

List *
pgjs_bind_lazily(List *clauses, ExprContext *econtext)
{
	List	   *bound = NIL;
	Place		start = {.values = econtext->ecxt_param_exec_vals};
	Binding		binding = {econtext};
	ListCell   *lc;

	/* First those that every row meets: the InitPlans that they run have a value in the others, too. */
	foreach(lc, clauses)
		bound = lappend(bound, lazy_walker(lfirst(lc), &start) ? NULL : bind_mutator(lfirst(lc), &binding));
	binding.wait = true;
	foreach(lc, bound)
	{
		if (lfirst(lc) == NULL)
			lfirst(lc) = bind_mutator(list_nth(clauses, foreach_current_index(lc)), &binding);
	}
	return bound;
}
