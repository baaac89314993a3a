/*
 * plan.c
 *		From the path to the plan node: a CustomScan that can be copied, and whose
 *		expressions setrefs sees.
 *
 *		custom_scan_tlist	the plan's columns: Vars and PlaceHolderVars; the first `noutput` are emitted
 *		custom_exprs		all clauses and computed expressions, in tree order; their Vars become INDEX_VARs
 *		custom_plans		the leaves that PostgreSQL runs, in the order of their numbers; the fallback, if any
 *		custom_private		see PgjsPrivate
 *		custom_relids		all tables
 *		qual				the deferred clauses
 */
#include "customscan.h"
#include "planner.h"

#include "catalog/pg_type.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

typedef struct Flatten
{
	List	   *custom_plans;	/* of the leaves */
	PgjsTreeNode *nodes;		/* filled from the start */
	int			count;
	List	   *exprs;			/* in the order of the nodes */
	List	   *scan_parts;		/* of each scan, see PgjsTree */
	List	   *scan_relids;	/* of each scan, leaf */
	List	   *leaf_relids;
	List	   *results;		/* what is computed: PlaceHolderVars, Aggrefs, group keys */
	List	   *result_exprs;	/* of each: where its value stands in exprs */
	bool		upper;			/* there is an AGGREGATE or a WINDOW */
	uint64	   *sets;			/* as PgjsPlanInput.sets */
	int			nsets;			/* numbers in there */
	PgjsWindowFunction *functions;
	int			nfunctions;
	List	   *at_hand;		/* what the AGGREGATE below computes, and the WINDOWs on it */
} Flatten;

int
pgjs_count_leaves(const PgjsTree *tree)
{
	while (tree->kind != PGJS_TREE_JOIN && tree->probe != NULL)
		tree = tree->probe;
	return tree->kind == PGJS_TREE_LEAF ? 1 : tree->nleaves;
}

/* The relids of leaves, children first, as flatten() numbers them. */
static List *
collect_leaves(const PgjsTree *tree, List *relids)
{
	check_stack_depth();
	if (tree->kind == PGJS_TREE_LEAF)
		return lappend_int(relids, tree->relid);
	/* A path that is thought of asks, so a walk down to the tables is spared where it finds none. */
	if (tree->kind == PGJS_TREE_JOIN && tree->nleaves == 0)
		return relids;
	if (tree->build != NULL)
		relids = collect_leaves(tree->build, relids);
	return tree->probe == NULL ? relids : collect_leaves(tree->probe, relids);
}

List *
pgjs_leaf_relids(const PgjsTree *tree)
{
	return collect_leaves(tree, NIL);
}

/* Copies an expression; the PlaceHolderVars of `results` give way to what is in them. */
static Node *
inline_results(Node *node, void *results)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, PlaceHolderVar) && list_member(results, node))
		return inline_results((Node *) ((PlaceHolderVar *) node)->phexpr, results);
	return expression_tree_mutator(node, inline_results, results);
}

List *
pgjs_tree_computes(const PgjsTree *tree)
{
	List	   *computed = NIL;
	ListCell   *lc;

	foreach(lc, tree->functions)
		computed = lappend(computed, ((PgjsWindow *) lfirst(lc))->function);
	if (tree->kind != PGJS_TREE_AGGREGATE)
		return computed;
	foreach(lc, tree->values)
	{
		if (!pgjs_is_column(lfirst(lc)))
			computed = lappend(computed, lfirst(lc));
	}
	return list_concat(list_concat(computed, tree->aggregates), tree->groupings);
}

/*
 * setrefs makes of every expression that is a column of the plan a reference
 * to it: right above the AGGREGATE that computes the column, and wrong below,
 * where `a + b` is still to be computed. So its columns get a cover there that
 * means nothing, and it is equal to the column no more.
 */
static Node *
cover_columns(Node *node, void *at_hand)
{
	if (node == NULL)
		return NULL;
	if (pgjs_is_column(node) || list_member(at_hand, node))
	{
		RelabelType *cover = makeRelabelType(copyObject((Expr *) node), exprType(node), exprTypmod(node),
											 exprCollation(node), COERCE_IMPLICIT_CAST);

		return (Node *) cover;
	}
	if (IsA(node, Aggref))
	{
		/* count(*) has no column to cover; the number is of use to an Agg node alone. */
		Aggref	   *aggregate = (Aggref *) expression_tree_mutator(node, cover_columns, at_hand);

		aggregate->aggtransno = -1;
		return (Node *) aggregate;
	}
	return expression_tree_mutator(node, cover_columns, at_hand);
}

static Node *
uncover_mutator(Node *node, void *context)
{
	RelabelType *cover = (RelabelType *) node;

	if (node == NULL)
		return NULL;
	if (IsA(node, RelabelType) && cover->resulttype == exprType((Node *) cover->arg) &&
		cover->resulttypmod == exprTypmod((Node *) cover->arg) &&
		cover->resultcollid == exprCollation((Node *) cover->arg))
		return uncover_mutator((Node *) cover->arg, context);
	return expression_tree_mutator(node, uncover_mutator, context);
}

Node *
pgjs_uncovered(Node *expr)
{
	return uncover_mutator(expr, NULL);
}

/*
 * Appends clauses of a node; where the first is. What the node computes is a
 * column above it alone: its own clauses compute it themselves, as in
 * PostgreSQL.
 */
static uint32
add_exprs(Flatten *flat, const PgjsTree *tree, List *exprs)
{
	uint32		first = list_length(flat->exprs);
	Node	   *added = inline_results((Node *) exprs, tree->results);

	if (flat->upper)
		added = cover_columns(added, flat->at_hand);
	flat->exprs = list_concat(flat->exprs, (List *) added);
	return first;
}

/* The columns that an AGGREGATE computes, whose exprs are there already. */
static void
add_computed(Flatten *flat, const PgjsTree *tree, const PgjsTreeNode *node)
{
	ListCell   *lc;

	foreach(lc, tree->values)
	{
		Node	   *expr = lfirst(lc);

		if (pgjs_is_column(expr) || list_member(flat->results, expr))
			continue;
		flat->results = lappend(flat->results, expr);
		flat->result_exprs = lappend_int(flat->result_exprs, node->first_key + foreach_current_index(lc));
	}
	foreach(lc, tree->aggregates)
	{
		flat->results = lappend(flat->results, lfirst(lc));
		flat->result_exprs = lappend_int(flat->result_exprs, node->first_aggregate + foreach_current_index(lc));
	}
	foreach(lc, tree->groupings)
	{
		flat->results = lappend(flat->results, lfirst(lc));
		flat->result_exprs = lappend_int(flat->result_exprs, node->first_grouping + foreach_current_index(lc));
	}
	flat->at_hand = pgjs_tree_computes(tree);
}

/*
 * What GROUPING(...) is in a grouping set: a bit for each argument, the last
 * one's the lowest, 1 where the set does not have it.
 */
static uint64
grouping_value(const PgjsTree *tree, const GroupingFunc *grouping, uint64 set)
{
	uint64		value = 0;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, grouping->args)
	{
		bool		missing = true;

		foreach(lc2, tree->values)
		{
			if (equal(lfirst(lc2), lfirst(lc)))
				missing = ((set >> foreach_current_index(lc2)) & 1) == 0;
		}
		value = value << 1 | (missing ? 1 : 0);
	}
	return value;
}

/* Appends the grouping sets of an AGGREGATE; where the first is. */
static uint32
add_sets(Flatten *flat, const PgjsTree *tree)
{
	uint32		first = flat->nsets;
	int			more = tree->nsets * (1 + list_length(tree->groupings));

	if (more == 0)
		return first;
	flat->sets = flat->nsets == 0 ? palloc(more * sizeof(uint64)) :
		repalloc(flat->sets, (flat->nsets + more) * sizeof(uint64));
	for (int i = 0; i < tree->nsets; i++)
	{
		ListCell   *lc;

		flat->sets[flat->nsets++] = tree->sets[i];
		foreach(lc, tree->groupings)
			flat->sets[flat->nsets++] = grouping_value(tree, lfirst_node(GroupingFunc, lc), tree->sets[i]);
	}
	return first;
}

/* Appends the functions of a WINDOW, with their expressions and columns; where the first is. */
static uint32
add_functions(Flatten *flat, const PgjsTree *tree)
{
	uint32		first = flat->nfunctions;
	int			more = list_length(tree->functions);
	List	   *results = NIL;
	ListCell   *lc;

	if (more == 0)
		return first;
	flat->functions = flat->nfunctions == 0 ? palloc(more * sizeof(PgjsWindowFunction)) :
		repalloc(flat->functions, (flat->nfunctions + more) * sizeof(PgjsWindowFunction));
	foreach(lc, tree->functions)
	{
		PgjsWindow *window = lfirst(lc);
		PgjsWindowFunction *form = &flat->functions[flat->nfunctions++];

		*form = window->form;
		form->first = add_exprs(flat, tree, window->exprs);
		form->count = list_length(window->exprs);
		results = lappend_int(results, form->first);
	}
	flat->result_exprs = list_concat(flat->result_exprs, results);
	flat->results = list_concat(flat->results, pgjs_tree_computes(tree));
	flat->at_hand = list_concat_copy(flat->at_hand, pgjs_tree_computes(tree));
	return first;
}

/* Appends a tree, children first, and returns the place of its root. */
static uint32
flatten(Flatten *flat, const PgjsTree *tree)
{
	PgjsTreeNode node = {.kind = tree->kind};
	List	   *conditions = tree->conditions;
	ListCell   *lc;

	check_stack_depth();
	switch (tree->kind)
	{
		case PGJS_TREE_SCAN:
			node.number = list_length(flat->scan_relids);
			flat->scan_relids = lappend_int(flat->scan_relids, tree->relid);
			flat->scan_parts = lappend(flat->scan_parts, tree->parts);
			break;
		case PGJS_TREE_LEAF:
			node.number = list_length(flat->leaf_relids);
			flat->leaf_relids = lappend_int(flat->leaf_relids, tree->relid);
			break;
		case PGJS_TREE_AGGREGATE:
		case PGJS_TREE_SORT:
		case PGJS_TREE_WINDOW:
		case PGJS_TREE_FILTER:
			node.probe = flatten(flat, tree->probe);
			node.probe_exchange = tree->probe_exchange;
			node.nulls_first = tree->nulls_first;
			node.limit = tree->limit;
			node.cut_keys = tree->cut_keys;
			break;
		default:
			node.build = flatten(flat, tree->build);
			node.probe = flatten(flat, tree->probe);
			node.build_exchange = tree->build_exchange;
			node.probe_exchange = tree->probe_exchange;
			node.join_type = tree->join_type;
	}
	node.first_key = add_exprs(flat, tree, tree->keys);
	node.nkeys = list_length(tree->keys);
	node.stays = tree->skew.stays;
	node.first_common = add_exprs(flat, tree, tree->skew.values);
	node.ncommon = list_length(tree->skew.values) / Max(list_length(tree->keys), 1);
	if (tree->kind == PGJS_TREE_FILTER)
		conditions = pgjs_choose_subplans(conditions, tree->probe->rows);
	node.first_condition = add_exprs(flat, tree, conditions);
	node.nconditions = list_length(conditions);
	node.first_aggregate = add_exprs(flat, tree, tree->calls);
	node.naggregates = list_length(tree->aggregates);
	node.first_grouping = add_exprs(flat, tree, tree->groupings);
	node.ngroupings = list_length(tree->groupings);
	node.first_set = add_sets(flat, tree);
	node.nsets = tree->nsets;
	if (tree->kind == PGJS_TREE_AGGREGATE)
		add_computed(flat, tree, &node);
	node.first_function = add_functions(flat, tree);
	node.nfunctions = list_length(tree->functions);
	node.first_filter = add_exprs(flat, tree, tree->filters);
	node.nfilters = list_length(tree->filters);
	node.first_result = list_length(flat->exprs);
	node.nresults = list_length(tree->results);
	foreach(lc, tree->results)
	{
		PlaceHolderVar *phv = lfirst_node(PlaceHolderVar, lc);

		flat->results = lappend(flat->results, phv);
		flat->result_exprs = lappend_int(flat->result_exprs, list_length(flat->exprs));
		(void) add_exprs(flat, tree, list_make1(phv->phexpr));
	}
	node.rows = tree->rows;
	node.width = tree->width;
	flat->nodes[flat->count] = node;
	return flat->count++;
}

/* The place of an expression in a list of TargetEntries from 1, or 0. */
static int
find_column(List *tlist, Node *column)
{
	ListCell   *lc;

	foreach(lc, tlist)
	{
		if (equal(lfirst_node(TargetEntry, lc)->expr, column))
			return foreach_current_index(lc) + 1;
	}
	return 0;
}

/* Where a Var or PlaceHolderVar comes from; false when nothing gives it. */
static bool
find_source(const Flatten *flat, Node *column, PgjsColumnSource *source)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (IsA(column, Var))
	{
		Var		   *var = (Var *) column;

		foreach(lc, flat->scan_relids)
		{
			if (lfirst_int(lc) == var->varno)
			{
				source->source = PGJS_COLUMN_SCAN;
				source->number = foreach_current_index(lc);
				source->attno = var->varattno;
				return true;
			}
		}
	}
	foreach(lc, flat->custom_plans)
	{
		int			position = find_column(((Plan *) lfirst(lc))->targetlist, column);

		if (position > 0)
		{
			source->source = PGJS_COLUMN_LEAF;
			source->number = foreach_current_index(lc);
			source->attno = position;
			return true;
		}
	}
	forboth(lc, flat->results, lc2, flat->result_exprs)
	{
		if (equal(lfirst(lc), column))
		{
			source->source = PGJS_COLUMN_COMPUTED;
			source->number = lfirst_int(lc2);
			source->attno = 0;
			return true;
		}
	}
	return false;
}

/* The columns of the plan that expressions mention, with what is in a computed one not looked at. */
typedef struct Mentions
{
	const List *results;
	List	   *columns;
} Mentions;

static bool
mentions_walker(Node *node, void *context)
{
	Mentions   *mentions = context;

	if (node == NULL)
		return false;
	if (pgjs_is_column(node) || list_member(mentions->results, node))
	{
		mentions->columns = lappend(mentions->columns, node);
		return false;
	}
	return expression_tree_walker(node, mentions_walker, context);
}

static List *
columns_of(const Flatten *flat, List *exprs)
{
	Mentions	mentions = {flat->results, NIL};

	(void) mentions_walker((Node *) exprs, &mentions);
	return mentions.columns;
}

List *
pgjs_plan_columns(const PgjsTree *tree, List *exprs)
{
	Mentions	mentions = {NIL, NIL};

	for (const PgjsTree *node = tree; node != NULL; node = node->probe)
		mentions.results = list_concat((List *) mentions.results, pgjs_tree_computes(node));
	(void) mentions_walker((Node *) exprs, &mentions);
	return list_union(NIL, mentions.columns);
}

List *
pgjs_leaf_plans(const CustomScan *cscan)
{
	int			n = list_length(cscan->custom_plans);

	return IsA(list_nth(cscan->custom_private, PGJS_PRIVATE_FALLBACK), String) ? cscan->custom_plans :
		list_truncate(list_copy(cscan->custom_plans), n - 1);
}

/* The columns of a plan under construction. */
typedef struct Columns
{
	List	   *tlist;
	PgjsColumnSource *sources;	/* room for as many as fit */
	int			room;
} Columns;

/*
 * Makes `column` a column of the plan, if it is none yet. A PlaceHolderVar that
 * nothing computes is evaluated where it is mentioned, as setrefs does it: from
 * the columns in it.
 */
static void
add_column(const Flatten *flat, Columns *columns, Node *column)
{
	PgjsColumnSource source;
	int			n = list_length(columns->tlist);

	check_stack_depth();
	if (find_column(columns->tlist, column) > 0)
		return;
	if (!find_source(flat, column, &source))
	{
		ListCell   *lc;

		if (!IsA(column, PlaceHolderVar))
			elog(ERROR, "JoinScan has no source for a column: %s", nodeToString(column));
		foreach(lc, columns_of(flat, list_make1(((PlaceHolderVar *) column)->phexpr)))
			add_column(flat, columns, lfirst(lc));
		return;
	}
	if (n == columns->room)
	{
		columns->room = Max(columns->room * 2, 16);
		columns->sources = n == 0 ? palloc(columns->room * sizeof(PgjsColumnSource)) :
			repalloc(columns->sources, columns->room * sizeof(PgjsColumnSource));
	}
	columns->sources[n] = source;
	columns->tlist = lappend(columns->tlist, makeTargetEntry((Expr *) copyObject(column), n + 1, NULL, false));
}

static Const *
bytes_const(const void *bytes, Size size)
{
	bytea	   *value = palloc(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	if (size > 0)
		memcpy(VARDATA(value), bytes, size);
	return makeConst(BYTEAOID, -1, InvalidOid, -1, PointerGetDatum(value), false, false);
}

static int
count_nodes(const PgjsTree *tree)
{
	check_stack_depth();
	return tree == NULL ? 0 : 1 + count_nodes(tree->build) + count_nodes(tree->probe);
}

/* PGJS_PRIVATE_SCANS and, in *pruning, PGJS_PRIVATE_PRUNING. */
static List *
make_scans(PlannerInfo *root, const Flatten *flat, Relids relids, List **pruning)
{
	List	   *scans = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	*pruning = NIL;
	forboth(lc, flat->scan_relids, lc2, flat->scan_parts)
	{
		int			relid = lfirst_int(lc);
		List	   *scan = list_make1_int(bms_member_index(relids, relid));
		ListCell   *lc3;

		foreach(lc3, (List *) lfirst(lc2))
			scan = lappend_int(scan, lfirst_int(lc3) - relid);
		scans = lappend(scans, scan);
		*pruning = lappend(*pruning, pgjs_plan_pruning(root, relid, lfirst(lc2)));
	}
	return scans;
}

Plan *
pgjs_plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
			   List *custom_plans)
{
	PgjsPath   *path = (PgjsPath *) best_path;
	CustomScan *cscan = makeNode(CustomScan);
	Relids		relids = best_path->path.parent->relids;
	Flatten		flat = {.custom_plans = custom_plans};
	Columns		columns = {0};
	Plan	   *fallback = path->fallback != NULL ? llast(custom_plans) : NULL;
	List	   *places = NIL;
	List	   *scans;
	List	   *pruning;
	int			noutput;
	ListCell   *lc;

	if (fallback != NULL)
		flat.custom_plans = list_truncate(list_copy(custom_plans), list_length(custom_plans) - 1);
	flat.nodes = palloc0(count_nodes(path->tree) * sizeof(PgjsTreeNode));
	for (const PgjsTree *node = path->tree; node != NULL; node = node->probe)
		flat.upper |= node->kind == PGJS_TREE_AGGREGATE || node->kind == PGJS_TREE_WINDOW;
	flatten(&flat, path->tree);

	foreach(lc, columns_of(&flat, path->target->exprs))
		add_column(&flat, &columns, lfirst(lc));
	if (fallback != NULL)
		places = pgjs_map_fallback(fallback, columns.tlist);
	foreach(lc, columns_of(&flat, path->tree->deferred))
		add_column(&flat, &columns, lfirst(lc));
	foreach(lc, columns_of(&flat, tlist))
	{
		/* What stands in a PlaceHolderVar that is a column is not looked at. */
		if (IsA(lfirst(lc), PlaceHolderVar) || find_column(columns.tlist, lfirst(lc)) > 0)
			continue;
		elog(ERROR, "JoinScan does not emit a column that is wanted: %s", nodeToString(lfirst(lc)));
	}
	noutput = list_length(columns.tlist);
	foreach(lc, columns_of(&flat, flat.exprs))
		add_column(&flat, &columns, lfirst(lc));
	scans = make_scans(root, &flat, relids, &pruning);

	cscan->scan.plan.targetlist = tlist;
	/* Pseudoconstant conditions are above, in a Result. */
	cscan->scan.plan.qual = copyObject(path->tree->deferred);
	cscan->scan.scanrelid = 0;
	cscan->flags = best_path->flags;
	cscan->custom_plans = places != NIL ? custom_plans : flat.custom_plans;
	cscan->custom_exprs = flat.exprs;
	cscan->custom_private = list_make5(bytes_const(flat.nodes, flat.count * sizeof(PgjsTreeNode)),
									   bytes_const(columns.sources,
												   list_length(columns.tlist) * sizeof(PgjsColumnSource)),
									   scans,
									   makeInteger(path->workers),
									   makeInteger(noutput));
	cscan->custom_private = lappend(cscan->custom_private,
									makeInteger((int) Min(get_hash_memory_limit() / 1024, INT_MAX)));
	cscan->custom_private = lappend(cscan->custom_private, pruning);
	cscan->custom_private = lappend(cscan->custom_private, bytes_const(flat.sets, flat.nsets * sizeof(uint64)));
	cscan->custom_private = lappend(cscan->custom_private,
									bytes_const(flat.functions, flat.nfunctions * sizeof(PgjsWindowFunction)));
	cscan->custom_private = lappend(cscan->custom_private, pgjs_left_above(root, path->tree));
	if (places == NIL && path->no_fallback == NULL)
		path->no_fallback = fallback != NULL ? "it lacks a column" : "none was kept";
	cscan->custom_private = lappend(cscan->custom_private, places != NIL ? (Node *) places :
									(Node *) makeString(pstrdup(path->no_fallback)));
	cscan->custom_scan_tlist = columns.tlist;
	cscan->custom_relids = bms_copy(relids);
	cscan->methods = &pgjs_scan_methods;

	/* The executor enters parallel mode for this. */
	if (path->workers > 0)
		root->glob->parallelModeNeeded = true;
	return &cscan->scan.plan;
}
