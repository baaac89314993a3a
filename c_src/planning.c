/*
 * planning.c
 *		What is remembered for the length of one planning.
 *
 * Plannings nest (a function that is evaluated at planning may plan), and an
 * ERROR may end one at any place. So there is a list, keyed by the planning's
 * PlannerGlobal; an entry lives in the same memory context, and its reset
 * callback takes it off the list.
 */
#include "planner.h"

#include "utils/memutils.h"

static PgjsPlanning *plannings = NULL;

static void
forget(void *arg)
{
	PgjsPlanning **link = &plannings;

	while (*link != NULL && *link != arg)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
}

PgjsPlanning *
pgjs_planning(const PlannerInfo *root)
{
	PgjsPlanning *planning;

	for (planning = plannings; planning != NULL; planning = planning->next)
	{
		if (planning->glob == root->glob)
			return planning;
	}
	planning = MemoryContextAllocZero(GetMemoryChunkContext(root->glob), sizeof(PgjsPlanning));
	planning->glob = root->glob;
	planning->cxt = GetMemoryChunkContext(root->glob);
	planning->callback.func = forget;
	planning->callback.arg = planning;
	MemoryContextRegisterResetCallback(planning->cxt, &planning->callback);
	planning->next = plannings;
	plannings = planning;
	return planning;
}
