/*
 * customscan.c
 *		The CustomScan node's execution in the leader; plan.c makes the node.
 *
 * The tree is translated when the first row is asked for, with Params bound to
 * their values, and runs until its rows are out, a rescan, or the end. Nothing
 * is launched earlier, so EXPLAIN costs nothing.
 *
 * When memory runs out before the first row, PostgreSQL's plan gives the rows
 * (fallback.c).
 *
 * Who ends a run: in parallel mode ShutdownCustomScan at the latest, since the
 * executor leaves parallel mode right after. The leader alone must go on after
 * a shutdown, which a cursor gets after every fetch, and ends at
 * EndCustomScan. After an ERROR none of them is called: es_query_cxt's reset
 * frees Rust's objects.
 */
#include "customscan.h"
#include "planner.h"

#include "access/sysattr.h"
#include "catalog/objectaccess.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PgjsCounters pgjs_counters;

static Node *create_state(CustomScan *cscan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static void shutdown_scan(CustomScanState *node);

const CustomPathMethods pgjs_path_methods = {
	.CustomName = "JoinScan",
	.PlanCustomPath = pgjs_plan_path,
};

const CustomScanMethods pgjs_scan_methods = {
	.CustomName = "JoinScan",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "JoinScan",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ShutdownCustomScan = shutdown_scan,
	.ExplainCustomScan = pgjs_explain,
};

/* ---- begin ---- */

static Node *
create_state(CustomScan *cscan)
{
	PgjsScanState *state = (PgjsScanState *) newNode(sizeof(PgjsScanState), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
free_plan(void *arg)
{
	PgjsPlanOwner *owner = arg;

	/* Should the process exit below Rust frames, Rust is left alone. */
	if (pgjs_rust_depth == 0)
		pgjs_plan_free(owner->plan);
	owner->plan = NULL;
}

/* The entries of an array that lies in custom_private as bytes; *size becomes how many there are. */
static void *
unpack(const List *private, PgjsPrivate which, Size entry, int *size)
{
	bytea	   *bytes = DatumGetByteaPP(list_nth_node(Const, private, which)->constvalue);
	void	   *entries = palloc(Max(VARSIZE_ANY_EXHDR(bytes), 1));

	*size = VARSIZE_ANY_EXHDR(bytes) / entry;
	memcpy(entries, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	return entries;
}

/*
 * The tables of one heap scan, see PGJS_PRIVATE_SCANS. They are closed by the
 * executor at the end of the query.
 */
static void
open_table(PgjsTable *scan, const List *numbers, const Index *members, const PartitionPruneInfo *pruning,
		   CustomScan *cscan, EState *estate, int eflags)
{
	scan->rti = members[linitial_int(numbers)];
	scan->table = ExecOpenScanRelation(estate, scan->rti, eflags);
	scan->nparts = Max(list_length(numbers) - 1, 1);
	scan->parts = palloc0(scan->nparts * sizeof(Relation));
	scan->pruned = palloc0(scan->nparts * sizeof(bool));
	if (list_length(numbers) == 1)
		scan->parts[0] = scan->table;
	if (pruning != NULL)
		pgjs_pruning_begin(scan, pruning, &cscan->scan.plan, estate);
	for (int k = 0; k < list_length(numbers) - 1; k++)
	{
		if (!scan->pruned[k])
			scan->parts[k] = ExecOpenScanRelation(estate, scan->rti + list_nth_int(numbers, k + 1), eflags);
	}
}

static void
open_tables(PgjsScanState *state, CustomScan *cscan, EState *estate, int eflags)
{
	List	   *scans = list_nth(cscan->custom_private, PGJS_PRIVATE_SCANS);
	List	   *pruning = list_nth(cscan->custom_private, PGJS_PRIVATE_PRUNING);
	Index	   *members = palloc(bms_num_members(cscan->custom_relids) * sizeof(Index));
	int			rti = -1;
	int			n = 0;
	ListCell   *lc;
	ListCell   *lc2;

	while ((rti = bms_next_member(cscan->custom_relids, rti)) >= 0)
		members[n++] = rti;
	state->nscans = list_length(scans);
	state->scans = palloc0(Max(state->nscans, 1) * sizeof(PgjsTable));
	forboth(lc, scans, lc2, pruning)
		open_table(&state->scans[foreach_current_index(lc)], lfirst(lc), members, lfirst(lc2), cscan, estate, eflags);
}

/* The leaves' plans; what EXPLAIN calls each is its node's own affair, the plan's trees call it by its number. */
static void
init_leaves(PgjsScanState *state, const CustomScan *cscan, EState *estate, int eflags)
{
	List	   *plans = pgjs_leaf_plans(cscan);
	ListCell   *lc;

	state->nleaves = list_length(plans);
	state->leaves = palloc(Max(state->nleaves, 1) * sizeof(char *));
	foreach(lc, plans)
	{
		/* Nothing here goes backward, marks a place or promises a cheap rescan. */
		int			flags = eflags & ~(EXEC_FLAG_REWIND | EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK);

		state->css.custom_ps = lappend(state->css.custom_ps, ExecInitNode(lfirst(lc), estate, flags));
		state->leaves[foreach_current_index(lc)] = psprintf("%d", foreach_current_index(lc) + 1);
	}
}

/*
 * The conditions of FILTERs. Their subqueries have this node as their parent:
 * rescans and EXPLAIN find them there. In the plan's text NULLs stand in their
 * place, and no Param in them is bound: they read the query's own, when they need them.
 */
static void
init_filters(PgjsScanState *state, const CustomScan *cscan)
{
	state->exprs = list_copy(cscan->custom_exprs);
	for (int at = 0; at < state->ntree; at++)
	{
		const PgjsTreeNode *node = &state->tree[at];
		List	   *conditions = NIL;
		PgjsPrepared *prepared;

		if (node->kind != PGJS_TREE_FILTER)
			continue;
		for (uint32 i = node->first_condition; i < node->first_condition + node->nconditions; i++)
		{
			conditions = lappend(conditions, pgjs_uncovered(list_nth(cscan->custom_exprs, i)));
			lfirst(list_nth_cell(state->exprs, i)) = makeBoolConst(false, true);
		}
		prepared = palloc(sizeof(PgjsPrepared));
		prepared->first = node->first_condition;
		prepared->conditions = ExecInitQual(conditions, &state->css.ss.ps);
		prepared->econtext = state->css.ss.ps.ps_ExprContext;
		state->prepared = lappend(state->prepared, prepared);
	}
}

static void
init_columns(PgjsScanState *state, const CustomScan *cscan)
{
	int			ncolumns;
	PgjsColumnSource *sources = unpack(cscan->custom_private, PGJS_PRIVATE_COLUMNS, sizeof(PgjsColumnSource),
									   &ncolumns);
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;
	ListCell   *lc;

	state->ncolumns = ncolumns;
	state->columns = palloc0(Max(ncolumns, 1) * sizeof(PgjsColumn));
	foreach(lc, cscan->custom_scan_tlist)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;
		PgjsColumn *column = &state->columns[foreach_current_index(lc)];

		column->source = sources[foreach_current_index(lc)].source;
		column->number = sources[foreach_current_index(lc)].number;
		column->attno = sources[foreach_current_index(lc)].attno;
		column->typid = exprType(expr);
		column->typmod = exprTypmod(expr);
		column->collation = exprCollation(expr);
		get_typlenbyval(column->typid, &column->typlen, &column->typbyval);
		column->utf8 = utf8;
	}
}

/*
 * What ExecInitExpr checks: may the user execute these functions? Rust would
 * not ask, and PostgreSQL's evaluator only when there is a row.
 */
static bool
check_function(Oid function, void *context)
{
	AclResult	result = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
	return false;
}

static bool
check_functions_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, check_function, NULL);
	return expression_tree_walker(node, check_functions_walker, context);
}

/* Are the node's columns all the plan's, in another order? Then no expression need be evaluated for a row. */
static void
init_given(PgjsScanState *state)
{
	PlanState  *ps = &state->css.ss.ps;
	ListCell   *lc;

	state->evaluates = ps->qual != NULL || ps->ps_ProjInfo != NULL;
	state->ngiven = state->noutput;
	if (ps->qual != NULL || ps->ps_ProjInfo == NULL)
		return;
	foreach(lc, ps->plan->targetlist)
	{
		const Var  *var = (const Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varno != INDEX_VAR || var->varattno < 1 || var->varattno > state->noutput)
			return;
	}
	state->ngiven = list_length(ps->plan->targetlist);
	state->given = palloc(Max(state->ngiven, 1) * sizeof(int));
	foreach(lc, ps->plan->targetlist)
		state->given[foreach_current_index(lc)] = ((const Var *) lfirst_node(TargetEntry, lc)->expr)->varattno - 1;
	state->evaluates = false;
}

/* Everything here lives in es_query_cxt, the current context. */
static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	PgjsScanState *state = (PgjsScanState *) node;
	CustomScan *cscan = (CustomScan *) node->ss.ps.plan;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	state->tree = unpack(cscan->custom_private, PGJS_PRIVATE_TREE, sizeof(PgjsTreeNode), &state->ntree);
	state->sets = unpack(cscan->custom_private, PGJS_PRIVATE_SETS, sizeof(uint64), &state->nsets);
	state->functions = unpack(cscan->custom_private, PGJS_PRIVATE_FUNCTIONS, sizeof(PgjsWindowFunction),
							  &state->nfunctions);
	state->workers = intVal(list_nth(cscan->custom_private, PGJS_PRIVATE_WORKERS));
	state->eflags = eflags;
	if (IsA(list_nth(cscan->custom_private, PGJS_PRIVATE_FALLBACK), String))
		state->no_fallback = strVal(list_nth(cscan->custom_private, PGJS_PRIVATE_FALLBACK));
	else
		state->places = list_nth(cscan->custom_private, PGJS_PRIVATE_FALLBACK);
	state->noutput = intVal(list_nth(cscan->custom_private, PGJS_PRIVATE_NOUTPUT));
	state->hash_memory = (Size) intVal(list_nth(cscan->custom_private, PGJS_PRIVATE_HASH_MEMORY)) * 1024;
	open_tables(state, cscan, estate, eflags);
	init_leaves(state, cscan, estate, eflags);
	init_columns(state, cscan);
	init_filters(state, cscan);
	init_given(state);
	state->has_params = pgjs_contain_params((Node *) state->exprs);
	(void) check_functions_walker((Node *) cscan->custom_exprs, NULL);
	/* Window functions, of which there are only the arguments. */
	(void) check_functions_walker((Node *) cscan->custom_scan_tlist, NULL);

	/* Columns that only clauses need stay NULL. */
	memset(slot->tts_isnull, true, state->ncolumns * sizeof(bool));

	state->owner = palloc0(sizeof(PgjsPlanOwner));
	state->owner->callback.func = free_plan;
	state->owner->callback.arg = state->owner;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &state->owner->callback);
}

/* ---- one run ---- */

/*
 * Which columns each expression mentions: `mentions` gets where in *mentioned
 * each begins, and where the last ends.
 */
static void
find_mentions(const List *exprs, uint32 *mentions, uint32 **mentioned)
{
	List	   *all = NIL;
	ListCell   *lc;
	uint32		n = 0;

	foreach(lc, exprs)
	{
		Bitmapset  *attnos = NULL;
		int			member = -1;

		mentions[foreach_current_index(lc)] = list_length(all);
		pull_varattnos((Node *) lfirst(lc), INDEX_VAR, &attnos);
		while ((member = bms_next_member(attnos, member)) >= 0)
			all = lappend_int(all, member + FirstLowInvalidHeapAttributeNumber - 1);
	}
	mentions[list_length(exprs)] = list_length(all);
	*mentioned = palloc(Max(list_length(all), 1) * sizeof(uint32));
	foreach(lc, all)
		(*mentioned)[n++] = lfirst_int(lc);
}

/*
 * Translates the tree; Params become their values in `econtext`, or NULLs
 * without one. The leader alone can leave InitPlans for when they are needed.
 */
static void
translate(PgjsScanState *state, ExprContext *econtext, int participants)
{
	CustomScan *cscan = (CustomScan *) state->css.ss.ps.plan;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "JoinScan translation", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	List	   *bound = state->exprs;
	int			nexprs = list_length(bound);
	const void **exprs = palloc((nexprs + 1) * sizeof(void *));
	const char **tables = palloc((state->nscans + 1) * sizeof(char *));
	uint32	   *mentions = palloc((nexprs + 1) * sizeof(uint32));
	uint32	   *mentioned;
	PgjsPlanInput input = {0};
	PgjsHostState host;			/* without scans and queues, as for the planner's checks */
	PgjsError	error = {0};
	PgjsPlan   *plan = NULL;
	bool		translated;
	ListCell   *lc;

	/* May run an InitPlan, and so anything: before Rust is entered. */
	if (state->has_params && econtext != NULL && participants == 1)
		bound = pgjs_bind_lazily(bound, econtext);
	else if (state->has_params)
		bound = (List *) pgjs_bind_params((Node *) bound, econtext);
	foreach(lc, bound)
		exprs[foreach_current_index(lc)] = lfirst(lc);
	for (int k = 0; k < state->nscans; k++)
		tables[k] = RelationGetRelationName(state->scans[k].table);
	find_mentions(cscan->custom_exprs, mentions, &mentioned);

	input.tree = state->tree;
	input.columns = state->columns;
	input.exprs = exprs;
	input.mentions = mentions;
	input.mentioned = mentioned;
	input.tables = tables;
	input.leaves = state->leaves;
	input.sets = state->sets;
	input.nsets = state->nsets;
	input.functions = state->functions;
	input.nfunctions = state->nfunctions;
	input.ntree = state->ntree;
	input.ncolumns = state->ncolumns;
	input.nexprs = nexprs;
	input.ntables = state->nscans;
	input.nleaves = state->nleaves;
	input.noutput = state->noutput;
	input.participants = participants;

	check_stack_depth();
	free_plan(state->owner);
	pgjs_host_init(&host, CurrentMemoryContext);
	pgjs_rust_depth++;
	translated = pgjs_plan_new(&host.table, &input, &plan, &error);
	pgjs_rust_depth--;
	if (!translated)
		pgjs_raise(&host.parked, &error);
	state->owner->plan = plan;
	state->owner->participants = participants;
	pgjs_host_done(&host);

	/* Each rescan with new Params comes by: the old text would pile up until the query ends. */
	MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	if (state->owner->expressions != NULL)
		pfree(state->owner->expressions);
	state->owner->expressions = pgjs_plan_calls(plan) > 0 ? nodeToString(bound) : NULL;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static void
start_run(PgjsScanState *state)
{
	EState	   *estate = state->css.ss.ps.state;
	PgjsRunSpec spec = {0};

	/*
	 * Parallel mode is off where the plan may be run in pieces. The same tree
	 * then runs in the leader, without exchanges.
	 */
	int			workers = estate->es_use_parallel_mode && !IsParallelWorker() ? state->workers : 0;

	if (state->owner->plan == NULL || state->has_params || state->owner->participants != workers + 1)
		translate(state, state->css.ss.ps.ps_ExprContext, workers + 1);

	spec.estate = estate;
	spec.plan = state->owner->plan;
	for (int k = 0; k < state->nscans; k++)
		pgjs_pruning_run(&state->scans[k]);
	spec.scans = state->scans;
	spec.nscans = state->nscans;
	spec.expressions.text = state->owner->expressions;
	spec.expressions.columns = state->columns;
	spec.expressions.ncolumns = state->ncolumns;
	spec.expressions.ncalls = pgjs_plan_calls(state->owner->plan);
	spec.leaves = state->css.custom_ps;
	spec.prepared = state->prepared;
	spec.nworkers = workers;
	spec.planned = workers + 1;
	spec.planned_workers = state->workers;
	spec.planned_hash_memory = state->hash_memory;
	spec.instrument = state->css.ss.ps.instrument != NULL;

	check_stack_depth();
	state->run = pgjs_run_start(&spec);
	pgjs_counters.runs++;
	pgjs_counters.workers += state->run->nlaunched;
	state->parallel = workers > 0;
	state->counted = false;
}

/* Adds what an ended run did to the totals, once. */
static void
count_run(PgjsScanState *state)
{
	PgjsTotals *totals = &state->totals;
	PgjsRun    *run = state->run;

	if (state->counted)
		return;
	state->counted = true;
	totals->nlaunched = run->nlaunched;
	totals->nruns++;
	if (run->operators == NULL || run->streams == NULL)
		return;

	/*
	 * A launch may yield fewer workers than planned: room for all of them.
	 * Other parameters may have made another plan, whose operators are not
	 * those counted so far: begin anew.
	 */
	if (totals->operators == NULL || totals->noperators != run->noperators || totals->nstreams != run->nstreams)
	{
		MemoryContext old = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
		Size		participants = state->workers + 1;

		totals->noperators = run->noperators;
		totals->nstreams = run->nstreams;
		totals->nparticipants = 0;
		totals->nruns = 1;
		totals->operators = palloc0(participants * Max(run->noperators, 1) * sizeof(PgjsMetric));
		totals->streams = palloc0(participants * Max(run->nstreams, 1) * sizeof(PgjsStreamMetric));
		MemoryContextSwitchTo(old);
	}
	Assert(run->nparticipants <= (uint32) state->workers + 1);
	totals->nparticipants = Max(totals->nparticipants, run->nparticipants);
	for (uint32 i = 0; i < run->nparticipants * run->noperators; i++)
	{
		totals->operators[i].rows += run->operators[i].rows;
		totals->operators[i].elapsed_ns += run->operators[i].elapsed_ns;
		totals->operators[i].memory = Max(totals->operators[i].memory, run->operators[i].memory);
		totals->operators[i].without_partner += run->operators[i].without_partner;
		totals->operators[i].looked_up += run->operators[i].looked_up;
	}
	for (uint32 i = 0; i < run->nparticipants * run->nstreams; i++)
	{
		totals->streams[i].rows += run->streams[i].rows;
		totals->streams[i].bytes += run->streams[i].bytes;
	}
}

static void
end_run(PgjsScanState *state)
{
	if (state->run == NULL)
		return;
	check_stack_depth();
	pgjs_run_end(state->run);
	count_run(state);
}

/* Back to before the first row. */
static void
drop_run(PgjsScanState *state)
{
	PgjsRun    *run = state->run;

	end_run(state);
	state->run = NULL;
	state->finished = false;
	state->returned = false;
	memset(&state->batch, 0, sizeof(state->batch));
	state->next = 0;
	if (run != NULL)
		pgjs_run_free(run);
}

/* Why PostgreSQL's plan cannot take over now, or NULL. */
static const char *
fallback_refusal(const PgjsScanState *state)
{
	return state->no_fallback == NULL && state->returned ? "rows have been returned" : state->no_fallback;
}

/* Makes the next row of the batch due, or returns false when there is none; or the fallback has begun, which has it. */
static bool
next_row(PgjsScanState *state)
{
	if (likely(state->next < state->batch.nrows))
		return true;
	if (state->finished)
		return false;

	if (state->run == NULL)
		start_run(state);
	else if (state->run->ended)
		elog(ERROR, "JoinScan was asked for rows after its shutdown");
	check_stack_depth();
	do
	{
		bool		exhausted = false;

		state->next = 0;
		state->batch.nrows = 0;
		if (!pgjs_run_next(state->run, &state->batch, fallback_refusal(state), &exhausted))
		{
			if (exhausted)
			{
				drop_run(state);
				pgjs_fallback_begin(state);
				return false;
			}
			state->batch.nrows = 0;
			state->finished = true;
			/* Workers and the segment are of no more use, and other nodes may want them. */
			end_run(state);
			return false;
		}
	} while (state->batch.nrows == 0);
	if (state->batch.ncolumns != (uint32) state->noutput)
		elog(ERROR, "JoinScan got %u columns instead of %d", state->batch.ncolumns, state->noutput);
	return true;
}

/* Puts columns of a row of the batch into a slot: these, or the first ones. */
static TupleTableSlot *
fill_slot(TupleTableSlot *slot, const PgjsBatch *batch, uint32 row, const int *columns, int ncolumns)
{
	ExecClearTuple(slot);
	for (int i = 0; i < ncolumns; i++)
	{
		int			column = columns == NULL ? i : columns[i];

		slot->tts_values[i] = (Datum) batch->values[column][row];
		slot->tts_isnull[i] = batch->nulls[column][row];
	}
	return ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	PgjsScanState *state = (PgjsScanState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ProjectionInfo *projection = node->ss.ps.ps_ProjInfo;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (;;)
	{
		if (state->fallback != NULL)
			return pgjs_fallback_row(state);
		if (state->evaluates)
			ResetExprContext(econtext);
		if (!next_row(state))
		{
			if (state->fallback != NULL)
				continue;
			return ExecClearTuple(projection != NULL ? projection->pi_state.resultslot : slot);
		}
		if (!state->evaluates)
		{
			state->returned = true;
			return fill_slot(state->given != NULL ? projection->pi_state.resultslot : slot, &state->batch,
							 state->next++, state->given, state->ngiven);
		}
		econtext->ecxt_scantuple = fill_slot(slot, &state->batch, state->next++, NULL, state->noutput);
		/* The deferred clauses. */
		if (node->ss.ps.qual == NULL || ExecQual(node->ss.ps.qual, econtext))
		{
			state->returned = true;
			return projection == NULL ? slot : ExecProject(projection);
		}
		InstrCountFiltered1(node, 1);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Memory that has run out once would again: the fallback stays. */
static void
rescan(CustomScanState *node)
{
	PgjsScanState *state = (PgjsScanState *) node;
	ListCell   *lc;

	ExecScanReScan(&node->ss);
	drop_run(state);
	foreach(lc, node->custom_ps)
	{
		PlanState  *leaf = lfirst(lc);

		if (state->fallback != NULL && leaf != state->fallback)
			continue;
		if (node->ss.ps.chgParam != NULL)
			UpdateChangedParamSet(leaf, node->ss.ps.chgParam);
		/* One whose Params have changed is read anew by itself. */
		if (leaf->chgParam == NULL)
			ExecReScan(leaf);
	}
}

static void
shutdown_scan(CustomScanState *node)
{
	PgjsScanState *state = (PgjsScanState *) node;

	if (state->run != NULL && state->parallel)
		end_run(state);
}

static void
end_scan(CustomScanState *node)
{
	PgjsScanState *state = (PgjsScanState *) node;

	ListCell   *lc;

	drop_run(state);
	free_plan(state->owner);
	foreach(lc, node->custom_ps)
		ExecEndNode(lfirst(lc));
}

/* ---- for EXPLAIN ---- */

PgjsPlan *
pgjs_scan_plan(PgjsScanState *state)
{
	if (state->owner->plan == NULL)
		translate(state, NULL, state->workers + 1);
	return state->owner->plan;
}

/* EXPLAIN ANALYZE and auto_explain look when all rows are out: the leader alone ends here. */
void
pgjs_scan_collect(PgjsScanState *state)
{
	end_run(state);
}
