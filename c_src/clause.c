/*
 * clause.c
 *		What the plan can evaluate, asked clause by clause.
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
#include "planner.h"
#include "run.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

/* Bytes of a reason that Rust may write. */
#define PGJS_REASON_SIZE	256

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
	if (kept >= 9 && (strncmp(at - 8, "function", 8) == 0 || strncmp(at - 9, "aggregate", 9) == 0))
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

typedef enum Question
{
	IS_CONDITION,
	IS_KEY,
	IS_HARMLESS,				/* a native condition that cannot raise an error, whatever the row */
	IS_GROUP_KEY,				/* e = e */
	IS_SORT_KEY,				/* e < e or e > e */
	IS_AGGREGATE,				/* an Aggref */
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
	switch (question)
	{
		case IS_KEY:
			answer = pgjs_key_check(&host.table, clause, reason, sizeof(reason));
			break;
		case IS_GROUP_KEY:
			answer = pgjs_group_key_check(&host.table, clause, reason, sizeof(reason));
			break;
		case IS_SORT_KEY:
			answer = pgjs_sort_key_check(&host.table, clause, reason, sizeof(reason));
			break;
		case IS_AGGREGATE:
			answer = pgjs_aggregate_check(&host.table, clause, reason, sizeof(reason));
			break;
		default:
			answer = pgjs_expr_check(&host.table, clause, reason, sizeof(reason));
	}
	pgjs_rust_depth--;
	if (answer == PGJS_CHECK_ERROR)
		pgjs_rethrow(&host.parked);
	pgjs_host_done(&host);
	if (answer == PGJS_CHECK_RAISES)
		return question == IS_HARMLESS ? "it may raise an error" : NULL;
	return answer == PGJS_CHECK_OK ? NULL : named(reason);
}

/* Rust is asked about conditions: one that needs the value of `expr`. */
static Node *
make_null_test(Node *expr)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) expr;
	test->nulltesttype = IS_NULL;
	test->argisrow = false;
	test->location = -1;
	return (Node *) test;
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
	bool		aggregate;		/* it is an Aggref that is asked about */
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
		return pgjs_bind_params(node, NULL);
	/* In a condition they are columns. */
	if (IsA(node, GroupingFunc) || IsA(node, WindowFunc) || (IsA(node, Aggref) && !checked->aggregate))
		return (Node *) makeVar(1, 1, exprType(node), -1, exprCollation(node), 0);
	if (IsA(node, PlaceHolderVar))
	{
		if (exprType(node) == NUMERICOID)
		{
			checked->matters |= FORM_COMPUTED;
			if (checked->form & FORM_COMPUTED)
			{
				Node	   *computed = as_checked((Node *) ((PlaceHolderVar *) node)->phexpr, arg);

				/* Nothing but the values of its Params can make native what is not so now. */
				if (pgjs_contain_params((Node *) ((PlaceHolderVar *) node)->phexpr) ||
					ask_form(make_null_test(computed), IS_CONDITION) == NULL)
					return computed;
			}
		}
		return (Node *) makeVar(1, 1, exprType(node), -1, exprCollation(node), 0);
	}
	if (IsA(node, Var) && ((Var *) node)->vartype == NUMERICOID && is_from_postgres(checked, ((Var *) node)->varno))
	{
		Var		   *var = copyObject((Var *) node);

		var->vartypmod = -1;
		return (Node *) var;
	}
	if (IsA(node, Aggref))
	{
		/* Aggregates in a window's are columns. */
		checked->aggregate = false;
		node = expression_tree_mutator(node, as_checked, arg);
		checked->aggregate = true;
		return node;
	}
	return expression_tree_mutator(node, as_checked, arg);
}

/* Asks Rust about a clause in every form that it may meet. NULL: yes. */
static const char *
ask(PlannerInfo *root, Node *clause, Question question)
{
	CheckedForm checked = {root};
	const char *reason = NULL;

	checked.aggregate = question == IS_AGGREGATE;

	for (int form = 0; form < NFORMS && reason == NULL; form++)
	{
		if ((form & ~checked.matters) != 0)
			continue;
		checked.form = form;
		reason = ask_form(as_checked(clause, &checked), question);
	}
	return reason;
}

const char *
pgjs_key_clause_refusal(PlannerInfo *root, Node *clause)
{
	return ask(root, clause, IS_KEY);
}

bool
pgjs_value_is_harmless(PlannerInfo *root, Node *expr)
{
	return ask(root, make_null_test(expr), IS_HARMLESS) == NULL;
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
	PgjsParams	params = pgjs_look_at_params(root, expr);

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
	if (params.lazy_initplan)
	{
		*reason = "a subquery that not every row needs is not vectorised";
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

/* NULL when `expr`, as part of what the query computes above its joins, is native; else the reason. */
static const char *
native_refusal(PlannerInfo *root, Node *expr, Question question)
{
	const char *reason;

	return find_rung(root, expr, &reason, question) == PGJS_RUNG_NATIVE ? NULL : reason;
}

const char *
pgjs_group_refusal(PlannerInfo *root, Node *key)
{
	return native_refusal(root, key, IS_GROUP_KEY);
}

const char *
pgjs_order_refusal(PlannerInfo *root, Node *key)
{
	return native_refusal(root, key, IS_SORT_KEY);
}

const char *
pgjs_aggregate_refusal(PlannerInfo *root, Aggref *aggregate)
{
	return native_refusal(root, (Node *) aggregate, IS_AGGREGATE);
}

const char *
pgjs_value_refusal(PlannerInfo *root, Node *expr)
{
	return native_refusal(root, make_null_test(expr), IS_CONDITION);
}

/* What was found about one RestrictInfo: the join search comes back to it for each pair that it joins. */
typedef struct PgjsClause
{
	const RestrictInfo *rinfo;	/* hash key */
	struct PgjsClause *like;	/* one whose answers are the same, itself maybe */
	bool		asked[NQUESTIONS];
	PgjsRung	rung[NQUESTIONS];
	const char *reason[NQUESTIONS];
	bool		is_costed;		/* the following are known */
	bool		parallel_safe;
	Cost		cost;			/* a row, for PostgreSQL */
} PgjsClause;

/* An operator between two columns, of which nothing matters but what types they have; else NULL. */
static const OpExpr *
plain_comparison(const Expr *clause)
{
	const OpExpr *comparison = (const OpExpr *) clause;
	ListCell   *lc;

	if (!is_opclause(clause) || list_length(comparison->args) != 2)
		return NULL;
	foreach(lc, comparison->args)
	{
		const Var  *column = lfirst(lc);

		/* Of a numeric it does matter where it comes from, see FORM_PARALLEL. */
		if (!IsA(column, Var) || column->varattno <= 0 || column->vartype == NUMERICOID)
			return NULL;
	}
	return comparison;
}

static bool
are_alike(const OpExpr *one, const OpExpr *other)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (one->opno != other->opno || one->inputcollid != other->inputcollid)
		return false;
	forboth(lc, one->args, lc2, other->args)
	{
		const Var  *column = lfirst_node(Var, lc);
		const Var  *theirs = lfirst_node(Var, lc2);

		if (column->vartype != theirs->vartype || column->vartypmod != theirs->vartypmod ||
			column->varcollid != theirs->varcollid)
			return false;
	}
	return true;
}

/* Most joins of a query compare integers with integers: such clauses are asked about once. */
static PgjsClause *
find_like(PgjsPlanning *planning, PgjsClause *answer)
{
	const OpExpr *comparison = plain_comparison(answer->rinfo->clause);
	MemoryContext old;
	ListCell   *lc;

	if (comparison == NULL)
		return answer;
	foreach(lc, planning->comparisons)
	{
		PgjsClause *other = lfirst(lc);

		if (are_alike(comparison, (const OpExpr *) other->rinfo->clause))
			return other;
	}
	old = MemoryContextSwitchTo(planning->cxt);
	planning->comparisons = lappend(planning->comparisons, answer);
	MemoryContextSwitchTo(old);
	return answer;
}

static PgjsClause *
find_answer(PlannerInfo *root, const RestrictInfo *rinfo)
{
	PgjsPlanning *planning;
	PgjsClause *answer;
	bool		found;

	/* GEQO frees and reuses memory while it searches: an address means nothing there. */
	if (root->join_search_private != NULL)
		return palloc0(sizeof(PgjsClause));

	planning = pgjs_planning(root);
	/* Questions about a clause come one after the other. */
	if (planning->clause != NULL && planning->clause->rinfo == rinfo)
		return planning->clause->like;
	if (planning->clauses == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(rinfo), .entrysize = sizeof(PgjsClause), .hcxt = planning->cxt};

		planning->clauses = hash_create("JoinScan clauses", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(planning->clauses, &rinfo, HASH_ENTER, &found);
	if (!found)
	{
		memset(answer, 0, sizeof(*answer));
		answer->rinfo = rinfo;
		answer->like = find_like(planning, answer);
	}
	planning->clause = answer;
	return answer->like;
}

/* The context that what an answer points to must live in. */
static MemoryContext
answer_context(PlannerInfo *root)
{
	return root->join_search_private != NULL ? CurrentMemoryContext : pgjs_planning(root)->cxt;
}

static PgjsRung
clause_rung(PlannerInfo *root, RestrictInfo *rinfo, const char **reason, Question question)
{
	PgjsClause *answer = find_answer(root, rinfo);

	if (!answer->asked[question])
	{
		MemoryContext old = MemoryContextSwitchTo(answer_context(root));

		answer->rung[question] = find_rung(root, (Node *) rinfo->clause, &answer->reason[question], question);
		answer->asked[question] = true;
		MemoryContextSwitchTo(old);
	}
	*reason = answer->reason[question];
	return answer->rung[question];
}

static const PgjsClause *
costed_answer(PlannerInfo *root, RestrictInfo *rinfo)
{
	PgjsClause *answer = find_answer(root, rinfo);

	if (!answer->is_costed)
	{
		QualCost	cost;

		cost_qual_eval_node(&cost, (Node *) rinfo, root);
		answer->cost = cost.per_tuple;
		answer->parallel_safe = is_parallel_safe(root, (Node *) rinfo->clause);
		answer->is_costed = true;
	}
	return answer;
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

bool
pgjs_clause_is_parallel_safe(PlannerInfo *root, RestrictInfo *rinfo)
{
	return costed_answer(root, rinfo)->parallel_safe;
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
	if (n == 1 && per_tuple == NULL)
		return list_make1(linitial_node(RestrictInfo, rinfos)->clause);
	items = palloc(n * sizeof(Ordered));
	foreach(lc, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		Ordered		item = {(Node *) rinfo->clause};
		int			at = done++;

		item.cost = costed_answer(root, rinfo)->cost;
		/* A cheap clause that gives nothing away need not wait for its level. */
		item.security_level = rinfo->leakproof && item.cost <= 10 * cpu_operator_cost ?
			0 : rinfo->security_level;
		if (per_tuple != NULL)
		{
			const char *reason;

			*per_tuple += pgjs_cost_clause(item.cost, pgjs_clause_rung(root, rinfo, &reason));
		}
		for (; at > 0 && comes_after(&items[at - 1], &item); at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
	for (int i = 0; i < n; i++)
		ordered = lappend(ordered, items[i].clause);
	pfree(items);
	return ordered;
}
