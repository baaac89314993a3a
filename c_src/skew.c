/*
 * skew.c
 *		Keys that very many rows of a join have, and what a shuffle does with them.
 *
 * All rows with a key go to the participant that its hash says, who works on
 * while the others wait. PostgreSQL's statistics know such keys, and a shuffle
 * can set them apart (exchange/partition.rs): rows of one side that have one
 * stay where they are, and those of the other side go to all participants, as
 * in a broadcast of these keys alone.
 *
 * Rows of the side that stays are in one participant each, so they may come
 * without a match, or once; copies of the other side's may not. A row with NULL
 * in a key matches nothing and stays, on both sides.
 *
 * A key of several columns is common if the product of its columns' shares
 * says so: as elsewhere in PostgreSQL, columns are taken to be independent.
 */
#include "planner.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* A key is common from this share of what a participant gets of a side's rows on. */
#define PGJS_COMMON_SHARE	0.1
/* Common keys of a join at most: each row's key is looked up among them. */
#define PGJS_MOST_COMMON	64

/* What statistics say of one operand of a key. */
typedef struct Operand
{
	Var		   *column;			/* that it is; NULL for an expression */
	AttStatsSlot mcv;			/* nvalues 0: unknown */
	double		nulls;			/* share of NULLs */
	double		other;			/* share of a value that is none of the most common ones */
} Operand;

/* A clause that joins hash by, and what was found about it: the search comes back to it with other pairs. */
typedef struct Equality
{
	const Node *clause;			/* hash key */
	Relids		first_relids;	/* of the first operand */
	Operand		operands[2];
	Oid			collation;
	FmgrInfo	function;
	List	   *answers;		/* of Answer: for joins whose first key it is */
} Equality;

/* One key of the join; index 0 the build side, 1 the probe side. */
typedef struct Key
{
	Equality   *equality;
	const Operand *sides[2];
	bool		build_first;	/* the build side's operand is the first one */
} Key;

#define PGJS_MOST_SKEWS		3

typedef struct Answer
{
	const Key  *keys;
	int			nkeys;
	uint32		join_type;
	int			workers;
	int			nskews;
	PgjsSkew	skews[PGJS_MOST_SKEWS];
} Answer;

static void
load_operand(PlannerInfo *root, Node *node, Oid function, Operand *operand)
{
	VariableStatData stats;
	bool		is_default;
	double		known = 0.0;

	memset(operand, 0, sizeof(*operand));
	examine_variable(root, node, 0, &stats);
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	operand->column = IsA(node, Var) ? (Var *) node : NULL;
	/* As for PostgreSQL's own estimates: no function gets to see values that the user may not. */
	if (HeapTupleIsValid(stats.statsTuple) && statistic_proc_security_check(&stats, function))
	{
		operand->nulls = ((Form_pg_statistic) GETSTRUCT(stats.statsTuple))->stanullfrac;
		if (!get_attstatsslot(&operand->mcv, stats.statsTuple, STATISTIC_KIND_MCV, InvalidOid,
							  ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
			operand->mcv.nvalues = 0;
	}
	operand->mcv.nvalues = Min(operand->mcv.nvalues, operand->mcv.nnumbers);
	for (int i = 0; i < operand->mcv.nvalues; i++)
		known += operand->mcv.numbers[i];
	operand->other = Max(1.0 - known - operand->nulls, 0.0) /
		Max(get_variable_numdistinct(&stats, &is_default) - operand->mcv.nvalues, 1.0);
	ReleaseVariableStats(stats);
}

static void
load_equality(PlannerInfo *root, const OpExpr *clause, Equality *equality)
{
	Oid			function = get_opcode(clause->opno);

	equality->first_relids = pull_varnos(root, linitial(clause->args));
	equality->collation = clause->inputcollid;
	equality->answers = NIL;
	fmgr_info(function, &equality->function);
	for (int i = 0; i < 2; i++)
		load_operand(root, list_nth(clause->args, i), function, &equality->operands[i]);
}

static Equality *
find_equality(PlannerInfo *root, const OpExpr *clause)
{
	PgjsPlanning *planning;
	MemoryContext old;
	Equality   *equality;
	bool		found;

	/* GEQO frees and reuses memory while it searches: an address means nothing there. */
	if (root->join_search_private != NULL)
	{
		equality = palloc(sizeof(Equality));
		load_equality(root, clause, equality);
		return equality;
	}
	planning = pgjs_planning(root);
	if (planning->equalities == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Node *), .entrysize = sizeof(Equality), .hcxt = planning->cxt};

		planning->equalities = hash_create("JoinScan equalities", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	equality = hash_search(planning->equalities, &clause, HASH_FIND, &found);
	if (!found)
	{
		Equality	loaded = {NULL};

		old = MemoryContextSwitchTo(planning->cxt);
		load_equality(root, clause, &loaded);
		equality = hash_search(planning->equalities, &clause, HASH_ENTER, &found);
		loaded.clause = equality->clause;
		*equality = loaded;
		MemoryContextSwitchTo(old);
	}
	return equality;
}

static Key *
find_keys(PlannerInfo *root, const List *clauses, Relids build)
{
	Key		   *keys = palloc(list_length(clauses) * sizeof(Key));
	ListCell   *lc;

	foreach(lc, clauses)
	{
		Key		   *key = &keys[foreach_current_index(lc)];

		key->equality = find_equality(root, lfirst_node(OpExpr, lc));
		key->build_first = bms_is_subset(key->equality->first_relids, build);
		for (int side = 0; side < 2; side++)
			key->sides[side] = &key->equality->operands[(side == 0) == key->build_first ? 0 : 1];
	}
	return keys;
}

/* ---- shares of a side's rows ---- */

/* Of value `at` of an operand. The values are in descending order of their shares. */
static double
share_of(const Operand *operand, int at)
{
	return at < operand->mcv.nvalues ? operand->mcv.numbers[at] : operand->other;
}

/* Of the most common key. */
static double
largest_share(const Key *keys, int nkeys, int side)
{
	double		share = 1.0;

	for (int k = 0; k < nkeys; k++)
		share *= share_of(keys[k].sides[side], 0);
	return share;
}

/* Of rows with NULL in a key. */
static double
null_share(const Key *keys, int nkeys, int side)
{
	double		others = 1.0;

	for (int k = 0; k < nkeys; k++)
		others *= 1.0 - keys[k].sides[side]->nulls;
	return 1.0 - others;
}

/* The share that the other side has of a value, and which of that side's values it is; -1: none of them. */
static double
partner_share(Key *key, int side, Datum value, int *partner)
{
	const Operand *other = key->sides[1 - side];
	bool		first = (side == 0) == key->build_first;

	for (int i = 0; i < other->mcv.nvalues; i++)
	{
		Datum		theirs = other->mcv.values[i];

		if (DatumGetBool(FunctionCall2Coll(&key->equality->function, key->equality->collation,
										   first ? value : theirs, first ? theirs : value)))
		{
			*partner = i;
			return other->mcv.numbers[i];
		}
	}
	*partner = -1;
	return other->other;
}

/* ---- common keys ---- */

/* The search for the common keys of one side, column by column. */
typedef struct Search
{
	Key		   *keys;
	int			nkeys;
	int			side;			/* that would stay */
	double		least;			/* share that makes a key common */
	Const	  **row;			/* of nkeys: the values so far */
	bool	   *matched;		/* of the other side's first column: its value is among the common ones */
	PgjsSkew   *skew;
} Search;

/* Can the rows of a side come without a match, or once? Then no copies of them may be made. */
static bool
may_stay(uint32 join_type, int side)
{
	switch (join_type)
	{
		case PGJS_JOIN_INNER:
			return true;
		case PGJS_JOIN_BUILD_OUTER:
		case PGJS_JOIN_BUILD_SEMI:
		case PGJS_JOIN_BUILD_ANTI:
			return side == 0;
		case PGJS_JOIN_PROBE_OUTER:
		case PGJS_JOIN_PROBE_SEMI:
		case PGJS_JOIN_PROBE_ANTI:
			return side == 1;
		default:
			return false;
	}
}

/* Adds the common keys that begin with the row's first `k` values, which have these shares of the two sides. */
static void
search_keys(Search *search, int k, double share, double partners)
{
	PgjsSkew   *skew = search->skew;
	const Operand *operand;

	if (list_length(skew->values) >= PGJS_MOST_COMMON * search->nkeys)
		return;
	if (k == search->nkeys)
	{
		for (int i = 0; i < k; i++)
			skew->values = lappend(skew->values, search->row[i]);
		skew->kept[search->side] += share;
		skew->copied[1 - search->side] += partners;
		return;
	}
	operand = search->keys[k].sides[search->side];
	for (int i = 0; i < operand->mcv.nvalues && share * operand->mcv.numbers[i] >= search->least; i++)
	{
		int16		length;
		bool		by_value;
		int			partner;
		double		more = partner_share(&search->keys[k], search->side, operand->mcv.values[i], &partner);

		if (k == 0 && partner >= 0)
			search->matched[partner] = true;
		get_typlenbyval(operand->mcv.valuetype, &length, &by_value);
		search->row[k] = makeConst(operand->mcv.valuetype, -1, operand->column->varcollid, length,
								   datumCopy(operand->mcv.values[i], by_value, length), false, by_value);
		search_keys(search, k + 1, share * operand->mcv.numbers[i], partners * more);
	}
}

/* Are there statistics of the values of mere columns, for all keys? */
static bool
has_values(const Key *keys, int nkeys, int side)
{
	for (int k = 0; k < nkeys; k++)
	{
		const Operand *operand = keys[k].sides[side];

		if (operand->column == NULL || operand->mcv.nvalues == 0 || operand->mcv.valuetype != operand->column->vartype)
			return false;
		/* Two values of one column would be one too many. */
		for (int other = 0; other < k; other++)
		{
			if (equal(keys[other].sides[side]->column, operand->column))
				return false;
		}
	}
	return true;
}

/* Fills `skew` for the side that would stay; false where that makes no difference. */
static bool
set_apart(Key *keys, int nkeys, uint32 join_type, int side, double least, PgjsSkew *skew)
{
	const Operand *theirs = keys[0].sides[1 - side];
	Search		search = {keys, nkeys, side, least, NULL, NULL, skew};

	memset(skew, 0, sizeof(*skew));
	skew->stays = side == 0 ? PGJS_STAYS_BUILD : PGJS_STAYS_PROBE;
	skew->largest[1 - side] = largest_share(keys, nkeys, 1 - side);
	if (may_stay(join_type, side) && has_values(keys, nkeys, side))
	{
		search.row = palloc(nkeys * sizeof(Const *));
		search.matched = palloc0((theirs->mcv.nvalues + 1) * sizeof(bool));
		search_keys(&search, 0, 1.0, 1.0);
		/* Of the other side's keys, those that go on by hash; by the first column, where there are several. */
		for (int i = 0; i <= theirs->mcv.nvalues; i++)
		{
			if (search.matched[i])
				continue;
			skew->largest[1 - side] *= share_of(theirs, i) / Max(share_of(theirs, 0), 1e-9);
			break;
		}
	}
	else
		skew->largest[side] = largest_share(keys, nkeys, side);
	for (int i = 0; i < 2; i++)
	{
		skew->kept[i] += null_share(keys, nkeys, i);
		skew->largest[i] = skew->largest[i] < least ? 0.0 : skew->largest[i];
	}
	skew->kept[side] = Min(skew->kept[side], 1.0);
	skew->copied[1 - side] = Min(skew->copied[1 - side], 1.0 - skew->kept[1 - side]);
	return skew->values != NIL || skew->kept[0] >= least || skew->kept[1] >= least;
}

static void
find_answer(Answer *answer, Key *keys)
{
	int			nkeys = answer->nkeys;
	double		least = PGJS_COMMON_SHARE / pgjs_participants(answer->workers);
	bool		skewed = false;

	answer->nskews = 1;
	memset(&answer->skews[0], 0, sizeof(answer->skews[0]));
	for (int side = 0; side < 2; side++)
	{
		double		share = Max(largest_share(keys, nkeys, side), null_share(keys, nkeys, side));

		if (share >= least)
		{
			answer->skews[0].largest[side] = share;
			skewed = true;
		}
	}
	for (int side = 1; side >= 0 && skewed; side--)
	{
		if (set_apart(keys, nkeys, answer->join_type, side, least, &answer->skews[answer->nskews]))
			answer->nskews++;
	}
}

static bool
is_same(const Answer *one, const Answer *other)
{
	if (one->nkeys != other->nkeys || one->join_type != other->join_type || one->workers != other->workers)
		return false;
	for (int k = 0; k < one->nkeys; k++)
	{
		if (one->keys[k].equality != other->keys[k].equality || one->keys[k].build_first != other->keys[k].build_first)
			return false;
	}
	return true;
}

int
pgjs_find_skews(PlannerInfo *root, const PgjsTree *join, Relids build, int workers, const PgjsSkew **skews)
{
	Key		   *keys = find_keys(root, join->keys, build);
	Answer		wanted = {keys, list_length(join->keys), join->join_type, workers};
	MemoryContext old = CurrentMemoryContext;
	Answer	   *answer;
	ListCell   *lc;

	foreach(lc, keys[0].equality->answers)
	{
		answer = lfirst(lc);
		if (is_same(answer, &wanted))
		{
			pfree(keys);
			*skews = answer->skews;
			return answer->nskews;
		}
	}
	if (root->join_search_private == NULL)
		MemoryContextSwitchTo(pgjs_planning(root)->cxt);
	answer = palloc(sizeof(Answer));
	*answer = wanted;
	find_answer(answer, keys);
	keys[0].equality->answers = lappend(keys[0].equality->answers, answer);
	MemoryContextSwitchTo(old);
	*skews = answer->skews;
	return answer->nskews;
}
