/*
 * accumulate.c
 *		Aggregates that have no native form: PostgreSQL's own Agg node over the
 *		rows that a plan sends by CALL.
 *
 * The plan numbers its groups, from 0 as it meets them, and sends the columns
 * that the aggregates look at. When all rows are there, it asks for the groups
 * in the order of their numbers.
 *
 *		rows -> tuplestore		without ORDER BY, DISTINCT, WITHIN GROUP:
 *									Sort (number) <- HashAggregate <- Named Tuplestore Scan
 *								with one of them:
 *									GroupAggregate <- Sort (number) <- Named Tuplestore Scan
 *								one group of all rows:
 *									Aggregate <- Named Tuplestore Scan
 *								and that only of min and max (extreme.c):
 *									the same, with one row of each batch in the store
 *
 * So transition functions, what they may ask of their caller (AggCheckCallContext,
 * AggGetAggref), strictness, order and errors are nodeAgg.c's, and each of these
 * nodes keeps to work_mem by temporary files. The nodes are made by hand as setrefs.c
 * leaves them.
 */
#include "run.h"

#include "access/tupdesc.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#define ROWS_NAME	"rows"

struct PgjsAccumulator
{
	MemoryContext cxt;			/* of all here */
	EState	   *estate;
	List	   *aggregates;		/* Aggrefs over the store's columns */
	bool		grouped;		/* the store's first column is the number of the group */
	bool		ordered;		/* some aggregate wants its rows sorted */
	int			ncolumns;		/* of the plan */
	int		   *places;			/* of each plan column, its number in the store from 1; 0: not in there */
	int			nplaces;		/* columns of the store */
	TupleDesc	desc;			/* of the store's rows */
	Tuplestorestate *store;
	Datum	   *values;			/* of one row */
	bool	   *nulls;
	PgjsExtreme *extremes;		/* one for each aggregate; NULL: not all of them are such, or there are groups */
	MemoryContext batch_cxt;	/* what they allocate for a batch */
	int64		ngroups;		/* the highest number and one */
	int64		next;			/* the group that is due */
	PlanState  *plan;			/* NULL: not all rows are there yet */
};

/*
 * Plan columns are (INDEX_VAR, number from 1); the store's come out of the node
 * below the Agg, and those that the aggregates look at get their places here.
 */
static Node *
over_store(Node *node, void *arg)
{
	PgjsAccumulator *accumulator = arg;
	Var		   *var = (Var *) node;
	int		   *place;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, over_store, arg);
	if (var->varno != INDEX_VAR || var->varattno < 1 || var->varattno > accumulator->ncolumns)
		elog(ERROR, "an aggregate looks at something that is no column of the plan");
	place = &accumulator->places[var->varattno - 1];
	if (*place == 0)
		*place = ++accumulator->nplaces;
	return (Node *) makeVar(OUTER_VAR, *place, var->vartype, var->vartypmod, var->varcollid, 0);
}

/* Lays out the store, and puts the aggregates over it: it has the columns that they look at. */
static void
make_store(PgjsAccumulator *accumulator, List *aggregates, const PgjsExpressions *expressions)
{
	int			natts;

	accumulator->ncolumns = expressions->ncolumns;
	accumulator->places = palloc0(Max(expressions->ncolumns, 1) * sizeof(int));
	accumulator->nplaces = accumulator->grouped ? 1 : 0;
	accumulator->aggregates = (List *) over_store((Node *) aggregates, accumulator);
	natts = accumulator->nplaces;
	accumulator->desc = CreateTemplateTupleDesc(natts);
	if (accumulator->grouped)
		TupleDescInitEntry(accumulator->desc, 1, "number", INT8OID, -1, 0);
	for (int i = 0; i < accumulator->ncolumns; i++)
	{
		const PgjsColumn *column = &expressions->columns[i];
		int			place = accumulator->places[i];

		if (place == 0)
			continue;
		TupleDescInitEntry(accumulator->desc, place, "", column->typid, column->typmod, 0);
		TupleDescInitEntryCollation(accumulator->desc, place, column->collation);
	}
	accumulator->values = palloc0(Max(natts, 1) * sizeof(Datum));
	accumulator->nulls = palloc(Max(natts, 1) * sizeof(bool));
	memset(accumulator->nulls, true, Max(natts, 1) * sizeof(bool));
	accumulator->store = tuplestore_begin_heap(false, false, work_mem);
}

static void
find_extremes(PgjsAccumulator *accumulator)
{
	ListCell   *lc;

	if (accumulator->grouped)
		return;
	foreach(lc, accumulator->aggregates)
	{
		if (!pgjs_is_extreme(lfirst_node(Aggref, lc)))
			return;
	}
	accumulator->batch_cxt = AllocSetContextCreate(accumulator->cxt, "pg_joinscan extremes", ALLOCSET_DEFAULT_SIZES);
	accumulator->extremes = palloc(list_length(accumulator->aggregates) * sizeof(PgjsExtreme));
	foreach(lc, accumulator->aggregates)
		pgjs_extreme_init(&accumulator->extremes[foreach_current_index(lc)], lfirst_node(Aggref, lc));
}

PgjsAccumulator *
pgjs_accumulator_create(List *aggregates, const PgjsExpressions *expressions, bool grouped)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "pg_joinscan aggregates", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	PgjsAccumulator *accumulator = palloc0(sizeof(PgjsAccumulator));
	ListCell   *lc;

	accumulator->cxt = cxt;
	accumulator->grouped = grouped;
	make_store(accumulator, aggregates, expressions);
	foreach(lc, accumulator->aggregates)
	{
		Aggref	   *aggregate = lfirst_node(Aggref, lc);

		/* No two share their transitions. */
		aggregate->aggno = foreach_current_index(lc);
		aggregate->aggtransno = foreach_current_index(lc);
#if PG_VERSION_NUM >= 160000
		aggregate->aggpresorted = false;
#endif
		accumulator->ordered |= aggregate->aggorder != NIL || aggregate->aggdistinct != NIL ||
			AGGKIND_IS_ORDERED_SET(aggregate->aggkind);
	}
	find_extremes(accumulator);
	MemoryContextSwitchTo(old);
	return accumulator;
}

/* For each aggregate a row of its own, with the one value that counts. */
static void
put_extremes(PgjsAccumulator *accumulator, const PgjsCall *call, const int *places)
{
	MemoryContext old = MemoryContextSwitchTo(accumulator->batch_cxt);

	for (int i = 0; i < list_length(accumulator->aggregates); i++)
	{
		PgjsExtreme *extreme = &accumulator->extremes[i];
		int			at = extreme->column - 1;

		for (uint32 column = 0; column < call->ncolumns; column++)
		{
			if (places[column] != extreme->column ||
				!pgjs_extreme_of(extreme, call->values[column], call->nulls[column], call->nrows,
								 &accumulator->values[at]))
				continue;
			accumulator->nulls[at] = false;
			tuplestore_putvalues(accumulator->store, accumulator->desc, accumulator->values, accumulator->nulls);
			accumulator->nulls[at] = true;
			break;
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(accumulator->batch_cxt);
}

void
pgjs_accumulate(PgjsAccumulator *accumulator, const PgjsCall *call)
{
	int		   *places = palloc(Max(call->ncolumns, 1) * sizeof(int));
	MemoryContext old;

	if (accumulator->plan != NULL)
		elog(ERROR, "rows come after the groups were asked for");
	for (uint32 i = 0; i < call->ncolumns; i++)
	{
		if (call->columns[i] == PGJS_COLUMN_GROUP_NUMBER && accumulator->grouped)
			places[i] = 1;
		else if (call->columns[i] < (uint32) accumulator->ncolumns)
			places[i] = accumulator->places[call->columns[i]];
		else
			elog(ERROR, "column %u does not exist", call->columns[i]);
	}
	if (accumulator->extremes != NULL)
	{
		put_extremes(accumulator, call, places);
		pfree(places);
		return;
	}
	old = MemoryContextSwitchTo(accumulator->cxt);
	for (uint32 row = 0; row < call->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < call->ncolumns; i++)
		{
			if (places[i] == 0)
				continue;
			accumulator->values[places[i] - 1] = (Datum) call->values[i][row];
			accumulator->nulls[places[i] - 1] = call->nulls[i][row];
		}
		if (accumulator->grouped)
			accumulator->ngroups = Max(accumulator->ngroups, DatumGetInt64(accumulator->values[0]) + 1);
		tuplestore_putvalues(accumulator->store, accumulator->desc, accumulator->values, accumulator->nulls);
	}
	MemoryContextSwitchTo(old);
	pfree(places);
}

/* ---- the plan over the store ---- */

/* The columns of a row, as Vars of `varno`. */
static List *
make_columns(TupleDesc desc, int varno)
{
	List	   *tlist = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		Var		   *var = makeVar(varno, i + 1, attr->atttypid, attr->atttypmod, attr->attcollation, 0);

		tlist = lappend(tlist, makeTargetEntry((Expr *) var, i + 1, NULL, false));
	}
	return tlist;
}

static Plan *
make_scan(PgjsAccumulator *accumulator)
{
	NamedTuplestoreScan *scan = makeNode(NamedTuplestoreScan);
	EphemeralNamedRelation rows = palloc0(sizeof(EphemeralNamedRelationData));

	rows->md.name = ROWS_NAME;
	rows->md.reliddesc = InvalidOid;
	rows->md.tupdesc = accumulator->desc;
	rows->md.enrtype = ENR_NAMED_TUPLESTORE;
	rows->md.enrtuples = (double) tuplestore_tuple_count(accumulator->store);
	rows->reldata = accumulator->store;
	accumulator->estate->es_queryEnv = create_queryEnv();
	register_ENR(accumulator->estate->es_queryEnv, rows);

	scan->scan.plan.targetlist = make_columns(accumulator->desc, 1);
	scan->scan.scanrelid = 1;
	scan->enrname = ROWS_NAME;
	return &scan->scan.plan;
}

/* By the number, the first column of rows like those of `desc`. */
static Plan *
make_sort(Plan *input, TupleDesc desc)
{
	Sort	   *sort = makeNode(Sort);

	sort->plan.targetlist = make_columns(desc, OUTER_VAR);
	sort->plan.lefttree = input;
	sort->numCols = 1;
	sort->sortColIdx = palloc(sizeof(AttrNumber));
	sort->sortColIdx[0] = 1;
	sort->sortOperators = palloc(sizeof(Oid));
	sort->sortOperators[0] = lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr;
	sort->collations = palloc0(sizeof(Oid));
	sort->nullsFirst = palloc0(sizeof(bool));
	return &sort->plan;
}

static Plan *
make_agg(const PgjsAccumulator *accumulator, Plan *input)
{
	Agg		   *agg = makeNode(Agg);
	List	   *tlist = NIL;
	ListCell   *lc;

	agg->aggstrategy = AGG_PLAIN;
	agg->aggsplit = AGGSPLIT_SIMPLE;
	agg->numGroups = Max(accumulator->ngroups, 1);
	if (accumulator->grouped)
	{
		agg->aggstrategy = accumulator->ordered ? AGG_SORTED : AGG_HASHED;
		agg->numCols = 1;
		agg->grpColIdx = palloc(sizeof(AttrNumber));
		agg->grpColIdx[0] = 1;
		agg->grpOperators = palloc(sizeof(Oid));
		agg->grpOperators[0] = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
		agg->grpCollations = palloc0(sizeof(Oid));
		tlist = list_make1(makeTargetEntry((Expr *) makeVar(OUTER_VAR, 1, INT8OID, -1, InvalidOid, 0), 1, NULL,
										   false));
	}
	foreach(lc, accumulator->aggregates)
		tlist = lappend(tlist, makeTargetEntry(lfirst(lc), list_length(tlist) + 1, NULL, false));
	agg->plan.targetlist = tlist;
	agg->plan.lefttree = input;
	return &agg->plan;
}

/* All rows are there. */
static void
begin_plan(PgjsAccumulator *accumulator)
{
	MemoryContext old = MemoryContextSwitchTo(accumulator->cxt);
	EState	   *estate = CreateExecutorState();
	Plan	   *plan;

	accumulator->estate = estate;
	estate->es_snapshot = GetActiveSnapshot();
	MemoryContextSwitchTo(estate->es_query_cxt);
	plan = make_scan(accumulator);
	if (accumulator->grouped && accumulator->ordered)
		plan = make_sort(plan, accumulator->desc);
	plan = make_agg(accumulator, plan);
	if (accumulator->grouped && !accumulator->ordered)
		plan = make_sort(plan, ExecTypeFromTL(plan->targetlist));
	accumulator->plan = ExecInitNode(plan, estate, 0);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
pgjs_accumulated(PgjsAccumulator *accumulator, int64 number, int *first)
{
	MemoryContext old;
	TupleTableSlot *slot;
	bool		isnull;

	if (accumulator->plan == NULL)
		begin_plan(accumulator);
	*first = accumulator->grouped ? 2 : 1;
	old = MemoryContextSwitchTo(accumulator->estate->es_query_cxt);
	slot = ExecProcNode(accumulator->plan);
	MemoryContextSwitchTo(old);
	if (TupIsNull(slot) || number != accumulator->next++ ||
		(accumulator->grouped && DatumGetInt64(slot_getattr(slot, 1, &isnull)) != number))
		elog(ERROR, "groups are not asked for in their order");
	return slot;
}

void
pgjs_accumulator_end(PgjsAccumulator *accumulator)
{
	if (accumulator->plan != NULL)
		ExecEndNode(accumulator->plan);
	tuplestore_end(accumulator->store);
	if (accumulator->estate != NULL)
		FreeExecutorState(accumulator->estate);
	MemoryContextDelete(accumulator->cxt);
}
