/*
 * clause.c
 *		What the plan can evaluate, asked clause by clause, and the values of
 *		Params.
 *
 * Rust meets Vars and Consts only. At planning every Param stands for some
 * value of its type, so a check looks at a NULL of that type; at execution it
 * becomes its value.
 *
 * A clause stands on the best rung that it can: vectorised in Rust, by
 * PostgreSQL's evaluator within the plan, or above the plan. Between the first
 * two the plan's translation decides anew, with the Params' values; what is
 * found here serves the costs, and the join conditions that must be native.
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

/*
 * Params that must not be evaluated before the first row, and (in *typed)
 * whether all have a form in the plan whatever their value.
 */
typedef struct ParamContext
{
	const PlannerInfo *root;
	bool		volatile_initplan;
	bool		typed;
} ParamContext;

static bool
param_check_walker(Node *node, void *arg)
{
	ParamContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		context->typed &= param_type_ok(param->paramtype) &&
			(!type_is_collatable(param->paramtype) || GetDatabaseEncoding() == PG_UTF8);
		context->volatile_initplan |= param->paramkind == PARAM_EXEC &&
			is_volatile_initplan(context->root, param->paramid);
		return false;
	}
	return expression_tree_walker(node, param_check_walker, arg);
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

List *
pgjs_columns_of(List *exprs)
{
	return pull_var_clause((Node *) exprs, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS);
}

const char *
pgjs_column_refusal(Node *column)
{
	Oid			type = exprType(column);
	char		reason[PGJS_REASON_SIZE] = "";
	int16		typlen;
	bool		typbyval;

	get_typlenbyval(type, &typlen, &typbyval);
	if (pgjs_type_check(type, exprTypmod(column), typlen, typbyval, GetDatabaseEncoding() == PG_UTF8,
						reason, sizeof(reason)) != PGJS_CHECK_OK)
		return named(reason);
	return NULL;
}

/*
 * A numeric of declared precision lies otherwise in a plan than one of any. So
 * what a clause finds there depends on the tree: a relation may be scanned in
 * its serial tree and come out of a PostgreSQL plan in its parallel one, and a
 * PlaceHolderVar may be computed natively or by PostgreSQL. A clause is native
 * if it is so in every form.
 */
#define FORM_PARALLEL	1		/* as in the parallel trees, else in the serial ones */
#define FORM_COMPUTED	2		/* PlaceHolderVars by their expressions, else as of any precision */
#define NFORMS			4

typedef struct CheckedForm
{
	PlannerInfo *root;
	int			form;			/* of FORM_* */
	int			matters;		/* those of FORM_* that make a difference to the clause */
} CheckedForm;

/* Do the rows of this relation come out of a PostgreSQL plan? */
static bool
is_from_postgres(CheckedForm *checked, Index relid)
{
	PlannerInfo *root = checked->root;
	RelOptInfo *rel = relid < (Index) root->simple_rel_array_size ? root->simple_rel_array[relid] : NULL;
	PgjsRelInfo *info = rel == NULL ? NULL : pgjs_relinfo(root, rel);
	PgjsTree   *tree;

	if (info == NULL)
		return rel == NULL;
	if (info->serial != NULL && info->parallel != NULL && info->serial->kind != info->parallel->kind)
		checked->matters |= FORM_PARALLEL;
	tree = info->serial;
	if (tree == NULL || ((checked->form & FORM_PARALLEL) && info->parallel != NULL))
		tree = info->parallel;
	return tree != NULL && tree->kind == PGJS_TREE_LEAF;
}

/*
 * What Rust is shown of a clause at planning: NULLs for Params, Vars for
 * PlaceHolderVars, and no declared precision for a numeric that comes out of a
 * PostgreSQL plan, since nobody holds it to that.
 */
static Node *
as_checked(Node *node, void *arg)
{
	CheckedForm *checked = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
		return bind_mutator(node, NULL);
	if (IsA(node, PlaceHolderVar))
	{
		if (exprType(node) == NUMERICOID)
		{
			checked->matters |= FORM_COMPUTED;
			if (checked->form & FORM_COMPUTED)
				return as_checked((Node *) ((PlaceHolderVar *) node)->phexpr, arg);
		}
		return (Node *) makeVar(1, 1, exprType(node), -1, exprCollation(node), 0);
	}
	if (IsA(node, Var) && ((Var *) node)->vartype == NUMERICOID && is_from_postgres(checked, ((Var *) node)->varno))
	{
		Var		   *var = copyObject((Var *) node);

		var->vartypmod = -1;
		return (Node *) var;
	}
	return expression_tree_mutator(node, as_checked, arg);
}

typedef enum Question
{
	IS_CONDITION,
	IS_KEY,
	IS_HARMLESS,				/* a native condition that cannot raise an error, whatever the row */
	NQUESTIONS
} Question;

/* Asks Rust about a clause in one form. NULL: yes. */
static const char *
ask_form(Node *clause, Question question)
{
	PgjsHostState host;			/* without scans and queues: it refuses what needs a session */
	char		reason[PGJS_REASON_SIZE] = "";
	int32_t		answer;

	check_stack_depth();
	pgjs_host_init(&host, CurrentMemoryContext);
	pgjs_rust_depth++;
	if (question == IS_KEY)
		answer = pgjs_key_check(&host.table, clause, reason, sizeof(reason));
	else
		answer = pgjs_expr_check(&host.table, clause, reason, sizeof(reason));
	pgjs_rust_depth--;
	if (answer == PGJS_CHECK_ERROR)
		pgjs_rethrow(&host.parked);
	pgjs_host_done(&host);
	if (answer == PGJS_CHECK_RAISES)
		return question == IS_HARMLESS ? "it may raise an error" : NULL;
	return answer == PGJS_CHECK_OK ? NULL : named(reason);
}

/* Asks Rust about a clause in every form that it may meet. NULL: yes. */
static const char *
ask(PlannerInfo *root, Node *clause, Question question)
{
	CheckedForm checked = {root};
	const char *reason = NULL;

	for (int form = 0; form < NFORMS && reason == NULL; form++)
	{
		if ((form & ~checked.matters) != 0)
			continue;
		checked.form = form;
		reason = ask_form(as_checked(clause, &checked), question);
	}
	return reason;
}

/* Of any column that an expression mentions, also within PlaceHolderVars: nothing else may compute those. */
static const char *
columns_refusal(Node *expr)
{
	const char *reason = NULL;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, pgjs_columns_of(list_make1(expr)))
	{
		reason = pgjs_column_refusal(lfirst(lc));
		if (reason == NULL && IsA(lfirst(lc), PlaceHolderVar))
			reason = columns_refusal((Node *) ((PlaceHolderVar *) lfirst(lc))->phexpr);
		if (reason != NULL)
			break;
	}
	return reason;
}

/* The best rung that an expression can stand on for all that can be said without Rust. */
static PgjsRung
first_rung(PlannerInfo *root, Node *expr, const char **reason)
{
	ParamContext params = {root, false, true};

	if (contain_volatile_functions(expr))
	{
		*reason = "volatile functions are not supported";
		return PGJS_RUNG_ABOVE;
	}
	if (contain_subplans(expr))
	{
		*reason = "subqueries in conditions are not supported";
		return PGJS_RUNG_ABOVE;
	}
	param_check_walker(expr, &params);
	if (params.volatile_initplan)
	{
		*reason = "subqueries with volatile functions are not supported";
		return PGJS_RUNG_ABOVE;
	}
	*reason = columns_refusal(expr);
	if (*reason != NULL)
		return PGJS_RUNG_NONE;
	if (!params.typed)
	{
		*reason = "a parameter of this type is not vectorised";
		return PGJS_RUNG_POSTGRES;
	}
	*reason = NULL;
	return PGJS_RUNG_NATIVE;
}

static PgjsRung
find_rung(PlannerInfo *root, Node *expr, const char **reason, Question question)
{
	PgjsRung	rung = first_rung(root, expr, reason);

	if (rung != PGJS_RUNG_NATIVE)
		return rung;
	*reason = ask(root, expr, question);
	return *reason == NULL ? PGJS_RUNG_NATIVE : PGJS_RUNG_POSTGRES;
}

PgjsRung
pgjs_expr_rung(PlannerInfo *root, Node *expr, const char **reason)
{
	PgjsRung	rung = first_rung(root, expr, reason);

	/* Whether a value has a native form is seen when the plan is made. */
	return rung == PGJS_RUNG_NATIVE ? PGJS_RUNG_POSTGRES : rung;
}

/* What was found about one RestrictInfo: the join search comes back to it for each pair that it joins. */
typedef struct Answer
{
	const RestrictInfo *rinfo;	/* hash key */
	bool		asked[NQUESTIONS];
	PgjsRung	rung[NQUESTIONS];
	const char *reason[NQUESTIONS];
} Answer;

static PgjsRung
clause_rung(PlannerInfo *root, RestrictInfo *rinfo, const char **reason, Question question)
{
	PgjsPlanning *planning;
	MemoryContext old;
	Answer	   *answer;
	bool		found;

	/* GEQO frees and reuses memory while it searches: an address means nothing there. */
	if (root->join_search_private != NULL)
		return find_rung(root, (Node *) rinfo->clause, reason, question);

	planning = pgjs_planning(root);
	if (planning->clauses == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(RestrictInfo *), .entrysize = sizeof(Answer), .hcxt = planning->cxt};

		planning->clauses = hash_create("JoinScan clauses", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(planning->clauses, &rinfo, HASH_ENTER, &found);
	if (!found)
		memset(answer->asked, false, sizeof(answer->asked));
	if (!answer->asked[question])
	{
		old = MemoryContextSwitchTo(planning->cxt);
		answer->rung[question] = find_rung(root, (Node *) rinfo->clause, &answer->reason[question], question);
		answer->asked[question] = true;
		MemoryContextSwitchTo(old);
	}
	*reason = answer->reason[question];
	return answer->rung[question];
}

PgjsRung
pgjs_clause_rung(PlannerInfo *root, RestrictInfo *rinfo, const char **reason)
{
	return clause_rung(root, rinfo, reason, IS_CONDITION);
}

bool
pgjs_clause_is_harmless(PlannerInfo *root, RestrictInfo *rinfo)
{
	const char *reason;

	return clause_rung(root, rinfo, &reason, IS_HARMLESS) == PGJS_RUNG_NATIVE;
}

const char *
pgjs_key_refusal(PlannerInfo *root, RestrictInfo *rinfo)
{
	const char *reason;

	return clause_rung(root, rinfo, &reason, IS_KEY) == PGJS_RUNG_NATIVE ? NULL : reason;
}

/* As createplan.c orders what it evaluates: by security level, then by cost, else as they stand. */
typedef struct Ordered
{
	Node	   *clause;
	Cost		cost;
	Index		security_level;
} Ordered;

static bool
comes_after(const Ordered *one, const Ordered *other)
{
	if (one->security_level != other->security_level)
		return one->security_level > other->security_level;
	return one->cost > other->cost;
}

List *
pgjs_order_clauses(PlannerInfo *root, List *rinfos, Cost *per_tuple)
{
	int			n = list_length(rinfos);
	Ordered    *items;
	int			done = 0;
	List	   *ordered = NIL;
	ListCell   *lc;

	if (n == 0)
		return NIL;
	items = palloc(n * sizeof(Ordered));
	foreach(lc, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		Ordered		item = {(Node *) rinfo->clause};
		QualCost	cost;
		const char *reason;
		int			at = done++;

		cost_qual_eval_node(&cost, (Node *) rinfo, root);
		item.cost = cost.per_tuple;
		/* A cheap clause that gives nothing away need not wait for its level. */
		item.security_level = rinfo->leakproof && cost.per_tuple <= 10 * cpu_operator_cost ?
			0 : rinfo->security_level;
		*per_tuple += pgjs_cost_clause(cost.per_tuple, pgjs_clause_rung(root, rinfo, &reason));
		for (; at > 0 && comes_after(&items[at - 1], &item); at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
	for (int i = 0; i < n; i++)
		ordered = lappend(ordered, items[i].clause);
	pfree(items);
	return ordered;
}
