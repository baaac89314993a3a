/*
 * queue.c
 *		The message queues between participants: their layout in the segment,
 *		and one participant's ends of them.
 *
 * parallel.c sizes and creates them in the leader; every participant attaches
 * to its own ends; host.c sends and receives for Rust.
 *
 *		queue number = (channel * planned + from) * planned + to
 *
 *		channel 0				control, every pair both ways
 *		channel s + 1			stream s: every pair both ways (hash, broadcast),
 *								or from each worker to the leader (gather)
 *
 * Queues that no frame can ever travel have a number, but no place in the
 * segment. Those of participants that were planned and did not come have a
 * place, and nobody ever attaches to them.
 *
 * What is shared: a queue is an shm_mq, which keeps its own peace. It has one
 * sender and one receiver for its whole life, each set once by the participant
 * itself when it attaches. The layout is computed anew in each participant
 * from the same PgjsQueueLayout and streams, which the leader wrote before the
 * launch.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "run.h"

/* The header of an shm_mq is private to it; its smallest queue bounds it. */
#define QUEUE_HEADER		MAXALIGN(shm_mq_minimum_size)

#define CONTROL_RING		4096
#define MIN_DATA_RING		(16 * 1024)

/*
 * A segment is committed when it is made, so its size costs time in every
 * query: all data queues together get no more than this, as long as that does
 * not push one below MIN_DATA_RING.
 */
#define MAX_DATA_TOTAL		(32 * 1024 * 1024)

struct PgjsQueues
{
	uint32		h_self;			/* our participant number */
	uint32		h_planned;
	uint32		h_count;		/* queue numbers, existing or not */
	shm_mq_handle *h_handles[FLEXIBLE_ARRAY_MEMBER];	/* NULL: not ours, or nonexistent */
};

static uint32
queue_count(const PgjsQueueLayout *layout)
{
	return (layout->nstreams + 1) * layout->planned * layout->planned;
}

/* Can a frame travel this queue at all? */
static bool
queue_exists(const PgjsQueueLayout *layout, const PgjsStream *streams, uint32 queue)
{
	uint32		to = queue % layout->planned;
	uint32		from = queue / layout->planned % layout->planned;
	uint32		channel = queue / layout->planned / layout->planned;

	if (from == to)
		return false;
	return channel == 0 || streams[channel - 1].kind != PGJS_EXCHANGE_GATHER || to == 0;
}

static Size
queue_size(const PgjsQueueLayout *layout, uint32 queue)
{
	bool		control = queue < layout->planned * layout->planned;

	return control ? layout->control_size : layout->data_size;
}

void
pgjs_queue_layout(PgjsQueueLayout *layout, uint32 planned, const PgjsStream *streams, uint32 nstreams)
{
	Size		ring = (Size) pgjs_queue_size * 1024;
	Size		ndata = 0;
	uint32		queue;

	layout->planned = planned;
	layout->nstreams = nstreams;
	layout->control_size = BUFFERALIGN(CONTROL_RING + QUEUE_HEADER);

	for (queue = planned * planned; queue < queue_count(layout); queue++)
		ndata += queue_exists(layout, streams, queue);
	if (ndata > 0)
		ring = Min(ring, Max(MAX_DATA_TOTAL / ndata, MIN_DATA_RING));
	layout->data_size = BUFFERALIGN(ring + QUEUE_HEADER);
}

Size
pgjs_queues_size(const PgjsQueueLayout *layout, const PgjsStream *streams)
{
	Size		size = 0;
	uint32		queue;

	for (queue = 0; queue < queue_count(layout); queue++)
	{
		if (queue_exists(layout, streams, queue))
			size = add_size(size, queue_size(layout, queue));
	}
	return size;
}

/* By the leader, before the launch: nobody else sees `area` yet. */
void
pgjs_queues_create(char *area, const PgjsQueueLayout *layout, const PgjsStream *streams)
{
	uint32		queue;

	for (queue = 0; queue < queue_count(layout); queue++)
	{
		if (!queue_exists(layout, streams, queue))
			continue;
		(void) shm_mq_create(area, queue_size(layout, queue));
		area += queue_size(layout, queue);
	}
}

/*
 * The leader's ends get the worker's handle: so a worker that dies before it
 * attaches reads as DETACHED there. Between workers nobody has a handle, and
 * only the leader can notice.
 *
 * The handles are allocated in the current context, which must outlive them.
 */
PgjsQueues *
pgjs_queues_attach(char *area, const PgjsQueueLayout *layout, const PgjsStream *streams,
				   uint32 self, uint32 participants, dsm_segment *seg, ParallelContext *pcxt)
{
	uint32		count = queue_count(layout);
	PgjsQueues *queues;
	uint32		queue;

	Assert(participants <= layout->planned);

	queues = palloc0(offsetof(PgjsQueues, h_handles) + sizeof(shm_mq_handle *) * count);
	queues->h_self = self;
	queues->h_planned = layout->planned;
	queues->h_count = count;

	for (queue = 0; queue < count; queue++)
	{
		uint32		to = queue % layout->planned;
		uint32		from = queue / layout->planned % layout->planned;
		uint32		peer = from == self ? to : from;
		shm_mq	   *mq;

		if (!queue_exists(layout, streams, queue))
			continue;
		mq = (shm_mq *) area;
		area += queue_size(layout, queue);
		if ((from != self && to != self) || peer >= participants)
			continue;

		if (from == self)
			shm_mq_set_sender(mq, MyProc);
		else
			shm_mq_set_receiver(mq, MyProc);
		queues->h_handles[queue] = shm_mq_attach(mq, seg,
												 pcxt ? pcxt->worker[peer - 1].bgwhandle : NULL);
	}
	return queues;
}

/* Our end of a queue, as its sender or as its receiver; raises when it is none of ours. */
static shm_mq_handle *
queue_handle(PgjsQueues *queues, uint32 queue, bool sender)
{
	bool		ours = false;

	if (queue < queues->h_count && queues->h_handles[queue] != NULL)
		ours = (queue / queues->h_planned % queues->h_planned == queues->h_self) == sender;
	if (!ours)
		elog(ERROR, "participant %u cannot %s queue %u",
			 queues->h_self, sender ? "send to" : "receive from", queue);
	return queues->h_handles[queue];
}

static PgjsIo
queue_status(shm_mq_result result)
{
	switch (result)
	{
		case SHM_MQ_SUCCESS:
			return PGJS_IO_OK;
		case SHM_MQ_WOULD_BLOCK:
			return PGJS_IO_WOULD_BLOCK;
		case SHM_MQ_DETACHED:
			return PGJS_IO_DETACHED;
	}
	elog(ERROR, "unexpected shm_mq result %d", (int) result);
	return PGJS_IO_ERROR;		/* keep the compiler quiet */
}

/* Runs in the guard: raises on a message that no queue may carry. */
PgjsIo
pgjs_queue_send(PgjsQueues *queues, uint32 queue, const uint8_t *data, size_t len, bool flush)
{
	return queue_status(shm_mq_send(queue_handle(queues, queue, true), len, data, true, flush));
}

/* Runs in the guard: a message that wraps around the ring is put together in memory of the handle's. */
PgjsIo
pgjs_queue_receive(PgjsQueues *queues, uint32 queue, const uint8_t **data, size_t *len)
{
	void	   *message;
	Size		nbytes;
	PgjsIo		io;

	io = queue_status(shm_mq_receive(queue_handle(queues, queue, false), &nbytes, &message, true));
	if (io == PGJS_IO_OK)
	{
		*data = message;
		*len = nbytes;
	}
	return io;
}

/*
 * Let go of all ends. A receiver still reads what was sent before: detaching
 * loses no frame, it only says that none will follow.
 *
 * Last attached first: the segment keeps its detach callbacks as a stack.
 */
void
pgjs_queues_detach(PgjsQueues *queues)
{
	uint32		queue = queues->h_count;

	while (queue-- > 0)
	{
		if (queues->h_handles[queue] != NULL)
			shm_mq_detach(queues->h_handles[queue]);
		queues->h_handles[queue] = NULL;
	}
}
