/*
 * verify.c
 *		joinscan.verify(query, force): one query, without JoinScan and with it,
 *		in one snapshot, and what differs.
 *
 *		off: subtransaction { joinscan.enabled = off, execute } ──▶ row texts, sorted ─┐
 *		on:  subtransaction { joinscan.enabled = on,  execute } ──▶ row texts, sorted ─┴─▶ merged
 *
 * Both executions are SPI's with the caller's rights and the caller's active
 * snapshot, in a transaction made read-only for their length. Both
 * subtransactions are rolled back, so that the second begins where the first
 * did; whatever a function in the query does to this session's state, too.
 *
 * Rows are compared as texts, as a multiset: each becomes record_out's form of
 * it, where NULL and '' differ, and goes to a tuplesort by bytes, so that a
 * large result takes work_mem and disk. The sorts outlive the subtransactions:
 * their files belong to the resource owner around them.
 *
 * An ERROR of an execution is its outcome. Raised again are those that say
 * nothing about the engine, or that nothing may go on after: cancels, writes,
 * serialization failures. No Rust frame lies below
 * its PG_TRY, since Rust never runs a query.
 */
#include "customscan.h"
#include "planner.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/tuplesort.h"

#define EXAMPLES		5		/* rows shown of those that are missing, and of those that are extra */
#define EXAMPLE_BYTES	1000	/* shown of each */

/* What one execution came to. */
typedef struct Outcome
{
	Tuplesortstate *rows;		/* of texts, by bytes */
	uint64		nrows;
	char	   *columns;		/* names and types, or NULL when no execution began */
	ErrorData  *error;			/* or NULL */
	/* from the plan that was executed */
	bool		planned;
	int			joinscans;		/* JoinScan nodes */
	int			joins;			/* PostgreSQL's join nodes */
	/* from the execution, in this process */
	uint64		runs;			/* of JoinScan nodes, rescans included */
	uint64		workers;		/* launched for them */
	List	   *reasons;		/* of char *: why JoinScan stayed out */
} Outcome;

/* A DestReceiver that sorts row texts. */
typedef struct RowReceiver
{
	DestReceiver pub;			/* first: the executor sees this alone */
	Outcome    *outcome;
	MemoryContext cxt;			/* outlives the execution */
	MemoryContext row_cxt;		/* reset for each row */
	ResourceOwner owner;		/* of the sort's files; outlives the subtransaction */
	FmgrInfo   *output;			/* one for each column */
	StringInfoData text;
} RowReceiver;

extern PGDLLEXPORT Datum pgjs_verify(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(pgjs_verify);

/* ---- rows to texts ---- */

static char *
describe_columns(TupleDesc desc)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&text, "%s%s %s", i > 0 ? ", " : "", quote_identifier(NameStr(att->attname)),
						 format_type_with_typemod(att->atttypid, att->atttypmod));
	}
	return text.data;
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->cxt);

	receiver->outcome->columns = describe_columns(desc);
	receiver->output = palloc(Max(desc->natts, 1) * sizeof(FmgrInfo));
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			function;
		bool		varlena;

		getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &function, &varlena);
		fmgr_info(function, &receiver->output[i]);
	}
	MemoryContextSwitchTo(old);
}

/* As record_out has it: nothing for NULL, "" for the empty string, quotes where anything could be misread. */
static void
append_value(StringInfo text, const char *value)
{
	bool		quote = *value == '\0' || strpbrk(value, "\"\\(), \t\n\r\v\f") != NULL;

	if (!quote)
	{
		appendStringInfoString(text, value);
		return;
	}
	appendStringInfoChar(text, '"');
	for (; *value != '\0'; value++)
	{
		if (*value == '"' || *value == '\\')
			appendStringInfoChar(text, *value);
		appendStringInfoChar(text, *value);
	}
	appendStringInfoChar(text, '"');
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	TupleDesc	desc = slot->tts_tupleDescriptor;
	MemoryContext old = MemoryContextSwitchTo(receiver->row_cxt);
	ResourceOwner owner = CurrentResourceOwner;
	Datum		row;

	slot_getallattrs(slot);
	resetStringInfo(&receiver->text);
	appendStringInfoChar(&receiver->text, '(');
	for (int i = 0; i < desc->natts; i++)
	{
		if (i > 0)
			appendStringInfoChar(&receiver->text, ',');
		if (!slot->tts_isnull[i])
			append_value(&receiver->text, OutputFunctionCall(&receiver->output[i], slot->tts_values[i]));
	}
	appendStringInfoChar(&receiver->text, ')');
	row = PointerGetDatum(cstring_to_text_with_len(receiver->text.data, receiver->text.len));

	CurrentResourceOwner = receiver->owner;
	tuplesort_putdatum(receiver->outcome->rows, row, false);
	CurrentResourceOwner = owner;
	receiver->outcome->nrows++;

	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_cxt);
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

static RowReceiver *
make_receiver(Outcome *outcome)
{
	RowReceiver *receiver = palloc0(sizeof(RowReceiver));

	receiver->pub.receiveSlot = receive_row;
	receiver->pub.rStartup = start_rows;
	receiver->pub.rShutdown = end_rows;
	receiver->pub.rDestroy = end_rows;
	receiver->pub.mydest = DestTuplestore;	/* any but DestSPI and DestNone, which SPI treats by themselves */
	receiver->outcome = outcome;
	receiver->cxt = CurrentMemoryContext;
	receiver->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "joinscan.verify row", ALLOCSET_DEFAULT_SIZES);
	receiver->owner = CurrentResourceOwner;
	initStringInfo(&receiver->text);
	return receiver;
}

/* ---- one execution ---- */

static void
count_nodes(const Plan *plan, Outcome *outcome);

static void
count_each(List *plans, Outcome *outcome)
{
	ListCell   *lc;

	foreach(lc, plans)
		count_nodes(lfirst(lc), outcome);
}

static void
count_nodes(const Plan *plan, Outcome *outcome)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			outcome->joins++;
			break;
		case T_CustomScan:
			if (((const CustomScan *) plan)->methods == &pgjs_scan_methods)
				outcome->joinscans++;
			count_each(((const CustomScan *) plan)->methods == &pgjs_scan_methods ?
					   pgjs_leaf_plans((const CustomScan *) plan) : ((const CustomScan *) plan)->custom_plans, outcome);
			break;
		case T_Append:
			count_each(((const Append *) plan)->appendplans, outcome);
			break;
		case T_MergeAppend:
			count_each(((const MergeAppend *) plan)->mergeplans, outcome);
			break;
		case T_SubqueryScan:
			count_nodes(((const SubqueryScan *) plan)->subplan, outcome);
			break;
		default:
			break;
	}
	count_nodes(plan->lefttree, outcome);
	count_nodes(plan->righttree, outcome);
}

static void
set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static SPIPlanPtr
prepare(const char *query)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_PARALLEL_OK);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* What may raise, within the subtransaction. */
static void
execute_query(const char *query, RowReceiver *receiver)
{
	Outcome    *outcome = receiver->outcome;
	SPIExecuteOptions options = {.read_only = true,.dest = &receiver->pub};
	SPIPlanPtr	plan;
	CachedPlan *cached;
	ListCell   *lc;
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = prepare(query);

	/* Planned here, and kept for the execution: it has no parameters. */
	cached = SPI_plan_get_cached_plan(plan);
	if (cached == NULL)
		elog(ERROR, "joinscan.verify got no plan");
	foreach(lc, cached->stmt_list)
	{
		PlannedStmt *stmt = lfirst_node(PlannedStmt, lc);

		count_nodes(stmt->planTree, outcome);
		count_each(stmt->subplans, outcome);
	}
	outcome->planned = true;
	ReleaseCachedPlan(cached, NULL);

	result = SPI_execute_plan_extended(plan, &options);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(result));
	SPI_finish();
}

/* Errors that are no outcome of a query. */
static bool
must_propagate(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_QUERY_CANCELED ||
		sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_ADMIN_SHUTDOWN);
}

/* Both executions in the caller's memory context; what they leave there is the outcome. */
static void
run_query(const char *query, bool joinscan, bool force, Outcome *outcome)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	PgjsReasons *around = pgjs_reasons;
	PgjsReasons reasons = {.cxt = cxt};
	RowReceiver *receiver;
	PgjsCounters before = pgjs_counters;
	int			nest_level;

	/* Half of the memory for each of the two. */
	outcome->rows = tuplesort_begin_datum(TEXTOID, TextLessOperator, C_COLLATION_OID, false,
										  Max(work_mem / 2, 64), NULL, TUPLESORT_NONE);
	receiver = make_receiver(outcome);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		nest_level = NewGUCNestLevel();
		set_option("transaction_read_only", "on");
		set_option("joinscan.enabled", joinscan ? "on" : "off");
		if (joinscan && force)
			set_option("joinscan.min_cost", "0");
		pgjs_reasons = joinscan ? &reasons : NULL;
		execute_query(query, receiver);
		AtEOXact_GUC(false, nest_level);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		outcome->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	pgjs_reasons = around;
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;

	outcome->reasons = reasons.texts;
	outcome->runs = pgjs_counters.runs - before.runs;
	outcome->workers = pgjs_counters.workers - before.workers;
	MemoryContextDelete(receiver->row_cxt);
	if (outcome->error != NULL && must_propagate(outcome->error->sqlerrcode))
	{
		if (outcome->error->sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION && outcome->error->hint == NULL)
			outcome->error->hint = pstrdup("joinscan.verify runs a query twice, so the query must not write.");
		ReThrowError(outcome->error);
	}
}

/* Raises unless it is one query that only reads; syntax errors and missing tables are the caller's, too. */
static void
check_query(const char *text)
{
	List	   *sources;
	CachedPlanSource *source;
	Query	   *query = NULL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	sources = SPI_plan_get_plan_sources(prepare(text));
	if (list_length(sources) == 1)
	{
		source = linitial(sources);
		if (list_length(source->query_list) == 1)
			query = linitial_node(Query, source->query_list);
	}
	if (query == NULL || query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("joinscan.verify takes one query that only reads"),
				 errhint("Give it a SELECT, VALUES or WITH ... SELECT, without INTO, FOR UPDATE and "
						 "data-modifying WITH.")));
	SPI_finish();
}

/* ---- the two compared ---- */

static void
put_row(ReturnSetInfo *result, const char *what, const char *off, const char *on)
{
	Datum		values[3] = {CStringGetTextDatum(what)};
	bool		nulls[3] = {false, off == NULL, on == NULL};

	if (off != NULL)
		values[1] = CStringGetTextDatum(off);
	if (on != NULL)
		values[2] = CStringGetTextDatum(on);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static char *
example(const text *row)
{
	const char *data = VARDATA_ANY(row);
	int			size = VARSIZE_ANY_EXHDR(row);
	int			shown = pg_mbcliplen(data, size, EXAMPLE_BYTES);

	return psprintf("%.*s%s", shown, data, shown < size ? " ..." : "");
}

static int
compare_texts(const text *a, const text *b)
{
	int			size_a = VARSIZE_ANY_EXHDR(a);
	int			size_b = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(size_a, size_b));

	if (order != 0)
		return order;
	return (size_a > size_b) - (size_a < size_b);
}

/* The next text of a sort, in place of the one before; NULL at the end. */
static text *
next_text(Tuplesortstate *rows, text *last)
{
	Datum		value;
	bool		isnull;

	if (last != NULL)
		pfree(last);
	CHECK_FOR_INTERRUPTS();
	if (!tuplesort_getdatum(rows, true, &value, &isnull, NULL))
		return NULL;
	return (text *) DatumGetPointer(value);
}

/* Merges the two sorts; returns how many rows one has and the other lacks, and keeps some. */
static uint64
compare_rows(Outcome *off, Outcome *on, List **missing, List **extra)
{
	uint64		differing = 0;
	text	   *a;
	text	   *b;

	tuplesort_performsort(off->rows);
	tuplesort_performsort(on->rows);
	a = next_text(off->rows, NULL);
	b = next_text(on->rows, NULL);
	while (a != NULL || b != NULL)
	{
		int			order = a == NULL ? 1 : b == NULL ? -1 : compare_texts(a, b);

		if (order != 0)
		{
			List	  **examples = order < 0 ? missing : extra;

			differing++;
			if (list_length(*examples) < EXAMPLES)
				*examples = lappend(*examples, example(order < 0 ? a : b));
		}
		if (order <= 0)
			a = next_text(off->rows, a);
		if (order >= 0)
			b = next_text(on->rows, b);
	}
	return differing;
}

/* Rows, or the error. */
static char *
describe(const Outcome *outcome)
{
	if (outcome->error == NULL)
		return psprintf(UINT64_FORMAT " rows", outcome->nrows);
	return psprintf("%s: %s", unpack_sql_state(outcome->error->sqlerrcode), outcome->error->message);
}

static char *
describe_part(const Outcome *on)
{
	StringInfoData text;

	if (!on->planned)
		return "no plan";
	if (on->joinscans == 0)
		return on->joins == 0 ? "no join in the plan" : "not in the plan";
	initStringInfo(&text);
	appendStringInfo(&text, "%s: nodes %d, runs " UINT64_FORMAT ", workers " UINT64_FORMAT,
					 on->joins == 0 ? "whole join tree" : "part of the joins",
					 on->joinscans, on->runs, on->workers);
	if (on->joins > 0)
		appendStringInfo(&text, ", joins of PostgreSQL %d", on->joins);
	return text.data;
}

static void
report(ReturnSetInfo *result, Outcome *off, Outcome *on)
{
	List	   *missing = NIL;
	List	   *extra = NIL;
	bool		columns_differ = off->columns != NULL && on->columns != NULL && strcmp(off->columns, on->columns) != 0;
	bool		equal = !columns_differ;
	ListCell   *lc;

	if (off->error == NULL && on->error == NULL)
		equal &= compare_rows(off, on, &missing, &extra) == 0;
	else
		equal &= off->error != NULL && on->error != NULL && off->error->sqlerrcode == on->error->sqlerrcode;

	put_row(result, equal ? "equal" : "different", describe(off), describe(on));
	if (columns_differ)
		put_row(result, "columns", off->columns, on->columns);
	foreach(lc, missing)
		put_row(result, "row missing", lfirst(lc), NULL);
	foreach(lc, extra)
		put_row(result, "row extra", NULL, lfirst(lc));
	put_row(result, "JoinScan", NULL, describe_part(on));
	foreach(lc, on->reasons)
		put_row(result, "declined", NULL, lfirst(lc));
}

Datum
pgjs_verify(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		force = PG_GETARG_BOOL(1);
	Outcome		off = {0};
	Outcome		on = {0};

	InitMaterializedSRF(fcinfo, 0);
	check_query(query);
	run_query(query, false, force, &off);
	run_query(query, true, force, &on);
	report((ReturnSetInfo *) fcinfo->resultinfo, &off, &on);
	tuplesort_end(off.rows);
	tuplesort_end(on.rows);
	return (Datum) 0;
}
