/*
 * host.c
 *		The callback table: Rust's way into PostgreSQL.
 *
 * Rust calls these functions inside a turn (or inside pgjs_session_new and the
 * planner's checks), from the backend's one thread. Each packs its arguments
 * and does its work in the guard of error.c, so that no ERROR crosses a Rust
 * frame. Outputs are written only with PGJS_IO_OK.
 *
 * After the end of a run the scans are closed and the queues gone: a callback
 * that comes nevertheless is refused, as is every callback once an ERROR is
 * parked.
 */
#include "postgres.h"

#include <signal.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"

#include "run.h"

StaticAssertDecl(sizeof(sig_atomic_t) == sizeof(int),
				 "PgjsHost.interrupt_pending points at a sig_atomic_t");

/* The arguments of any callback; each uses its part. */
typedef struct Call
{
	PgjsHostState *host;
	uint32		number;			/* scan, queue, collation or type */
	uint32		part;
	uint32		block;
	uint32		attno;
	const Datum *keys;
	uint32		nkeys;
	bool		flush;
	bool		keep;
	const uint8_t *bytes;		/* datum, message or text */
	size_t		len;
	PgjsRelation *relation;
	PgjsLookup *lookup;
	PgjsClaim  *claim;
	PgjsPage   *page;
	uint32_t   *flags;
	const uint8_t **data;
	size_t	   *data_len;
	PgjsTypeLayout *layout;
} Call;

static PgjsIo
guarded(PgjsGuarded body, Call *call)
{
	return pgjs_guard(&call->host->parked, body, call);
}

static void
check_open(Call *call)
{
	if (call->host->closed)
		elog(ERROR, "callback after the end of the session");
}

static PgjsHeapScan *
call_scan(Call *call)
{
	check_open(call);
	if (call->number >= call->host->nscans)
		elog(ERROR, "scan %u does not exist", call->number);
	return call->host->scans[call->number];
}

static PgjsQueues *
call_queues(Call *call)
{
	check_open(call);
	if (call->host->queues == NULL)
		elog(ERROR, "queue %u does not exist", call->number);
	return call->host->queues;
}

static PgjsIo
scan_claim_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_heapscan_claim(call_scan(call), call->claim);
}

static PgjsIo
host_scan_claim(void *ctx, uint32_t scan, PgjsClaim *claim)
{
	Call		call = {.host = ctx, .number = scan, .claim = claim};

	return guarded(scan_claim_body, &call);
}

static PgjsIo
scan_open_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_heapscan_open(call_scan(call), call->part, call->relation);
}

static PgjsIo
host_scan_open(void *ctx, uint32_t scan, uint32_t part, PgjsRelation *relation)
{
	Call		call = {.host = ctx, .number = scan, .part = part, .relation = relation};

	return guarded(scan_open_body, &call);
}

static PgjsIo
scan_look_up_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_heapscan_look_up(call_scan(call), call->part, call->attno, call->keys, call->nkeys, call->lookup);
}

static PgjsIo
host_scan_look_up(void *ctx, uint32_t scan, uint32_t part, uint32_t attno, const uint64_t *keys, uint32_t nkeys,
				  PgjsLookup *lookup)
{
	Call		call = {.host = ctx, .number = scan, .part = part, .attno = attno, .keys = (const Datum *) keys,
	.nkeys = nkeys, .lookup = lookup};

	return guarded(scan_look_up_body, &call);
}

static PgjsIo
scan_page_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_heapscan_page(call_scan(call), call->block, call->keep, call->page);
}

static PgjsIo
host_scan_page(void *ctx, uint32_t scan, uint32_t block, bool keep, PgjsPage *page)
{
	Call		call = {.host = ctx, .number = scan, .block = block, .keep = keep, .page = page};

	return guarded(scan_page_body, &call);
}

static PgjsIo
scan_unpin_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_heapscan_unpin(call_scan(call));
}

static PgjsIo
host_scan_unpin(void *ctx, uint32_t scan)
{
	Call		call = {.host = ctx, .number = scan};

	return guarded(scan_unpin_body, &call);
}

static PgjsIo
detoast_body(void *arg)
{
	Call	   *call = arg;
	PgjsHostState *host = call->host;

	check_open(call);
	if (host->page_cxt == NULL)
		host->page_cxt = AllocSetContextCreate(host->parked.cxt,
											   "pg_joinscan detoast",
											   ALLOCSET_DEFAULT_SIZES);
	return pgjs_heapscan_detoast(host->page_cxt, call->bytes, call->data, call->data_len);
}

static PgjsIo
host_detoast(void *ctx, const uint8_t *datum, const uint8_t **data, size_t *len)
{
	Call		call = {.host = ctx, .bytes = datum, .data = data, .data_len = len};

	return guarded(detoast_body, &call);
}

static PgjsIo
send_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_queue_send(call_queues(call), call->number, call->bytes, call->len, call->flush);
}

static PgjsIo
host_send(void *ctx, uint32_t queue, const uint8_t *data, size_t len, bool flush)
{
	Call		call = {.host = ctx, .number = queue, .bytes = data, .len = len, .flush = flush};

	return guarded(send_body, &call);
}

static PgjsIo
receive_body(void *arg)
{
	Call	   *call = arg;

	return pgjs_queue_receive(call_queues(call), call->number, call->data, call->data_len);
}

static PgjsIo
host_receive(void *ctx, uint32_t queue, const uint8_t **data, size_t *len)
{
	Call		call = {.host = ctx, .number = queue, .data = data, .data_len = len};

	return guarded(receive_body, &call);
}

/*
 * To the server log alone: in a worker a message for the client would go
 * through the error queue, and wait there for the leader in the middle of a
 * turn.
 */
static PgjsIo
log_body(void *arg)
{
	Call	   *call = arg;

	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("joinscan: %.*s",
							 (int) Min(call->len, (size_t) INT_MAX), (const char *) call->bytes),
			 errhidestmt(true),
			 errhidecontext(true)));
	return PGJS_IO_OK;
}

static PgjsIo
host_log(void *ctx, const char *message, size_t len)
{
	Call		call = {.host = ctx, .bytes = (const uint8_t *) message, .len = len};

	return guarded(log_body, &call);
}

uint32
pgjs_collation_flags(Oid collation)
{
	uint32		flags = 0;

	if (!OidIsValid(collation))
		return PGJS_COLLATION_DETERMINISTIC | PGJS_COLLATION_C;
	if (get_collation_isdeterministic(collation))
		flags |= PGJS_COLLATION_DETERMINISTIC;
	if (lc_collate_is_c(collation))
		flags |= PGJS_COLLATION_C;
	return flags;
}

static bool
host_cancelled(void *ctx)
{
	return QueryCancelPending || ProcDiePending;
}

static PgjsIo
collation_body(void *arg)
{
	Call	   *call = arg;

	*call->flags = pgjs_collation_flags(call->number);
	return PGJS_IO_OK;
}

static PgjsIo
host_collation(void *ctx, uint32_t collation, uint32_t *flags)
{
	Call		call = {.host = ctx, .number = collation, .flags = flags};

	return guarded(collation_body, &call);
}

static PgjsIo
type_layout_body(void *arg)
{
	Call	   *call = arg;
	int16		len;
	bool		byval;

	get_typlenbyval(call->number, &len, &byval);
	call->layout->len = len;
	call->layout->byval = byval;
	call->layout->utf8 = GetDatabaseEncoding() == PG_UTF8;
	return PGJS_IO_OK;
}

static PgjsIo
host_type_layout(void *ctx, uint32_t typid, PgjsTypeLayout *out)
{
	Call		call = {.host = ctx, .number = typid, .layout = out};

	return guarded(type_layout_body, &call);
}

void
pgjs_host_init(PgjsHostState *host, MemoryContext cxt)
{
	memset(host, 0, sizeof(*host));
	host->parked.cxt = cxt;

	host->table.ctx = host;
	host->table.interrupt_pending = (const volatile int *) &InterruptPending;
	host->table.scan_claim = host_scan_claim;
	host->table.scan_open = host_scan_open;
	host->table.scan_look_up = host_scan_look_up;
	host->table.scan_page = host_scan_page;
	host->table.scan_unpin = host_scan_unpin;
	host->table.detoast = host_detoast;
	host->table.send = host_send;
	host->table.receive = host_receive;
	host->table.log = host_log;
	host->table.cancelled = host_cancelled;
	host->table.collation = host_collation;
	host->table.type_layout = host_type_layout;
}

void
pgjs_host_done(PgjsHostState *host)
{
	if (host->page_cxt != NULL)
		MemoryContextDelete(host->page_cxt);
	host->page_cxt = NULL;
}
