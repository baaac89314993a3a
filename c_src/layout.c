/*
 * layout.c
 *		Compile-time proof that C lays the shared structs out as
 *		include/pgjs_layout.def says; rust_core/build.rs compiles it, and makes
 *		the same proof of the Rust side.
 */
#include "pgjs_core.h"
#include "pgjs_host.h"

#define PGJS_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), "size of " #type);
#define PGJS_OFFSET(type, field, bytes) \
	_Static_assert(offsetof(type, field) == (bytes), "offset of " #type "." #field);

#include "pgjs_layout.def"
