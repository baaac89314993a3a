/*
 * customscan.h
 *		The executor node, and what EXPLAIN says of it.
 */
#ifndef PGJS_CUSTOMSCAN_H
#define PGJS_CUSTOMSCAN_H

#include "run.h"

#include "nodes/extensible.h"

/* ---- customscan.c ---- */
extern const CustomScanMethods pgjs_scan_methods;

/* What JoinScan nodes did in this process so far; for joinscan.verify. */
typedef struct PgjsCounters
{
	uint64		runs;			/* begun; each rescan is one more */
	uint64		workers;		/* launched for them */
} PgjsCounters;

extern PgjsCounters pgjs_counters;

/* What the runs of one node did, summed over rescans: [participant * noperators + operator] and alike for streams. */
typedef struct PgjsTotals
{
	PgjsMetric *operators;		/* NULL before the first run that kept metrics; memory is a maximum */
	PgjsStreamMetric *streams;
	uint32		noperators;
	uint32		nstreams;
	uint32		nparticipants;
	int			nlaunched;		/* workers of the last run */
	uint64		nruns;
} PgjsTotals;

/* Owns the plan for es_query_cxt, whose reset frees it, also after an ERROR. */
typedef struct PgjsPlanOwner
{
	MemoryContextCallback callback;
	PgjsPlan   *plan;			/* or NULL */
	int			participants;	/* that it was made for */
	char	   *expressions;	/* its expressions as text, or NULL when PostgreSQL evaluates none; in es_query_cxt */
} PgjsPlanOwner;

typedef struct PgjsScanState
{
	CustomScanState css;		/* first: PostgreSQL sees this alone */
	/* from the CustomScan, unpacked at the begin */
	PgjsTreeNode *tree;			/* ntree of them, the root last */
	int			ntree;
	uint64	   *sets;			/* nsets numbers */
	int			nsets;
	PgjsWindowFunction *functions;	/* nfunctions of them */
	int			nfunctions;
	PgjsColumn *columns;		/* ncolumns of them, the first noutput are emitted */
	const char **leaves;		/* names of the leaves that PostgreSQL runs (custom_ps), nleaves of them */
	int			nleaves;
	int			ncolumns;
	int			noutput;
	int		   *given;			/* the node's columns among the plan's; NULL: the first ones, or expressions */
	int			ngiven;
	bool		evaluates;		/* a row meets expressions of the executor's */
	int			workers;		/* planned */
	Size		hash_memory;	/* bytes a hash table, when it was planned */
	PgjsTable  *scans;			/* nscans of them */
	int			nscans;
	List	   *exprs;			/* custom_exprs, with NULLs for those that are prepared */
	List	   *prepared;		/* of PgjsPrepared */
	bool		has_params;		/* the plan holds values that a rescan may change */
	int			eflags;
	List	   *places;			/* PGJS_PRIVATE_FALLBACK; NIL: there is no fallback */
	const char *no_fallback;	/* why, or NULL */
	/* execution */
	PgjsPlanOwner *owner;
	PgjsRun    *run;			/* NULL before the first row and after a rescan */
	bool		parallel;		/* the run was begun in parallel mode, which ends before the node does */
	bool		counted;		/* the run is in the totals */
	bool		finished;		/* all rows are out */
	bool		returned;		/* a row was returned since the begin or a rescan */
	PlanState  *fallback;		/* once memory has run out: who gives the rows from then on, the last of custom_ps */
	PgjsBatch	batch;
	uint32		next;			/* row of the batch that is due */
	PgjsTotals	totals;
} PgjsScanState;

/* For EXPLAIN: the plan (translated now, with NULL for Params, when nothing was run), and the totals made current. */
extern PgjsPlan *pgjs_scan_plan(PgjsScanState *state);
extern void pgjs_scan_collect(PgjsScanState *state);

/* ---- fallback.c: PostgreSQL's plan, when memory has run out ---- */
/* Begins the plan, in the midst of the node's execution. */
extern void pgjs_fallback_begin(PgjsScanState *state);
/* Its next row, projected as the node's are. */
extern TupleTableSlot *pgjs_fallback_row(PgjsScanState *state);

/* ---- explain.c ---- */
extern void pgjs_explain(CustomScanState *node, List *ancestors, struct ExplainState *es);

#endif							/* PGJS_CUSTOMSCAN_H */
