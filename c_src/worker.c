/*
 * worker.c
 *		A worker's life: from the parallel worker's entry to SessionEnd.
 *
 * ParallelWorkerMain calls pgjs_worker_main in a transaction of the leader's
 * kind, with its snapshot active, its settings, role and library state
 * restored. The worker waits for the publication, begins its share of the
 * scans, decodes the plan and turns until its session is over: SessionEnd came,
 * or the leader's control queue is gone. Between turns it sleeps on its latch.
 *
 * An ERROR here goes to the leader through the error queue and ends the
 * process; the exit's abort frees the session, the segment's detach callbacks
 * tell the peers.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "segment.h"

typedef struct Worker
{
	PgjsHostState host;
	PgjsExpressions expressions;
	PgjsCalls  *calls;
	PgjsSession *session;
	List	   *relations;		/* those that are open */
	MemoryContextCallback on_reset;
} Worker;

/*
 * Sleep until the leader has published, see PgjsShared. A leader that fails
 * before it does so terminates us: the sleep serves interrupts.
 */
static uint32
wait_for_publication(PgjsShared *shared)
{
	uint32		participants;

	for (;;)
	{
		participants = pg_atomic_read_u32(&shared->sh_participants);
		if (participants > 0)
			break;
		ConditionVariableSleep(&shared->sh_published, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	pg_read_barrier();
	return participants;
}

static Relation
open_table(Worker *worker, Oid relid, int lockmode)
{
	Relation	relation = table_open(relid, lockmode);

	worker->relations = lappend(worker->relations, relation);
	return relation;
}

/* The parts of one scan; those without blocks are left alone. */
static PgjsHeapScan *
begin_scan(Worker *worker, PgjsSharedScan *parts, uint32 nparts, uint32 participants, uint32 nscans)
{
	PgjsHeapScan *scan = pgjs_heapscan_create(parts, nparts, participants, nscans);
	Relation	table = NULL;

	for (uint32 k = 0; k < nparts; k++)
	{
		Relation	part;

		if (parts[k].sh_nblocks == 0)
			continue;
		if (table == NULL)
			table = open_table(worker, parts[k].sh_table, parts[k].sh_lockmode);
		part = parts[k].sh_relid == parts[k].sh_table ? table :
			open_table(worker, parts[k].sh_relid, parts[k].sh_lockmode);
		(void) pgjs_heapscan_begin(scan, k, part, table, GetActiveSnapshot());
	}
	return scan;
}

static void
begin_scans(Worker *worker, PgjsSharedScan *parts, const PgjsShared *shared, uint32 participants)
{
	PgjsSharedScan *end = parts + shared->sh_nparts;

	worker->host.scans = palloc0(sizeof(PgjsHeapScan *) * shared->sh_nscans);
	worker->host.nscans = shared->sh_nscans;
	for (uint32 i = 0; i < shared->sh_nscans; i++)
	{
		uint32		nparts = 0;

		while (parts + nparts < end && parts[nparts].sh_scan == i)
			nparts++;
		worker->host.scans[i] = begin_scan(worker, parts, nparts, participants, shared->sh_nscans);
		parts += nparts;
	}
}

static void
begin_session(Worker *worker, shm_toc *toc, const PgjsShared *shared, uint32 self, uint32 participants)
{
	const uint8_t *plan = shm_toc_lookup(toc, PGJS_KEY_PLAN, false);
	PgjsSessionConfig config = shared->sh_config;
	PgjsError	error;
	bool		ok;

	config.participant = self;
	config.participants = participants;

	pgjs_rust_depth++;
	ok = pgjs_session_new(&worker->host.table, &config, plan, shared->sh_plan_len,
						  &worker->session, &error);
	pgjs_rust_depth--;
	if (!ok)
		pgjs_raise(&worker->host.parked, &error);
}

/* Turn until the session is over. */
static void
serve(Worker *worker)
{
	PgjsBatch	batch;
	PgjsTurn	turn;

	do
	{
		turn = pgjs_turn(&worker->host, worker->session, &batch, PG_WAIT_EXTENSION);
		if (turn == PGJS_TURN_ERROR)
		{
			PgjsError	error = pgjs_session_error(worker->session);

			pgjs_raise(&worker->host.parked, &error);
		}
		if (turn == PGJS_TURN_CALL)
			pgjs_call(worker->calls, &worker->host, worker->session);
		if (turn == PGJS_TURN_READY)
			elog(ERROR, "unexpected result %d of a turn in a worker", turn);
	} while (turn != PGJS_TURN_DONE);
}

/* Our rows of the result arrays. */
static void
write_results(Worker *worker, shm_toc *toc, const PgjsShared *shared)
{
	BufferUsage *buffers = shm_toc_lookup(toc, PGJS_KEY_BUFFER_USAGE, false);
	WalUsage   *wal = shm_toc_lookup(toc, PGJS_KEY_WAL_USAGE, false);

	if (shared->sh_config.instrument)
	{
		PgjsMetric *operators = shm_toc_lookup(toc, PGJS_KEY_OPERATORS, false);
		PgjsStreamMetric *streams = shm_toc_lookup(toc, PGJS_KEY_STREAM_METRICS, false);

		pgjs_session_metrics(worker->session,
							 operators + (Size) ParallelWorkerNumber * shared->sh_noperators,
							 shared->sh_noperators,
							 streams + (Size) ParallelWorkerNumber * shared->sh_nstreams,
							 shared->sh_nstreams);
	}
	InstrEndParallelQuery(&buffers[ParallelWorkerNumber], &wal[ParallelWorkerNumber]);
}

void
pgjs_worker_main(dsm_segment *seg, shm_toc *toc)
{
	PgjsShared *shared = shm_toc_lookup(toc, PGJS_KEY_SHARED, false);
	uint32		self = ParallelWorkerNumber + 1;
	uint32		participants;
	MemoryContext cxt;
	MemoryContext old;
	Worker	   *worker;
	ListCell   *lc;

	debug_query_string = shm_toc_lookup(toc, PGJS_KEY_QUERY, false);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	pgstat_report_query_id(shared->sh_query_id, false);

	participants = wait_for_publication(shared);
	if (self >= participants)
		return;

	cxt = AllocSetContextCreate(CurrentMemoryContext, "pg_joinscan worker", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	worker = palloc0(sizeof(Worker));
	worker->on_reset.func = pgjs_free_session;
	worker->on_reset.arg = &worker->session;
	MemoryContextRegisterResetCallback(cxt, &worker->on_reset);
	pgjs_host_init(&worker->host, cxt);

	InstrStartParallelQuery();
	begin_scans(worker, shm_toc_lookup(toc, PGJS_KEY_SCANS, false), shared, participants);
	worker->host.queues = pgjs_queues_attach(shm_toc_lookup(toc, PGJS_KEY_QUEUES, false),
											 &shared->sh_layout,
											 shm_toc_lookup(toc, PGJS_KEY_STREAMS, false),
											 self, participants, seg, NULL);
	if (shared->sh_ncalls > 0)
	{
		worker->expressions.text = shm_toc_lookup(toc, PGJS_KEY_EXPRESSIONS, false);
		worker->expressions.columns = shm_toc_lookup(toc, PGJS_KEY_COLUMNS, false);
		worker->expressions.ncolumns = shared->sh_ncolumns;
		worker->expressions.ncalls = shared->sh_ncalls;
	}
	worker->calls = pgjs_calls_create(&worker->expressions, NIL, NIL, NULL);
	begin_session(worker, toc, shared, self, participants);

	serve(worker);

	worker->host.closed = true;
	pgjs_calls_end(worker->calls);
	write_results(worker, toc, shared);

	/* Detach before the segment goes: peers read that as the end, not as a loss. */
	pgjs_queues_detach(worker->host.queues);
	worker->host.queues = NULL;

	/* The locks stay until the transaction ends, as with the executor's relations. */
	for (uint32 i = 0; i < worker->host.nscans; i++)
		pgjs_heapscan_end(worker->host.scans[i]);
	foreach(lc, worker->relations)
		table_close(lfirst(lc), NoLock);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}
