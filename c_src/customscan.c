/*
 * customscan.c
 *		The CustomScan node: from the path to the plan, and its execution in the
 *		leader.
 *
 * The plan node carries what can be copied and what setrefs must see:
 *
 *		custom_scan_tlist	base Vars; the first `noutput` are emitted
 *		custom_exprs		all clauses, in tree order; Vars become INDEX_VARs
 *		custom_private		tree (bytea), workers, noutput, kB that a hash table may take
 *		custom_relids		the tables; scan k is the k-th member
 *
 * The tree is translated when the first row is asked for, with Params bound to
 * their values, and runs until its rows are out, a rescan, or the end. Nothing
 * is launched earlier, so EXPLAIN costs nothing.
 *
 * Who ends a run: in parallel mode ShutdownCustomScan at the latest, since the
 * executor leaves parallel mode right after. The leader alone must go on after
 * a shutdown, which a cursor gets after every fetch, and ends at
 * EndCustomScan. After an ERROR none of them is called: es_query_cxt's reset
 * frees Rust's objects.
 */
#include "pg_joinscan.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

static Node *create_state(CustomScan *cscan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static void shutdown_scan(CustomScanState *node);
static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
					   List *custom_plans);

const CustomPathMethods pgjs_path_methods = {
	.CustomName = "JoinScan",
	.PlanCustomPath = plan_path,
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

/* ---- path to plan ---- */

typedef struct Flatten
{
	Relids		relids;			/* of the whole tree */
	PgjsTreeNode *nodes;		/* filled from the start */
	int			count;
	List	   *exprs;			/* clauses, in the order of the nodes */
} Flatten;

/* Appends a tree, children first, and returns the place of its root. */
static uint32
flatten(Flatten *flat, const PgjsTree *tree)
{
	PgjsTreeNode node = {.kind = tree->kind};

	check_stack_depth();
	if (tree->kind == PGJS_TREE_SCAN)
		node.scan = bms_member_index(flat->relids, tree->relid);
	else
	{
		node.build = flatten(flat, tree->build);
		node.probe = flatten(flat, tree->probe);
		node.build_exchange = tree->build_exchange;
		node.probe_exchange = tree->probe_exchange;
	}
	node.first_key = list_length(flat->exprs);
	node.nkeys = list_length(tree->keys);
	flat->exprs = list_concat(flat->exprs, copyObject(tree->keys));
	node.first_filter = list_length(flat->exprs);
	node.nfilters = list_length(tree->filters);
	flat->exprs = list_concat(flat->exprs, copyObject(tree->filters));
	node.rows = tree->rows;
	node.width = tree->width;
	flat->nodes[flat->count] = node;
	return flat->count++;
}

/* The place of a column in the list from 1, or 0. */
static int
find_column(List *tlist, const Var *var)
{
	ListCell   *lc;

	foreach(lc, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		const Var  *have = (const Var *) entry->expr;

		if (have->varno == var->varno && have->varattno == var->varattno)
			return entry->resno;
	}
	return 0;
}

static List *
add_column(List *tlist, const Var *var)
{
	if (find_column(tlist, var) > 0)
		return tlist;
	return lappend(tlist, makeTargetEntry((Expr *) copyObject(var), list_length(tlist) + 1, NULL, false));
}

static List *
vars_of(List *exprs)
{
	return pull_var_clause((Node *) exprs,
						   PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS);
}

static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses, List *custom_plans)
{
	PgjsPath   *path = (PgjsPath *) best_path;
	CustomScan *cscan = makeNode(CustomScan);
	Flatten		flat = {.relids = best_path->path.parent->relids};
	List	   *columns = NIL;
	int			noutput;
	bytea	   *tree;
	Size		size;
	ListCell   *lc;

	/* n tables are joined by n - 1 joins. */
	flat.nodes = palloc0((2 * bms_num_members(flat.relids)) * sizeof(PgjsTreeNode));
	flatten(&flat, path->tree);

	foreach(lc, path->target->exprs)
		columns = add_column(columns, lfirst_node(Var, lc));
	noutput = list_length(columns);
	foreach(lc, vars_of(tlist))
	{
		Var		   *var = lfirst_node(Var, lc);

		if (find_column(columns, var) == 0)
			elog(ERROR, "JoinScan does not emit column %d of relation %u", var->varattno, (unsigned int) var->varno);
	}
	foreach(lc, vars_of(flat.exprs))
		columns = add_column(columns, lfirst_node(Var, lc));

	size = VARHDRSZ + flat.count * sizeof(PgjsTreeNode);
	tree = palloc(size);
	SET_VARSIZE(tree, size);
	memcpy(VARDATA(tree), flat.nodes, flat.count * sizeof(PgjsTreeNode));

	cscan->scan.plan.targetlist = tlist;
	cscan->scan.plan.qual = NIL;	/* the tree has all clauses; pseudoconstant ones are above, in a Result */
	cscan->scan.scanrelid = 0;
	cscan->flags = best_path->flags;
	cscan->custom_exprs = flat.exprs;
	cscan->custom_private = list_make4(makeConst(BYTEAOID, -1, InvalidOid, -1, PointerGetDatum(tree), false, false),
									   makeInteger(path->workers),
									   makeInteger(noutput),
									   makeInteger((int) Min(get_hash_memory_limit() / 1024, INT_MAX)));
	cscan->custom_scan_tlist = columns;
	cscan->custom_relids = bms_copy(flat.relids);
	cscan->methods = &pgjs_scan_methods;

	/* The executor enters parallel mode for this. */
	if (path->workers > 0)
		root->glob->parallelModeNeeded = true;
	return &cscan->scan.plan;
}

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

static int
scan_of(const PgjsScanState *state, const Var *var)
{
	for (int k = 0; k < state->nscans; k++)
	{
		if (state->rtis[k] == (Index) var->varno)
			return k;
	}
	elog(ERROR, "JoinScan has no table with range table index %d", (int) var->varno);
	return -1;
}

/* Everything here lives in es_query_cxt, the current context. */
static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	PgjsScanState *state = (PgjsScanState *) node;
	CustomScan *cscan = (CustomScan *) node->ss.ps.plan;
	bytea	   *tree = DatumGetByteaPP(linitial_node(Const, cscan->custom_private)->constvalue);
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int			rti = -1;
	int			k = 0;
	ListCell   *lc;

	state->ntree = VARSIZE_ANY_EXHDR(tree) / sizeof(PgjsTreeNode);
	state->tree = palloc(state->ntree * sizeof(PgjsTreeNode));
	memcpy(state->tree, VARDATA_ANY(tree), state->ntree * sizeof(PgjsTreeNode));
	state->workers = intVal(lsecond(cscan->custom_private));
	state->noutput = intVal(lthird(cscan->custom_private));
	state->hash_memory = (Size) intVal(lfourth(cscan->custom_private)) * 1024;

	state->nscans = bms_num_members(cscan->custom_relids);
	state->rtis = palloc(state->nscans * sizeof(Index));
	state->relations = palloc(state->nscans * sizeof(Relation));
	while ((rti = bms_next_member(cscan->custom_relids, rti)) >= 0)
	{
		state->rtis[k] = rti;
		/* Closed by the executor at the end of the query. */
		state->relations[k] = ExecOpenScanRelation(estate, rti, eflags);
		k++;
	}

	state->ncolumns = list_length(cscan->custom_scan_tlist);
	state->columns = palloc0(state->ncolumns * sizeof(PgjsColumn));
	foreach(lc, cscan->custom_scan_tlist)
	{
		Var		   *var = castNode(Var, lfirst_node(TargetEntry, lc)->expr);
		PgjsColumn *column = &state->columns[foreach_current_index(lc)];

		column->scan = scan_of(state, var);
		column->attno = var->varattno;
		column->typid = var->vartype;
		column->typmod = var->vartypmod;
		column->collation = var->varcollid;
	}
	state->has_params = pgjs_contain_params((Node *) cscan->custom_exprs);

	/* Columns that only clauses need stay NULL. */
	memset(slot->tts_isnull, true, state->ncolumns * sizeof(bool));

	state->owner = palloc0(sizeof(PgjsPlanOwner));
	state->owner->callback.func = free_plan;
	state->owner->callback.arg = state->owner;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &state->owner->callback);
}

/* ---- one run ---- */

/* Translates the tree; Params become their values in `econtext`, or NULLs without one. */
static void
translate(PgjsScanState *state, ExprContext *econtext, int participants)
{
	CustomScan *cscan = (CustomScan *) state->css.ss.ps.plan;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "JoinScan translation", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			nexprs = list_length(cscan->custom_exprs);
	const void **exprs = palloc((nexprs + 1) * sizeof(void *));
	const char **tables = palloc(state->nscans * sizeof(char *));
	PgjsPlanInput input = {0};
	PgjsHostState host;			/* without scans and queues, as for the planner's checks */
	PgjsError	error = {0};
	PgjsPlan   *plan = NULL;
	bool		translated;
	ListCell   *lc;

	/* May run an InitPlan, and so anything: before Rust is entered. */
	foreach(lc, cscan->custom_exprs)
		exprs[foreach_current_index(lc)] = state->has_params ? pgjs_bind_params(lfirst(lc), econtext) : lfirst(lc);
	for (int k = 0; k < state->nscans; k++)
		tables[k] = RelationGetRelationName(state->relations[k]);

	input.tree = state->tree;
	input.columns = state->columns;
	input.exprs = exprs;
	input.tables = tables;
	input.ntree = state->ntree;
	input.ncolumns = state->ncolumns;
	input.nexprs = nexprs;
	input.ntables = state->nscans;
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
	spec.relations = state->relations;
	spec.nscans = state->nscans;
	spec.output = state->columns;
	spec.noutput = state->noutput;
	spec.nworkers = workers;
	spec.planned = workers + 1;
	spec.planned_workers = state->workers;
	spec.planned_hash_memory = state->hash_memory;
	spec.instrument = state->css.ss.ps.instrument != NULL;

	check_stack_depth();
	state->run = pgjs_run_start(&spec);
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
	memset(&state->batch, 0, sizeof(state->batch));
	state->next = 0;
	if (run != NULL)
		pgjs_run_free(run);
}

/* Makes the next row of the batch due, or returns false when there is none. */
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
		state->next = 0;
		state->batch.nrows = 0;
		if (!pgjs_run_next(state->run, &state->batch))
		{
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

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	PgjsScanState *state = (PgjsScanState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ProjectionInfo *projection = node->ss.ps.ps_ProjInfo;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	uint32		row;

	ResetExprContext(econtext);
	if (!next_row(state))
		return ExecClearTuple(projection != NULL ? projection->pi_state.resultslot : slot);

	ExecClearTuple(slot);
	row = state->next++;
	for (int i = 0; i < state->noutput; i++)
	{
		slot->tts_values[i] = (Datum) state->batch.values[i][row];
		slot->tts_isnull[i] = state->batch.nulls[i][row];
	}
	ExecStoreVirtualTuple(slot);
	if (projection == NULL)
		return slot;
	econtext->ecxt_scantuple = slot;
	return ExecProject(projection);
}

static void
rescan(CustomScanState *node)
{
	ExecScanReScan(&node->ss);
	drop_run((PgjsScanState *) node);
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

	drop_run(state);
	free_plan(state->owner);
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
