/*
 * parallel.c
 *		One run of a plan, in the leader: estimate, fill the segment, launch,
 *		turn, end. And the turn itself, which workers share.
 *
 * customscan.c starts a run when the first row is asked for, and ends it in
 * ShutdownCustomScan, before the executor leaves parallel mode.
 *
 *		start	estimate -> InitializeParallelDSM -> fill -> launch
 *				-> scans -> publish -> queues -> session
 *		next	turns, until a batch is there or all rows are out
 *		end		SessionEnd, turns until it is out -> queues detached
 *				-> workers gone -> their results -> scans -> segment
 *
 * The queues go before we wait for the workers: one that hangs on a full
 * queue to us would otherwise never leave.
 *
 * After an ERROR none of this runs: the abort terminates the workers, unmaps
 * the segment and drops pins and locks, and the Rust session goes with the
 * run's memory context, without a call into C.
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/dsm_impl.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "segment.h"

/* The SQLSTATE of what JoinScan's own account of memory refuses. */
#define PGJS_NO_MEMORY	"53200"

#define BATCH_ROWS			8192
#define TURN_US				5000

/* How long a worker's error may take to show after its queue has gone, ms. */
#define LOST_PEER_TIMEOUT	1000

/* ----
 * Turns
 * ----
 */

/*
 * A worker's queue is gone before its end. What killed the worker stands in its
 * error queue, or the postmaster knows that it never started: both show in the
 * next look at the parallel messages, which raises it. Nothing shows only if
 * the worker left without an error, and that is one.
 */
static void
raise_lost_peer(void)
{
	TimestampTz start = GetCurrentTimestamp();

	do
	{
		ParallelMessagePending = true;
		InterruptPending = true;
		CHECK_FOR_INTERRUPTS();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOST_PEER_TIMEOUT / 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	} while (!TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LOST_PEER_TIMEOUT));

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("lost connection to parallel worker"),
			 errdetail("The worker left before the end of the session, without an error.")));
}

/*
 * No wake-up is lost: whatever sets the latch after the reset, before or
 * during the turn, ends the wait below at once; what came before the reset
 * is in the queues, which a turn polls before it calls itself idle.
 *
 * Raises what a callback has parked, whatever Rust made of it.
 */
PgjsTurn
pgjs_turn(PgjsHostState *host, PgjsSession *session, PgjsBatch *batch, uint32 wait_event)
{
	PgjsTurn	turn;

	/* A runtime inside a runtime panics. */
	if (pgjs_rust_depth > 0)
		elog(ERROR, "a turn began inside another one");

	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();

	pgjs_rust_depth++;
	turn = pgjs_session_turn(session, batch);
	pgjs_rust_depth--;

	if (host->parked.error != NULL)
		pgjs_rethrow(&host->parked);

	if (turn == PGJS_TURN_PENDING)
	{
		if (!IsParallelWorker() && pgjs_session_peer_lost(session))
		{
			if (!host->ending)
				raise_lost_peer();

			/* Should it be an error, WaitForParallelWorkersToFinish raises it too. */
			ParallelMessagePending = true;
			InterruptPending = true;
			CHECK_FOR_INTERRUPTS();
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, wait_event);
	}
	CHECK_FOR_INTERRUPTS();
	return turn;
}

/* `no_fallback`: why a lack of memory cannot be helped, or NULL. */
static void
raise_session_error(PgjsRun *run, const char *no_fallback)
{
	PgjsError	error = pgjs_session_error(run->session);

	/* A worker's own ERROR says more than the frame that told of it: look for that first. */
	if (run->pcxt != NULL)
	{
		ParallelMessagePending = true;
		InterruptPending = true;
	}
	if (no_fallback != NULL && error.context == NULL && strcmp(error.sqlstate, PGJS_NO_MEMORY) == 0)
		error.context = psprintf("PostgreSQL's plan cannot take over: %s", no_fallback);
	pgjs_raise(&run->host.parked, &error);
}

/* ----
 * Start
 * ----
 */

/*
 * The segment may be gone: freeing calls nothing in C. If the process exits in
 * the middle of a turn, the session is on the stack below, and leaks.
 */
void
pgjs_free_session(void *arg)
{
	PgjsSession **session = arg;
	PgjsSession *freed = *session;

	*session = NULL;
	if (pgjs_rust_depth == 0)
		pgjs_session_free(freed);
}

/* Does the leader scan and join, too? It has to where it has leaves: what is joined to them joins there. */
static bool
leader_participates(const PgjsRunSpec *spec)
{
	return parallel_leader_participation || spec->leaves != NIL;
}

/* Who hashes rows: all participants, or all but the leader. */
static int
nproducers(const PgjsRunSpec *spec, int nworkers)
{
	return nworkers + (leader_participates(spec) || nworkers == 0 ? 1 : 0);
}

/* The parts of all scans. */
static uint32
count_parts(const PgjsRunSpec *spec)
{
	uint32		nparts = 0;

	for (int i = 0; i < spec->nscans; i++)
		nparts += spec->scans[i].nparts;
	return nparts;
}

/*
 * What all participants share, but for the publication. Made in private
 * memory first: it says how large the segment must be.
 */
static void
fill_shared(PgjsShared *shared, const PgjsRunSpec *spec)
{
	const PgjsStream *streams;
	size_t		plan_len;

	memset(shared, 0, sizeof(*shared));
	(void) pgjs_plan_bytes(spec->plan, &plan_len);
	streams = pgjs_plan_streams(spec->plan, &shared->sh_nstreams);
	(void) pgjs_plan_nodes(spec->plan, &shared->sh_noperators);
	shared->sh_plan_len = plan_len;
	shared->sh_nscans = spec->nscans;
	shared->sh_nparts = count_parts(spec);
	shared->sh_ncalls = spec->expressions.ncalls;
	shared->sh_ncolumns = spec->expressions.ncolumns;
	shared->sh_query_id = spec->estate->es_plannedstmt->queryId;
	pgjs_queue_layout(&shared->sh_layout, spec->planned, streams, shared->sh_nstreams);

	shared->sh_config.planned = spec->planned;
	shared->sh_config.batch_size = BATCH_ROWS;
	shared->sh_config.turn_us = TURN_US;
	shared->sh_config.leader_participates = leader_participates(spec);
	shared->sh_config.trace = pgjs_trace;
	shared->sh_config.instrument = spec->instrument;
}

/*
 * What does not fit into a hash table is an ERROR and not a spill, so an
 * estimate that is somewhat wrong must not be one: a table may outgrow what the
 * planner allowed it by this factor, or to this size.
 */
#define HASH_SLACK			4.0
#define HASH_FLOOR			(32.0 * 1024 * 1024)

/*
 * What one hash table may take here, from what the planner reckoned with, also
 * when work_mem is less by now. Fewer participants than planned have larger
 * shares.
 */
static uint64
hash_memory(const PgjsRunSpec *spec, int nlaunched)
{
	double		memory = Max(spec->planned_hash_memory, get_hash_memory_limit());
	double		planned = nproducers(spec, spec->planned_workers);

	memory *= Max(planned / nproducers(spec, nlaunched), 1.0);
	return (uint64) Max(memory * HASH_SLACK, HASH_FLOOR);
}

static void
init_scans(PgjsSharedScan *shared, const PgjsRunSpec *spec)
{
	for (int i = 0; i < spec->nscans; i++)
	{
		const PgjsTable *scan = &spec->scans[i];

		for (int k = 0; k < scan->nparts; k++, shared++)
		{
			pg_atomic_init_u32(&shared->sh_next, 0);
			shared->sh_nblocks = 0;
			shared->sh_scan = i;
			shared->sh_relid = scan->parts[k] == NULL ? InvalidOid : RelationGetRelid(scan->parts[k]);
			shared->sh_table = RelationGetRelid(scan->table);

			/*
			 * Workers only read. Whatever stronger lock the leader holds covers
			 * them as members of its lock group.
			 */
			shared->sh_lockmode = AccessShareLock;
		}
	}
}

static Size
operators_size(const PgjsShared *shared)
{
	return mul_size(sizeof(PgjsMetric), shared->sh_noperators);
}

static Size
streams_size(const PgjsShared *shared)
{
	return mul_size(sizeof(PgjsStreamMetric), shared->sh_nstreams);
}

/* One chunk of the segment. */
typedef struct Chunk
{
	uint64		key;
	Size		size;
	const void *bytes;			/* what it begins with; NULL: zeros */
} Chunk;

/* Writes all of them to `chunks`, which has room for PGJS_NKEYS, and returns how many they are. */
static int
list_chunks(Chunk *chunks, const PgjsRunSpec *spec, const PgjsShared *shared, int nworkers)
{
	size_t		plan_len;
	const uint8_t *plan = pgjs_plan_bytes(spec->plan, &plan_len);
	uint32		nstreams;
	const PgjsStream *streams = pgjs_plan_streams(spec->plan, &nstreams);
	const char *query = spec->estate->es_sourceText;
	const PgjsExpressions *expressions = &spec->expressions;
	int			n = 0;

	chunks[n++] = (Chunk) {PGJS_KEY_SHARED, sizeof(PgjsShared), shared};
	chunks[n++] = (Chunk) {PGJS_KEY_PLAN, plan_len, plan};
	chunks[n++] = (Chunk) {PGJS_KEY_STREAMS, mul_size(sizeof(PgjsStream), nstreams), streams};
	chunks[n++] = (Chunk) {PGJS_KEY_SCANS, mul_size(sizeof(PgjsSharedScan), shared->sh_nparts)};
	chunks[n++] = (Chunk) {PGJS_KEY_QUEUES, pgjs_queues_size(&shared->sh_layout, streams)};
	chunks[n++] = (Chunk) {PGJS_KEY_QUERY, strlen(query) + 1, query};
	chunks[n++] = (Chunk) {PGJS_KEY_BUFFER_USAGE, mul_size(sizeof(BufferUsage), nworkers)};
	chunks[n++] = (Chunk) {PGJS_KEY_WAL_USAGE, mul_size(sizeof(WalUsage), nworkers)};
	if (shared->sh_ncalls > 0)
	{
		chunks[n++] = (Chunk) {PGJS_KEY_EXPRESSIONS, strlen(expressions->text) + 1, expressions->text};
		chunks[n++] = (Chunk) {PGJS_KEY_COLUMNS, mul_size(sizeof(PgjsColumn), shared->sh_ncolumns),
			expressions->columns};
	}
	if (spec->instrument)
	{
		chunks[n++] = (Chunk) {PGJS_KEY_OPERATORS, mul_size(operators_size(shared), nworkers)};
		chunks[n++] = (Chunk) {PGJS_KEY_STREAM_METRICS, mul_size(streams_size(shared), nworkers)};
	}
	Assert(n <= PGJS_NKEYS);
	return n;
}

static void
estimate(ParallelContext *pcxt, const PgjsRunSpec *spec, const PgjsShared *shared)
{
	shm_toc_estimator *e = &pcxt->estimator;
	Chunk		chunks[PGJS_NKEYS];
	int			n = list_chunks(chunks, spec, shared, pcxt->nworkers);

	for (int i = 0; i < n; i++)
		shm_toc_estimate_chunk(e, chunks[i].size);
	shm_toc_estimate_keys(e, n);
}

static void
fill_segment(ParallelContext *pcxt, const PgjsRunSpec *spec, const PgjsShared *local)
{
	shm_toc    *toc = pcxt->toc;
	PgjsShared *shared;
	uint32		nstreams;
	const PgjsStream *streams = pgjs_plan_streams(spec->plan, &nstreams);
	Chunk		chunks[PGJS_NKEYS];
	int			n = list_chunks(chunks, spec, local, pcxt->nworkers);

	for (int i = 0; i < n; i++)
	{
		void	   *chunk = shm_toc_allocate(toc, chunks[i].size);

		if (chunks[i].bytes != NULL)
			memcpy(chunk, chunks[i].bytes, chunks[i].size);
		else if (chunks[i].key != PGJS_KEY_QUEUES)
			/* Touching every page of the rings would cost more than all the rest. */
			memset(chunk, 0, chunks[i].size);
		shm_toc_insert(toc, chunks[i].key, chunk);
	}

	shared = shm_toc_lookup(toc, PGJS_KEY_SHARED, false);
	pg_atomic_init_u32(&shared->sh_participants, 0);
	ConditionVariableInit(&shared->sh_published);
	init_scans(shm_toc_lookup(toc, PGJS_KEY_SCANS, false), spec);
	pgjs_queues_create(shm_toc_lookup(toc, PGJS_KEY_QUEUES, false), &local->sh_layout, streams);
}

/* Where POSIX shared memory lies on Linux; containers make it small (Docker: 64 MB). */
#define SHM_DIRECTORY		"/dev/shm"

/* What PostgreSQL adds to a segment: its own state for the workers, their error queues. */
#define POSTGRES_SHARE		(1024 * 1024)

/*
 * Is there room for a segment? Making one where there is none is an ERROR,
 * which PostgreSQL's plan with its smaller segment would not meet. True where
 * we cannot tell; between this look and the making room may go.
 */
static bool
has_room(Size size)
{
	struct statvfs fs;

	/* Memory that was set aside at start may have room, whatever the directory has. */
	if (dynamic_shared_memory_type != DSM_IMPL_POSIX || min_dynamic_shared_memory > 0)
		return true;
	if (statvfs(SHM_DIRECTORY, &fs) != 0 || fs.f_blocks == 0)
		return true;
	return (double) fs.f_bavail * fs.f_frsize >= (double) size + POSTGRES_SHARE;
}

/*
 * NULL when the leader runs alone: no workers wanted or allowed, no segment to
 * be had, or no worker slot free. A plan with exchanges runs so too.
 */
static ParallelContext *
launch(const PgjsRunSpec *spec, const PgjsShared *shared)
{
	int			nworkers = Min(spec->nworkers, spec->planned - 1);
	ParallelContext *pcxt;

	if (nworkers <= 0 || !IsInParallelMode() || IsParallelWorker())
		return NULL;

	pcxt = CreateParallelContext("pg_joinscan", "pgjs_worker_main", nworkers);
	estimate(pcxt, spec, shared);

	if (has_room(shm_toc_estimate(&pcxt->estimator)))
	{
		/* Workers get the active snapshot: see to it that this is the query's. */
		PushActiveSnapshot(spec->estate->es_snapshot);
		InitializeParallelDSM(pcxt);
		PopActiveSnapshot();
	}
	else
		ereport(DEBUG1, (errmsg("JoinScan runs without workers: \"%s\" has no room for them", SHM_DIRECTORY)));

	if (pcxt->seg != NULL)
	{
		fill_segment(pcxt, spec, shared);
		LaunchParallelWorkers(pcxt);
	}
	if (pcxt->nworkers_launched == 0)
	{
		DestroyParallelContext(pcxt);
		return NULL;
	}
	return pcxt;
}

/* Begin our own scans, and settle how many blocks each table has for everybody. */
static void
begin_scans(PgjsRun *run, const PgjsRunSpec *spec, PgjsSharedScan *shared)
{
	run->host.scans = palloc0(sizeof(PgjsHeapScan *) * spec->nscans);
	run->host.nscans = spec->nscans;
	for (int i = 0; i < spec->nscans; i++)
	{
		const PgjsTable *scan = &spec->scans[i];

		run->host.scans[i] = pgjs_heapscan_create(shared, scan->nparts, run->nparticipants, spec->nscans);
		for (int k = 0; k < scan->nparts; k++, shared++)
		{
			if (scan->parts[k] != NULL && !scan->pruned[k])
				shared->sh_nblocks = pgjs_heapscan_begin(run->host.scans[i], k, scan->parts[k], scan->table,
														 spec->estate->es_snapshot);
		}
	}
}

static void
begin_session(PgjsRun *run, const PgjsRunSpec *spec, const PgjsShared *shared)
{
	PgjsSessionConfig config = shared->sh_config;
	PgjsError	error;
	size_t		len;
	const uint8_t *bytes = pgjs_plan_bytes(spec->plan, &len);
	bool		ok;

	config.participant = 0;
	config.participants = run->nparticipants;
	if (run->nparticipants == 1)
		config.leader_participates = true;

	pgjs_rust_depth++;
	ok = pgjs_session_new(&run->host.table, &config, bytes, len, &run->session, &error);
	pgjs_rust_depth--;
	if (!ok)
		pgjs_raise(&run->host.parked, &error);
}

PgjsRun *
pgjs_run_start(const PgjsRunSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(spec->estate->es_query_cxt,
											  "pg_joinscan run",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	PgjsRun    *run = palloc0(sizeof(PgjsRun));
	PgjsShared	local;

	run->cxt = cxt;
	run->on_reset.func = pgjs_free_session;
	run->on_reset.arg = &run->session;
	MemoryContextRegisterResetCallback(cxt, &run->on_reset);
	pgjs_host_init(&run->host, cxt);

	fill_shared(&local, spec);
	run->noperators = local.sh_noperators;
	run->nstreams = local.sh_nstreams;
	run->instrument = spec->instrument;

	run->pcxt = launch(spec, &local);
	if (run->pcxt != NULL)
	{
		shm_toc    *toc = run->pcxt->toc;
		PgjsShared *shared = shm_toc_lookup(toc, PGJS_KEY_SHARED, false);
		uint32		nstreams;

		run->nlaunched = run->pcxt->nworkers_launched;
		run->nparticipants = run->nlaunched + 1;
		begin_scans(run, spec, shm_toc_lookup(toc, PGJS_KEY_SCANS, false));
		shared->sh_config.hash_memory = hash_memory(spec, run->nlaunched);

		/* The publication, see PgjsShared. */
		pg_write_barrier();
		pg_atomic_write_u32(&shared->sh_participants, run->nparticipants);
		ConditionVariableBroadcast(&shared->sh_published);

		run->host.queues = pgjs_queues_attach(shm_toc_lookup(toc, PGJS_KEY_QUEUES, false),
											  &local.sh_layout,
											  pgjs_plan_streams(spec->plan, &nstreams),
											  0, run->nparticipants, run->pcxt->seg, run->pcxt);
	}
	else
	{
		PgjsSharedScan *scans = palloc0(sizeof(PgjsSharedScan) * local.sh_nparts);

		run->nparticipants = 1;
		init_scans(scans, spec);
		begin_scans(run, spec, scans);
	}

	run->calls = pgjs_calls_create(&spec->expressions, spec->leaves, spec->prepared, spec->estate);
	local.sh_config.hash_memory = hash_memory(spec, run->nlaunched);
	begin_session(run, spec, &local);
	MemoryContextSwitchTo(old);
	return run;
}

/* ----
 * Next
 * ----
 */

/*
 * Has the session failed for lack of memory, and with nothing left behind that
 * only an abort mends? A worker's own ERROR, or an interrupt, comes first.
 */
static bool
is_exhausted(PgjsRun *run)
{
	PgjsError	error = pgjs_session_error(run->session);

	if (run->host.parked.error != NULL || strcmp(error.sqlstate, PGJS_NO_MEMORY) != 0)
		return false;
	if (run->pcxt != NULL)
	{
		ParallelMessagePending = true;
		InterruptPending = true;
	}
	CHECK_FOR_INTERRUPTS();
	ereport(DEBUG1,
			(errmsg_internal("JoinScan is out of memory, PostgreSQL's plan takes over"),
			 error.detail != NULL ? errdetail_internal("%s", error.detail) : 0));
	return true;
}

bool
pgjs_run_next(PgjsRun *run, PgjsBatch *batch, const char *no_fallback, bool *exhausted)
{
	while (!run->done && !run->ended)
	{
		PgjsTurn	turn = pgjs_turn(&run->host, run->session, batch, PG_WAIT_EXTENSION);

		switch (turn)
		{
			case PGJS_TURN_READY:
				return true;
			case PGJS_TURN_PENDING:
			case PGJS_TURN_BUSY:
				break;
			case PGJS_TURN_CALL:
				pgjs_call(run->calls, &run->host, run->session);
				break;
			case PGJS_TURN_DONE:
				run->done = true;
				break;
			case PGJS_TURN_ERROR:
				if (no_fallback != NULL || !is_exhausted(run))
					raise_session_error(run, no_fallback);
				*exhausted = true;
				return false;
			default:
				elog(ERROR, "unexpected result %d of a turn", turn);
		}
	}
	return false;
}

/* ----
 * End
 * ----
 */

/* SessionEnd, and turns until it is on its way to every worker. */
static void
end_session(PgjsRun *run)
{
	PgjsTurn	turn;

	run->host.ending = true;
	pgjs_rust_depth++;
	pgjs_session_end(run->session);
	pgjs_rust_depth--;

	do
	{
		PgjsBatch	batch;

		turn = pgjs_turn(&run->host, run->session, &batch, PG_WAIT_EXTENSION);
		if (turn == PGJS_TURN_ERROR)
			raise_session_error(run, NULL);
		if (turn == PGJS_TURN_READY || turn == PGJS_TURN_CALL)
			elog(ERROR, "unexpected result %d of a turn after the end", turn);
	} while (turn != PGJS_TURN_DONE);
}

/* Row 0 of the metrics is ours, row w + 1 that of worker w. */
static void
collect_metrics(PgjsRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	run->operators = palloc0(Max(1, mul_size(sizeof(PgjsMetric),
											 mul_size(run->nparticipants, run->noperators))));
	run->streams = palloc0(Max(1, mul_size(sizeof(PgjsStreamMetric),
										   mul_size(run->nparticipants, run->nstreams))));
	MemoryContextSwitchTo(old);

	pgjs_session_metrics(run->session, run->operators, run->noperators,
						 run->streams, run->nstreams);
	if (run->pcxt != NULL)
	{
		shm_toc    *toc = run->pcxt->toc;

		memcpy(run->operators + run->noperators,
			   shm_toc_lookup(toc, PGJS_KEY_OPERATORS, false),
			   sizeof(PgjsMetric) * run->noperators * run->nlaunched);
		memcpy(run->streams + run->nstreams,
			   shm_toc_lookup(toc, PGJS_KEY_STREAM_METRICS, false),
			   sizeof(PgjsStreamMetric) * run->nstreams * run->nlaunched);
	}
}

static void
accumulate_usage(ParallelContext *pcxt)
{
	BufferUsage *buffers = shm_toc_lookup(pcxt->toc, PGJS_KEY_BUFFER_USAGE, false);
	WalUsage   *wal = shm_toc_lookup(pcxt->toc, PGJS_KEY_WAL_USAGE, false);
	int			i;

	for (i = 0; i < pcxt->nworkers_launched; i++)
		InstrAccumParallelQuery(&buffers[i], &wal[i]);
}

/* An ERROR on the way leaves the rest to the abort: a second call does nothing. */
void
pgjs_run_end(PgjsRun *run)
{
	ParallelContext *pcxt = run->pcxt;
	uint32		i;

	if (run->ended)
		return;
	run->ended = true;

	end_session(run);
	run->host.closed = true;
	pgjs_calls_end(run->calls);

	if (run->host.queues != NULL)
	{
		pgjs_queues_detach(run->host.queues);
		run->host.queues = NULL;
	}
	if (pcxt != NULL)
	{
		WaitForParallelWorkersToFinish(pcxt);
		accumulate_usage(pcxt);
	}
	if (run->instrument)
		collect_metrics(run);

	for (i = 0; i < run->host.nscans; i++)
		pgjs_heapscan_end(run->host.scans[i]);
	run->host.nscans = 0;

	if (pcxt != NULL)
	{
		run->pcxt = NULL;
		DestroyParallelContext(pcxt);
	}
}

void
pgjs_run_free(PgjsRun *run)
{
	if (run == NULL)
		return;
	pgjs_run_end(run);
	MemoryContextDelete(run->cxt);
}
