/*
 * calls.c
 *		What a session asks of PostgreSQL by CALL: expressions over a batch of
 *		rows, and aggregates of them, in any participant, and rows of a plan of
 *		PostgreSQL's, in the leader.
 *
 * No Rust frame is on the stack here, so anything may happen: SQL functions,
 * queries that are JoinScans themselves, interrupts, errors.
 *
 * Expressions arrive as text (nodeToString), in the leader as in workers:
 * Params are Consts in it, but for those of InitPlans that the leader may yet
 * have to run, and Vars mean columns of the plan. Conditions with subqueries,
 * in the leader alone, come ready from the executor node.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "run.h"

/* A batch of a leaf ends at so many rows or bytes of by-reference values. */
#define FETCH_ROWS			8192
#define FETCH_BYTES			(16 * 1024 * 1024)

/* How values of one type are passed. */
typedef struct ValueType
{
	int16		len;
	bool		byval;
} ValueType;

/* One PgjsCall of the plan, made ready at its first call. */
typedef struct Evaluator
{
	ExprState  *conditions;		/* NULL: none */
	ExprContext *econtext;		/* that they are evaluated in */
	ExprState **results;		/* nresults of them */
	ValueType  *types;			/* of the results */
	uint32		nresults;
} Evaluator;

/* One leaf; the plan belongs to the executor node. */
typedef struct Leaf
{
	PlanState  *plan;
	bool		done;
} Leaf;

struct PgjsCalls
{
	MemoryContext cxt;			/* of all here */
	MemoryContext batch_cxt;	/* of one answer */
	PgjsExpressions expressions;
	List	   *exprs;			/* read from their text when first asked for */
	TupleTableSlot *slot;		/* of the plan's columns */
	ExprContext *econtext;
	Evaluator **evaluators;		/* by number; NULL: not asked for yet */
	uint32		nevaluators;
	PgjsAccumulator **accumulators; /* likewise */
	Leaf	   *leaves;
	uint32		nleaves;
	List	   *prepared;		/* of PgjsPrepared */
	EState	   *estate;			/* what leaves and InitPlans run in; NULL in workers */
};

PgjsCalls *
pgjs_calls_create(const PgjsExpressions *expressions, List *leaves, List *prepared, EState *estate)
{
	PgjsCalls  *calls = palloc0(sizeof(PgjsCalls));
	ListCell   *lc;

	calls->cxt = CurrentMemoryContext;
	calls->batch_cxt = AllocSetContextCreate(calls->cxt, "pg_joinscan call", ALLOCSET_DEFAULT_SIZES);
	calls->estate = estate;
	calls->prepared = prepared;
	calls->expressions = *expressions;
	calls->nevaluators = expressions->ncalls;
	calls->evaluators = palloc0(Max(expressions->ncalls, 1) * sizeof(Evaluator *));
	calls->accumulators = palloc0(Max(expressions->ncalls, 1) * sizeof(PgjsAccumulator *));
	calls->nleaves = list_length(leaves);
	calls->leaves = palloc0(Max(calls->nleaves, 1) * sizeof(Leaf));
	foreach(lc, leaves)
		calls->leaves[foreach_current_index(lc)].plan = lfirst(lc);
	return calls;
}

void
pgjs_calls_end(PgjsCalls *calls)
{
	for (uint32 i = 0; i < calls->nevaluators; i++)
	{
		if (calls->accumulators[i] != NULL)
			pgjs_accumulator_end(calls->accumulators[i]);
		calls->accumulators[i] = NULL;
	}
	if (calls->econtext != NULL)
		FreeExprContext(calls->econtext, true);
	calls->econtext = NULL;
}

/* ---- values ---- */

static ValueType
value_type(Oid type)
{
	ValueType	found;

	get_typlenbyval(type, &found.len, &found.byval);
	return found;
}

/* A value as Rust takes it: plain, and in the batch's memory. */
static Datum
plain(const PgjsCalls *calls, Datum value, ValueType type, Size *bytes)
{
	MemoryContext old;

	if (type.byval)
		return value;
	old = MemoryContextSwitchTo(calls->batch_cxt);
	if (type.len == -1 && VARATT_IS_EXTENDED(DatumGetPointer(value)))
		/* The result is new, and may have a short header no longer. */
		value = PointerGetDatum(detoast_attr((struct varlena *) DatumGetPointer(value)));
	else
		value = datumCopy(value, false, type.len);
	MemoryContextSwitchTo(old);
	*bytes += datumGetSize(value, false, type.len);
	return value;
}

/* Columns of an answer, in the batch's memory. */
typedef struct Columns
{
	uint64_t  **values;
	bool	  **nulls;
} Columns;

static Columns
make_columns(const PgjsCalls *calls, uint32 ncolumns, uint32 nrows)
{
	MemoryContext old = MemoryContextSwitchTo(calls->batch_cxt);
	Columns		columns;

	columns.values = palloc(Max(ncolumns, 1) * sizeof(uint64_t *));
	columns.nulls = palloc(Max(ncolumns, 1) * sizeof(bool *));
	for (uint32 i = 0; i < ncolumns; i++)
	{
		columns.values[i] = palloc0(Max(nrows, 1) * sizeof(uint64_t));
		columns.nulls[i] = palloc(Max(nrows, 1) * sizeof(bool));
		memset(columns.nulls[i], true, nrows);
	}
	MemoryContextSwitchTo(old);
	return columns;
}

/* ---- expressions ---- */

static void
read_expressions(PgjsCalls *calls)
{
	const PgjsExpressions *from = &calls->expressions;
	TupleDesc	desc = CreateTemplateTupleDesc(from->ncolumns);

	calls->exprs = stringToNode((char *) from->text);
	for (uint32 i = 0; i < from->ncolumns; i++)
	{
		TupleDescInitEntry(desc, i + 1, NULL, from->columns[i].typid, from->columns[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, from->columns[i].collation);
	}
	calls->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	memset(calls->slot->tts_isnull, true, from->ncolumns * sizeof(bool));
	/* Of the query's memory: what an InitPlan gives that is run here must outlast this run. */
	calls->econtext = calls->estate != NULL ? CreateExprContext(calls->estate) : CreateStandaloneExprContext();
}

/* The conditions that the executor node has made ready, or NULL. */
static const PgjsPrepared *
find_prepared(const PgjsCalls *calls, const PgjsCall *call)
{
	ListCell   *lc;

	foreach(lc, calls->prepared)
	{
		const PgjsPrepared *prepared = lfirst(lc);

		if (call->nconditions > 0 && prepared->first == call->conditions[0])
			return prepared;
	}
	return NULL;
}

static Evaluator *
find_evaluator(PgjsCalls *calls, const PgjsCall *call)
{
	const PgjsPrepared *prepared = find_prepared(calls, call);
	MemoryContext old;
	Evaluator  *evaluator;
	List	   *conditions = NIL;

	if (call->number >= calls->nevaluators)
		elog(ERROR, "evaluation %u does not exist", call->number);
	evaluator = calls->evaluators[call->number];
	if (evaluator != NULL)
		return evaluator;

	old = MemoryContextSwitchTo(calls->cxt);
	if (calls->slot == NULL)
		read_expressions(calls);
	evaluator = palloc0(sizeof(Evaluator));
	for (uint32 i = 0; prepared == NULL && i < call->nconditions; i++)
		conditions = lappend(conditions, list_nth(calls->exprs, call->conditions[i]));
	evaluator->conditions = prepared != NULL ? prepared->conditions : ExecInitQual(conditions, NULL);
	evaluator->econtext = prepared != NULL ? prepared->econtext : calls->econtext;
	evaluator->nresults = call->nresults;
	evaluator->results = palloc(Max(call->nresults, 1) * sizeof(ExprState *));
	evaluator->types = palloc(Max(call->nresults, 1) * sizeof(ValueType));
	for (uint32 i = 0; i < call->nresults; i++)
	{
		Expr	   *expr = list_nth(calls->exprs, call->results[i]);

		evaluator->results[i] = ExecInitExpr(expr, NULL);
		evaluator->types[i] = value_type(exprType((Node *) expr));
	}
	MemoryContextSwitchTo(old);
	calls->evaluators[call->number] = evaluator;
	return evaluator;
}

static void
evaluate(PgjsCalls *calls, const PgjsCall *call, PgjsAnswer *answer)
{
	Evaluator  *evaluator = find_evaluator(calls, call);
	TupleTableSlot *slot = calls->slot;
	ExprContext *econtext = evaluator->econtext;
	Columns		columns = make_columns(calls, evaluator->nresults, call->nrows);
	bool	   *passed = MemoryContextAlloc(calls->batch_cxt, Max(call->nrows, 1) * sizeof(bool));
	Size		bytes = 0;

	for (uint32 i = 0; i < call->ncolumns; i++)
	{
		if (call->columns[i] >= calls->expressions.ncolumns)
			elog(ERROR, "column %u does not exist", call->columns[i]);
	}
	econtext->ecxt_scantuple = slot;
	for (uint32 row = 0; row < call->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		ExecClearTuple(slot);
		for (uint32 i = 0; i < call->ncolumns; i++)
		{
			slot->tts_values[call->columns[i]] = (Datum) call->values[i][row];
			slot->tts_isnull[call->columns[i]] = call->nulls[i][row];
		}
		ExecStoreVirtualTuple(slot);
		passed[row] = ExecQual(evaluator->conditions, econtext);
		if (!passed[row])
			continue;
		for (uint32 i = 0; i < evaluator->nresults; i++)
		{
			Datum		value = ExecEvalExprSwitchContext(evaluator->results[i], econtext, &columns.nulls[i][row]);

			if (!columns.nulls[i][row])
				columns.values[i][row] = plain(calls, value, evaluator->types[i], &bytes);
		}
	}
	ExecClearTuple(slot);
	answer->values = (const uint64_t *const *) columns.values;
	answer->nulls = (const bool *const *) columns.nulls;
	answer->ncolumns = evaluator->nresults;
	answer->nrows = call->nrows;
	answer->passed = evaluator->conditions == NULL ? NULL : passed;
}

/* ---- aggregates ---- */

static PgjsAccumulator *
find_accumulator(PgjsCalls *calls, const PgjsCall *call, const uint32 *exprs, uint32 nexprs)
{
	MemoryContext old;
	List	   *aggregates = NIL;
	bool		grouped = false;

	if (call->number >= calls->nevaluators)
		elog(ERROR, "evaluation %u does not exist", call->number);
	if (calls->accumulators[call->number] != NULL)
		return calls->accumulators[call->number];
	for (uint32 i = 0; i < call->ncolumns; i++)
		grouped |= call->columns[i] == PGJS_COLUMN_GROUP_NUMBER;
	old = MemoryContextSwitchTo(calls->cxt);
	if (calls->slot == NULL)
		read_expressions(calls);
	for (uint32 i = 0; i < nexprs; i++)
		aggregates = lappend(aggregates, list_nth(calls->exprs, exprs[i]));
	calls->accumulators[call->number] = pgjs_accumulator_create(aggregates, &calls->expressions, grouped);
	MemoryContextSwitchTo(old);
	return calls->accumulators[call->number];
}

static void
accumulate(PgjsCalls *calls, const PgjsCall *call, PgjsAnswer *answer)
{
	pgjs_accumulate(find_accumulator(calls, call, call->conditions, call->nconditions), call);
	answer->nrows = call->nrows;
}

static void
finalize(PgjsCalls *calls, const PgjsCall *call, PgjsAnswer *answer)
{
	PgjsAccumulator *accumulator = find_accumulator(calls, call, call->results, call->nresults);
	Columns		columns = make_columns(calls, call->nresults, call->nrows);
	ValueType  *types = MemoryContextAlloc(calls->batch_cxt, Max(call->nresults, 1) * sizeof(ValueType));
	Size		bytes = 0;

	for (uint32 i = 0; i < call->nresults; i++)
		types[i] = value_type(exprType(list_nth(calls->exprs, call->results[i])));
	for (uint32 row = 0; row < call->nrows; row++)
	{
		int			first;
		int64		number = call->ncolumns > 0 ? DatumGetInt64((Datum) call->values[0][row]) : 0;
		TupleTableSlot *slot = pgjs_accumulated(accumulator, number, &first);

		for (uint32 i = 0; i < call->nresults; i++)
		{
			Datum		value = slot_getattr(slot, first + i, &columns.nulls[i][row]);

			if (!columns.nulls[i][row])
				columns.values[i][row] = plain(calls, value, types[i], &bytes);
		}
	}
	answer->values = (const uint64_t *const *) columns.values;
	answer->nulls = (const bool *const *) columns.nulls;
	answer->ncolumns = call->nresults;
	answer->nrows = call->nrows;
}

/* ---- leaves ---- */

static void
fetch(PgjsCalls *calls, const PgjsCall *call, PgjsAnswer *answer)
{
	Leaf	   *leaf;
	TupleDesc	desc;
	Columns		columns = make_columns(calls, call->ncolumns, FETCH_ROWS);
	ValueType  *types;
	Size		bytes = 0;
	uint32		row = 0;

	if (call->number >= calls->nleaves)
		elog(ERROR, "leaf %u does not exist", call->number);
	leaf = &calls->leaves[call->number];
	desc = ExecGetResultType(leaf->plan);
	types = MemoryContextAlloc(calls->batch_cxt, Max(call->ncolumns, 1) * sizeof(ValueType));
	for (uint32 i = 0; i < call->ncolumns; i++)
	{
		if (call->columns[i] < 1 || call->columns[i] > (uint32) desc->natts)
			elog(ERROR, "leaf %u has no column %u", call->number, call->columns[i]);
		types[i] = value_type(TupleDescAttr(desc, call->columns[i] - 1)->atttypid);
	}
	while (!leaf->done && row < FETCH_ROWS && bytes < FETCH_BYTES)
	{
		MemoryContext old = MemoryContextSwitchTo(calls->estate->es_query_cxt);
		TupleTableSlot *slot = ExecProcNode(leaf->plan);

		MemoryContextSwitchTo(old);
		if (TupIsNull(slot))
		{
			leaf->done = true;
			break;
		}
		for (uint32 i = 0; i < call->ncolumns; i++)
		{
			Datum		value = slot_getattr(slot, call->columns[i], &columns.nulls[i][row]);

			if (!columns.nulls[i][row])
				columns.values[i][row] = plain(calls, value, types[i], &bytes);
		}
		row++;
	}
	answer->values = (const uint64_t *const *) columns.values;
	answer->nulls = (const bool *const *) columns.nulls;
	answer->ncolumns = call->ncolumns;
	answer->nrows = row;
	answer->done = leaf->done;
}

/* ---- the call ---- */

void
pgjs_call(PgjsCalls *calls, PgjsHostState *host, PgjsSession *session)
{
	PgjsCall	call;
	PgjsAnswer	answer = {0};
	bool		taken;

	pgjs_session_call(session, &call);
	switch (call.kind)
	{
		case PGJS_CALL_EVALUATE:
			evaluate(calls, &call, &answer);
			break;
		case PGJS_CALL_ACCUMULATE:
			accumulate(calls, &call, &answer);
			break;
		case PGJS_CALL_FINALIZE:
			finalize(calls, &call, &answer);
			break;
		default:
			fetch(calls, &call, &answer);
	}

	pgjs_rust_depth++;
	taken = pgjs_session_answer(session, &answer);
	pgjs_rust_depth--;
	if (!taken)
	{
		PgjsError	error = pgjs_session_error(session);

		pgjs_raise(&host->parked, &error);
	}
	MemoryContextReset(calls->batch_cxt);
}
