/*
 * key.c
 *		Equalities that serve as join keys though they do not as they stand.
 *
 * Computed: an operand without a native form becomes a column of its side, which
 * PostgreSQL's evaluator computes below the join, row by row instead of pair by
 * pair:
 *
 *		lower(a.x) = b.y	->	Hash Join (a.1 = b.y)
 *								  PostgreSQL Projection: a.1 = lower(a.x)
 *
 * The column is a PlaceHolderVar of our own, which plan.c and setrefs treat like
 * any other.
 *
 * Visible: one that mentions the inner side of a semi-join below, whose columns
 * are no more to be had, says the same of a column that is equal to it.
 */
#include "planner.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/placeholder.h"
#include "optimizer/planmain.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

/* ---- computed ---- */

/* These have a value, or NULL, for whatever they are given; PostgreSQL calls few of its functions leakproof. */
static bool
function_is_harmless(Oid function, Oid collation)
{
	switch (function)
	{
		case F_LOWER_TEXT:
		case F_UPPER_TEXT:
		case F_INITCAP:
			return OidIsValid(collation);
		case F_BTRIM_TEXT:
		case F_BTRIM_TEXT_TEXT:
		case F_LTRIM_TEXT:
		case F_LTRIM_TEXT_TEXT:
		case F_RTRIM_TEXT:
		case F_RTRIM_TEXT_TEXT:
		case F_LEFT:
		case F_RIGHT:
		case F_REVERSE:
		case F_TRANSLATE:
		case F_TEXT_BPCHAR:
		case F_TEXT_NAME:
		case F_TEXT_BOOL:
		case F_JSONB_OBJECT_FIELD_TEXT:
		case F_JSONB_ARRAY_ELEMENT_TEXT:
		case F_JSONB_OBJECT_FIELD:
		case F_JSONB_ARRAY_ELEMENT:
		case F_DATE_TIMESTAMPTZ:
		case F_TIME_TIMESTAMPTZ:
		case F_HOST:
		case F_LOWER_ANYRANGE:
		case F_UPPER_ANYRANGE:
			return true;
		default:
			return get_func_leakproof(function);
	}
}

/* Is this a cast by way of text that every value survives? */
static bool
cast_is_harmless(const CoerceViaIO *cast)
{
	if (cast->resulttype != TEXTOID && cast->resulttype != VARCHAROID)
		return false;
	switch (exprType((Node *) cast->arg))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
		case UUIDOID:
		case JSONBOID:
			return true;
		default:
			return false;
	}
}

/* May evaluating this, outside of what is native, raise an error? */
static bool
raises_walker(Node *node, void *root)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
			return false;
		case T_List:
		case T_RelabelType:
			break;
		default:
			if (pgjs_value_is_harmless(root, node))
				return false;
			if (IsA(node, FuncExpr) &&
				function_is_harmless(((FuncExpr *) node)->funcid, ((FuncExpr *) node)->inputcollid))
				break;
			if (IsA(node, OpExpr) &&
				function_is_harmless(get_opcode(((OpExpr *) node)->opno), ((OpExpr *) node)->inputcollid))
				break;
			if (IsA(node, CoerceViaIO) && cast_is_harmless((CoerceViaIO *) node))
				break;
			return true;
	}
	return expression_tree_walker(node, raises_walker, root);
}

/* A column as it is, or as another type of the same form. */
static bool
is_column(Node *node)
{
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return pgjs_is_column(node);
}

static PgjsComputedKey
make_computed_key(PlannerInfo *root, RestrictInfo *rinfo)
{
	PgjsComputedKey key = {0};
	OpExpr	   *clause = (OpExpr *) copyObject(rinfo->clause);
	Relids		relids[] = {rinfo->left_relids, rinfo->right_relids};
	const char *reason;

	if (pgjs_clause_rung(root, rinfo, &reason) != PGJS_RUNG_POSTGRES ||
		pgjs_look_at_params(root, (Node *) clause).lazy_initplan)
		return key;
	for (int i = 0; i < 2; i++)
	{
		Node	   *operand = list_nth(clause->args, i);
		PlaceHolderVar *column;
		QualCost	cost;

		if (is_column(operand))
			continue;
		/* As of any key: whether PostgreSQL evaluates it depends on how it joins. */
		if (raises_walker(operand, root))
			return key;
		column = make_placeholder_expr(root, (Expr *) operand, relids[i]);
		if (pgjs_column_refusal((Node *) column) != NULL)
			return key;
		lfirst(list_nth_cell(clause->args, i)) = column;
		cost_qual_eval_node(&cost, operand, root);
		key.columns[i] = column;
		key.costs[i] = pgjs_cost_clause(cost.per_tuple, PGJS_RUNG_POSTGRES);
	}
	if ((key.columns[0] != NULL || key.columns[1] != NULL) &&
		pgjs_key_clause_refusal(root, (Node *) clause) == NULL)
		key.clause = (Node *) clause;
	return key;
}

/* Computed keys of one planning, by RestrictInfo: each has its own PlaceHolderVars. */
typedef struct Known
{
	const RestrictInfo *rinfo;	/* hash key */
	PgjsComputedKey key;
} Known;

bool
pgjs_computed_key(PlannerInfo *root, RestrictInfo *rinfo, PgjsComputedKey *key)
{
	PgjsPlanning *planning;
	MemoryContext old;
	Known	   *known;
	bool		found;

	if (!is_opclause(rinfo->clause) || list_length(((OpExpr *) rinfo->clause)->args) != 2)
		return false;
	/* GEQO frees and reuses memory while it searches: an address means nothing there. */
	if (root->join_search_private != NULL)
	{
		*key = make_computed_key(root, rinfo);
		return key->clause != NULL;
	}
	planning = pgjs_planning(root);
	old = MemoryContextSwitchTo(planning->cxt);
	if (planning->computed_keys == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(RestrictInfo *), .entrysize = sizeof(Known), .hcxt = planning->cxt};

		planning->computed_keys = hash_create("JoinScan computed keys", 64, &control,
											  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	known = hash_search(planning->computed_keys, &rinfo, HASH_FIND, &found);
	if (!found)
	{
		PgjsComputedKey made = make_computed_key(root, rinfo);

		known = hash_search(planning->computed_keys, &rinfo, HASH_ENTER, &found);
		known->key = made;
	}
	MemoryContextSwitchTo(old);
	*key = known->key;
	return key->clause != NULL;
}

/* ---- visible ---- */

/*
 * The tables of `relids` whose rows end in a semi-join there: their columns are
 * no more to be had above it. PostgreSQL's own semi-joins do give those of the
 * row that matched, and a condition derived from equal columns may take one of
 * them: c.k = b.k, where a.k = b.k was the semi-join's and c.k = a.k the query's.
 */
Relids
pgjs_hidden_relids(const PlannerInfo *root, Relids relids)
{
	Relids		hidden = NULL;
	ListCell   *lc;

	foreach(lc, root->join_info_list)
	{
		SpecialJoinInfo *join = lfirst_node(SpecialJoinInfo, lc);

		if (join->jointype == JOIN_SEMI && bms_is_subset(join->min_lefthand, relids) &&
			bms_is_subset(join->syn_righthand, relids))
			hidden = bms_add_members(hidden, join->syn_righthand);
	}
	return hidden;
}

/*
 * A member of `ec` that stands for `member` in the rows of `side`, and mentions
 * nothing of `hidden`. All members that a relation has are equal in its rows.
 */
static const EquivalenceMember *
visible_member(const EquivalenceClass *ec, const EquivalenceMember *member, Relids side, Relids hidden)
{
	ListCell   *lc;

	if (ec == NULL || member == NULL || ec->ec_has_volatile)
		return NULL;
	foreach(lc, ec->ec_members)
	{
		const EquivalenceMember *other = lfirst_node(EquivalenceMember, lc);

		if (!other->em_is_child && !other->em_is_const && other->em_datatype == member->em_datatype &&
			exprType((Node *) other->em_expr) == exprType((Node *) member->em_expr) &&
			bms_is_subset(other->em_relids, side) && !bms_overlap(other->em_relids, hidden))
			return other;
	}
	return NULL;
}

RestrictInfo *
pgjs_visible_clause(const PgjsPair *pair, RestrictInfo *rinfo, Relids hidden)
{
	const EquivalenceClass *ec = rinfo->parent_ec;
	const EquivalenceMember *members[] = {rinfo->left_em, rinfo->right_em};
	Relids		nullable = NULL;

	if (ec == NULL || !is_opclause(rinfo->clause))
		return NULL;
	for (int i = 0; i < 2; i++)
	{
		Relids		side;

		if (members[i] == NULL)
			return NULL;
		if (bms_overlap(members[i]->em_relids, hidden))
		{
			side = bms_is_subset(members[i]->em_relids, pair->outerrel->relids) ?
				pair->outerrel->relids : pair->innerrel->relids;
			members[i] = visible_member(ec, members[i], side, hidden);
			if (members[i] == NULL)
				return NULL;
		}
		nullable = bms_add_members(nullable, members[i]->em_nullable_relids);
	}
	return build_implied_join_equality(pair->root, ((OpExpr *) rinfo->clause)->opno,
									   ((OpExpr *) rinfo->clause)->inputcollid,
									   members[0]->em_expr, members[1]->em_expr,
									   bms_union(members[0]->em_relids, members[1]->em_relids),
									   nullable, rinfo->security_level);
}
