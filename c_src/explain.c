/*
 * explain.c
 *		What EXPLAIN shows below the CustomScan: the operators of the plan that
 *		DataFusion runs, with PostgreSQL's names and its own deparser's
 *		conditions.
 *
 * Figures are summed over participants and, where the node was run again, over
 * its runs. Times are each operator's own work, without its inputs', and the
 * longest of all participants: that is who the others waited for.
 */
#include "customscan.h"
#include "planner.h"

#include "access/stratnum.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#define NS_PER_MS	1000000.0

/* What the operators of one node are printed from. */
typedef struct Printer
{
	ExplainState *es;
	PgjsScanState *state;
	List	   *exprs;			/* custom_exprs */
	List	   *deparse_cxt;
	const PgjsNode *nodes;		/* count of them, in pre-order */
	uint32		count;
	const PgjsStream *streams;	/* nstreams of them */
	uint32		nstreams;
	Bitmapset  *shown_streams;	/* their figures stand at the first operator that names them */
	bool		figures;		/* the totals are of these operators */
} Printer;

static bool
is_text(const Printer *printer)
{
	return printer->es->format == EXPLAIN_FORMAT_TEXT;
}

static const char *
stream_kind(uint32 kind)
{
	switch (kind)
	{
		case PGJS_EXCHANGE_HASH:
			return "hash";
		case PGJS_EXCHANGE_BROADCAST:
			return "broadcast";
		case PGJS_EXCHANGE_GATHER:
			return "gather";
		default:
			return "none";
	}
}

/* ---- conditions ---- */

static char *
deparse(const Printer *printer, Node *expr)
{
	return deparse_expression(pgjs_uncovered(expr), printer->deparse_cxt, true, false);
}

/* Is a sort operator > of its family? */
static bool
is_descending(Oid operator)
{
	Oid			family;
	Oid			type;
	int16		strategy;

	return get_ordering_op_properties(operator, &family, &type, &strategy) && strategy == BTGreaterStrategyNumber;
}

static void
show_condition(Printer *printer, const char *label, uint32 first, uint32 count)
{
	List	   *clauses = NIL;

	for (uint32 i = first; i < first + count; i++)
		clauses = lappend(clauses, list_nth(printer->exprs, i));
	if (clauses != NIL)
		ExplainPropertyText(label, deparse(printer, (Node *) make_ands_explicit(clauses)), printer->es);
}

/* Does a column come from below a node of the join tree? */
static bool
is_below(const Printer *printer, const PgjsColumn *column, uint32 place)
{
	const PgjsTreeNode *node = &printer->state->tree[place];

	check_stack_depth();
	switch (node->kind)
	{
		case PGJS_TREE_SCAN:
			if (column->source == PGJS_COLUMN_SCAN)
				return column->number == node->number;
			break;
		case PGJS_TREE_LEAF:
			if (column->source == PGJS_COLUMN_LEAF)
				return column->number == node->number;
			break;
		case PGJS_TREE_AGGREGATE:
		case PGJS_TREE_SORT:
		case PGJS_TREE_WINDOW:
		case PGJS_TREE_FILTER:
			return is_below(printer, column, node->probe);
		default:
			if (is_below(printer, column, node->build) || is_below(printer, column, node->probe))
				return true;
	}
	return column->source == PGJS_COLUMN_COMPUTED && column->number >= node->first_result &&
		column->number < node->first_result + node->nresults;
}

/* Do all columns of an expression of custom_exprs come from below a node? */
static bool
expr_is_below(const Printer *printer, Node *expr, uint32 place)
{
	ListCell   *lc;

	foreach(lc, pull_var_clause(expr, 0))
	{
		Var		   *var = lfirst(lc);

		if (var->varno == INDEX_VAR && var->varattno > 0 && var->varattno <= printer->state->ncolumns &&
			!is_below(printer, &printer->state->columns[var->varattno - 1], place))
			return false;
	}
	return true;
}

static bool
is_in_subtree(const Printer *printer, uint32 wanted, uint32 place)
{
	const PgjsTreeNode *node = &printer->state->tree[place];

	check_stack_depth();
	if (wanted == place)
		return true;
	switch (node->kind)
	{
		case PGJS_TREE_JOIN:
			return is_in_subtree(printer, wanted, node->build) || is_in_subtree(printer, wanted, node->probe);
		case PGJS_TREE_AGGREGATE:
		case PGJS_TREE_SORT:
		case PGJS_TREE_WINDOW:
		case PGJS_TREE_FILTER:
			return is_in_subtree(printer, wanted, node->probe);
		default:
			return false;
	}
}

/* The input of a join whose rows operator `at` distributes. */
static uint32
side_below(const Printer *printer, uint32 at)
{
	const PgjsNode *operator = &printer->nodes[at];
	const PgjsTreeNode *join = &printer->state->tree[operator->tree_node];

	/* Its first input stems from the side's root, or from what stands above that. */
	for (uint32 i = at + 1; i < printer->count && printer->nodes[i].depth > operator->depth; i++)
	{
		if (printer->nodes[i].tree_node >= 0 && printer->nodes[i].clauses != PGJS_CLAUSES_KEYS)
			return is_in_subtree(printer, printer->nodes[i].tree_node, join->probe) ? join->probe : join->build;
	}
	return join->build;
}

/*
 * What operator `at` distributes rows by: of each key, the side that its input
 * holds. Should it be unclear which that is, the whole key.
 */
static void
show_hash_keys(Printer *printer, uint32 at)
{
	const PgjsNode *operator = &printer->nodes[at];
	const PgjsTreeNode *join = &printer->state->tree[operator->tree_node];
	uint32		side = side_below(printer, at);
	List	   *texts = NIL;

	for (uint32 i = join->first_key; i < join->first_key + join->nkeys; i++)
	{
		Node	   *key = list_nth(printer->exprs, i);
		Node	   *shown = key;

		if (join->kind == PGJS_TREE_AGGREGATE || join->kind == PGJS_TREE_WINDOW)
			shown = pgjs_key_expr(key);
		else if (IsA(key, OpExpr) && list_length(((OpExpr *) key)->args) == 2)
		{
			Node	   *left = linitial(((OpExpr *) key)->args);
			Node	   *right = lsecond(((OpExpr *) key)->args);

			if (expr_is_below(printer, left, side))
				shown = left;
			else if (expr_is_below(printer, right, side))
				shown = right;
		}
		texts = lappend(texts, deparse(printer, shown));
	}
	if (texts != NIL)
		ExplainPropertyList("Hash Keys", texts, printer->es);
}

/* What rows are sorted by, as PostgreSQL's Sort shows it. */
static void
show_order(Printer *printer, const PgjsTreeNode *sort, const char *label, uint32 first, uint32 count)
{
	List	   *texts = NIL;

	for (uint32 i = 0; i < count; i++)
	{
		OpExpr	   *key = list_nth_node(OpExpr, printer->exprs, first + i);
		bool		descending = is_descending(key->opno);
		bool		nulls_first = (sort->nulls_first >> i) & 1;
		char	   *text = deparse(printer, pgjs_key_expr((Node *) key));

		if (descending)
			text = psprintf("%s DESC", text);
		if (nulls_first != descending)
			text = psprintf("%s NULLS %s", text, nulls_first ? "FIRST" : "LAST");
		texts = lappend(texts, text);
	}
	if (texts != NIL)
		ExplainPropertyList(label, texts, printer->es);
	if (sort->limit > 0)
		ExplainPropertyUInteger(sort->cut_keys > 0 ? "Limit With Ties" : "Limit", NULL, sort->limit, printer->es);
	else if (sort->cut_keys > 0)
		ExplainPropertyUInteger("Distinct Keys", NULL, sort->cut_keys, printer->es);
}

/* The keys of each grouping set. */
static void
show_sets(Printer *printer, const PgjsTreeNode *aggregate, List *keys)
{
	List	   *texts = NIL;

	for (uint32 i = 0; i < aggregate->nsets; i++)
	{
		uint64		set = printer->state->sets[aggregate->first_set + i * (1 + aggregate->ngroupings)];
		StringInfoData text;
		ListCell   *lc;

		initStringInfo(&text);
		foreach(lc, keys)
		{
			if ((set >> foreach_current_index(lc)) & 1)
				appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", (char *) lfirst(lc));
		}
		texts = lappend(texts, psprintf("(%s)", text.data));
	}
	ExplainPropertyList("Grouping Sets", texts, printer->es);
}

/* Aggregates, `count` of custom_exprs from `first` on. */
static void
show_aggregates(Printer *printer, uint32 first, uint32 count)
{
	List	   *functions = NIL;

	for (uint32 i = first; i < first + count; i++)
		functions = lappend(functions, deparse(printer, list_nth(printer->exprs, i)));
	if (functions != NIL && printer->es->verbose)
		ExplainPropertyList("Aggregates", functions, printer->es);
}

static void
show_groups(Printer *printer, const PgjsNode *operator, const PgjsTreeNode *aggregate)
{
	List	   *keys = NIL;

	for (uint32 i = aggregate->first_key; i < aggregate->first_key + aggregate->nkeys; i++)
		keys = lappend(keys, deparse(printer, pgjs_key_expr(list_nth(printer->exprs, i))));
	if (aggregate->nsets > 0)
		show_sets(printer, aggregate, keys);
	else if (keys != NIL)
		ExplainPropertyList("Group Key", keys, printer->es);
	show_aggregates(printer, operator->first, operator->count);
}

/* The window functions that something above wants, as columns. */
static void
show_functions(Printer *printer, const PgjsTreeNode *window)
{
	List	   *columns = ((CustomScan *) printer->state->css.ss.ps.plan)->custom_scan_tlist;
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		const PgjsColumn *column = &printer->state->columns[foreach_current_index(lc)];

		for (uint32 i = window->first_function; i < window->first_function + window->nfunctions; i++)
		{
			if (column->source == PGJS_COLUMN_COMPUTED && column->number == printer->state->functions[i].first)
				texts = lappend(texts, deparse(printer, (Node *) lfirst_node(TargetEntry, lc)->expr));
		}
	}
	if (texts != NIL)
		ExplainPropertyList("Window Functions", texts, printer->es);
}

/* Which rows do not go where the hash of their keys says. */
static void
show_common_keys(Printer *printer, uint32 at)
{
	const PgjsTreeNode *join = &printer->state->tree[printer->nodes[at].tree_node];
	bool		stays;

	if (join->kind != PGJS_TREE_JOIN || join->stays == PGJS_STAYS_NONE || !printer->es->verbose)
		return;
	/* Rows with a NULL stay on both sides. */
	stays = join->ncommon == 0 || (join->stays == PGJS_STAYS_BUILD) == (side_below(printer, at) == join->build);
	ExplainPropertyText(stays ? "Common Keys Kept" : "Common Keys Copied",
						join->ncommon == 0 ? "NULL" : psprintf("%u", join->ncommon), printer->es);
}

static void
show_clauses(Printer *printer, uint32 at)
{
	const PgjsNode *operator = &printer->nodes[at];
	const PgjsTreeNode *node;
	List	   *texts = NIL;

	if (operator->tree_node < 0 || operator->tree_node >= printer->state->ntree)
		return;
	node = &printer->state->tree[operator->tree_node];
	switch (operator->clauses)
	{
		case PGJS_CLAUSES_FILTERS:
			show_condition(printer, "Filter", operator->first, operator->count);
			break;
		case PGJS_CLAUSES_JOIN:
			show_condition(printer, "Hash Cond", node->first_key, node->nkeys);
			show_condition(printer, "Join Filter", operator->first, operator->count);
			break;
		case PGJS_CLAUSES_RESULTS:
			for (uint32 i = node->first_result; i < node->first_result + node->nresults; i++)
				texts = lappend(texts, deparse(printer, list_nth(printer->exprs, i)));
			ExplainPropertyList("Computed", texts, printer->es);
			break;
		case PGJS_CLAUSES_KEYS:
			show_hash_keys(printer, at);
			show_common_keys(printer, at);
			break;
		case PGJS_CLAUSES_GROUPS:
			show_groups(printer, operator, node);
			break;
		case PGJS_CLAUSES_AGGREGATES:
			show_aggregates(printer, operator->first, operator->count);
			break;
		case PGJS_CLAUSES_ORDER:
			show_order(printer, node, "Sort Key", node->first_key, node->nkeys);
			break;
		case PGJS_CLAUSES_WINDOW:
			for (uint32 i = node->first_key; i < node->first_key + node->nkeys; i++)
				texts = lappend(texts, deparse(printer, pgjs_key_expr(list_nth(printer->exprs, i))));
			if (texts != NIL)
				ExplainPropertyList("Partition By", texts, printer->es);
			show_order(printer, node, "Order By", node->first_condition, node->nconditions);
			if (printer->es->verbose)
				show_functions(printer, node);
			break;
		default:
			break;
	}
}

/* ---- names ---- */

/* " on schema.table alias", as for PostgreSQL's scans. */
static void
show_table(Printer *printer, uint32 scan)
{
	ExplainState *es = printer->es;
	Relation	table = printer->state->scans[scan].table;
	Index		rti = printer->state->scans[scan].rti;
	const char *name = RelationGetRelationName(table);
	const char *alias = list_nth(es->rtable_names, rti - 1);
	char	   *schema = NULL;

	if (alias == NULL)
		alias = rt_fetch(rti, es->rtable)->eref->aliasname;
	if (es->verbose)
		schema = get_namespace_name_or_temp(RelationGetNamespace(table));

	if (!is_text(printer))
	{
		ExplainPropertyText("Relation Name", name, es);
		if (schema != NULL)
			ExplainPropertyText("Schema", schema, es);
		ExplainPropertyText("Alias", alias, es);
		return;
	}
	appendStringInfoString(es->str, " on ");
	if (schema != NULL)
		appendStringInfo(es->str, "%s.", quote_identifier(schema));
	appendStringInfoString(es->str, quote_identifier(name));
	if (strcmp(alias, name) != 0)
		appendStringInfo(es->str, " %s", quote_identifier(alias));
}

/* Of how many tables the rows of a partitioned or inherited one come, and of how many they need not. */
static void
show_parts(Printer *printer, const PgjsNode *operator)
{
	const PgjsTreeNode *node;
	const PgjsTable *scan;
	int			pruned = 0;

	if (operator->tree_node < 0 || operator->tree_node >= printer->state->ntree || operator->detail == NULL)
		return;
	node = &printer->state->tree[operator->tree_node];
	if (node->kind != PGJS_TREE_SCAN)
		return;
	scan = &printer->state->scans[node->number];
	if (scan->nparts == 1 && scan->parts[0] == scan->table)
		return;
	for (int k = 0; k < scan->nparts; k++)
		pruned += scan->pruned[k];
	ExplainPropertyInteger("Tables", NULL, scan->nparts - pruned, printer->es);
	if (pruned > 0)
		ExplainPropertyInteger("Tables Removed", NULL, pruned, printer->es);
}

static void
show_name(Printer *printer, const PgjsNode *operator)
{
	ExplainState *es = printer->es;
	const PgjsTreeNode *node = NULL;
	bool		text = is_text(printer);

	if (operator->tree_node >= 0 && operator->tree_node < printer->state->ntree)
		node = &printer->state->tree[operator->tree_node];

	if (text)
		appendStringInfoString(es->str, operator->name);
	else
		ExplainPropertyText("Operator", operator->name, es);

	if (operator->detail != NULL)
	{
		if (node != NULL && node->kind == PGJS_TREE_SCAN)
			show_table(printer, node->number);
		else if (text)
			appendStringInfo(es->str, " %s", operator->detail);
		else
			ExplainPropertyText("Detail", operator->detail, es);
	}
	if (operator->stream >= 0 && operator->stream < (int64) printer->nstreams)
	{
		const char *kind = stream_kind(printer->streams[operator->stream].kind);

		if (text)
			appendStringInfo(es->str, " (stream %d, %s)", operator->stream, kind);
		else
		{
			ExplainPropertyInteger("Stream", NULL, operator->stream, es);
			ExplainPropertyText("Stream Kind", kind, es);
		}
	}

	/* PostgreSQL's estimate, at the operator whose output it is of. */
	if (es->costs && node != NULL &&
		(operator->detail != NULL || operator->clauses == PGJS_CLAUSES_JOIN ||
		 operator->clauses == PGJS_CLAUSES_GROUPS || operator->clauses == PGJS_CLAUSES_ORDER))
	{
		if (text)
			appendStringInfo(es->str, "  (rows=%.0f width=%u)", node->rows, node->width);
		else
		{
			ExplainPropertyFloat("Plan Rows", NULL, node->rows, 0, es);
			ExplainPropertyInteger("Plan Width", NULL, node->width, es);
		}
	}
}

/* ---- figures ---- */

static const PgjsMetric *
metric(const Printer *printer, uint32 participant, uint32 operator)
{
	return &printer->state->totals.operators[participant * printer->count + operator];
}

/* On the operator's own line. */
static void
show_actual(Printer *printer, uint32 at)
{
	ExplainState *es = printer->es;
	uint64		rows = 0;
	uint64		longest = 0;

	for (uint32 p = 0; p < printer->state->totals.nparticipants; p++)
	{
		rows += metric(printer, p, at)->rows;
		longest = Max(longest, metric(printer, p, at)->elapsed_ns);
	}
	if (is_text(printer))
	{
		appendStringInfo(es->str, " (actual rows=" UINT64_FORMAT, rows);
		if (es->timing)
			appendStringInfo(es->str, " longest time=%.3f", longest / NS_PER_MS);
		appendStringInfoChar(es->str, ')');
	}
	else
	{
		ExplainPropertyUInteger("Actual Rows", NULL, rows, es);
		if (es->timing)
			ExplainPropertyFloat("Longest Own Time", "ms", longest / NS_PER_MS, 3, es);
	}
}

static void
show_memory(Printer *printer, uint32 at)
{
	uint64		most = 0;

	for (uint32 p = 0; p < printer->state->totals.nparticipants; p++)
		most = Max(most, metric(printer, p, at)->memory);
	if (most > 0)
		ExplainPropertyUInteger("Peak Memory", "kB", (most + 1023) / 1024, printer->es);
}

/* What a scan was spared by the build sides of joins above. */
static void
show_runtime_filter(Printer *printer, uint32 at)
{
	uint64		dropped = 0;
	uint64		pages = 0;

	for (uint32 p = 0; p < printer->state->totals.nparticipants; p++)
	{
		dropped += metric(printer, p, at)->without_partner;
		pages += metric(printer, p, at)->looked_up;
	}
	if (pages > 0)
		ExplainPropertyUInteger("Pages Found by Index", NULL, pages, printer->es);
	if (dropped > 0)
		ExplainPropertyUInteger("Rows Removed by Runtime Filter", NULL, dropped, printer->es);
}

/* What passed a stream: at the first operator that names it. */
static void
show_stream(Printer *printer, int32 stream)
{
	ExplainState *es = printer->es;
	PgjsTotals *totals = &printer->state->totals;
	uint64		rows = 0;
	uint64		bytes = 0;

	if (stream < 0 || stream >= (int64) printer->nstreams || bms_is_member(stream, printer->shown_streams))
		return;
	printer->shown_streams = bms_add_member(printer->shown_streams, stream);
	for (uint32 p = 0; p < totals->nparticipants; p++)
	{
		rows += totals->streams[p * printer->nstreams + stream].rows;
		bytes += totals->streams[p * printer->nstreams + stream].bytes;
	}
	if (is_text(printer))
	{
		char	   *text = psprintf("rows=" UINT64_FORMAT " bytes=" UINT64_FORMAT, rows, bytes);

		ExplainPropertyText("Sent", text, es);
		pfree(text);
	}
	else
	{
		ExplainPropertyUInteger("Sent Rows", NULL, rows, es);
		ExplainPropertyUInteger("Sent Bytes", NULL, bytes, es);
	}
}

static void
show_participants(Printer *printer, uint32 at)
{
	ExplainState *es = printer->es;

	ExplainOpenGroup("Participants", "Participants", false, es);
	for (uint32 p = 0; p < printer->state->totals.nparticipants; p++)
	{
		const PgjsMetric *figures = metric(printer, p, at);

		if (is_text(printer))
		{
			appendStringInfoSpaces(es->str, es->indent * 2);
			appendStringInfo(es->str, "Participant %u: rows=" UINT64_FORMAT, p, figures->rows);
			if (es->timing)
				appendStringInfo(es->str, " time=%.3f", figures->elapsed_ns / NS_PER_MS);
			appendStringInfoChar(es->str, '\n');
			continue;
		}
		ExplainOpenGroup("Participant", NULL, true, es);
		ExplainPropertyUInteger("Participant Number", NULL, p, es);
		ExplainPropertyUInteger("Actual Rows", NULL, figures->rows, es);
		if (es->timing)
			ExplainPropertyFloat("Own Time", "ms", figures->elapsed_ns / NS_PER_MS, 3, es);
		ExplainCloseGroup("Participant", NULL, true, es);
	}
	ExplainCloseGroup("Participants", "Participants", false, es);
}

/* ---- the tree ---- */

/* Prints operator `at` and all below it; returns the next one that is not. */
static uint32
show_operator(Printer *printer, uint32 at, const char *label)
{
	ExplainState *es = printer->es;
	const PgjsNode *operator = &printer->nodes[at];
	int			indent = es->indent;
	uint32		next = at + 1;
	bool		children;

	check_stack_depth();
	ExplainOpenGroup("Plan", label, true, es);
	if (is_text(printer))
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "->  ");
		es->indent += 3;
	}
	show_name(printer, operator);
	if (printer->figures)
		show_actual(printer, at);
	if (is_text(printer))
		appendStringInfoChar(es->str, '\n');

	show_parts(printer, operator);
	show_clauses(printer, at);
	if (printer->figures)
	{
		show_stream(printer, operator->stream);
		show_memory(printer, at);
		show_runtime_filter(printer, at);
		if (es->verbose)
			show_participants(printer, at);
	}

	children = next < printer->count && printer->nodes[next].depth > operator->depth;
	if (children)
		ExplainOpenGroup("Plans", "Plans", false, es);
	while (next < printer->count && printer->nodes[next].depth > operator->depth)
		next = show_operator(printer, next, NULL);
	if (children)
		ExplainCloseGroup("Plans", "Plans", false, es);

	if (is_text(printer))
		es->indent = indent;
	ExplainCloseGroup("Plan", label, true, es);
	return next;
}

/* What stands above although it could be part of the plan. */
static void
show_left(const Printer *printer)
{
	List	   *private = ((CustomScan *) printer->state->css.ss.ps.plan)->custom_private;
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, (List *) list_nth(private, PGJS_PRIVATE_LEFT))
		texts = lappend(texts, strVal(lfirst(lc)));
	if (texts != NIL)
		ExplainPropertyList("Left to PostgreSQL", texts, printer->es);
}

void
pgjs_explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	PgjsScanState *state = (PgjsScanState *) node;
	PgjsTotals *totals = &state->totals;
	Printer		printer = {.es = es, .state = state};
	PgjsPlan   *plan;

	if (es->analyze)
		pgjs_scan_collect(state);
	plan = pgjs_scan_plan(state);
	printer.exprs = ((CustomScan *) node->ss.ps.plan)->custom_exprs;
	printer.deparse_cxt = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	printer.nodes = pgjs_plan_nodes(plan, &printer.count);
	printer.streams = pgjs_plan_streams(plan, &printer.nstreams);
	printer.figures = es->analyze && totals->operators != NULL &&
		totals->noperators == printer.count && totals->nstreams == printer.nstreams;

	ExplainPropertyInteger("Participants Planned", NULL, state->workers + 1, es);
	if (es->analyze && totals->nruns > 0)
	{
		ExplainPropertyInteger("Participants Launched", NULL, totals->nlaunched + 1, es);
		if (totals->nruns > 1)
			ExplainPropertyUInteger("Executions", NULL, totals->nruns, es);
	}
	if (state->fallback != NULL)
		ExplainPropertyText("Fallback", "PostgreSQL's plan, since memory ran out", es);
	if (es->verbose)
		show_left(&printer);
	if (printer.count == 0)
		return;
	if (is_text(&printer))
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "JoinScan Plan:\n");
		es->indent++;
	}
	show_operator(&printer, 0, "JoinScan Plan");
	if (is_text(&printer))
		es->indent--;
}
