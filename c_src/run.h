/*
 * run.h
 *		One run of a plan, in the leader and in workers:
 *		parallel, worker -> calls, host -> queue, heapscan -> heappage -> lookup.
 */
#ifndef PGJS_RUN_H
#define PGJS_RUN_H

#include "pg_joinscan.h"

#include "access/parallel.h"
#include "executor/instrument.h"
#include "nodes/execnodes.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"
#include "utils/rel.h"

/* ---- queue.c: DSM layout of the queues ---- */

/* How the queues of one session lie in the segment; the same in every participant. */
typedef struct PgjsQueueLayout
{
	uint32		planned;		/* participants that the numbers are made for */
	uint32		nstreams;
	Size		control_size;	/* bytes of one control queue, shm_mq header included */
	Size		data_size;		/* bytes of one data queue */
} PgjsQueueLayout;

typedef struct PgjsQueues PgjsQueues;	/* the local handles */

extern void pgjs_queue_layout(PgjsQueueLayout *layout, uint32 planned, const PgjsStream *streams, uint32 nstreams);
extern Size pgjs_queues_size(const PgjsQueueLayout *layout, const PgjsStream *streams);
extern void pgjs_queues_create(char *area, const PgjsQueueLayout *layout, const PgjsStream *streams);
/*
 * Become sender or receiver of every queue of participant `self`; `pcxt` in
 * the leader (for the workers' handles), else NULL.
 */
extern PgjsQueues *pgjs_queues_attach(char *area, const PgjsQueueLayout *layout, const PgjsStream *streams,
									  uint32 self, uint32 participants, dsm_segment *seg, ParallelContext *pcxt);
extern PgjsIo pgjs_queue_send(PgjsQueues *queues, uint32 queue, const uint8_t *data, size_t len, bool flush);
extern PgjsIo pgjs_queue_receive(PgjsQueues *queues, uint32 queue, const uint8_t **data, size_t *len);
extern void pgjs_queues_detach(PgjsQueues *queues);

/* ---- lookup.c: the tuples that an index has for some keys ---- */

typedef struct PgjsTupleLookup PgjsTupleLookup;

/*
 * To look a key up takes about as long as to read a page with all its tuples,
 * and all participants look all keys up, while they share the pages: so many
 * times the participants there must be pages for each key.
 */
#define PGJS_PAGES_PER_LOOKUP	4
/* Tuples on more than this share of the pages, one by one, take as long as all tuples of all pages. */
#define PGJS_LOOKUP_SHARE		0.75
/* Nor so many tuples: they are slow to sort, which nobody can interrupt. */
#define PGJS_MOST_FOUND			(1024 * 1024)
/* The list of a build side's keys is no longer (key_list.rs). */
#define PGJS_MOST_LOOKUPS		(256 * 1024)

/*
 * For `nkeys` distinct keys, not NULL, of the type of attribute `attno`, in a
 * table of `nblocks` pages, whose keys each of `participants` looks up; in the
 * current context, as all that follows. NULL where no index serves, or reading
 * all pages is as fast.
 */
extern PgjsTupleLookup *pgjs_lookup_begin(Relation rel, AttrNumber attno, Snapshot snapshot, BlockNumber nblocks,
										  uint32 nkeys, uint32 participants);
/* A step, always with the same keys. NONE: there turned out to be too many tuples; the lookup has ended. */
extern PgjsLookupState pgjs_lookup_step(PgjsTupleLookup *lookup, const Datum *keys, uint32 nkeys);
/* Once it is DONE: the pages, ascending; and the line pointers on one of them. */
extern const BlockNumber *pgjs_lookup_blocks(const PgjsTupleLookup *lookup, uint32 *nblocks);
extern const OffsetNumber *pgjs_lookup_lines(const PgjsTupleLookup *lookup, BlockNumber block, int *nlines);
/* The page that comes so many after this one; InvalidBlockNumber past the last. */
extern BlockNumber pgjs_lookup_ahead(const PgjsTupleLookup *lookup, BlockNumber block, uint32 distance);
/* Closes the index, if it is open still. */
extern void pgjs_lookup_end(PgjsTupleLookup *lookup);

/* ---- heappage.c: one page ---- */

struct HeapScanDescData;

extern const uint8_t *pgjs_heappage_next(struct HeapScanDescData *heap);
extern void pgjs_heappage_read(struct HeapScanDescData *heap, BlockNumber block, Buffer before,
							   const PgjsTupleLookup *lookup);

/* ---- heapscan.c: visible pages ---- */

/*
 * What participants share about one part of a scan, that is about one table
 * that is read; in the segment, or in private memory when there is none. The
 * parts of a scan stand together, scans in the order of their numbers.
 */
typedef struct PgjsSharedScan
{
	pg_atomic_uint32 sh_next;	/* next block to claim; any participant, by compare and exchange */
	uint32		sh_nblocks;		/* written by the leader before it publishes the participants; 0: nothing to read */
	uint32		sh_scan;		/* number of the scan; likewise, before the launch, as are the following */
	Oid			sh_relid;		/* what is read */
	Oid			sh_table;		/* whose attribute numbers the plan has: the same, or its parent */
	int			sh_lockmode;
} PgjsSharedScan;

typedef struct PgjsHeapScan PgjsHeapScan;	/* one scan in one participant */

/*
 * In the current context, which must outlast the scan, one of `nscans` in this
 * participant. The sh_nblocks of `shared` may come later: before a claim.
 */
extern PgjsHeapScan *pgjs_heapscan_create(PgjsSharedScan *shared, uint32 nparts, uint32 participants, uint32 nscans);
/*
 * Makes a part ready to be read, by the attribute numbers of `table`; returns
 * its blocks as seen now. A part without blocks in `shared` need not be begun.
 */
extern uint32 pgjs_heapscan_begin(PgjsHeapScan *scan, uint32 number, Relation rel, Relation table, Snapshot snapshot);
extern PgjsIo pgjs_heapscan_open(PgjsHeapScan *scan, uint32_t number, PgjsRelation *relation);
extern PgjsIo pgjs_heapscan_look_up(PgjsHeapScan *scan, uint32_t number, AttrNumber attno, const Datum *keys,
									uint32 nkeys, PgjsLookup *out);
extern PgjsIo pgjs_heapscan_claim(PgjsHeapScan *scan, PgjsClaim *claim);
extern PgjsIo pgjs_heapscan_page(PgjsHeapScan *scan, uint32_t block, bool keep, PgjsPage *page);
extern PgjsIo pgjs_heapscan_unpin(PgjsHeapScan *scan);
extern PgjsIo pgjs_heapscan_detoast(MemoryContext cxt, const uint8_t *datum, const uint8_t **data, size_t *len);
extern void pgjs_heapscan_end(PgjsHeapScan *scan);

/* ---- parallel.c: one run of a plan in the leader; host.c part: the callback table ---- */

/*
 * What stands behind the callback table of one session in this process.
 * Callbacks get it as ctx.
 */
typedef struct PgjsHostState
{
	PgjsParked	parked;
	PgjsHost	table;			/* table.ctx points back here */
	PgjsHeapScan **scans;		/* nscans of them */
	uint32		nscans;
	PgjsQueues *queues;			/* NULL without a segment, and after the end */
	MemoryContext page_cxt;		/* detoasted values; reset by the next detoast; NULL before the first */
	bool		ending;			/* SessionEnd is on its way: a peer that leaves is no loss */
	bool		closed;			/* after the end: every callback refuses */
} PgjsHostState;

/* Fill `host` in: no scans, no queues. A parked ERROR lives in `cxt`, which must outlast every turn. */
extern void pgjs_host_init(PgjsHostState *host, MemoryContext cxt);
/* Give up what callbacks have made, where `cxt` lives on. */
extern void pgjs_host_done(PgjsHostState *host);
/* Reset callback of the context that a session lives in; `arg` is the PgjsSession **. */
extern void pgjs_free_session(void *arg);

/* PGJS_COLLATION_* flags; what has no collation compares bytewise. Can raise. */
extern uint32 pgjs_collation_flags(Oid collation);

/* ---- calls.c: what a session asks of PostgreSQL ---- */

/* The expressions of a plan, as every participant gets them. */
typedef struct PgjsExpressions
{
	const char *text;			/* nodeToString of their list; NULL when nobody evaluates any */
	const PgjsColumn *columns;	/* ncolumns that their Vars mean */
	uint32		ncolumns;
	uint32		ncalls;			/* evaluations in the plan */
} PgjsExpressions;

/* ---- accumulate.c: aggregates that PostgreSQL computes of a plan's rows ---- */
typedef struct PgjsAccumulator PgjsAccumulator;

/* For Aggrefs over plan columns; `grouped`: rows have the number of their group. In the current context. */
extern PgjsAccumulator *pgjs_accumulator_create(List *aggregates, const PgjsExpressions *expressions, bool grouped);
/* Takes the rows of a PGJS_CALL_ACCUMULATE. */
extern void pgjs_accumulate(PgjsAccumulator *accumulator, const PgjsCall *call);
/*
 * The group `number`, 0 where there is but one: its aggregates are the slot's
 * attributes from *first on, valid until the next. XX000 unless groups are
 * asked for in their order.
 */
extern TupleTableSlot *pgjs_accumulated(PgjsAccumulator *accumulator, int64 number, int *first);
extern void pgjs_accumulator_end(PgjsAccumulator *accumulator);

/* ---- extreme.c: min and max that PostgreSQL computes ---- */
typedef struct PgjsExtreme
{
	FmgrInfo	transition;
	Oid			collation;
	AttrNumber	column;			/* of the store: its argument */
} PgjsExtreme;

/* Is it min or max of a plain column, whose transition function may be called outside an aggregate? */
extern bool pgjs_is_extreme(const Aggref *aggregate);
/* For such an aggregate over the columns of a store; what it allocates lies in the current context. */
extern void pgjs_extreme_init(PgjsExtreme *extreme, const Aggref *aggregate);
/* Of some values; false if all are NULL. What is allocated on the way lies in the current context. */
extern bool pgjs_extreme_of(PgjsExtreme *extreme, const uint64 *values, const bool *nulls, uint32 nrows, Datum *best);

/* ---- calls.c: what a session asks of PostgreSQL by CALL ---- */
typedef struct PgjsCalls PgjsCalls;

/* Conditions with subqueries: these belong to the executor node, which makes them ready at its begin. */
typedef struct PgjsPrepared
{
	uint32		first;			/* of the plan's expressions */
	ExprState  *conditions;
	ExprContext *econtext;		/* the node's */
} PgjsPrepared;

/*
 * In the current context, which must outlast the session. `leaves`, of
 * PlanStates, and `prepared`, of PgjsPrepared, in the leader; NIL in workers.
 * `estate` of the query, whose InitPlans expressions may run; NULL in workers.
 */
extern PgjsCalls *pgjs_calls_create(const PgjsExpressions *expressions, List *leaves, List *prepared, EState *estate);
/* The normal end of the session: what functions want done with their expression's context is done. */
extern void pgjs_calls_end(PgjsCalls *calls);
/* Does what the last turn of `session`, PGJS_TURN_CALL, asks for. Can raise, and run anything. */
extern void pgjs_call(PgjsCalls *calls, PgjsHostState *host, PgjsSession *session);

/* What one heap scan reads; the relations are opened and locked by the executor. */
typedef struct PgjsTable
{
	Relation	table;			/* that the plan's columns are of */
	Index		rti;
	int			nparts;
	Relation   *parts;			/* that are read: its partitions or children, or itself; NULL: not this time */
	bool	   *pruned;			/* of each part: no row of this run can be in it */
	struct PgjsPruning *pruning;	/* finds that out for each run, or NULL */
} PgjsTable;

typedef struct PgjsRunSpec
{
	EState	   *estate;
	PgjsPlan   *plan;
	const PgjsTable *scans;		/* nscans of them */
	int			nscans;
	PgjsExpressions expressions;
	List	   *leaves;			/* PlanStates, by number; before their first row */
	List	   *prepared;		/* of PgjsPrepared */
	int			nworkers;		/* to launch at most; 0: the leader alone, no parallel mode */
	int			planned;		/* participants that the plan was made for */
	int			planned_workers;	/* that the planner reckoned with, also where this run may have none */
	Size		planned_hash_memory;	/* bytes a hash table, likewise */
	bool		instrument;		/* EXPLAIN ANALYZE */
} PgjsRunSpec;

typedef struct PgjsRun
{
	PgjsHostState host;
	PgjsCalls  *calls;
	PgjsSession *session;
	ParallelContext *pcxt;		/* NULL for the leader alone, and after the end */
	int			nlaunched;		/* workers; participants are one more */
	bool		instrument;
	bool		done;			/* all rows are out */
	bool		ended;
	MemoryContext cxt;			/* child of es_query_cxt; holds this struct and all that hangs on it */
	MemoryContextCallback on_reset; /* frees the Rust session with cxt */
	/* filled at the end when instrumented: [participant * noperators + operator], [participant * nstreams + stream] */
	PgjsMetric *operators;
	PgjsStreamMetric *streams;
	uint32		noperators;
	uint32		nstreams;
	uint32		nparticipants;	/* rows of the two arrays above */
} PgjsRun;

/*
 * Lay out and fill the segment, launch, begin the session. Allocated in
 * es_query_cxt, whose reset frees the Rust side.
 */
extern PgjsRun *pgjs_run_start(const PgjsRunSpec *spec);
/*
 * The next batch; false when all rows are out. Raises what a participant
 * raised, but for 53200 by JoinScan's own account where `no_fallback` is NULL:
 * sets *exhausted then and returns false, and the run is to be ended. Else it
 * says why the ERROR could not be helped.
 */
extern bool pgjs_run_next(PgjsRun *run, PgjsBatch *batch, const char *no_fallback, bool *exhausted);
/*
 * The normal end: SessionEnd, workers gone, metrics and buffer usage
 * collected, segment gone. The last batch stays valid. Idempotent.
 */
extern void pgjs_run_end(PgjsRun *run);
/*
 * Free the Rust session and all of the run early, for a rescan; ends it
 * before, if nobody has. The last batch, the metrics and `run` itself are gone
 * then. Without this call the reset of es_query_cxt does it. NULL is fine.
 */
extern void pgjs_run_free(PgjsRun *run);

/* ---- parts.c: partitioned and inherited tables, when the plan runs ---- */
/* Rules out parts of `scan` for good, at the begin of the executor; in the current context. Can raise. */
extern void pgjs_pruning_begin(PgjsTable *scan, const struct PartitionPruneInfo *info, Plan *plan, EState *estate);
/* Rules out parts for the run that begins, by the values of its parameters. May run InitPlans. */
extern void pgjs_pruning_run(PgjsTable *scan);

/* ---- worker.c ---- */
extern PGDLLEXPORT void pgjs_worker_main(dsm_segment *seg, shm_toc *toc);

/* Drive one turn loop step: serve interrupts and wait as the turn's status asks. Shared by leader and worker. */
extern PgjsTurn pgjs_turn(PgjsHostState *host, PgjsSession *session, PgjsBatch *batch, uint32 wait_event);

#endif							/* PGJS_RUN_H */
