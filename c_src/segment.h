/*
 * segment.h
 *		What lies in the segment of one run, between parallel.c and worker.c.
 *
 * The leader writes everything before the launch, except where said otherwise;
 * workers only read it, and each writes its own row of the result arrays.
 *
 *		SHARED			one PgjsShared
 *		PLAN			sh_plan_len bytes
 *		STREAMS			PgjsStream[sh_nstreams]
 *		SCANS			PgjsSharedScan[sh_nparts]
 *		QUEUES			queue.c's
 *		QUERY			query text, NUL-terminated
 *		BUFFER_USAGE	BufferUsage[workers]
 *		WAL_USAGE		WalUsage[workers]
 *		OPERATORS		PgjsMetric[workers][sh_noperators], if sh_instrument
 *		STREAM_METRICS	PgjsStreamMetric[workers][sh_nstreams], if sh_instrument
 *
 * Row w of a result array is written by worker w alone, before its last
 * message in the error queue; the leader reads it after
 * WaitForParallelWorkersToFinish has seen that message. The queue orders the
 * two, so no lock is needed.
 */
#ifndef PGJS_SEGMENT_H
#define PGJS_SEGMENT_H

#include "storage/condition_variable.h"

#include "run.h"

#define PGJS_KEY_SHARED			UINT64CONST(1)
#define PGJS_KEY_PLAN			UINT64CONST(2)
#define PGJS_KEY_STREAMS		UINT64CONST(3)
#define PGJS_KEY_SCANS			UINT64CONST(4)
#define PGJS_KEY_QUEUES			UINT64CONST(5)
#define PGJS_KEY_QUERY			UINT64CONST(6)
#define PGJS_KEY_BUFFER_USAGE	UINT64CONST(7)
#define PGJS_KEY_WAL_USAGE		UINT64CONST(8)
#define PGJS_KEY_OPERATORS		UINT64CONST(9)
#define PGJS_KEY_STREAM_METRICS UINT64CONST(10)
#define PGJS_KEY_EXPRESSIONS	UINT64CONST(11) /* the last two only with calls */
#define PGJS_KEY_COLUMNS		UINT64CONST(12)
#define PGJS_NKEYS				12

/*
 * Workers may run before LaunchParallelWorkers returns, when nobody knows yet
 * how many of them there will be. So the launch is published: the leader
 * writes the block counts (PgjsSharedScan.sh_nblocks), then, after a write
 * barrier, sh_participants, once, from zero. A worker sleeps on sh_published
 * until it reads a number, and reads the rest after a read barrier.
 */
typedef struct PgjsShared
{
	/* What all participants share: not participant, participants. hash_memory is set before the publication. */
	PgjsSessionConfig sh_config;
	PgjsQueueLayout sh_layout;
	uint64		sh_query_id;
	Size		sh_plan_len;
	uint32		sh_nscans;
	uint32		sh_nparts;		/* of all scans */
	uint32		sh_nstreams;
	uint32		sh_noperators;
	uint32		sh_ncalls;		/* evaluations by PostgreSQL in the plan */
	uint32		sh_ncolumns;
	pg_atomic_uint32 sh_participants;	/* leader included; 0 before the publication, constant after it */
	ConditionVariable sh_published;
} PgjsShared;

#endif							/* PGJS_SEGMENT_H */
