/*
 * clause.c
 *		What the plan can evaluate, asked clause by clause, and the values of
 *		Params.
 *
 * Rust meets Vars and Consts only. At planning every Param stands for some
 * value of its type, so a check looks at a NULL of that type; at execution it
 * becomes its value.
 */
#include "pg_joinscan.h"

#include "catalog/pg_type.h"
#include "executor/nodeSubplan.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

/* Bytes of a reason that Rust may write. */
#define PGJS_REASON_SIZE	256

/* ---- Params ---- */

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
 * A run evaluates the InitPlans that it mentions before its first row, as
 * Gather does; PostgreSQL's serial plans wait for a row that needs them. So
 * one with side effects stays with those. Which of the statement's subqueries
 * it stands on is not looked into: any volatile one will do.
 */
static bool
is_volatile_initplan(const PlannerInfo *root, int paramid)
{
	bool		is_initplan = false;
	ListCell   *lc;

	for (const PlannerInfo *level = root; level != NULL && !is_initplan; level = level->parent_root)
		foreach(lc, level->init_plans)
			is_initplan |= list_member_int(lfirst_node(SubPlan, lc)->setParam, paramid);
	if (!is_initplan)
		return false;			/* of a nested loop, or of a correlated subquery: it has its value before we run */
	foreach(lc, root->glob->subroots)
		if (contain_volatile_functions((Node *) lfirst_node(PlannerInfo, lc)->parse))
			return true;
	return false;
}

typedef struct ParamContext
{
	const PlannerInfo *root;
	const char *reason;
} ParamContext;

static bool
param_refusal_walker(Node *node, void *arg)
{
	ParamContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		if (param->paramtype == NUMERICOID)
			context->reason = "numeric parameters are not supported";
		else if (!param_type_ok(param->paramtype))
			context->reason = psprintf("parameters of type %s are not supported", format_type_be(param->paramtype));
		else if (type_is_collatable(param->paramtype) && GetDatabaseEncoding() != PG_UTF8)
			context->reason = "text needs the server encoding UTF8";
		else if (param->paramkind == PARAM_EXEC && is_volatile_initplan(context->root, param->paramid))
			context->reason = "subqueries with volatile functions are not supported";
		return context->reason != NULL;
	}
	return expression_tree_walker(node, param_refusal_walker, arg);
}

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

static Node *
bind_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;
		ExprContext *econtext = context;
		int16		typlen;
		bool		typbyval;
		bool		isnull = true;
		Datum		value = (Datum) 0;

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
	return expression_tree_mutator(node, bind_mutator, context);
}

Node *
pgjs_bind_params(Node *clause, ExprContext *econtext)
{
	return bind_mutator(clause, econtext);
}

/* ---- checks at planning ---- */

/*
 * Rust knows what the catalogs define by OID alone ("the function with OID 871",
 * "type with OID 3802"): the same reason with the name. Palloc'ed.
 */
static char *
named(const char *reason)
{
	static const char mark[] = " with OID ";
	const char *at = strstr(reason, mark);
	int			kept = at == NULL ? 0 : (int) (at - reason);
	char	   *rest;
	char	   *name;
	Oid			oid;

	if (at == NULL)
		return pstrdup(reason);
	oid = strtoul(at + strlen(mark), &rest, 10);
	if (kept >= 8 && strncmp(at - 8, "function", 8) == 0)
		name = format_procedure(oid);
	else if (kept >= 8 && strncmp(at - 8, "operator", 8) == 0)
		name = format_operator(oid);
	else
		name = format_type_be(oid);
	return psprintf("%.*s %s%s", kept, reason, name, rest);
}

const char *
pgjs_column_refusal(const Var *var)
{
	char		reason[PGJS_REASON_SIZE] = "";

	if (var->varattno == InvalidAttrNumber)
		return "whole-row references are not supported";
	if (var->varattno < 0)
		return "system columns are not supported";
	if (pgjs_type_check(var->vartype, var->vartypmod, reason, sizeof(reason)) != PGJS_CHECK_OK)
		return named(reason);
	if (type_is_collatable(var->vartype) && GetDatabaseEncoding() != PG_UTF8)
		return "text needs the server encoding UTF8";
	return NULL;
}

/* Asks Rust; it sees NULLs for Params. */
static const char *
ask(Node *clause, bool key)
{
	PgjsHostState host;			/* without scans and queues: it refuses what needs a session */
	char		reason[PGJS_REASON_SIZE] = "";
	int32_t		answer;

	check_stack_depth();
	if (pgjs_contain_params(clause))
		clause = pgjs_bind_params(clause, NULL);

	pgjs_host_init(&host, CurrentMemoryContext);
	pgjs_rust_depth++;
	if (key)
		answer = pgjs_key_check(&host.table, clause, reason, sizeof(reason));
	else
		answer = pgjs_expr_check(&host.table, clause, reason, sizeof(reason));
	pgjs_rust_depth--;
	if (answer == PGJS_CHECK_ERROR)
		pgjs_rethrow(&host.parked);
	pgjs_host_done(&host);
	return answer == PGJS_CHECK_OK ? NULL : named(reason);
}

/* What is asked of a clause before Rust is. */
static const char *
common_refusal(const PlannerInfo *root, RestrictInfo *rinfo)
{
	Node	   *clause = (Node *) rinfo->clause;
	ParamContext params = {root, NULL};
	ListCell   *lc;

	if (rinfo->pseudoconstant)
		return "a condition without table columns is not supported";
	/* Row-level security and barrier views fix an order that the plan does not keep. */
	if (rinfo->security_level > 0)
		return "conditions below a security barrier are not supported";
	if (contain_volatile_functions((Node *) rinfo))
		return "volatile functions are not supported";
	if (contain_subplans(clause))
		return "subqueries in conditions are not supported";
	if (param_refusal_walker(clause, &params))
		return params.reason;

	foreach(lc, pull_var_clause(clause, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS))
	{
		Node	   *node = lfirst(lc);
		const char *reason;

		if (!IsA(node, Var))
			return "expressions computed below an outer join are not supported";
		reason = pgjs_column_refusal((Var *) node);
		if (reason != NULL)
			return reason;
	}
	return NULL;
}

/* What was found about one RestrictInfo: the join search comes back to it for each pair that it joins. */
typedef struct Answer
{
	const RestrictInfo *rinfo;	/* hash key */
	bool		asked[2];		/* as a clause, as a key */
	const char *reason[2];
} Answer;

static const char *
refusal(PlannerInfo *root, RestrictInfo *rinfo, bool key)
{
	PgjsPlanning *planning;
	MemoryContext old;
	Answer	   *answer;
	bool		found;
	const char *reason;

	/* GEQO frees and reuses memory while it searches: an address means nothing there. */
	if (root->join_search_private != NULL)
	{
		reason = common_refusal(root, rinfo);
		return reason != NULL ? reason : ask((Node *) rinfo->clause, key);
	}

	planning = pgjs_planning(root);
	if (planning->clauses == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(RestrictInfo *), .entrysize = sizeof(Answer), .hcxt = planning->cxt};

		planning->clauses = hash_create("JoinScan clauses", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(planning->clauses, &rinfo, HASH_ENTER, &found);
	if (!found)
		memset(answer->asked, false, sizeof(answer->asked));
	if (!answer->asked[key])
	{
		old = MemoryContextSwitchTo(planning->cxt);
		reason = common_refusal(root, rinfo);
		answer->reason[key] = reason != NULL ? reason : ask((Node *) rinfo->clause, key);
		answer->asked[key] = true;
		MemoryContextSwitchTo(old);
	}
	return answer->reason[key];
}

const char *
pgjs_clause_refusal(PlannerInfo *root, RestrictInfo *rinfo)
{
	return refusal(root, rinfo, false);
}

const char *
pgjs_key_refusal(PlannerInfo *root, RestrictInfo *rinfo)
{
	return refusal(root, rinfo, true);
}

/*
 * A stable sort by cost, as createplan.c does it. Security levels play no part:
 * no clause with one comes here.
 */
List *
pgjs_order_clauses(PlannerInfo *root, List *rinfos, Cost *per_tuple)
{
	int			n = list_length(rinfos);
	Node	  **clauses;
	Cost	   *costs;
	int			done = 0;
	List	   *ordered = NIL;
	ListCell   *lc;

	if (n == 0)
		return NIL;
	clauses = palloc(n * sizeof(Node *));
	costs = palloc(n * sizeof(Cost));
	foreach(lc, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		QualCost	cost;
		int			at = done++;

		cost_qual_eval_node(&cost, (Node *) rinfo, root);
		*per_tuple += cost.per_tuple;
		for (; at > 0 && costs[at - 1] > cost.per_tuple; at--)
		{
			clauses[at] = clauses[at - 1];
			costs[at] = costs[at - 1];
		}
		clauses[at] = (Node *) rinfo->clause;
		costs[at] = cost.per_tuple;
	}
	for (int i = 0; i < n; i++)
		ordered = lappend(ordered, clauses[i]);
	pfree(clauses);
	pfree(costs);
	return ordered;
}
